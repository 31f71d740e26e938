//! Rows of comma-separated values as Ruby's `csv` library reads them: an empty cell is no value, a
//! quoted one is text, quotes are doubled within quotes and allowed nowhere else.

mod convert;

pub use convert::Convert;

use memchr::memchr2;

/// What separates and quotes cells.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// Between cells; one character or several.
    pub separator: String,
    /// Around cells; `None` where a quote has no meaning.
    pub quote: Option<char>,
}

/// A cell: a range of the text, without quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
    /// How it was written.
    pub form: Form,
}

/// How a cell was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Nothing between two separators.
    Empty,
    /// Without quotes.
    Bare,
    /// In quotes.
    Quoted,
    /// In quotes, with doubled quotes that [`Dialect::unescape`] makes single.
    Doubled,
}

/// What is wrong with a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CsvError {
    /// A quote within a cell without quotes.
    #[error("a quote within a value that has none around it")]
    IllegalQuote,
    /// The text ends within quotes.
    #[error("a quoted value without its closing quote")]
    Unclosed,
    /// Something between a closing quote and the next separator.
    #[error("a value goes on behind its closing quote")]
    BehindQuote,
    /// A line's end other than that of the text's other lines.
    #[error("a line's end that is not like the others")]
    LineEnd,
}

impl Dialect {
    /// As the options of the plugins say it; `quote` is one character, or `\x00` for none. `None`
    /// where it is more than one, or the separator empty.
    pub fn new(separator: &str, quote: &str) -> Option<Dialect> {
        let mut chars = quote.chars();
        let quote = match (quote, chars.next(), chars.next()) {
            ("\\x00" | "\0", ..) => None,
            (_, Some(quote), None) => Some(quote),
            _ => return None,
        };
        (!separator.is_empty()).then(|| Dialect { separator: separator.to_owned(), quote })
    }

    /// The cells of the first row in `text`, into `row`: `None` for an empty cell without quotes.
    /// `Ok(false)` where there is no row at all.
    pub fn read(&self, text: &str, row: &mut Vec<Option<String>>) -> Result<bool, CsvError> {
        let mut cells = Vec::new();
        row.clear();
        let found = self.row(text, Dialect::row_end(text), 0, &mut cells)?;
        row.extend(cells.iter().map(|&cell| self.text(text, cell).map(|text| text.into_owned())));
        Ok(found.is_some())
    }

