//! The `multiline` codec: joins lines that belong together, such as stack traces, to one event.
//!
//! `codec => multiline { pattern => "^\s" what => "previous" }`, as Logstash's. Lines are joined
//! in the input's thread, each stream by itself; what is held never exceeds `max_bytes` and
//! `max_lines` by more than one line. Of our own is `stack_traces => ["java", "python"]`, in place
//! of a pattern or beside one.

mod stack;

use super::charset::Charset;
use super::text::{TextDecoder, TextEncoder};
use super::{CHARSET, Codec, DELIMITER, Joiner};
use crate::diagnostic::{Diagnostic, code};
use crate::event::FieldId;
use crate::grok::{self, Grok, Library, Scratch, Set};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use stack::{Language, Stacks};
use std::sync::Arc;
use std::time::Duration;

pub(super) static SPEC: Spec = Spec {
    name: "multiline",
    summary: "Text, one event for several lines that belong together.",
    options: &[
        Opt::new(
            "auto_flush_interval",
            Type::Number,
            None,
            "After so many seconds without a further line, what is held becomes an event; without, it waits.",
        ),
        CHARSET,
        DELIMITER,
        Opt::new("max_bytes", Type::Bytes, Some("10 MiB"), "An event is complete when it has so many bytes."),
        Opt::new("max_lines", Type::Number, Some("500"), "An event is complete when it has more lines than this."),
        Opt::new("multiline_tag", Type::String, Some("multiline"), "A tag for events of several lines; \"\" for none."),
        Opt::new("negate", Type::Boolean, Some("false"), "Whether the lines that do not match are meant."),
        Opt::new(
            "pattern",
            Type::String,
            None,
            "A regular expression, in which grok patterns may stand; required without `stack_traces`.",
        ),
        Opt::new("patterns_dir", Type::Array, Some("[]"), "Folders or files of further grok patterns."),
        Opt::new(
            "stack_traces",
            Type::Array,
            Some("[]"),
            "Languages whose stack traces are joined with the line before them: `java`, `python`, `go`, `ruby`, `dotnet`. Not an option of Logstash's.",
        ),
        Opt::idle("streaming_input", Type::Boolean, Some("false"), "inputs give whole lines."),
        Opt::new(
            "what",
            Type::Enum(&["previous", "next"]),
            None,
            "Whether a line that matches belongs to the one before or to the one behind it; required with `pattern`.",
        ),
    ],
    examples: &[],
    build: Build::Codec(build),
};

const MAX_BYTES: f64 = (10 << 20) as f64;
const MAX_LINES: f64 = 500.0;

fn build(options: &Options, context: &Context) -> Built<Codec> {
    let mut errors = Vec::new();
    let stacks = languages(options, &mut errors);
    let needed = ["pattern", "what"].into_iter().filter(|name| !options.has(name));
    if stacks.is_empty() || options.has("pattern") {
        errors.extend(needed.map(|name| {
            Diagnostic::error(code::REQUIRED, options.place, format!("`multiline` needs the setting `{name}`"))
        }));
    } else if options.str("what") == Some("next") {
        let message = "stack traces belong to what is before them: `what => \"next\"` needs a `pattern`";
        errors.push(Diagnostic::error(code::VALUE, options.place_of("what"), message));
    }
    if !stacks.is_empty() && options.str("what") == Some("next") && options.has("pattern") {
        let message = "stack traces belong to what is before them: they don't go with `what => \"next\"`";
        errors.push(Diagnostic::error(code::VALUE, options.place_of("what"), message));
    }
    let set = if context.ecs { Set::Ecs } else { Set::Legacy };
    let grok = options.str("pattern").map(|pattern| {
        let library = Library::with(set, &options.strings("patterns_dir"), "*")
            .map_err(|error| Diagnostic::error(code::FILE, options.place_of("patterns_dir"), error.to_string()))?;
        Grok::compile(pattern, &library, grok::Options::default())
            .map_err(|error| Diagnostic::error(code::PATTERN, options.place_of("pattern"), error.to_string()))
    });
    let grok = grok.transpose().unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    let tag = options.str("multiline_tag").unwrap_or("multiline");
    let rules = Arc::new(Rules {
        grok,
        stacks,
        negate: options.bool("negate", false),
        next: options.str("what") == Some("next"),
        charset: Charset::build(options)?,
        max_lines: options.number("max_lines").unwrap_or(MAX_LINES) as usize,
        max_bytes: options.number("max_bytes").unwrap_or(MAX_BYTES) as usize,
        // Interned, since the tags of frames live as long as the process.
        tag: (!tag.is_empty()).then(|| FieldId::intern(tag).known()),
        flush_after: options.number("auto_flush_interval").and_then(|s| Duration::try_from_secs_f64(s).ok()),
    });
    let delimiter = options.str("delimiter").unwrap_or("\n").as_bytes().to_vec();
    Ok(Codec {
        delimiter: Some(delimiter.clone()),
        joiner: Some(Arc::new(move || Box::new(Lines::new(rules.clone())))),
        // What the joiner gives is text already.
        decoder: Box::new(TextDecoder::new(Charset::Utf8, context)),
        encoder: Box::new(TextEncoder { format: None, delimiter }),
    })
}

