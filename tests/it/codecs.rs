//! Codecs end to end: bytes on standard input, events on standard output.

use crate::program::run;

/// Messages of the events, or why there are none.
fn messages(codec: &str, given: &[u8]) -> Vec<String> {
    let events = run(codec, "", &["--pipeline.ecs_compatibility=disabled"], given).unwrap();
    events.iter().map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn japanese_logs() {
    let sjis = b"\x83\x8d\x83O\x83C\x83\x93\x8e\xb8\x94s: \x95\\\n  at a\n";
    let eucjp = b"\xa5\xed\xa5\xb0\xa5\xa4\xa5\xf3\xbc\xba\xc7\xd4: \xc9\xbd\n  at a\n";
    let iso2022 = b"\x1b$B%m%0%$%s<:GT\x1b(B: \x1b$BI=\x1b(B\n  at a\n";
    for (charset, bytes) in [("Shift_JIS", &sjis[..]), ("EUC-JP", eucjp), ("ISO-2022-JP", iso2022)] {
        let line = messages(&format!("line {{ charset => \"{charset}\" }}"), bytes);
        assert_eq!(line, ["ログイン失敗: 表", "  at a"], "{charset}");
        let plain = messages(&format!("plain {{ charset => \"{charset}\" }}"), bytes);
        assert_eq!(plain, ["ログイン失敗: 表", "  at a"], "{charset}");
        let joined = messages(
            &format!("multiline {{ charset => \"{charset}\" pattern => \"^\\s\" what => \"previous\" }}"),
            bytes,
        );
        assert_eq!(joined, ["ログイン失敗: 表\n  at a"], "{charset}");
    }
    let json = b"{\"message\":\"\x83\x8d\x83O \x95\\\"}\n";
    assert_eq!(messages("json_lines { charset => \"Windows-31J\" }", json), ["ログ 表"]);
    assert_eq!(messages("json { charset => \"Shift_JIS\" }", json), ["ログ 表"]);
}

#[test]
fn binary_streams() {
    let messages_of = |codec: &str, given: &[u8]| messages(codec, given);
    assert_eq!(messages_of("msgpack { }", b"\x81\xa7message\xa1a\x81\xa7message\xa1b"), ["a", "b"]);
    assert_eq!(messages_of("fluent { }", b"\x92\xa1t\x91\x92\x01\x81\xa7message\xa1a"), ["a"]);
    assert_eq!(messages_of("es_bulk { }", b"{\"index\":{}}\n{\"message\":\"a\"}\n"), ["a"]);
    assert_eq!(messages_of("cef { }", b"CEF:0|a|b|1|2|n|3|msg=hi there\n"), ["hi there"]);
}

#[test]
fn stack_traces() {
    let text =
        b"ERROR x\njava.lang.E: Exception\nTraceback (most recent call last):\n  File \"a\"\nKeyError: 1\nnext\n";
    assert_eq!(
        messages("multiline { stack_traces => [\"python\"] }", text),
        ["ERROR x", "java.lang.E: Exception\nTraceback (most recent call last):\n  File \"a\"\nKeyError: 1", "next"]
    );
}
