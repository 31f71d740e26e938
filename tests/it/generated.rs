//! Random pipelines of the real plugins: each compiles, runs, and prints back to the same tree.
//!
//! The seed of a pipeline is its number, so that a failure names the one to look at.

use logboom::diagnostic::{Sources, render};
use logboom::event::json::{Decoded, Parser, write_event};
use logboom::event::{Batch, Timestamp};
use logboom::language::{Language, compile, format, parse, print};
use logboom::pipeline::Trial;
use logboom::plugin::{Catalogue, Context};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// How many; `LOGBOOM_PIPELINES` sets another number.
fn pipelines() -> u64 {
    let usual = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
    std::env::var("LOGBOOM_PIPELINES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// `F` is a field, `T` a text, `N` a whole number, `B` true or false, `S` a text with references.
const FILTERS: &[&str] = &[
    "mutate { add_field => { \"F\" => S } }",
    "mutate { rename => { \"F\" => \"F\" } copy => { \"F\" => \"F\" } }",
    "mutate { convert => { \"F\" => \"integer\" } gsub => [\"F\", \"a|b\", T] }",
    "mutate { convert => { \"F\" => \"float\" \"other\" => \"boolean\" } uppercase => [\"F\"] strip => \"F\" }",
    "mutate { split => { \"F\" => \",\" } join => { \"F\" => \"-\" } merge => { \"F\" => \"F\" } }",
    "mutate { replace => { \"F\" => S } update => { \"F\" => T } remove_field => [\"F\", \"F\"] }",
    "mutate { add_tag => [T, S] remove_tag => T lowercase => [\"F\"] capitalize => [\"F\"] }",
    "grok { match => { \"F\" => \"%{WORD:w} %{INT:n:int}\" } tag_on_failure => [] }",
    "grok { match => { \"F\" => [\"^%{IP:ip}$\", \"%{DATA:d}=%{NOTSPACE:v}\"] } break_on_match => B overwrite => [\"d\"] }",
    "grok { match => { \"F\" => \"(?<x>[a-z]+)\" } pattern_definitions => { \"MINE\" => \"x+\" } target => \"F\" }",
    "date { match => [\"F\", \"ISO8601\", \"UNIX\"] target => \"F\" }",
    "date { match => [\"F\", \"yyyy-MM-dd HH:mm:ss\"] timezone => \"Europe/Berlin\" tag_on_failure => [T] }",
    "json { source => \"F\" target => \"F\" skip_on_invalid_json => B }",
    "drop { percentage => N }",
    "clone { clones => [T, \"copy\"] }",
    "split { field => \"F\" terminator => \",\" }",
    "uuid { target => \"F\" overwrite => B }",
    "truncate { fields => [\"F\"] length_bytes => N }",
    "urldecode { field => \"F\" }",
    "urldecode { all_fields => B }",
    "bytes { source => \"F\" target => \"F\" }",
    "cidr { address => [S, \"10.0.0.1\"] network => [\"10.0.0.0/8\"] add_tag => [T] }",
    "de_dot { nested => B separator => \"_\" }",
    "fingerprint { source => [\"F\", \"F\"] method => \"SHA256\" target => \"F\" concatenate_sources => B }",
    "fingerprint { source => \"F\" method => \"MURMUR3\" key => T }",
    "prune { blacklist_names => [\"^x\"] whitelist_values => [\"message\", \"a\"] }",
    "syslog_pri { syslog_pri_field_name => \"F\" }",
    "throttle { key => S before_count => -1 after_count => N period => \"60\" add_tag => T }",
    "json_encode { source => \"F\" target => \"F\" }",
    "age { target => \"F\" }",
    "extractnumbers { source => \"F\" }",
    "kv { source => \"F\" target => \"F\" field_split => \"&\" value_split => \"=\" trim_key => \" \" }",
    "dissect { mapping => { \"F\" => \"%{a} %{+a} %{?b} %{c}\" } convert_datatype => { \"c\" => \"int\" } }",
    "csv { source => \"F\" columns => [\"F\", \"y\"] separator => \";\" skip_empty_columns => B }",
    "translate { source => \"F\" target => \"out\" dictionary => { T => S \"zz\" => \"c\" } fallback => S override => B }",
];

const INPUTS: &[&str] = &[
    "stdin { }",
    "stdin { codec => json_lines { target => \"F\" } type => T tags => [T] }",
    "stdin { codec => multiline { pattern => \"^ \" what => \"previous\" negate => B } }",
    "stdin { codec => line { charset => \"Shift_JIS\" } add_field => { \"F\" => T } }",
    "stdin { codec => cef { delimiter => \"\\n\" } }",
    "stdin { codec => csv { columns => [\"F\"] autogenerate_column_names => B } }",
    "generator { count => N message => T }",
    "generator { lines => [T, T] codec => plain }",
];

const OUTPUTS: &[&str] = &[
    "stdout { }",
    "stdout { codec => json_lines }",
    "stdout { codec => line { format => S } }",
    "stdout { codec => cef { vendor => S fields => [\"F\"] } }",
    "stdout { codec => rubydebug { metadata => B } }",
    "null { }",
];

const EVENTS: &[&str] = &[
    r#"{"message":"a 1","n":5,"tags":["t"],"host":{"name":"h"},"list":[1,"b",null]}"#,
    r#"{"message":"k=v&x=y","n":"7","t":"2020-01-02T03:04:05Z","x":{"y":{"z":"é,ü"}},"@metadata":{"m":"1"}}"#,
    r#"{"message":null,"n":-1.5,"type":"T","list":[],"x":"%41","big":18446744073709551615}"#,
];

struct Writer {
    random: SmallRng,
    out: String,
}

impl Writer {
    fn field(&mut self) -> &'static str {
        let fields = [
            "message",
            "n",
            "[x][y]",
            "[x][y][z]",
            "[host][name]",
            "list",
            "[list][0]",
            "t",
            "[@metadata][m]",
            "new",
            "[new][a b]",
        ];
        fields.choose(&mut self.random).unwrap()
    }

    fn text(&mut self) -> &'static str {
        ["\"a\"", "'b'", "\"é \\\" #x\"", "'{ } => ['", "word", "\"2\"", "\"\""].choose(&mut self.random).unwrap()
    }

    fn template(&mut self) -> &'static str {
        ["\"%{message}\"", "'%{[x][y]} and %{n}'", "\"%{+yyyy.MM.dd}\"", "\"%{none}\"", "text"]
            .choose(&mut self.random)
            .unwrap()
    }

    /// A plugin of a list, with its blanks filled.
    fn plugin(&mut self, of: &[&str]) {
        let pattern = *of.choose(&mut self.random).unwrap();
        let bytes = pattern.as_bytes();
        for (at, c) in pattern.char_indices() {
            let edge = |at: Option<usize>| {
                at.and_then(|at| bytes.get(at)).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_')
            };
            let alone = edge(at.checked_sub(1)) && edge(Some(at + 1));
            match c {
                'F' if alone => {
                    let field = self.field();
                    self.out.push_str(field);
                }
                'T' if alone => {
                    let text = self.text();
                    self.out.push_str(text);
                }
                'S' if alone => {
                    let text = self.template();
                    self.out.push_str(text);
                }
                'N' if alone => self.out.push_str(&self.random.random_range(1..50).to_string()),
                'B' if alone => self.out.push_str(if self.random.random() { "true" } else { "\"false\"" }),
                c => self.out.push(c),
            }
        }
    }

    /// White space, now and then with a comment.
    fn space(&mut self) {
        let space = [" ", "\n", "\n  ", "\t", " # a comment } \"\n", "\n\n"].choose(&mut self.random).unwrap();
        self.out.push_str(space);
    }

    fn statements(&mut self, of: &[&str], conditions: bool, depth: usize) {
        for _ in 0..self.random.random_range(0..4) {
            self.space();
            if conditions && depth < 3 && self.random.random_bool(0.3) {
                self.branching(of, depth + 1);
            } else {
                self.plugin(of);
            }
        }
        self.space();
    }

    fn branching(&mut self, of: &[&str], depth: usize) {
        let arms = self.random.random_range(1..4);
        for arm in 0..arms {
            self.out.push_str(if arm == 0 { "if " } else { " else if " });
            self.condition(0);
            self.out.push_str(" {");
            self.statements(of, true, depth);
            self.out.push('}');
        }
        if self.random.random() {
            self.out.push_str(" else {");
            self.statements(of, true, depth);
            self.out.push('}');
        }
    }

    fn condition(&mut self, depth: usize) {
        for at in 0..self.random.random_range(1..4) {
            if at > 0 {
                // One word for all: others would need parentheses, or a warning.
                self.out.push_str(" and ");
            }
            match self.random.random_range(0..if depth < 3 { 10 } else { 8 }) {
                8 => {
                    self.out.push('(');
                    self.condition(depth + 1);
                    self.out.push(')');
                }
                9 => {
                    self.out.push_str("!(");
                    self.condition(depth + 1);
                    self.out.push(')');
                }
                kind => self.comparison(kind),
            }
        }
    }

    fn comparison(&mut self, kind: u32) {
        let field = self.field();
        let selector = if field.starts_with('[') { field.to_owned() } else { format!("[{field}]") };
        let number = self.random.random_range(-9..9);
        let other = ["[type]", "[x][y][z]", "[tags]"].choose(&mut self.random).unwrap();
        let text = match kind {
            0 => selector,
            1 => format!("!{selector}"),
            2 => format!("{selector} == {number}"),
            3 => format!("{selector} >= {number}.5"),
            4 => format!("{selector} =~ /^a\\/b|[0-9]+$/"),
            5 => format!("{selector} in [\"a\", 'b', {number}]"),
            6 => format!("\"t\" not in {other}"),
            _ => format!("{selector} != {other}"),
        };
        self.out.push_str(&text);
    }

    fn pipeline(seed: u64) -> String {
        let mut writer = Writer { random: SmallRng::seed_from_u64(seed), out: String::new() };
        for (word, of, conditions) in [("input", INPUTS, false), ("filter", FILTERS, true), ("output", OUTPUTS, true)] {
            for _ in 0..writer.random.random_range(1..3) {
                writer.out.push_str(word);
                writer.out.push_str(" {");
                writer.statements(of, conditions, 0);
                writer.out.push_str("}\n");
            }
        }
        writer.out
    }
}

