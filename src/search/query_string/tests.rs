//! Query strings as a column: the text, and the query in few letters.

use super::*;

/// A query in few letters: `+` must, `-` must not, `f:` the field.
fn show(query: &Query) -> String {
    match query {
        Query::All => "ALL".to_owned(),
        Query::Nothing => "NONE".to_owned(),
        Query::Boosted(query, boost) => format!("{}^{boost}", show(query)),
        Query::Best(queries) => format!("({})", queries.iter().map(show).collect::<Vec<_>>().join(" | ")),
        Query::Bool(bool) => {
            let mut parts: Vec<String> = bool.must.iter().map(|q| format!("+{}", show(q))).collect();
            parts.extend(bool.should.iter().map(show));
            parts.extend(bool.must_not.iter().map(|q| format!("-{}", show(q))));
            format!("({})", parts.join(" "))
        }
        Query::On(on) => format!("{}:{}", on.field, show_test(&on.test)),
        other => format!("{other:?}"),
    }
}

fn show_test(test: &Test) -> String {
    let bound = |b: &Option<(Scalar, bool)>| b.as_ref().map_or("*".to_owned(), |(s, _)| s.text());
    match test {
        Test::Match(m) => m.text.text().replace(' ', "_"),
        Test::Phrase { text, slop: 0, .. } => format!("\"{}\"", text.text()),
        Test::Phrase { text, slop, .. } => format!("\"{}\"~{slop}", text.text()),
        Test::Prefix { value, .. } => format!("{value}…"),
        Test::Wildcard { pattern, .. } => format!("w{pattern}"),
        Test::Regexp { pattern, .. } => format!("/{pattern}/"),
        Test::Fuzzy { value, fuzziness, .. } => format!("{value}~{}", fuzziness.edits(value)),
        Test::Exists => "EXISTS".to_owned(),
        Test::Range(range) => {
            let open = if range.from.as_ref().is_none_or(|(_, i)| *i) { '[' } else { '{' };
            let close = if range.to.as_ref().is_none_or(|(_, i)| *i) { ']' } else { '}' };
            format!("{open}{} {}{close}", bound(&range.from), bound(&range.to))
        }
        other => format!("{other:?}"),
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(show(&parse(text, &Reading::default()).unwrap()), expected, "{text}");
}

#[test]
fn the_guides_queries() {
    check("level:ERROR AND @timestamp:[now-1h TO now]", "(+level:ERROR +@timestamp:[now-1h now])");
    check(r#"userId:"user123" AND action:*"#, r#"(+userId:"user123" +action:EXISTS)"#);
    check("action:login AND status:failed", "(+action:login +status:failed)");
    check(r#"duration:>1000 AND service:"safevideo-api""#, r#"(+duration:{1000 *] +service:"safevideo-api")"#);
    check(r#"message:"ログイン失敗""#, r#"message:"ログイン失敗""#);
}

#[test]
fn operators() {
    check("a b", "*:a_b");
    check("a b AND c", "(+*:b +*:c *:a)");
    check("a AND b OR c", "(+*:a +*:b *:c)");
    check("a OR b AND c", "(+*:b +*:c *:a)");
    check("a && b || !c", "(+*:a +*:b -*:c)");
    check("+a -b c", "(+*:a *:c -*:b)");
    check("NOT a", "(-*:a)");
    check("a NOT b", "(*:a -*:b)");
    check("f:(a OR b) g:c", "((f:a f:b) g:c)");
    check("(a AND (b OR c))^2", "(+*:a +(*:b *:c))^2");
}

#[test]
fn terms() {
    check("f:a b", "(f:a *:b)");
    check("f:jo?n*", "f:wjo?n*");
    check("f:jo*", "f:jo…");
    // A pattern that ends in a character of several bytes was once cut within it.
    check("f:*価", "f:w*価");
    check(r"f:jo\*", "f:jo*");
    check("*", "ALL");
    check("*:*", "ALL");
    check("_exists_:user.name", "user.name:EXISTS");
    check("name~", "*:name~1");
    check("name~2", "*:name~2");
    check("f:\"a b\"~3^2", "f:\"a b\"~3^2");
    check(r"path:/\/var\/.*/", "path://var/.*/");
    check(r"a\:b", "*:a:b");
    check("f:>=10 f:<5", "(f:[10 *] f:[* 5})");
    check("f:{1 TO 2]", "f:{1 2]");
    check("f:[\"a b\" TO *}", "f:[a b *]");
    check("a-b+c", "*:a-b+c");
    check("", "NONE");
    check("   ", "NONE");
    check("日本語 テスト", "*:日本語_テスト");
    check("a\u{3000}b", "*:a_b");
}

#[test]
fn operator_and() {
    let reading = Reading { all: true, ..Reading::default() };
    let check = |text: &str, expected: &str| assert_eq!(show(&parse(text, &reading).unwrap()), expected, "{text}");
    check("f:a f:b", "(+f:a +f:b)");
    check("f:a OR f:b", "(f:a f:b)");
    check("f:a f:b OR f:c", "(+f:a f:b f:c)");
}

#[test]
fn what_does_not_parse() {
    for text in [
        "(",
        ")",
        "a AND",
        "AND a",
        "f:",
        "f:(a",
        "\"a",
        "[1 TO 2",
        "f:[1 2]",
        "f:[1 TO",
        "a^",
        "a^x",
        "a:b:c",
        "/a",
        "a\\",
        "]",
        "}",
        "f:{TO}",
        "+",
        "-",
        "NOT",
        "a OR OR b",
        "()",
        "f:()",
        "a b)",
    ] {
        let error = parse(text, &Reading::default()).expect_err(text);
        assert!(error.starts_with("Cannot parse '"), "{error}");
    }
}

#[test]
fn nesting_is_bounded() {
    let text = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(parse(&text, &Reading::default()).is_err());
    let text = "a AND ".repeat(2000) + "a";
    assert!(parse(&text, &Reading::default()).is_err());
}
