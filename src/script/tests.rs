//! What code gives, what it does to an event, and what is no code.

use super::*;

/// An event of plain members, and what was done to it.
#[derive(Default)]
struct Event {
    fields: Vec<(String, Value)>,
    done: Vec<String>,
}

impl Host for Event {
    fn get(&mut self, field: &str) -> Outcome {
        Ok(self.fields.iter().find(|(name, _)| name == field).map_or(Value::Nil, |(_, value)| value.clone()))
    }

    fn set(&mut self, field: &str, value: &Value) -> Outcome<()> {
        self.done.push(format!("{field}={}", shown(value)));
        Ok(())
    }

    fn remove(&mut self, field: &str) -> Outcome {
        self.done.push(format!("-{field}"));
        Ok(Value::Nil)
    }

    fn includes(&mut self, field: &str) -> Outcome<bool> {
        Ok(self.fields.iter().any(|(name, _)| name == field))
    }

    fn tag(&mut self, tag: &str) {
        self.done.push(format!("#{tag}"));
    }

    fn cancel(&mut self) {
        self.done.push("cancelled".to_owned());
    }

    fn timestamp(&mut self) -> Option<Timestamp> {
        Some(Timestamp::from_millis(1500))
    }

    fn create(&mut self, members: &Value) -> Outcome<()> {
        self.done.push(format!("new {}", shown(members)));
        Ok(())
    }

    fn meta(&mut self, name: &str, value: &Value) -> Outcome<()> {
        self.done.push(format!("{name}:{}", shown(value)));
        Ok(())
    }
}

fn shown(value: &Value) -> String {
    let mut out = Vec::new();
    value.inspect(&mut out, 0);
    String::from_utf8(out).unwrap()
}

fn run(code: &str, map: &Value, event: &mut Event) -> Outcome {
    let program = Program::parse(code, Names { map: true }).unwrap_or_else(|error| panic!("{code}: {error}"));
    program.run(map, event)
}

fn event() -> Event {
    let fields = [("n", Value::Int(7)), ("t", Value::text("abc")), ("at", Value::Time(Timestamp::from_millis(3000)))];
    let fields = fields.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Event { fields, done: Vec::new() }
}

#[test]
fn expressions() {
    let check = |code: &str, want: &str| {
        let found = run(code, &Value::hash(Hash::default()), &mut event());
        assert_eq!(found.map_or_else(|error| format!("! {error}"), |value| shown(&value)), want, "{code}");
    };
    check("1 + 2 * 3 - 4", "3");
    check("-7 / 2", "-4");
    check("-7 % 3", "2");
    check("2 ** 3 ** 2", "512");
    check("-2 ** 2", "-4");
    check("7 / 2.0", "3.5");
    check("10.0.round(1)", "10.0");
    check("2.345.round(2)", "2.35");
    check("1 < 2 && 2 <= 2 && !(3 > 4) and not false", "true");
    check("nil || false || 'x'", "\"x\"");
    check("1 == 1.0 && 'a' != \"b\"", "true");
    check("n = 3; n > 2 ? 'big' : 'small'", "\"big\"");
    check("x = 1 if false", "nil");
    check("if 1 > 2 then 'a' elsif 2 > 1 then 'b' else 'c' end", "\"b\"");
    check("unless nil\n 5\nend", "5");
    check("\"a#{1 + 1}b#{nil}\\n\"", "\"a2b\\n\"");
    check("'a' + 'b' * 3", "\"abbb\"");
    check("[1, [2, 3]].flatten + [4]", "[1, 2, 3, 4]");
    check("{'a' => 1, 2 => [nil]}['a']", "1");
    check("[1,2,3][-1]", "3");
    check("event.get('at') - event.timestamp", "1.5");
    check("(event.get('at') + 1.5).to_f", "4.5");
    check("event.get('n').to_s + event.get('t').upcase", "\"7ABC\"");
    check("event.get('no').nil? && event.include?('n')", "true");
    check("event.get('no').to_i", "0");
    check("event.get('no')&.length", "nil");
    check("event.get('n').is_a?(Numeric)", "true");
    check("' a,b,,'.strip.split(',')", "[\"a\", \"b\"]");
    check("[3,1,2].sort.map { |x| x * 2 }.join('-')", "\"2-4-6\"");
    check("s = 0; [1,2].each do |x| s += x end; s", "3");
    check("{'a'=>1,'b'=>2}.select { |k, v| v > 1 }.keys", "[\"b\"]");
    check("{'a'=>1}.map { |pair| pair }", "[[\"a\", 1]]");
    check("[[1,2],[3,4]].map { |a, b| a + b }.sum", "10");
    check("[1,nil,1].compact.uniq.length", "1");
    check("# nothing\n1 # one", "1");
    check("[:a, :a.to_s, 'b'.to_sym, :a == 'a', :a == :a]", "[:a, \"a\", :b, false, true]");
    check("h = {a: 1, :b => 2, 'c' => 3, \"d\": 4}; [h[:a], h['a'], h[:b], h['c'], h[:d]]", "[1, nil, 2, 3, 4]");
    check("b = 2; [nil ? 1 : b, nil ? 1 :b, nil ? b:3]", "[2, 2, 3]");
    check("[1,\n 2]\n  .map { |x|\n x }\n  .last", "2");
}