/// What comes out of the filters, as JSON.
fn run(text: &str) -> Vec<String> {
    let catalogue = Catalogue::built_in();
    let language = Language { catalogue: &catalogue, support_escapes: false, environment: &|_| None };
    let sources = Sources { files: vec![("generated.conf".to_owned(), text.to_owned())] };
    let outcome = compile(&sources, &language);
    let plan = outcome.plan.unwrap_or_else(|| panic!("{}", render(&outcome.diagnostics, &sources, false)));
    let mut trial = Trial::build(&plan, &Context::alone("generated", true, false))
        .unwrap_or_else(|mistakes| panic!("{}", render(&mistakes, &sources, false)));
    let now = Timestamp::new(1_600_000_000, 0);
    let mut batch = Batch::new();
    batch.read_at = Some(now);
    let mut events = Vec::new();
    for event in EVENTS {
        let span = batch.push_text(event);
        match Parser::default().parse_event(&mut batch, span) {
            Ok(Decoded::Event(event)) => events.push(event),
            other => panic!("{event}: {other:?}"),
        }
    }
    let out = trial.run(&mut batch, &events, now);
    let shown = |event| {
        let mut json = Vec::new();
        write_event(&batch, event, &mut json);
        String::from_utf8(json).expect("JSON is UTF-8")
    };
    out.into_iter().map(shown).collect()
}

