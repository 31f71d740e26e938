//! Tests of the patterns and their engines.

use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

fn grok(pattern: &str, set: Set) -> Grok {
    Grok::compile(pattern, &Library::new(set), Options::default()).unwrap_or_else(|e| panic!("{pattern}: {e}"))
}

/// The regular expression's own answer, without pre-filter.
fn by_regexp(grok: &Grok, text: &str) -> Result<Option<Vec<(u32, u32)>>, MatchError> {
    let spans = |offsets: &[usize]| offsets[2..].chunks_exact(2).map(|p| (p[0] as u32, p[1] as u32)).collect();
    grok.0.regexp.with_offsets(text, 0, spans)
}

/// The law: whatever engine answers gives what the regular expression gives. Where that gives up
/// at its limit, as it must on some mutated lines, there is nothing to compare with.
fn agree(grok: &Grok, pattern: &str, text: &str) -> bool {
    let want = match by_regexp(grok, text) {
        Ok(want) => want,
        Err(MatchError::Limit) => return false,
        Err(error) => panic!("{pattern} on {text:?}: {error}"),
    };
    let mut scratch = Scratch::default();
    let found = grok.captures(text, &mut scratch).unwrap();
    assert_eq!(found, want.is_some(), "{pattern} on {text:?}");
    let mut bits = Vec::new();
    Candidates::new(std::iter::once(grok)).find(text.as_bytes(), &mut bits);
    assert!(bits[0] & 1 == 1 || !found, "{pattern} on {text:?}");
    if let Some(want) = want {
        assert_eq!(scratch.spans, want, "{pattern} on {text:?}");
    }
    grok.scan(text.as_bytes(), false, &mut scratch).is_some()
}

const LINES: &[&str] = &[
    r#"83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /presentations/logstash/images/kibana-search.png HTTP/1.1" 200 203023 "http://semicomplete.com/presentations/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1)""#,
    r#"host.example.com - a.user [01/Jan/2020:23:05:27 +0100] "OPTIONS /remote.php/ HTTP/1.1" - 7908 "-" "monitoring-client (v2.2)""#,
    r#"::1 - bob@example.com [1/Jan/2020:23:05:27 +0100] "GET /x HTTP/1.0" 304 - "-" "say \"hi\" 'x'""#,
    "Mar 16 00:01:25 evita postfix/smtpd[1713]: connect from camomile.cloud9.net[168.100.1.3]",
    "<191>1 2009-06-30T18:30:00+02:00 paxton.local grokdebug 4123 - [id1 foo=\"bar\"] Hello, syslog.",
    "2014-02-15T23:39:43.945958Z INFO [main] com.example.Service - took 12.5 ms, 3 of 5",
    "1470637867.953466 [0 195.168.1.1:52500] \"info\" 'a' `b` -1 +2.5 .5 1,000 0x1f",
    "12/24/2020-10:11:12 C:\\Windows\\System32 /usr/lib/x.so?a=b http://user@host.name:8080/p/q?r=s",
];

const PATTERNS: &[&str] = &[
    "%{COMBINEDAPACHELOG}",
    "%{HTTPD_COMMONLOG}",
    "%{SYSLOGLINE}",
    "%{SYSLOGBASE} %{GREEDYDATA:m}",
    "%{SYSLOG5424LINE}",
    "%{TIMESTAMP_ISO8601:t} %{LOGLEVEL:l} \\[%{DATA:thread}\\] %{JAVACLASS:c} - %{GREEDYDATA:m}",
    "%{REDISMONLOG}",
    "%{URI:u}",
    "%{NOTSPACE:a} %{NOTSPACE:b}/%{DATA:c}: %{GREEDYDATA:d}",
    "^%{DATA:a} %{GREEDYDATA:b} %{WORD:c}$",
    "%{IPORHOST:h}(?: %{WORD:w})?(?: -)* %{QS:q}",
    "(?<a>[^ ]+) (?<b>[^\\[]*?)\\[(?<c>.*)\\](?<d>.*)",
    "(?:%{NUMBER:n}|%{WORD:w}|-)(?:[.:,]?%{INT:i:int})?",
    "%{WORD:a}?(?<b>\\W+)(?:%{IP:ip}|%{HOSTNAME:hn})?",
    "(?:(?<k>\\w+)=(?<v>[^;]+);)+",
    "%{SPACE}(?<x>a{2,3}b{2}c*+)(?![0-9])(?<=c)d",
];

#[test]
fn engines_agree_on_whole_lines() {
    for set in [Set::Legacy, Set::Ecs] {
        for pattern in PATTERNS {
            let grok = grok(pattern, set);
            for line in LINES {
                agree(&grok, pattern, line);
            }
        }
    }
}

