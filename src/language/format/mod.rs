//! Configuration text in one form, with its comments: what `logboom fmt` does.
//!
//! The tree has no comments, so the text is walked beside the grammar and written anew with other
//! white space. Two blanks a level, one setting a line, `}` on a line of its own; what stood on
//! one line and is no block of plugins stays there while it fits, and one blank line between
//! statements is kept. The result says the same as the text did (it is parsed again to see to
//! that), and formatting it changes nothing.

mod condition;
mod value;

use super::lexer::Lexer;
use super::parser::parse;
use crate::diagnostic::{Diagnostic, Severity};
use value::Form;

/// Columns of a line at the most, where it can be helped.
const WIDTH: usize = 100;

/// Formats a text, or says why it is no configuration.
pub fn format(text: &str) -> Result<String, Vec<Diagnostic>> {
    let before = parse(text, 0);
    let errors: Vec<Diagnostic> = before.diagnostics.into_iter().filter(|d| d.severity == Severity::Error).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut writer = Writer { lexer: Lexer::new(text, 0), out: String::new(), depth: 0 };
    writer.sections();
    let after = parse(&writer.out, 0);
    assert!(after.tree == before.tree, "BUG: formatting changed what a configuration says");
    Ok(writer.out)
}

/// White space and comments between two words.
#[derive(Default)]
struct Gap<'t> {
    /// Comments with their `#`, and whether one begins its line.
    comments: Vec<(&'t str, bool, bool)>,
    /// Whether there was a line end.
    line: bool,
    /// Whether a blank line stood behind the last comment, or there was no comment.
    blank: bool,
}

struct Writer<'t> {
    lexer: Lexer<'t>,
    out: String,
    depth: usize,
}

