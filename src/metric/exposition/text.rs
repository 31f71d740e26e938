//! The two text formats. They differ where it is easy to get wrong: OpenMetrics names a counter's
//! family without `_total`, writes every `le` as a float, knows exemplars and ends in `# EOF`.
//!
//! Neither has native buckets: a histogram that has no others shows its sum and count.

use super::{Family, Format, Kind, Names, Sample, Value};
use crate::metric::derive::Exemplar;
use crate::metric::histogram::Classic;
use std::fmt::Write;

impl Format {
    /// The families as text.
    pub fn text(self, families: &[Family]) -> String {
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
            // OpenMetrics has no counters of other names.
            Kind::Counter if self == Format::OpenMetrics && !family.total => "unknown",
            kind => kind.name(),
        };
        let total = if self == Format::Text { family.suffix() } else { "" };
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
        match &sample.value {
            Value::Whole(n) => self.line(family, sample, family.suffix(), None, format_args!("{n}"), out),
            Value::Number(n) => {
                self.line(family, sample, family.suffix(), None, format_args!("{}", Number(*n)), out);
            }
            Value::Buckets(classic) => self.buckets(family, sample, classic, out),
            Value::Histogram(distribution) => self.buckets(family, sample, &distribution.classic, out),
        }
    }

    fn buckets(self, family: &Family, sample: &Sample, classic: &Classic, out: &mut String) {
        for (bound, count) in &classic.buckets {
            let le = self.bound(*bound);
            self.line(family, sample, "_bucket", Some((&le, *bound)), format_args!("{count}"), out);
        }
        let count = format_args!("{}", classic.count);
        self.line(family, sample, "_bucket", Some(("+Inf", f64::INFINITY)), count, out);
        self.line(family, sample, "_sum", None, format_args!("{}", Number(classic.sum)), out);
        self.line(family, sample, "_count", None, count, out);
    }

    /// How a bucket's bound is written.
    pub fn bound(self, bound: f64) -> String {
        match self {
            Format::OpenMetrics if bound.is_finite() => format!("{bound:?}"),
            _ => Number(bound).to_string(),
        }
    }

    fn line(
        self,
        family: &Family,
        sample: &Sample,
        suffix: &str,
        le: Option<(&str, f64)>,
        value: std::fmt::Arguments,
        out: &mut String,
    ) {
        out.push_str(&family.name);
        out.push_str(suffix);
        labels(&sample.labels, le.map(|(text, _)| text), out);
        let _ = write!(out, " {value}");
        if self == Format::OpenMetrics {
            let classic = sample.value.classic();
            let exemplar = match (le, classic) {
                (Some((_, bound)), Some(classic)) => {
                    let below = classic.buckets.iter().rev().map(|(other, _)| *other).find(|other| *other < bound);
                    let below = below.unwrap_or(f64::NEG_INFINITY);
                    sample.exemplars.iter().find(|e| e.value <= bound && e.value > below)
                }
                (None, None) if family.kind == Kind::Counter && family.total => sample.exemplars.first(),
                _ => None,
            };
            exemplar.into_iter().for_each(|exemplar| write_exemplar(exemplar, out));
        }
        out.push('\n');
    }
}

fn write_exemplar(exemplar: &Exemplar, out: &mut String) {
    out.push_str(" # {trace_id=\"");
    escape(&exemplar.trace, out);
    let _ = write!(out, "\"}} {} {}", Number(exemplar.value), Number(exemplar.at_ms as f64 / 1000.0));
}

/// A number as the formats want it.
pub(crate) struct Number(pub f64);

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

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

fn labels(labels: &Names, le: Option<&str>, out: &mut String) {
    let mut before = '{';
    for (name, value) in labels.iter().chain(le.map(|le| ("le", le))) {
        out.push(before);
        before = ',';
        out.push_str(name);
        out.push_str("=\"");
        escape(value, out);
        out.push('"');
    }
    if before == ',' {
        out.push('}');
    }
}