#[test]
fn the_scanner_takes_the_common_formats() {
    for set in [Set::Legacy, Set::Ecs] {
        let mut scratch = Scratch::default();
        for (pattern, lines) in [
            ("%{COMBINEDAPACHELOG}", &LINES[..2]),
            ("%{SYSLOGLINE}", &LINES[3..4]),
            (PATTERNS[5], &LINES[5..6]),
            ("%{REDISMONLOG}", &LINES[6..7]),
        ] {
            let grok = grok(pattern, set);
            assert_eq!(grok.engine(), "scanner", "{pattern}");
            for line in lines {
                assert_eq!(grok.scan(line.as_bytes(), false, &mut scratch), Some(true), "{set:?} {pattern} on {line}");
            }
        }
    }
}

#[test]
fn public_apache_lines_need_no_regexp() {
    let Ok(lines) = std::fs::read_to_string("../shared/data/apache_logs") else { return };
    for set in [Set::Legacy, Set::Ecs] {
        let grok = grok("%{COMBINEDAPACHELOG}", set);
        let (mut all, mut scanned) = (0, 0);
        for line in lines.lines() {
            all += 1;
            scanned += usize::from(agree(&grok, "%{COMBINEDAPACHELOG}", line));
        }
        assert!(scanned * 100 >= all * 98, "{scanned} of {all}");
    }
}

#[test]
fn a_literal_that_is_missing_spares_the_match() {
    let grok = grok("%{WORD:a} from %{IP:b} port (?:x)?%{INT:c}", Set::Legacy);
    assert!(grok.0.required.is_some());
    let mut scratch = Scratch::default();
    assert_eq!(grok.captures("login from 1.2.3.4 port 22", &mut scratch), Ok(true));
    assert_eq!(grok.captures("login at 1.2.3.4", &mut scratch), Ok(false));
}

#[test]
fn captures_are_ordered_as_ruby_orders_them() {
    let grok = grok("%{INT:a:int} %{WORD:b} %{INT:a:int} (?<c>x)", Set::Legacy);
    let fields: Vec<_> = grok.fields().iter().map(|c| (c.field.as_str(), c.kind, c.slot)).collect();
    let want = [("a", Kind::Int, 0), ("a", Kind::Text, 2), ("b", Kind::Text, 1), ("c", Kind::Text, 3)];
    assert_eq!(fields, want);
}

fn assert_agree(grok: &Grok, pattern: &str, text: &str) {
    agree(grok, pattern, text);
}

/// A line with some bytes changed, removed, doubled or put in.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (
        any::<prop::sample::Index>(),
        0..4u8,
        prop::sample::select(r#" -:./[]"'\@a9Zé+`,=;<>%_"#.chars().collect::<Vec<_>>()),
    );
    (prop::sample::select(LINES), prop::collection::vec(edit, 0..4)).prop_map(|(line, edits)| {
        let mut chars: Vec<char> = line.chars().collect();
        for (at, kind, c) in edits {
            let at = at.index(chars.len());
            match kind {
                0 => chars[at] = c,
                1 => drop(chars.remove(at)),
                2 => chars.insert(at, chars[at]),
                _ => chars.insert(at, c),
            }
        }
        chars.into_iter().collect()
    })
}

/// Text of few characters, so that it often nearly fits.
fn text_for_tokens() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "1",
        "25",
        "255",
        "256",
        "0",
        "09",
        ".",
        "..",
        "-",
        "+",
        ":",
        "::",
        "a",
        "fe80",
        "host-1",
        "_",
        " ",
        "\"",
        "'",
        "`",
        "\\",
        "@",
        "/",
        "Jan",
        "May",
        "Dec",
        "2015",
        "10:05:03",
        "T",
        "Z",
        "+02:00",
        "+0200",
        "\n",
        "é",
        ",5",
        "1.2.3.4",
        "2015-05-08",
        "17/May/2015:10:05:03 +0000",
        "Mar 16 00:01:25",
        "x.y",
    ]);
    prop::collection::vec(parts, 0..9).prop_map(|parts| parts.concat())
}

/// Patterns of all that the tree knows, over few characters.
fn patterns() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "b",
        "-",
        " ",
        "ab",
        ".",
        "[ab]",
        "[^a]",
        r"\\w",
        r"\\S",
        r"\\b",
        "^",
        "$",
        "(?=a)",
        "(?!b)",
        "(?<=a)",
        "(?<! )",
        "%{WORD}",
        "%{INT}",
        "%{NOTSPACE}",
        "%{DATA}",
        "%{GREEDYDATA}",
        "%{WORD:w}",
        "%{DATA:d}",
        "%{NUMBER:n}",
    ]);
    let leaf = leaf.prop_map(|text| text.replace("\\\\", "\\"));
    leaf.prop_recursive(4, 24, 4, |inner| {
        let quantifier = prop::sample::select(vec!["?", "*", "+", "*?", "+?", "{2}", "{1,2}", "?+", "*+", "{0,3}?"]);
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|all| all.concat()),
            1 => prop::collection::vec(inner.clone(), 2..3).prop_map(|all| format!("(?:{})", all.join("|"))),
            1 => inner.clone().prop_map(|text| format!("(?<x>{text})")),
            1 => inner.clone().prop_map(|text| format!("(?>{text})")),
            1 => (inner.clone(), quantifier.clone()).prop_map(|(text, q)| format!("(?:{text}){q}")),
            1 => (inner, quantifier).prop_map(|(text, q)| format!("(?<y>{text}){q}")),
            1 => ("[ab.]", prop::sample::select(vec!["*", "+", "?", "*?", "+?", "{2,3}"])).prop_map(|(c, q)| format!("[{c}1]{q}")),
        ]
    })
}

