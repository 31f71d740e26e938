//! Stack traces by the lines that they consist of: which line belongs to the event before it.
//!
//! Each language is a few rules on single lines and on what came right before; a line that fits
//! none begins an event. So a log line, its exception and all frames and causes are one event,
//! and so is a trace that nobody logged.

/// A language whose traces are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Language {
    Java,
    Python,
    Go,
    Ruby,
    DotNet,
}

impl Language {
    pub(super) const NAMES: [&str; 5] = ["java", "python", "go", "ruby", "dotnet"];

    pub(super) fn parse(name: &str) -> Option<Language> {
        let at = Language::NAMES.iter().position(|known| *known == name)?;
        Some([Language::Java, Language::Python, Language::Go, Language::Ruby, Language::DotNet][at])
    }
}

/// Where the lines of one stream stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Inside {
    #[default]
    Nothing,
    /// Frames of Java, Ruby or .NET.
    Frames,
    /// Behind Python's `Traceback`, where the exception itself comes without indentation.
    Traceback,
    /// Behind that exception: a blank line and a further traceback may follow.
    Raised,
    /// The same, with the blank line.
    RaisedBlank,
    /// Behind `During handling …`, before its blank line and traceback.
    Chained,
    /// Behind Go's `panic:`, before the first goroutine.
    Panic,
    /// Behind `goroutine 1 [running]:`, where calls and files take turns.
    Goroutine,
}

/// Follows the lines of one stream.
#[derive(Default)]
pub(super) struct Stacks {
    inside: Inside,
}

impl Stacks {
    /// Whether the line belongs to the event before it.
    pub(super) fn belongs(&mut self, line: &str, languages: &[Language]) -> bool {
        let line = line.strip_suffix('\r').unwrap_or(line);
        for language in languages {
            let next = match language {
                Language::Java => java(line),
                Language::Python => python(self.inside, line),
                Language::Go => go(self.inside, line),
                Language::Ruby => ruby(line),
                Language::DotNet => dot_net(line),
            };
            if let Some((belongs, inside)) = next {
                self.inside = inside;
                return belongs;
            }
        }
        self.inside = Inside::Nothing;
        false
    }
}

/// Whether the line belongs to the one before, and where we are then; `None` for a line that is
/// none of the language's.
type Rule = Option<(bool, Inside)>;
const FRAME: Rule = Some((true, Inside::Frames));

fn indented(line: &str) -> Option<&str> {
    let text = line.trim_start_matches([' ', '\t']);
    (text.len() < line.len()).then_some(text)
}

/// `java.lang.IllegalStateException: why` or without a reason: dotted words, of which the last
/// ends as exceptions do.
fn is_exception(line: &str, separator: char) -> bool {
    let name = line.split([':', ' ']).next().unwrap_or("");
    let last = name.rsplit(['.', '$']).next().unwrap_or("");
    let ends = ["Exception", "Error", "Throwable", "Fault"].iter().any(|end| last.ends_with(end));
    let words = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$'));
    ends && words && name.contains(separator) && line[name.len()..].chars().next().is_none_or(|c| c == ':')
}

