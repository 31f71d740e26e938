//! Prometheus' text format 0.0.4 and OpenMetrics 1.0, whichever the scraper asks for.
//!
//! The formats differ where it is easy to get wrong: OpenMetrics names a counter's family
//! without `_total`, writes every `le` as a float and ends in `# EOF`.

use super::histogram::Classic;
use std::borrow::Cow;
use std::fmt::Write;

/// Which text format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `text/plain; version=0.0.4`
    Text,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

/// What a family's numbers mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Classic buckets.
    Histogram,
}

/// Series of one name.
#[derive(Clone, PartialEq, Debug)]
pub struct Family {
    /// The name; that of a counter without its `_total`.
    pub name: Cow<'static, str>,
    /// One sentence.
    pub help: &'static str,
    /// What the numbers mean.
    pub kind: Kind,
    /// The series. Their label names are valid; values may be any text.
    pub samples: Vec<Sample>,
}

/// One series.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// Names and values, without empty values.
    pub labels: Vec<(&'static str, String)>,
    /// Its value now.
    pub value: Value,
}

/// The value of a series.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A whole number, written as such.
    Whole(i128),
    /// Any other number.
    Number(f64),
    /// A histogram.
    Buckets(Classic),
}

impl Family {
    /// A family without series.
    pub fn new(kind: Kind, name: &'static str, help: &'static str) -> Family {
        debug_assert!(!name.ends_with("_total"), "BUG: the family of a counter is named without `_total`");
        Family { name: name.into(), help, kind, samples: Vec::new() }
    }

    /// Adds a series with a whole number.
    pub fn whole(&mut self, labels: &[(&'static str, &str)], value: impl Into<i128>) {
        self.push(labels, Value::Whole(value.into()));
    }

    /// Adds a series with any number.
    pub fn number(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.push(labels, Value::Number(value));
    }

    /// Adds a series.
    pub fn push(&mut self, labels: &[(&'static str, &str)], value: Value) {
        let labels = labels.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (*n, (*v).to_owned())).collect();
        self.samples.push(Sample { labels, value });
    }
}

impl Format {
    /// What the `Accept` header of a scrape asks for.
    pub fn negotiate(accept: Option<&str>) -> Format {
        let mut best = (Format::Text, 0.0);
        for range in accept.unwrap_or("").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next() {
                Some("application/openmetrics-text") => Format::OpenMetrics,
                Some("text/plain" | "text/*" | "*/*") => Format::Text,
                _ => continue,
            };
            let weight = parts.find_map(|p| p.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if weight > best.1 {
                best = (format, weight);
            }
        }
        best.0
    }

    /// For the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The families as text. Families without series are left out.
    pub fn render(self, families: &[Family]) -> String {
        let mut out = String::new();
        for family in families.iter().filter(|f| !f.samples.is_empty()) {
            self.head(family, &mut out);
            for sample in &family.samples {
                self.sample(family, sample, &mut out);
            }
        }
        if self == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }

    fn head(self, family: &Family, out: &mut String) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let total = if self == Format::Text && family.kind == Kind::Counter { "_total" } else { "" };
        let name = &family.name;
        let _ = write!(out, "# HELP {name}{total} ");
        for c in family.help.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                // Only OpenMetrics escapes quotes in help texts.
                '"' if self == Format::OpenMetrics => out.push_str("\\\""),
                c => out.push(c),
            }
        }
        let _ = writeln!(out, "\n# TYPE {name}{total} {kind}");
    }

    fn sample(self, family: &Family, sample: &Sample, out: &mut String) {
        let mut line = |suffix: &str, le: Option<&str>, value: std::fmt::Arguments| {
            out.push_str(&family.name);
            out.push_str(suffix);
            labels(&sample.labels, le, out);
            let _ = writeln!(out, " {value}");
        };
        let suffix = if family.kind == Kind::Counter { "_total" } else { "" };
        match &sample.value {
            Value::Whole(n) => line(suffix, None, format_args!("{n}")),
            Value::Number(n) => line(suffix, None, format_args!("{}", Number(*n))),
            Value::Buckets(classic) => {
                for (bound, count) in &classic.buckets {
                    let le = match self {
                        Format::Text => Number(*bound).to_string(),
                        Format::OpenMetrics => format!("{bound:?}"),
                    };
                    line("_bucket", Some(&le), format_args!("{count}"));
                }
                line("_bucket", Some("+Inf"), format_args!("{}", classic.count));
                line("_sum", None, format_args!("{}", Number(classic.sum)));
                line("_count", None, format_args!("{}", classic.count));
            }
        }
    }
}

/// A number as the formats want it.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            n if n.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            n => write!(f, "{n}"),
        }
    }
}

fn labels(labels: &[(&'static str, String)], le: Option<&str>, out: &mut String) {
    if labels.is_empty() && le.is_none() {
        return;
    }
    let mut before = '{';
    for (name, value) in labels.iter().map(|(n, v)| (*n, v.as_str())).chain(le.map(|le| ("le", le))) {
        out.push(before);
        before = ',';
        out.push_str(name);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Vec<Family> {
        let mut counter = Family::new(Kind::Counter, "hits", "Say \"hi\".\\");
        counter.whole(&[("path", "a\"b\\c\nd"), ("none", "")], 3);
        let mut gauge = Family::new(Kind::Gauge, "ratio", "A ratio.");
        gauge.number(&[], 0.25);
        gauge.number(&[("of", "nothing")], f64::NAN);
        let mut histogram = Family::new(Kind::Histogram, "wait_seconds", "Waits.");
        let classic = Classic { buckets: vec![(0.5, 1), (1.0, 2)], sum: 7.5, count: 3 };
        histogram.push(&[("s", "ログ")], Value::Buckets(classic));
        vec![counter, gauge, Family::new(Kind::Gauge, "empty", "Nothing."), histogram]
    }

    #[test]
    fn text() {
        let want = r#"# HELP hits_total Say "hi".\\
# TYPE hits_total counter
hits_total{path="a\"b\\c\nd"} 3
# HELP ratio A ratio.
# TYPE ratio gauge
ratio 0.25
ratio{of="nothing"} NaN
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
wait_seconds_bucket{s="ログ",le="0.5"} 1
wait_seconds_bucket{s="ログ",le="1"} 2
wait_seconds_bucket{s="ログ",le="+Inf"} 3
wait_seconds_sum{s="ログ"} 7.5
wait_seconds_count{s="ログ"} 3
"#;
        assert_eq!(Format::Text.render(&families()), want);
    }

    #[test]
    fn open_metrics() {
        let got = Format::OpenMetrics.render(&families());
        let starts = "# HELP hits Say \\\"hi\\\".\\\\\n# TYPE hits counter\nhits_total{";
        assert!(got.starts_with(starts), "{got}");
        assert!(got.contains("wait_seconds_bucket{s=\"ログ\",le=\"1.0\"} 2\n"), "{got}");
        assert!(got.ends_with("wait_seconds_count{s=\"ログ\"} 3\n# EOF\n"), "{got}");
    }

    #[test]
    fn negotiation() {
        let check = |accept: &str, want| assert_eq!(Format::negotiate(Some(accept)), want, "{accept}");
        assert_eq!(Format::negotiate(None), Format::Text);
        check("", Format::Text);
        check("*/*", Format::Text);
        check("application/openmetrics-text", Format::OpenMetrics);
        check(
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            Format::OpenMetrics,
        );
        check("application/openmetrics-text;q=0.1, text/plain", Format::Text);
        check("application/openmetrics-text;q=0", Format::Text);
    }
}