static TOKENS: LazyLock<Vec<(String, Grok)>> = LazyLock::new(|| {
    let names = "WORD NUMBER INT POSINT NONNEGINT IPV4 IP HOSTNAME IPORHOST QS HTTPDUSER HTTPDATE SYSLOGTIMESTAMP \
                 TIMESTAMP_ISO8601";
    let forms = |name: &str| {
        [
            format!("%{{{name}:x}}"),
            format!("(?:%{{{name}:x}}|(?<y>.))(?<rest>.*)"),
            format!("(?<a>.)%{{{name}:x}}(?<b>[^a]*)"),
            format!("(?:%{{{name}:x}}[:/]|%{{{name}:y}}?)(?<b>.?)$"),
        ]
    };
    names.split_whitespace().flat_map(forms).map(|pattern| (pattern.clone(), grok(&pattern, Set::Legacy))).collect()
});

static COMPILED: LazyLock<Vec<(&str, Grok)>> = LazyLock::new(|| {
    let both = [Set::Legacy, Set::Ecs];
    both.into_iter().flat_map(|set| PATTERNS.iter().map(move |&pattern| (pattern, grok(pattern, set)))).collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engines_agree_on_mutated_lines(lines in prop::collection::vec(mutated(), 40)) {
        for (pattern, grok) in COMPILED.iter() {
            lines.iter().for_each(|line| assert_agree(grok, pattern, line));
        }
    }

    #[test]
    fn tokens_agree_with_their_definitions(texts in prop::collection::vec(text_for_tokens(), 100)) {
        for (pattern, grok) in TOKENS.iter() {
            texts.iter().for_each(|text| assert_agree(grok, pattern, text));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engines_agree_on_random_patterns(pattern in patterns(), texts in prop::collection::vec("[ab1 .-]{0,12}", 8)) {
        // What Ruby itself refuses is no pattern: a repeat of nothing, say.
        let Ok(grok) = Grok::compile(&pattern, &Library::new(Set::Legacy), Options::default()) else { return Ok(()) };
        texts.iter().for_each(|text| assert_agree(&grok, &pattern, text));
    }
}

/// Long parts that are called give the same captures as the ones that are written out.
#[test]
fn shared_parts_capture_the_same() {
    let library = Library::new(Set::Legacy);
    for (pattern, text) in [
        ("^%{IP:a} %{IPORHOST:b}( %{IP:c})?$", "10.0.0.1 host.example.org ::1"),
        ("^%{IP:a} %{IPORHOST:b}( %{IP:c})?$", "fe80::1 10.0.0.2"),
        ("%{SYSLOGBASE} %{IP:x}|%{IP:y} é", "Jan  1 10:00:00 h p[1]: 1.2.3.4"),
        ("%{SYSLOGBASE} %{IP:x}|%{IP:y} é", "1.2.3.4 é"),
    ] {
        let shared = library.expand_shared(pattern, true).unwrap();
        assert!(shared.contains("\\g<"), "{shared}");
        let plain = crate::regexp::Regexp::new(&library.expand(pattern).unwrap()).unwrap();
        let shared = crate::regexp::Regexp::new(&shared).unwrap();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        assert!(plain.captures(text, &mut a).unwrap() && shared.captures(text, &mut b).unwrap(), "{pattern}");
        assert_eq!(a[..], b[..a.len()], "{pattern}");
    }
}

/// As pfelk's: dozens of addresses in one pattern are more than PCRE2 takes written out.
#[test]
fn large_patterns_compile() {
    let mut library = Library::new(Set::Legacy);
    library.add("MANY", &(0..40).map(|n| format!("(a{n} %{{IP:ip{n}}} %{{HOSTNAME}})")).collect::<Vec<_>>().join("|"));
    let grok = Grok::compile("^%{MANY} %{WORD:w}$", &library, Options::default()).unwrap();
    let mut scratch = Scratch::default();
    assert!(grok.captures("a39 10.0.0.1 h x", &mut scratch).unwrap());
    let captured: Vec<&str> = grok
        .fields()
        .iter()
        .filter(|field| scratch.spans[field.slot] != UNSET)
        .map(|field| field.field.as_str())
        .collect();
    assert_eq!(captured, ["ip39", "w"]);
}