fn java(line: &str) -> Rule {
    if let Some(text) = indented(line) {
        let more = text.strip_prefix("... ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let frame = text.starts_with("at ")
            || more
            || text.starts_with("Suppressed: ")
            || text.starts_with("Caused by: ")
            || text.starts_with("- locked ")
            || text.starts_with("- waiting ");
        return if frame { FRAME } else { None };
    }
    if line.starts_with("Caused by: ") || line.starts_with("Wrapped by: ") {
        return FRAME;
    }
    is_exception(line, '.').then_some((true, Inside::Frames))
}

fn dot_net(line: &str) -> Rule {
    let text = line.trim_start();
    if (indented(line).is_some() && text.starts_with("at "))
        || text.starts_with("---> ")
        || text.starts_with("--- End of ")
    {
        return FRAME;
    }
    if line.starts_with("Unhandled exception. ") || line.starts_with("Unhandled Exception: ") {
        return Some((false, Inside::Frames));
    }
    is_exception(line, '.').then_some((true, Inside::Frames))
}

fn ruby(line: &str) -> Rule {
    if indented(line).is_some_and(|text| text.starts_with("from ") || is_ruby_frame(text) || is_ruby_context(text)) {
        return FRAME;
    }
    if !is_ruby_frame(line) {
        return None;
    }
    // The first line of a trace that nobody logged says the class: `…: boom (RuntimeError)`.
    let begins = line.ends_with(')') && line.contains(": ");
    Some((!begins, Inside::Frames))
}

/// ``app/models/user.rb:12:in `save'``, with either quote before the method.
fn is_ruby_frame(text: &str) -> bool {
    ["in `", "in '"].iter().any(|mark| {
        let Some(at) = text.find(mark) else { return false };
        let place = text[..at].trim_end_matches(':');
        place.len() < at
            && place.rsplit(':').next().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// `... 12 levels...`
fn is_ruby_context(text: &str) -> bool {
    text.starts_with("... ") && text.ends_with(" levels...")
}

fn python(inside: Inside, line: &str) -> Rule {
    if line.trim_start_matches(['|', '+', ' ', '-']).starts_with("Traceback (most recent call last):") {
        return Some((true, Inside::Traceback));
    }
    match inside {
        Inside::Traceback => {
            if indented(line).is_some() {
                return Some((true, Inside::Traceback));
            }
            let name = line.split([':', ' ']).next().unwrap_or("");
            let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
            let exception =
                !name.is_empty() && name.chars().all(is_name) && !name.starts_with(|c: char| c.is_numeric());
            exception.then_some((true, Inside::Raised))
        }
        Inside::Raised | Inside::RaisedBlank if line.is_empty() => Some((true, Inside::RaisedBlank)),
        Inside::RaisedBlank
            if line.starts_with("During handling of the above exception")
                || line.starts_with("The above exception was the direct cause") =>
        {
            Some((true, Inside::Chained))
        }
        Inside::Chained if line.is_empty() => Some((true, Inside::Chained)),
        _ => None,
    }
}

fn go(inside: Inside, line: &str) -> Rule {
    if line.starts_with("panic: ") || line.starts_with("fatal error: ") {
        // A panic while panicking is the same one.
        return Some((inside == Inside::Panic, Inside::Panic));
    }
    let goroutine = line.starts_with("goroutine ") && line.ends_with("]:");
    match inside {
        Inside::Panic if goroutine => Some((true, Inside::Goroutine)),
        Inside::Panic if line.is_empty() || line.starts_with('[') || line.starts_with('\t') => {
            Some((true, Inside::Panic))
        }
        Inside::Goroutine => {
            let call = line.ends_with(')') && line.contains('(') || line.starts_with("created by ");
            let file = line.starts_with('\t') && line.contains(".go:") || line.starts_with("\t?:");
            let other = line.is_empty() || goroutine || line.starts_with("exit status ") || line.starts_with("...");
            (call || file || other).then_some((true, Inside::Goroutine))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of lines, of which those that begin one are marked with `>`.
    fn check(languages: &[&str], marked: &str) {
        let languages: Vec<Language> = languages.iter().map(|name| Language::parse(name).unwrap()).collect();
        let mut stacks = Stacks::default();
        for line in marked.lines() {
            let (begins, text) = line.split_at(1);
            assert_eq!(stacks.belongs(text, &languages), begins != ">", "{text:?} of\n{marked}");
        }
    }

    const ALL: [&str; 5] = Language::NAMES;

    #[test]
    fn traces_of_java() {
        let trace = ">2020-01-01 10:00:00 ERROR boom
 java.lang.IllegalStateException: why
 \tat a.B.c(B.java:1)
 \tat a.B$D.<init>(B.java:2) ~[x.jar:1]
 \t... 3 more
 Caused by: a.BException: oh
 \tat a.B.c(B.java:9)
 \tSuppressed: java.io.IOException
 \t\tat x.Y.z(Native Method)
 \t... 8 common frames omitted
>2020-01-01 10:00:01 INFO ok
>Exception in thread \"main\" java.lang.RuntimeException: x
 \tat a.B.c(B.java:1)
>  indented text
>Error: something else";
        check(&["java"], trace);
        check(&ALL, trace);
    }

    #[test]
    fn traces_of_python() {
        let trace = ">ERROR:root:failed
 Traceback (most recent call last):
   File \"a.py\", line 1, in <module>
     f()
 KeyError: 'x'
 
 During handling of the above exception, another exception occurred:
 
 Traceback (most recent call last):
   File \"a.py\", line 3, in <module>
     g()
     ~^^
 app.errors.Bad: no
>INFO:root:ok
>ValueError: not behind a traceback";
        check(&["python"], trace);
        check(&ALL, trace);
    }

    #[test]
    fn traces_of_go() {
        let trace = ">2020/01/01 10:00:00 start
>panic: runtime error: invalid memory address or nil pointer dereference
 [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x45]
 
 goroutine 1 [running]:
 main.f(0x0, 0x1)
 \t/src/main.go:5 +0x1d
 main.main()
 \t/src/main.go:9 +0x20
 created by main.g in goroutine 7
 \t/src/main.go:2 +0x99
 
 goroutine 18 [chan receive]:
 main.h(...)
 exit status 2
>2020/01/01 10:00:01 start";
        check(&["go"], trace);
        check(&ALL, trace);
    }

    #[test]
    fn traces_of_ruby() {
        let trace = ">/app/x.rb:3:in `foo': boom (RuntimeError)
 \tfrom /app/x.rb:7:in `bar'
 \t... 12 levels...
 \tfrom /app/x.rb:9:in `<main>'
>E, [2020] ERROR -- : boom
 app/models/user.rb:12:in 'User#save'
 app/models/user.rb:15:in 'block in run'
>I, [2020] INFO -- : ok";
        check(&["ruby"], trace);
        check(&ALL, trace);
    }

    #[test]
    fn traces_of_dot_net() {
        let trace = ">fail: App[0]
 System.InvalidOperationException: no
  ---> System.Exception: inner
    at Foo.Bar() in /x.cs:line 3
    --- End of inner exception stack trace ---
    at Foo.Baz(Int32 n)
 --- End of stack trace from previous location ---
    at Foo.Qux()
>Unhandled exception. System.Exception: x
    at Foo.Main()
>info: App[0]";
        check(&["dotnet"], trace);
        check(&ALL, trace);
    }
}
