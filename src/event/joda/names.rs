//! Names of months, weekdays, halves of the day and eras in the locales that logs come in, as
//! Java's locale data (CLDR) has them.

use super::pattern::Field;
use std::sync::LazyLock;

/// One locale's names, and how to find them in a text.
#[derive(Debug)]
pub(super) struct Names {
    table: &'static Table,
    months: Lookup,
    days: Lookup,
    halves: Lookup,
    eras: Lookup,
}

#[derive(Debug)]
struct Table {
    language: &'static str,
    months: [&'static str; 12],
    short_months: [&'static str; 12],
    /// From Monday on.
    days: [&'static str; 7],
    short_days: [&'static str; 7],
    halves: [&'static str; 2],
    /// Before and after.
    eras: [&'static str; 2],
}

/// Names by their first byte, the longest first.
#[derive(Debug)]
struct Lookup {
    /// By byte, the number of its list.
    first: [u8; 256],
    /// The first one is empty: it is that of all other bytes.
    lists: Vec<Vec<(Box<[u8]>, u8)>>,
}

static NAMES: LazyLock<Vec<Names>> = LazyLock::new(|| TABLES.iter().map(Names::new).collect());

impl Names {
    /// The names of a locale by its BCP 47 tag (`fr-FR`) or Java's old name (`fr_FR`); English
    /// where it is not known.
    pub(super) fn of(locale: &str) -> &'static Names {
        let language = locale.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        NAMES.iter().find(|names| names.table.language == language).unwrap_or(&NAMES[0])
    }

    fn new(table: &'static Table) -> Names {
        let mut eras = Lookup::new(&[&table.eras], 0);
        if table.language == "en" {
            eras.add(0, &["BCE", "bce"]);
            eras.add(1, &["CE", "ce"]);
            eras.sort();
        }
        Names {
            table,
            months: Lookup::new(&[&table.months, &table.short_months], 1),
            days: Lookup::new(&[&table.days, &table.short_days], 1),
            halves: Lookup::new(&[&table.halves], 0),
            eras,
        }
    }

    /// The name of a field's value.
    pub(super) fn text(&self, field: Field, value: i64, full: bool) -> &'static str {
        let table = self.table;
        match field {
            Field::Month if full => table.months[value as usize - 1],
            Field::Month => table.short_months[value as usize - 1],
            Field::DayOfWeek if full => table.days[value as usize - 1],
            Field::DayOfWeek => table.short_days[value as usize - 1],
            Field::Halfday => table.halves[value as usize],
            _ => table.eras[value as usize],
        }
    }

    /// The longest name of a field that `text` begins with: its value and its length.
    pub(super) fn find(&self, field: Field, text: &[u8]) -> Option<(u8, usize)> {
        let lookup = match field {
            Field::Month => &self.months,
            Field::DayOfWeek => &self.days,
            Field::Halfday => &self.halves,
            _ => &self.eras,
        };
        let names = &lookup.lists[usize::from(lookup.first[usize::from(*text.first()?)])];
        names.iter().find(|(name, _)| starts_with(text, name)).map(|(name, value)| (*value, name.len()))
    }
}

/// Names are short: a loop costs less than a call to compare memory.
#[inline]
fn starts_with(text: &[u8], name: &[u8]) -> bool {
    text.len() >= name.len() && text.iter().zip(name).all(|(a, b)| a == b)
}

impl Lookup {
    fn new(lists: &[&[&'static str]], first: u8) -> Lookup {
        let mut lookup = Lookup { first: [0; 256], lists: vec![Vec::new()] };
        for list in lists {
            for (name, value) in list.iter().zip(first..) {
                // Joda knows a name as it is, in capitals and in small letters. The point of an
                // abbreviation is left out in many logs.
                for name in [name, name.trim_end_matches('.')] {
                    lookup.add(value, &[name, &name.to_lowercase(), &name.to_uppercase()]);
                }
            }
        }
        lookup.sort();
        lookup
    }

    fn add(&mut self, value: u8, names: &[&str]) {
        for name in names {
            let first = &mut self.first[usize::from(name.as_bytes()[0])];
            if *first == 0 {
                *first = self.lists.len() as u8;
                self.lists.push(Vec::new());
            }
            let list = &mut self.lists[usize::from(*first)];
            if !list.iter().any(|(known, _)| **known == *name.as_bytes()) {
                list.push((name.as_bytes().into(), value));
            }
        }
    }

    fn sort(&mut self) {
        self.lists.iter_mut().for_each(|list| list.sort_by_key(|(name, _)| std::cmp::Reverse(name.len())));
    }
}

const MONTHS_CJK: [&str; 12] = ["1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月"];

/// English first: it is the fallback.
static TABLES: &[Table] = &[
    Table {
        language: "en",
        months: [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
        short_months: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        days: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
        short_days: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        halves: ["AM", "PM"],
        eras: ["BC", "AD"],
    },
    Table {
        language: "de",
        months: [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
        short_months: ["Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."],
        days: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
        short_days: ["Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."],
        halves: ["AM", "PM"],
        eras: ["v. Chr.", "n. Chr."],
    },
    Table {
        language: "fr",
        months: [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
        short_months: [
            "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.",
        ],
        days: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
        short_days: ["lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."],
        halves: ["AM", "PM"],
        eras: ["av. J.-C.", "ap. J.-C."],
    },
    Table {
        language: "es",
        months: [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
        short_months: ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic"],
        days: ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
        short_days: ["lun", "mar", "mié", "jue", "vie", "sáb", "dom"],
        halves: ["a. m.", "p. m."],
        eras: ["a. C.", "d. C."],
    },
    Table {
        language: "it",
        months: [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ],
        short_months: ["gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"],
        days: ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"],
        short_days: ["lun", "mar", "mer", "gio", "ven", "sab", "dom"],
        halves: ["AM", "PM"],
        eras: ["a.C.", "d.C."],
    },
    Table {
        language: "pt",
        months: [
            "janeiro",
            "fevereiro",
            "março",
            "abril",
            "maio",
            "junho",
            "julho",
            "agosto",
            "setembro",
            "outubro",
            "novembro",
            "dezembro",
        ],
        short_months: ["jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez."],
        days: ["segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"],
        short_days: ["seg.", "ter.", "qua.", "qui.", "sex.", "sáb.", "dom."],
        halves: ["AM", "PM"],
        eras: ["a.C.", "d.C."],
    },
    Table {
        language: "nl",
        months: [
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ],
        short_months: ["jan.", "feb.", "mrt.", "apr.", "mei", "jun.", "jul.", "aug.", "sep.", "okt.", "nov.", "dec."],
        days: ["maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"],
        short_days: ["ma", "di", "wo", "do", "vr", "za", "zo"],
        halves: ["a.m.", "p.m."],
        eras: ["v.Chr.", "n.Chr."],
    },
    Table {
        language: "pl",
        months: [
            "stycznia",
            "lutego",
            "marca",
            "kwietnia",
            "maja",
            "czerwca",
            "lipca",
            "sierpnia",
            "września",
            "października",
            "listopada",
            "grudnia",
        ],
        short_months: ["sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "paź", "lis", "gru"],
        days: ["poniedziałek", "wtorek", "środa", "czwartek", "piątek", "sobota", "niedziela"],
        short_days: ["pon.", "wt.", "śr.", "czw.", "pt.", "sob.", "niedz."],
        halves: ["AM", "PM"],
        eras: ["p.n.e.", "n.e."],
    },
    Table {
        language: "sv",
        months: [
            "januari",
            "februari",
            "mars",
            "april",
            "maj",
            "juni",
            "juli",
            "augusti",
            "september",
            "oktober",
            "november",
            "december",
        ],
        short_months: ["jan.", "feb.", "mars", "apr.", "maj", "juni", "juli", "aug.", "sep.", "okt.", "nov.", "dec."],
        days: ["måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag", "söndag"],
        short_days: ["mån", "tis", "ons", "tors", "fre", "lör", "sön"],
        halves: ["fm", "em"],
        eras: ["f.Kr.", "e.Kr."],
    },
    Table {
        language: "ru",
        months: [
            "января",
            "февраля",
            "марта",
            "апреля",
            "мая",
            "июня",
            "июля",
            "августа",
            "сентября",
            "октября",
            "ноября",
            "декабря",
        ],
        short_months: [
            "янв.",
            "февр.",
            "мар.",
            "апр.",
            "мая",
            "июн.",
            "июл.",
            "авг.",
            "сент.",
            "окт.",
            "нояб.",
            "дек.",
        ],
        days: ["понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"],
        short_days: ["пн", "вт", "ср", "чт", "пт", "сб", "вс"],
        halves: ["AM", "PM"],
        eras: ["до н. э.", "н. э."],
    },
    Table {
        language: "tr",
        months: [
            "Ocak", "Şubat", "Mart", "Nisan", "Mayıs", "Haziran", "Temmuz", "Ağustos", "Eylül", "Ekim", "Kasım",
            "Aralık",
        ],
        short_months: ["Oca", "Şub", "Mar", "Nis", "May", "Haz", "Tem", "Ağu", "Eyl", "Eki", "Kas", "Ara"],
        days: ["Pazartesi", "Salı", "Çarşamba", "Perşembe", "Cuma", "Cumartesi", "Pazar"],
        short_days: ["Pzt", "Sal", "Çar", "Per", "Cum", "Cmt", "Paz"],
        halves: ["ÖÖ", "ÖS"],
        eras: ["MÖ", "MS"],
    },
    Table {
        language: "ja",
        months: MONTHS_CJK,
        short_months: MONTHS_CJK,
        days: ["月曜日", "火曜日", "水曜日", "木曜日", "金曜日", "土曜日", "日曜日"],
        short_days: ["月", "火", "水", "木", "金", "土", "日"],
        halves: ["午前", "午後"],
        eras: ["紀元前", "西暦"],
    },
    Table {
        language: "zh",
        months: ["一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "十一月", "十二月"],
        short_months: MONTHS_CJK,
        days: ["星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"],
        short_days: ["周一", "周二", "周三", "周四", "周五", "周六", "周日"],
        halves: ["上午", "下午"],
        eras: ["公元前", "公元"],
    },
    Table {
        language: "ko",
        months: ["1월", "2월", "3월", "4월", "5월", "6월", "7월", "8월", "9월", "10월", "11월", "12월"],
        short_months: ["1월", "2월", "3월", "4월", "5월", "6월", "7월", "8월", "9월", "10월", "11월", "12월"],
        days: ["월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일"],
        short_days: ["월", "화", "수", "목", "금", "토", "일"],
        halves: ["오전", "오후"],
        eras: ["BC", "AD"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_longest_first() {
        let check = |locale: &str, field, text: &str, want| {
            assert_eq!(Names::of(locale).find(field, text.as_bytes()), want, "{locale} {text}");
        };
        check("en", Field::Month, "March 3", Some((3, 5)));
        check("en", Field::Month, "Mar 3", Some((3, 3)));
        check("en", Field::Month, "MAR", Some((3, 3)));
        check("en", Field::Month, "mar", Some((3, 3)));
        check("en", Field::Month, "mAR", None);
        check("en-GB", Field::DayOfWeek, "Wednesday", Some((3, 9)));
        check("en", Field::Halfday, "pm", Some((1, 2)));
        check("en", Field::Era, "BCE", Some((0, 3)));
        check("fr-FR", Field::Month, "juillet", Some((7, 7)));
        check("fr_FR", Field::Month, "juil", Some((7, 4)));
        check("fr", Field::Month, "July", None);
        check("ja", Field::Month, "12月", Some((12, 5)));
        check("xx", Field::Month, "May", Some((5, 3)));
    }

    #[test]
    fn every_name_is_found_again() {
        for names in NAMES.iter() {
            for (field, range) in [(Field::Month, 1..=12), (Field::DayOfWeek, 1..=7), (Field::Halfday, 0..=1)] {
                for value in range {
                    for full in [true, false] {
                        let text = names.text(field, value, full);
                        let found = names.find(field, text.as_bytes());
                        assert_eq!(found, Some((value as u8, text.len())), "{} {text}", names.table.language);
                    }
                }
            }
        }
    }
}
