//! What the options of `csv` do.

use super::*;
use crate::event::Timestamp;
use crate::filter::common::tests::{context, event, options, run, shown};

fn check(settings: &str, before: &str, after: &str) {
    let mut batch = Batch::new();
    let event = event(&mut batch, before);
    run(build, settings, &mut batch, event);
    assert_eq!(shown(&batch, event), after, "{settings} on {before}");
}

#[test]
fn cells_become_fields() {
    check(
        "{}",
        r#"{"message":"a,,\"c \"\"d\"\"\"\nx,y"}"#,
        r#"{"message":"a,,\"c \"\"d\"\"\"\nx,y","column1":"a","column2":null,"column3":"c \"d\""}"#,
    );
    check(
        r#"{"columns":["x","[y][z]"],"autogenerate_column_names":false}"#,
        r#"{"message":"1,2,3"}"#,
        r#"{"message":"1,2,3","x":"1","y":{"z":"2"}}"#,
    );
    check(r#"{"source":"m"}"#, r#"{"m":5}"#, r#"{"m":5,"tags":["_csvparsefailure"]}"#);
    check(r#"{"source":"m"}"#, r#"{"m":null}"#, r#"{"m":null}"#);
    check("{}", r#"{"message":"\n"}"#, r#"{"message":"\n"}"#);
    check(
        r#"{"columns":["a","b[","c"]}"#,
        r#"{"message":"1,2,3"}"#,
        r#"{"message":"1,2,3","a":"1","tags":["_csvparsefailure"]}"#,
    );
    check(r#"{"separator":""}"#, r#"{"message":"1"}"#, r#"{"message":"1","tags":["_csvparsefailure"]}"#);
    check(r#"{"quote_char":"--"}"#, r#"{"message":"1"}"#, r#"{"message":"1","tags":["_csvparsefailure"]}"#);
}

#[test]
fn targets() {
    check(
        r#"{"target":"t"}"#,
        r#"{"message":"1,2","t":{"x":0,"column2":9}}"#,
        r#"{"message":"1,2","t":{"x":0,"column2":"2","column1":"1"}}"#,
    );
    check(r#"{"target":"t"}"#, r#"{"message":"1","t":"x"}"#, r#"{"message":"1","t":"x","tags":["_csvparsefailure"]}"#);
    check(
        r#"{"target":"t","columns":["[a][b]","c"]}"#,
        r#"{"message":"1,2"}"#,
        r#"{"message":"1,2","t":{"a":{"b":"1"},"c":"2"}}"#,
    );
    check(r#"{"target":"t","skip_empty_columns":true}"#, r#"{"message":",\"\","}"#, r#"{"message":",\"\","}"#);
}

#[test]
fn a_row_may_be_wide() {
    let row = vec!["x"; 3000].join(",");
    for settings in ["{}", r#"{"target":"t"}"#] {
        let mut batch = Batch::new();
        let event = event(&mut batch, &format!(r#"{{"message":"{row}"}}"#));
        assert!(run(build, settings, &mut batch, event));
        assert!(shown(&batch, event).contains(r#""column2999":"x","column3000":"x""#));
    }
}

#[test]
fn conversions() {
    let check = |kind: &str, cell: &str, want: &str| {
        let settings = format!(r#"{{"columns":["c"],"convert":{{"c":"{kind}"}}}}"#);
        check(&settings, &format!(r#"{{"message":"{cell},"}}"#), &format!(r#"{{"message":"{cell},",{want}}}"#));
    };
    let value = |value: &str| format!(r#""c":{value},"column2":null"#);
    check("integer", "12", &value("12"));
    check("integer", " 0x10 ", &value("16"));
    check("integer", "1.5", &value(r#""1.5""#));
    check("integer", "99999999999999999999", &value("99999999999999999999"));
    check("float", "1e3", &value("1000.0"));
    check("float", "x", &value(r#""x""#));
    check("boolean", " TRUE", &value("true"));
    check("boolean", "No", &value(r#""no""#));
    check("boolean", "", r#""tags":["_csvparsefailure"]"#);
    check("integer", "", &value("null"));
    check("date", "2017-06-01", &value(r#""2017-06-01T00:00:00.000Z""#));
    check("date", "Thu June 1 17", &value(r#""2017-06-01T00:00:00.000Z""#));
    check("date", "2017-02-30", &value(r#""2017-02-30""#));
    check("date_time", "2001-02-03", &value(r#""2001-02-03T00:00:00.000Z""#));
    check("date_time", "2001-02-03 04:05", &value(r#""2001-02-03T04:05:00.000Z""#));
    check("date_time", "2001-02-03T04:05:06.5+01:00", &value(r#""2001-02-03T03:05:06.500Z""#));
    check("date_time", "Sat Feb  3 04:05:06 2001", &value(r#""2001-02-03T04:05:06.000Z""#));
    check("date_time", "2001-02-03x", &value(r#""2001-02-03x""#));
    assert!(build(&options(r#"{"convert":{"c":"integr"}}"#), &context()).is_err());
}

#[test]
fn the_first_row_names_the_columns_of_all_workers() {
    let first = build(&options(r#"{"autodetect_column_names":true,"skip_header":true}"#), &context()).unwrap();
    let mut workers = [first.fork(), first];
    let mut batch = Batch::new();
    let rows = ["", "a,,\"b\"\"c\"", "1,2,3,4", "a,,\"b\"\"c\"", "5,6"];
    let mut out = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let event = batch.new_event();
        let text = batch.str(row);
        batch.set_key(event, FieldId::MESSAGE, text);
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::new(0, 0);
        workers[at % 2]
            .run(&mut batch, &mut Run { events: &[event], matched: &mut matched, created: &mut created, now });
        if !batch.cancelled(event) {
            batch.remove_key(event, FieldId::MESSAGE);
            out.push(shown(&batch, event));
        }
    }
    assert_eq!(out, [r#"{"a":"1","column2":"2","b\"c":"3","column4":"4"}"#, r#"{"a":"5","column2":"6"}"#]);
}