    /// What ends the rows of a text: what ends its first line.
    pub fn row_end(text: &str) -> &'static str {
        let bytes = text.as_bytes();
        let newline = memchr::memchr(b'\n', bytes);
        let before = &bytes[..newline.unwrap_or(bytes.len())];
        match (memchr::memchr(b'\r', before), newline) {
            (Some(cr), Some(lf)) if cr + 1 == lf => "\r\n",
            (Some(_), _) => "\r",
            _ => "\n",
        }
    }

    /// Reads the row at `at` into `cells` and gives the place of the next one. A row that ends
    /// at once has no cells; `None` is the end of the text.
    pub fn row(&self, text: &str, row_end: &str, at: usize, cells: &mut Vec<Cell>) -> Result<Option<usize>, CsvError> {
        cells.clear();
        if at >= text.len() {
            return Ok(None);
        }
        if text[at..].starts_with(row_end) {
            return Ok(Some(at + row_end.len()));
        }
        let mut at = at;
        loop {
            let cell = self.cell(text, row_end, at)?;
            cells.push(cell);
            at = match cell.form {
                Form::Quoted | Form::Doubled => cell.end + self.quote.map_or(0, char::len_utf8),
                _ => cell.end,
            };
            let rest = &text[at..];
            if let Some(behind) = rest.strip_prefix(self.separator.as_str()) {
                at = text.len() - behind.len();
            } else if let Some(behind) = rest.strip_prefix(row_end) {
                return Ok(Some(text.len() - behind.len()));
            } else if rest.is_empty() {
                return Ok(Some(text.len()));
            } else {
                return Err(match cell.form {
                    Form::Quoted | Form::Doubled => CsvError::BehindQuote,
                    _ if self.quote.is_some_and(|quote| rest.starts_with(quote)) => CsvError::IllegalQuote,
                    _ => CsvError::LineEnd,
                });
            }
        }
    }

    /// The cell at `at`.
    fn cell(&self, text: &str, row_end: &str, at: usize) -> Result<Cell, CsvError> {
        let rest = &text[at..];
        if let Some(quote) = self.quote
            && let Some(inner) = rest.strip_prefix(quote)
        {
            return quoted(inner, at + quote.len_utf8(), quote);
        }
        let mut quote = [0; 4];
        let quote = self.quote.map_or(&[][..], |c| c.encode_utf8(&mut quote).as_bytes());
        let (first, bytes) = (self.separator.as_bytes()[0], rest.as_bytes());
        let mut end = 0;
        while let Some(&byte) = bytes.get(end) {
            let there = &bytes[end..];
            let stops = (byte == first && there.starts_with(self.separator.as_bytes()))
                || (quote.first() == Some(&byte) && there.starts_with(quote))
                || matches!(byte, b'\n' | b'\r');
            if stops {
                break;
            }
            end += 1;
        }
        debug_assert!(row_end.starts_with(['\n', '\r']));
        Ok(Cell { start: at, end: at + end, form: if end == 0 { Form::Empty } else { Form::Bare } })
    }

    /// Appends the text of a [`Form::Doubled`] cell with single quotes.
    pub fn unescape(&self, cell: &str, out: &mut Vec<u8>) {
        let mut rest = cell;
        let quote = self.quote.unwrap_or('"');
        while let Some(mark) = rest.find(quote) {
            let behind = mark + quote.len_utf8();
            out.extend_from_slice(&rest.as_bytes()[..behind]);
            rest = rest.get(behind + quote.len_utf8()..).unwrap_or("");
        }
        out.extend_from_slice(rest.as_bytes());
    }

    /// The text of a cell; `None` for an empty one.
    pub fn text<'t>(&self, text: &'t str, cell: Cell) -> Option<std::borrow::Cow<'t, str>> {
        let inner = &text[cell.start..cell.end];
        match cell.form {
            Form::Empty => None,
            Form::Bare | Form::Quoted => Some(inner.into()),
            Form::Doubled => {
                let mut out = Vec::with_capacity(inner.len());
                self.unescape(inner, &mut out);
                Some(String::from_utf8_lossy(&out).into_owned().into())
            }
        }
    }

    /// Appends a cell, in quotes where it needs them.
    pub fn write(&self, cell: Option<&str>, out: &mut Vec<u8>) {
        let Some(text) = cell else { return };
        let Some(mark) = self.quote else { return out.extend_from_slice(text.as_bytes()) };
        let mut quote = [0; 4];
        let quote = mark.encode_utf8(&mut quote).as_bytes();
        let plain = !text.is_empty()
            && memchr2(b'\n', b'\r', text.as_bytes()).is_none()
            && !text.contains(self.separator.as_str())
            && !text.contains(mark)
            && !text.starts_with([' ', '\t'])
            && !text.ends_with([' ', '\t']);
        if plain {
            return out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(quote);
        for part in text.split_inclusive(mark) {
            out.extend_from_slice(part.as_bytes());
            if part.ends_with(mark) {
                out.extend_from_slice(quote);
            }
        }
        out.extend_from_slice(quote);
    }
}