/// The languages of `stack_traces`.
fn languages(options: &Options, errors: &mut Vec<Diagnostic>) -> Vec<Language> {
    let mut languages = Vec::new();
    for setting in options.list("stack_traces") {
        let name = setting.as_str().unwrap_or_default();
        match Language::parse(name) {
            Some(language) => languages.push(language),
            None => errors.push(
                Diagnostic::error(code::CHOICE, setting.place, format!("unknown language `{name}`"))
                    .note(format!("it takes: {}", Language::NAMES.join(", "))),
            ),
        }
    }
    languages
}

struct Rules {
    /// `None` where only stack traces are joined.
    grok: Option<Grok>,
    stacks: Vec<Language>,
    negate: bool,
    /// A line that matches belongs to the next one.
    next: bool,
    charset: Charset,
    max_lines: usize,
    max_bytes: usize,
    tag: Option<&'static str>,
    flush_after: Option<Duration>,
}

/// The lines of one stream that are held.
struct Lines {
    rules: Arc<Rules>,
    scratch: Scratch,
    stacks: Stacks,
    /// Joined by newlines.
    text: Vec<u8>,
    lines: usize,
    /// Without the newlines.
    bytes: usize,
}

impl Lines {
    fn new(rules: Arc<Rules>) -> Lines {
        Lines { rules, scratch: Scratch::default(), stacks: Stacks::default(), text: Vec::new(), lines: 0, bytes: 0 }
    }

