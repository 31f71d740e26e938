//! Templates in labels and annotations: Go's text/template with Prometheus' functions.
//!
//! Parsed once at load, so that a mistake is told with its place; run for each alert.

mod format;
mod function;
mod parse;
mod run;
mod value;

pub use value::Data;

use crate::series::{Labels, Value as SeriesValue};

/// What is wrong with a template, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// One sentence.
    pub message: String,
    /// Byte in the text.
    pub at: usize,
}

/// A template, parsed.
#[derive(Clone, Debug)]
pub struct Template {
    /// As written.
    pub text: String,
    nodes: Vec<parse::Node>,
    defined: Vec<(String, Vec<parse::Node>)>,
}

/// An element of a query's answer.
pub type Element = (Labels, SeriesValue);

/// What a template sees of the outside.
pub trait Outside {
    /// Evaluates an expression at the time of the template; the message says why it can't.
    fn query(&self, text: &str) -> Result<Vec<Element>, String>;
    /// Seconds since 1970.
    fn now(&self) -> f64;
    /// Where users reach us.
    fn external_url(&self) -> &str;
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let (nodes, defined) = parse::parse(text)?;
        Ok(Template { text: text.to_owned(), nodes, defined })
    }

    /// A text that is taken as it is.
    pub fn plain(text: &str) -> Template {
        Template { text: text.to_owned(), nodes: vec![parse::Node::Text(text.to_owned())], defined: Vec::new() }
    }

    /// Writes it out; the message says why it can't. The text is at most
    /// [`run::OUTPUT_MAX`] bytes long.
    pub fn expand(&self, data: &Data<'_>, outside: &dyn Outside) -> Result<String, String> {
        // Most are plain text.
        match self.nodes.as_slice() {
            [] => return Ok(String::new()),
            [parse::Node::Text(text)] => return Ok(text.clone()),
            _ => {}
        }
        run::run(&self.nodes, &self.defined, data, outside)
    }

    /// Writes it out, or what is wrong in its place, as Prometheus does.
    pub fn expand_or_tell(&self, data: &Data<'_>, outside: &dyn Outside) -> String {
        self.expand(data, outside).unwrap_or_else(|message| format!("<error expanding template: {message}>"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Outside for Nothing {
        fn query(&self, text: &str) -> Result<Vec<Element>, String> {
            match text {
                "two" => Ok(vec![
                    (Labels::new([("a", "y")]), SeriesValue::Float(1.0)),
                    (Labels::new([("a", "x")]), SeriesValue::Float(2.5)),
                ]),
                _ => Ok(Vec::new()),
            }
        }
        fn now(&self) -> f64 {
            1_435_065_584.128
        }
        fn external_url(&self) -> &str {
            "http://x.example/base"
        }
    }

    #[test]
    fn templates_are_written_out() {
        let labels = Labels::new([("job", "api"), ("n", "3")]);
        let value = SeriesValue::Float(0.5);
        let external = Labels::new([("cluster", "c1")]);
        let data =
            Data { labels: &labels, external_labels: &external, external_url: "http://x.example", value: &value };
        let check = |text: &str, want: &str| {
            let got = Template::parse(text).map(|template| template.expand(&data, &Nothing));
            assert_eq!(got, Ok(Ok(want.to_owned())), "{text}");
        };
        check("plain", "plain");
        check("{{ $labels.job }} has {{ $value }}", "api has 0.5");
        check("{{ .Labels.nothing }}|{{ $externalLabels.cluster }}|{{ .ExternalURL }}", "|c1|http://x.example");
        check("a {{- 1 -}} b {{/* c */}}d", "a1b d");
        check("{{ if gt $value 0.4 }}high{{ else }}low{{ end }}", "high");
        check("{{ if eq .Labels.job \"x\" }}1{{ else if eq .Labels.job \"api\" \"y\" }}2{{ else }}3{{ end }}", "2");
        check("{{ with query \"none\" }}{{ . | first | value }}{{ else }}nothing{{ end }}", "nothing");
        check("{{ range query \"two\" | sortByLabel \"a\" }}{{ .Labels.a }}={{ .Value }};{{ end }}", "x=2.5;y=1;");
        check("{{ range $i, $e := query \"two\" }}{{ $i }}{{ $e | value }}{{ else }}none{{ end }}", "0112.5");
        check("{{ $x := 1 }}{{ $x = 2 }}{{ $x }}", "2");
        check(
            "{{ printf \"%.2f %s %d %5.1f|%-4s|%q %v %t %x\" $value \"s\" 3 1.25 \"a\" \"b\" 1e6 true 255 }}",
            "0.50 s 3   1.2|a   |\"b\" 1e+06 true ff",
        );
        check("{{ (query \"two\" | first).Value }} {{ len (query \"two\") }}", "1 2");
        check("{{ define \"t\" }}[{{ . }}]{{ end }}{{ template \"t\" \"x\" }}", "[x]");
        check("{{ and 1 0 }} {{ or 0 \"x\" }} {{ not false }} {{ index .Labels \"job\" }}", "0 x true api");
        check("{{ range $i, $e := query \"two\" }}{{ if $i }}{{ break }}{{ end }}{{ .Value }}{{ end }}", "1");
        check(
            "{{ $labels.n | humanize }} {{ 1234567.0 | humanize }} {{ pathPrefix }} {{ externalURL }}",
            "3 1.235M /base http://x.example/base",
        );
        check(
            "{{ humanizeDuration 93784.5 }} {{ now | humanizeTimestamp }}",
            "1d 2h 3m 4s 2015-06-23 13:19:44.128 +0000 UTC",
        );
        check("{{ \"\\\"q\\\"\" }} {{ `raw` }} {{ 'a' }} {{ nil | printf \"%v\" }}", "\"q\" raw 97 <nil>");
    }

    #[test]
    fn mistakes_are_told() {
        let check = |text: &str, want: &str| {
            assert_eq!(
                Template::parse(text).map(|_| ()).map_err(|error| error.message),
                Err(want.to_owned()),
                "{text}"
            );
        };
        check("{{ $value", "`{{` is not closed");
        check("{{ if 1 }}x", "`{{ end }}` is missing");
        check("{{ end }}", "`end` has nothing to end");
        check("{{ humanise 1 }}", "unknown function `humanise`: did you mean `humanize`?");
        check("{{ $nothing }}", "unknown variable `$nothing`");
        check("{{ \"a }}", "a string is not closed");
    }
}