impl<'t> Writer<'t> {
    /// Takes white space and comments.
    fn gap(&mut self) -> Gap<'t> {
        let mut gap = Gap::default();
        loop {
            let rest = self.lexer.rest();
            let space = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            let lines = rest[..space].matches('\n').count();
            // The line end of a comment was taken with it.
            let own = lines > 0 || gap.line || self.lexer.offset() == 0;
            let blank = lines > usize::from(gap.comments.is_empty());
            gap.line |= lines > 0;
            self.lexer.rewind(self.lexer.offset() + space);
            if self.lexer.peek() != Some('#') {
                gap.blank = blank;
                return gap;
            }
            let rest = self.lexer.rest();
            let end = rest.find('\n').unwrap_or(rest.len());
            gap.comments.push((rest[..end].trim_end(), own, blank));
            gap.line = true;
            self.lexer.rewind(self.lexer.offset() + (end + 1).min(rest.len()));
        }
    }

    fn line(&mut self) {
        let end = self.out.trim_end_matches(' ').len();
        self.out.truncate(end);
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }

    /// Writes a gap before a statement or setting: its comments, perhaps a blank line, and the
    /// beginning of the next line. `first`: nothing stands before it in its block.
    fn statement_gap(&mut self, gap: &Gap<'t>, mut first: bool) {
        first = self.comments(gap, first);
        if gap.blank && !first {
            self.out.push('\n');
        }
        self.line();
    }

    /// Writes comments on lines of their own, or behind what they stood behind; whether still
    /// nothing stands in the block.
    fn comments(&mut self, gap: &Gap<'t>, mut first: bool) -> bool {
        for (text, own, blank) in &gap.comments {
            if *own {
                if *blank && !first {
                    self.out.push('\n');
                }
                self.line();
            } else if !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
                self.out.push(' ');
            }
            self.out.push_str(text);
            first = false;
        }
        first
    }

    fn sections(&mut self) {
        let mut first = true;
        loop {
            let gap = self.gap();
            if self.lexer.at_end() {
                self.comments(&gap, first);
                if !self.out.is_empty() {
                    self.out.push('\n');
                }
                return;
            }
            let apart = Gap { blank: gap.blank || gap.comments.iter().all(|(_, own, _)| !own), ..gap };
            self.statement_gap(&apart, first);
            first = false;
            self.name();
            self.block();
        }
    }

    fn name(&mut self) -> &'t str {
        let name = self.lexer.name().unwrap_or_default();
        self.out.push_str(name);
        name
    }

    /// `{ statements }`, its brace behind what is already written.
    fn block(&mut self) {
        self.open();
        let mut first = true;
        loop {
            let gap = self.gap();
            if self.lexer.sign("}") {
                return self.close(&gap, first);
            }
            self.statement_gap(&gap, first);
            first = false;
            if self.name() == "if" {
                self.branching();
            } else {
                self.plugin();
            }
        }
    }

    fn open(&mut self) {
        let gap = self.gap();
        self.inner_comments(&gap);
        self.lexer.sign("{");
        self.space();
        self.out.push('{');
        self.depth += 1;
    }

    fn close(&mut self, gap: &Gap<'t>, first: bool) {
        let empty = self.comments(gap, first);
        self.depth -= 1;
        if empty {
            self.out.push_str(" }");
        } else {
            self.line();
            self.out.push('}');
        }
    }

    /// Comments where no line may end by itself: each goes to the end of a line.
    fn inner_comments(&mut self, gap: &Gap<'t>) {
        for (text, ..) in &gap.comments {
            self.space();
            self.out.push_str(text);
            self.depth += 1;
            self.line();
            self.depth -= 1;
        }
    }

    fn space(&mut self) {
        if !self.out.ends_with([' ', '\n', '(', '[', '!']) && !self.out.is_empty() {
            self.out.push(' ');
        }
    }

    /// Behind `if`.
    fn branching(&mut self) {
        self.condition();
        self.block();
        loop {
            let before = self.lexer.offset();
            let gap = self.gap();
            let word = self.lexer.name();
            if !matches!(word, Some("else" | "elseif")) {
                return self.lexer.rewind(before);
            }
            if gap.comments.is_empty() {
                self.out.push(' ');
            } else {
                self.comments(&gap, false);
                self.line();
            }
            self.out.push_str(word.unwrap_or_default());
            let behind = self.lexer.offset();
            let gap = self.gap();
            if word == Some("elseif") {
                self.lexer.rewind(behind);
                self.condition();
            } else if self.lexer.name() == Some("if") {
                self.inner_comments(&gap);
                self.space();
                self.out.push_str("if");
                self.condition();
            } else {
                self.lexer.rewind(behind);
            }
            self.block();
        }
    }

    fn slice(&mut self, start: usize) {
        let text = self.lexer.slice(start, self.lexer.offset());
        self.out.push_str(text);
    }

    /// A text between quotes, as it is.
    fn text(&mut self) {
        let start = self.lexer.offset();
        let _ = self.lexer.quoted();
        self.slice(start);
    }

    fn key(&mut self) {
        let start = self.lexer.offset();
        if self.lexer.name().is_none() {
            let _ = self.lexer.quoted();
        }
        self.slice(start);
    }

    /// `name => value`
    fn setting(&mut self) {
        self.key();
        self.arrow();
        self.value(Form::Fitting);
    }

    fn arrow(&mut self) {
        let gap = self.gap();
        self.inner_comments(&gap);
        self.lexer.sign("=>");
        self.space();
        self.out.push_str("=>");
        let gap = self.gap();
        self.inner_comments(&gap);
        self.space();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let got = format(text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        assert_eq!(got, want);
        assert_eq!(format(&got).unwrap(), got, "formatting again changes nothing");
    }

    #[test]
    fn blocks_and_settings() {
        check("input{stdin{}}", "input {\n  stdin { }\n}\n");
        check(
            "filter { if [a]==1 and![b]{drop{}}else if [c]   =~ /x y/ { mutate { add_tag=>[\"a\",\"b\"] } } else{ drop { } } }\noutput{}",
            "filter {\n  if [a] == 1 and ![b] {\n    drop { }\n  } else if [c] =~ /x y/ {\n    mutate { add_tag => [\"a\", \"b\"] }\n  } else {\n    drop { }\n  }\n}\n\noutput { }\n",
        );
        check(
            "filter {\n\n\n grok {\n match => { \"message\" => \"x\" }\n\n\n  tag_on_failure => [ ] } }",
            "filter {\n  grok {\n    match => { \"message\" => \"x\" }\n\n    tag_on_failure => []\n  }\n}\n",
        );
        check(
            "input { tcp { port => 1 codec => json { target => \"x\" } } }",
            "input {\n  tcp { port => 1 codec => json { target => \"x\" } }\n}\n",
        );
        check(
            "filter { mutate { rename => {\n\"a\" => \"b\" \"c\" => [1,\n2] } } }",
            "filter {\n  mutate {\n    rename => {\n      \"a\" => \"b\"\n      \"c\" => [\n        1, 2\n      ]\n    }\n  }\n}\n",
        );
        check("", "");
    }

    #[test]
    fn comments_stay() {
        check(
            "# head\n\n\n# why\ninput { # in\n stdin { # s\n # t\n} # after\n}# end\n# last",
            "# head\n\n# why\ninput { # in\n  stdin { # s\n    # t\n  } # after\n} # end\n# last\n",
        );
        check(
            "filter {\n if [a] { drop { } }\n # between\n else { drop { } }\n}",
            "filter {\n  if [a] {\n    drop { }\n  }\n  # between\n  else {\n    drop { }\n  }\n}\n",
        );
        check(
            "filter { mutate {\n add_tag => [\n \"a\", # one\n # two\n \"b\" # three\n ] } }",
            "filter {\n  mutate {\n    add_tag => [\n      \"a\", # one\n      # two\n      \"b\" # three\n    ]\n  }\n}\n",
        );
        check("filter { mutate { add_tag => \"#1\" } }", "filter {\n  mutate { add_tag => \"#1\" }\n}\n");
        check(
            "filter { if [a] # so\n and [b] { drop { } } }",
            "filter {\n  if [a] # so\n    and [b] {\n    drop { }\n  }\n}\n",
        );
    }

    #[test]
    fn conditions() {
        let condition = |text: &str, want: &str| {
            check(&format!("filter {{ if {text} {{ }} }}"), &format!("filter {{\n  if {want} {{ }}\n}}\n"));
        };
        condition("(  [a]  or [b] )and !( \"x\" in [c] )", "([a] or [b]) and !(\"x\" in [c])");
        condition("[a] not   in [\"x\",'y']", "[a] not in [\"x\", 'y']");
        condition("[a]!~ /\\/x/ and [n]>=-1.5", "[a] !~ /\\/x/ and [n] >= -1.5");
        condition("[a b][c]!=[d]", "[a b][c] != [d]");
        let long = "[field_number_one] == \"some long value\" and\n [field_number_two] == \"another long value\" and\n [x] == 1";
        condition(
            long,
            "[field_number_one] == \"some long value\" and\n      [field_number_two] == \"another long value\" and\n      [x] == 1",
        );
    }

    #[test]
    fn what_is_no_configuration_stays() {
        assert!(format("filter {").is_err());
    }
}