#[test]
fn maps_are_changed_in_place() {
    let check = |code: &str, want: &str| {
        let map = Value::hash(Hash::default());
        let found = run(code, &map, &mut event()).map(|_| shown(&map));
        assert_eq!(found, Ok(want.to_owned()), "{code}");
    };
    check("map['a'] ||= 0; map['a'] += event.get('n')", r#"{"a"=>7}"#);
    check("map['l'] ||= [] ; map['l'] << {'x' => 1}\nmap['l'] << 2", r#"{"l"=>[{"x"=>1}, 2]}"#);
    check("l = map['l'] = []; l << 1", r#"{"l"=>[1]}"#);
    check("map['h'] ||= {}; map['h'][event.get('t')] = 1; map.delete('no')", r#"{"h"=>{"abc"=>1}}"#);
    check("map['s'] = 'a'; map['s'] << 'b'; map['s'] += 'c'", r#"{"s"=>"abc"}"#);
    check("map['x'] = 1 unless map['x']; map['x'] &&= 2", r#"{"x"=>2}"#);
    check("map['a'] = []; map['a'][2] = 1", r#"{"a"=>[nil, nil, 1]}"#);
}

#[test]
fn events_are_changed() {
    let check = |code: &str, want: &[&str]| {
        let mut event = event();
        run(code, &Value::hash(Hash::default()), &mut event).unwrap_or_else(|error| panic!("{code}: {error}"));
        assert_eq!(event.done, want, "{code}");
    };
    check("event.set('a', event.get('n') > 1); event.tag('t')", &["a=true", "#t"]);
    check("event.cancel()", &["cancelled"]);
    check("event.cancel if event.get('n') == 7", &["cancelled"]);
    check("event.tag \"x\" unless event.get('no')", &["#x"]);
    check("event.set 'a', [1,\n2]", &["a=[1, 2]"]);
    check("event.remove('n'); map_meta.timeout = 0", &["-n", "timeout:0"]);
    check("new_event_block.call(LogStash::Event.new({'a' => 1}))", &[r#"new {"a"=>1}"#]);
    check(
        "data = {:ms => 12, n: event.get('n')}\ne = LogStash::Event.new(data)\ne.set('[a][b]', 34); e.tag('x'); e.tag('x')
         e.remove('n') if e.include?('[a][b]') && e.get('ms') == 12\nnew_event_block.call(e)",
        &[r#"new {"ms"=>12, "a"=>{"b"=>34}, "tags"=>["x"]}"#],
    );
}

#[test]
fn what_fails_while_it_runs() {
    let check = |code: &str, want: &str| {
        let found = run(code, &Value::hash(Hash::default()), &mut event()).map(|value| shown(&value));
        assert_eq!(found, Err(want.to_owned()), "{code}");
    };
    check("map['a'] += 1", "NilClass + Integer is not known");
    check("nil.length", "undefined method `length' for NilClass");
    check("1 < 'a'", "comparison of Integer with String failed");
    check("1 / 0", "divided by 0");
    check("9223372036854775807 + 1", "the number is too large");
    check("map[1.5] = 1", "Float can't be a key here");
    check("'a' * 10000000", "the text is too long");
    check("[1][99999999] = 2", "the index is out of range");
    check("new_event_block.call({})", "new_event_block.call takes an event: LogStash::Event.new(…)");
    check("LogStash::Event.new(1)", "LogStash::Event.new takes a hash, not Integer");
    check("e = LogStash::Event.new; e.set('a', 1); e.set('[a][b]', 1)", "cannot set a field within Integer");
}

#[test]
fn what_is_no_code_here() {
    let check = |code: &str, line: usize| match Program::parse(code, Names { map: true }) {
        Ok(program) => panic!("{code}: {program:?}"),
        Err(error) => assert_eq!(error.line, line, "{code}: {error}"),
    };
    for bad in [
        "x",
        "1 +",
        "event.foo('a')",
        "[1, 2",
        "'a",
        "\"#{1",
        "require 'date'",
        "Time.now",
        "map['a'].gsub(/a/, 'b')",
        "{a 1}",
        "map = {}",
        "Foo::Event.new",
        "LogStash::Timestamp.now",
        "1 = 2",
        "while true do end",
        "$x",
        "@x = 1",
        "010",
        "event.get('a', 'b')",
        "[1].each",
        "if true",
        "a b",
        "map_meta.task_id = 1",
        "\"\\u00e9\"",
        "lambda { |x| x }",
        "x = y = z",
    ] {
        check(bad, 1);
    }
    check("map['a'] = 1\n\nfoo", 3);
    check(&"(".repeat(10_000), 1);
    check(&"!".repeat(10_000), 1);
    let timeouts = Program::parse("map['a']", Names::default());
    assert!(timeouts.is_err(), "the code of a time-out has no map");
}

proptest::proptest! {
    #[test]
    fn no_code_makes_it_panic(code in "[a-e0-9 '\"#{}()\\[\\].,;|&!?:=<>+*/%-]{0,24}|(map|event|if|end|do|each|\\['a'\\]|\\.get| |=|\\+|1|\n){0,12}") {
        if let Ok(program) = Program::parse(&code, Names { map: true }) {
            let _ = program.run(&Value::hash(Hash::default()), &mut Event::default());
        }
    }
}