/// The cell whose opening quote stands before `inner`, which starts at `start`.
fn quoted(inner: &str, start: usize, quote: char) -> Result<Cell, CsvError> {
    let (mut from, mut form) = (0, Form::Quoted);
    loop {
        let mark = from + inner[from..].find(quote).ok_or(CsvError::Unclosed)?;
        let behind = mark + quote.len_utf8();
        if !inner[behind..].starts_with(quote) {
            return Ok(Cell { start, end: start + mark, form });
        }
        form = Form::Doubled;
        from = behind + quote.len_utf8();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Rows = Vec<Vec<Option<String>>>;

    fn rows(dialect: &Dialect, text: &str) -> Result<Rows, CsvError> {
        let (mut at, mut cells, mut rows) = (0, Vec::new(), Vec::new());
        while let Some(next) = dialect.row(text, Dialect::row_end(text), at, &mut cells)? {
            rows.push(cells.iter().map(|&cell| dialect.text(text, cell).map(|c| c.into_owned())).collect());
            at = next;
        }
        Ok(rows)
    }

    /// Rows as `a|b/c`, with `~` for an empty cell.
    fn check(separator: &str, text: &str, want: Result<&str, CsvError>) {
        let dialect = Dialect::new(separator, "\"").unwrap();
        let shown = rows(&dialect, text).map(|rows| {
            let row = |row: &Vec<Option<String>>| {
                row.iter().map(|cell| cell.clone().unwrap_or("~".into())).collect::<Vec<_>>().join("|")
            };
            rows.iter().map(row).collect::<Vec<_>>().join("/")
        });
        assert_eq!(shown.as_deref().map_err(|e| *e), want, "{text:?}");
    }

    #[test]
    fn cells_and_rows() {
        check(",", "a,b,,c", Ok("a|b|~|c"));
        check(",", "a,b,", Ok("a|b|~"));
        check(",", ",", Ok("~|~"));
        check(",", "", Ok(""));
        check(",", "a,b\nc,d\n", Ok("a|b/c|d"));
        check(",", "a,b\r\nc\r\n", Ok("a|b/c"));
        check(",", "a\rb", Ok("a/b"));
        check(",", "\na", Ok("/a"));
        check(";;", "a;b;;c", Ok("a;b|c"));
        check("\t", "a b\tc", Ok("a b|c"));
        check("；", "größe；b", Ok("größe|b"));
        check(",", r#""a,b","say ""hi""","",x"#, Ok(r#"a,b|say "hi"||x"#));
        check(",", "\"a\nb\",c", Ok("a\nb|c"));
        let without = Dialect::new(",", "\\x00").unwrap();
        assert_eq!(rows(&without, "a,\"b\" c").unwrap(), [[Some("a".to_owned()), Some("\"b\" c".to_owned())]]);
    }

    #[test]
    fn mistakes() {
        check(",", r#"a,b"c"#, Err(CsvError::IllegalQuote));
        check(",", r#"a, "b""#, Err(CsvError::IllegalQuote));
        check(",", r#""a"b,c"#, Err(CsvError::BehindQuote));
        check(",", "\"a", Err(CsvError::Unclosed));
        check(",", "a\r\nb\nc", Err(CsvError::LineEnd));
        assert!(Dialect::new("", "\"").is_none() && Dialect::new(",", "ab").is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(row in prop::collection::vec("[a,\"\n\r é']{0,5}", 1..5)) {
            let dialect = Dialect::new(",", "\"").unwrap();
            let mut out = Vec::new();
            for (at, cell) in row.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b"," } else { b"" });
                dialect.write(Some(cell), &mut out);
            }
            let text = String::from_utf8(out).unwrap();
            let mut cells = Vec::new();
            // The row's end is given: within quotes stand other ones.
            prop_assert_eq!(dialect.row(&text, "\n", 0, &mut cells), Ok(Some(text.len())));
            let read: Vec<_> = cells.iter().map(|&c| dialect.text(&text, c).unwrap().into_owned()).collect();
            prop_assert_eq!(read, row);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a,;\"\n\r é]{0,16}", separator in "[,;é]{1,2}", quote in "[\"é,]") {
            let _ = rows(&Dialect::new(&separator, &quote).unwrap(), &text);
        }
    }
}