#[test]
fn pipelines_compile_run_and_print_back() {
    let (mut events, mut quiet) = (0, 0);
    let pipelines = pipelines();
    for seed in 0..pipelines {
        let text = Writer::pipeline(seed);
        let parsed = parse(&text, 0);
        assert_eq!(parsed.diagnostics, [], "{seed}:\n{text}");
        let printed = print(&parsed.tree);
        assert!(parse(&printed, 0).tree == parsed.tree, "{seed}: printed otherwise\n{text}\n{printed}");
        let formatted = format(&text).unwrap_or_else(|mistakes| panic!("{seed}: {mistakes:?}"));
        assert!(parse(&formatted, 0).tree == parsed.tree, "{seed}: formatted otherwise\n{text}\n{formatted}");
        assert_eq!(format(&formatted).unwrap(), formatted, "{seed}");
        let result = std::panic::catch_unwind(|| run(&text));
        let out = result.unwrap_or_else(|_| panic!("{seed}:\n{text}"));
        for event in &out {
            let value: serde_json::Value =
                serde_json::from_str(event).unwrap_or_else(|e| panic!("{seed}: {e}: {event}"));
            assert!(value.is_object());
        }
        events += out.len();
        quiet += usize::from(out.is_empty());
    }
    // Most let events through, or this tests nothing.
    assert!(
        events > pipelines as usize && quiet < pipelines as usize / 2,
        "{events} events, {quiet} pipelines without"
    );
}