    fn hold(&mut self, line: &str) {
        if self.lines > 0 {
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(line.as_bytes());
        self.lines += 1;
        self.bytes += line.len();
    }

    fn over_lines(&self) -> bool {
        self.lines > self.rules.max_lines
    }

    fn over_bytes(&self) -> bool {
        self.bytes >= self.rules.max_bytes
    }
}

impl Joiner for Lines {
    fn push(&mut self, frame: &[u8], out: &mut dyn FnMut(&[u8], &[&'static str])) {
        let rules = self.rules.clone();
        let line = rules.charset.decode(frame);
        // A line on which the pattern gives up counts as one that does not match.
        let fits = |grok: &Grok, scratch| grok.captures(&line, scratch).unwrap_or(false) != rules.negate;
        let matches = rules.grok.as_ref().is_some_and(|grok| fits(grok, &mut self.scratch));
        let matches = self.stacks.belongs(&line, &rules.stacks) || matches;
        if rules.next {
            self.hold(&line);
        }
        if !matches || self.over_lines() || self.over_bytes() {
            self.flush(out);
        }
        if !rules.next {
            self.hold(&line);
        }
    }

    fn flush(&mut self, out: &mut dyn FnMut(&[u8], &[&'static str])) {
        if self.lines == 0 {
            return;
        }
        let tags = [
            self.rules.tag.filter(|_| self.lines > 1),
            self.over_bytes().then_some("multiline_codec_max_bytes_reached"),
            self.over_lines().then_some("multiline_codec_max_lines_reached"),
        ];
        let (mut given, mut number) = ([""; 3], 0);
        for tag in tags.into_iter().flatten() {
            given[number] = tag;
            number += 1;
        }
        out(&self.text, &given[..number]);
        self.text.clear();
        self.text.shrink_to(1 << 20);
        (self.lines, self.bytes) = (0, 0);
    }

    fn holds(&self) -> bool {
        self.lines > 0
    }

    fn flush_after(&self) -> Option<Duration> {
        self.rules.flush_after
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, decode, try_codec};

    /// Events as `text tag tag`, of lines that end in newlines.
    fn join(config: &str, input: &str) -> Vec<String> {
        let multiline = codec("multiline", config, false);
        let mut joiner = multiline.joiner.expect("multiline joins")();
        let mut events = Vec::new();
        let mut out = |text: &[u8], tags: &[&'static str]| {
            let text = String::from_utf8(text.to_vec()).expect("joined lines are text");
            events.push([&[text.as_str()], tags].concat().join(" @"));
        };
        for line in input.split_terminator('\n') {
            joiner.push(line.as_bytes(), &mut out);
        }
        joiner.flush(&mut out);
        assert!(!joiner.holds());
        joiner.flush(&mut out);
        events
    }

    #[test]
    fn lines_are_joined() {
        let check =
            |config: &str, input: &str, expected: &[&str]| assert_eq!(join(config, input), expected, "{config}");
        check(r"pattern=^\s;what=previous", "a\n b\n c\nd\n", &["a\n b\n c @multiline", "d"]);
        check(r"pattern=^\s;what=previous", " a\n", &[" a"]);
        check(r"pattern=\\$;what=next", "a\\\nb\nc\n", &["a\\\nb @multiline", "c"]);
        check("pattern=^END;negate=true;what=next", "a\nEND\nb\n", &["a\nEND @multiline", "b"]);
        check("pattern=^%{NUMBER};negate=true;what=previous", "1 a\n\nb\n2 c\n", &["1 a\n\nb @multiline", "2 c"]);
        check("pattern=^-;what=previous;multiline_tag=", "a\n-b\n", &["a\n-b"]);
        check(
            "pattern=^-;what=previous;max_lines=1",
            "-a\n-b\n-c\n",
            &["-a\n-b @multiline @multiline_codec_max_lines_reached", "-c"],
        );
        check(
            "pattern=^-;what=previous;max_bytes=2",
            "-a\n-b\n",
            &["-a @multiline_codec_max_bytes_reached", "-b @multiline_codec_max_bytes_reached"],
        );
        check("pattern=^-;what=previous", "", &[]);
    }

    #[test]
    fn stack_traces_are_joined() {
        let check = |config: &str, input: &str, expected: &[&str]| assert_eq!(join(config, input), expected);
        check("stack_traces=java", "E\n\tat a.b(C:1)\nF\n", &["E\n\tat a.b(C:1) @multiline", "F"]);
        check("stack_traces=java;pattern=^ ;what=previous", "E\n x\n\tat a\nF\n", &["E\n x\n\tat a @multiline", "F"]);
        for bad in ["stack_traces=cobol", "pattern=x", "what=next", "stack_traces=go;what=next", ""] {
            assert!(try_codec("multiline", bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_are_matched_as_text() {
        let multiline = codec("multiline", "pattern=^é;what=previous;charset=ISO-8859-1", false);
        let mut joiner = multiline.joiner.as_ref().expect("multiline joins")();
        let mut joined = Vec::new();
        for line in [&b"a"[..], b"\xe9"] {
            joiner.push(line, &mut |text, _| joined.push(text.to_vec()));
        }
        joiner.flush(&mut |text, _| joined.push(text.to_vec()));
        assert_eq!(joined, ["a\né".as_bytes()]);
    }

    #[test]
    fn joined_lines_are_one_event() {
        let mut multiline = codec("multiline", "pattern=^x;what=previous", true);
        assert_eq!(decode(&mut multiline, &[b"a\nb"]), [r#"{"message":"a\nb","event":{"original":"a\nb"}}"#]);
    }

    #[test]
    fn patterns_that_are_none() {
        let check = |pattern: &str, part: &str| {
            let mistakes = try_codec("multiline", &format!("pattern={pattern};what=next"), false).err();
            assert!(mistakes.as_ref().is_some_and(|m| m[0].contains(part)), "{mistakes:?}");
        };
        check("%{NOSUCH}", "NOSUCH");
        check("(", "cannot compile");
    }
}
