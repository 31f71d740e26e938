//! Apache's combined access log.

use super::Line;
use super::text::{AGENTS, ip, number, padded, put};

const METHODS: [(u32, &str); 4] = [(86, "GET"), (10, "POST"), (3, "HEAD"), (1, "OPTIONS")];
const STATUS: [(u32, &str); 10] = [
    (820, "200"),
    (60, "304"),
    (20, "206"),
    (18, "301"),
    (12, "302"),
    (40, "404"),
    (8, "403"),
    (10, "500"),
    (7, "503"),
    (5, "401"),
];
const PATHS: [(u32, &str); 14] = [
    (20, "/"),
    (30, "/videos/"),
    (12, "/api/v1/videos/"),
    (8, "/api/v1/login"),
    (5, "/api/v1/upload"),
    (3, "/api/v1/kyc"),
    (8, "/assets/app.css"),
    (8, "/assets/app.js"),
    (6, "/favicon.ico"),
    (3, "/robots.txt"),
    (4, "/search?q=%E5%8B%95%E7%94%BB&page="),
    (3, "/blog/tags/"),
    (2, "/images/logo%20small.png"),
    (1, "/wp-login.php"),
];
const REFERRERS: [(u32, &str); 6] = [
    (45, "-"),
    (25, "https://www.safevideo.example/"),
    (12, "https://www.google.com/"),
    (10, "https://www.safevideo.example/search?q=%E5%8B%95%E7%94%BB"),
    (5, "https://t.co/a1B2c3D4"),
    (3, "http://localhost:3000/"),
];

pub(super) fn write(line: &mut Line, out: &mut Vec<u8>) {
    line.calendar.at(line.at_ms);
    ip(out, line.random);
    put(out, " - ");
    if line.random.one_in(20) {
        put(out, "user");
        number(out, line.random.popular(5_000));
    } else {
        out.push(b'-');
    }
    put(out, " [");
    padded(out, line.calendar.day, 2);
    out.push(b'/');
    put(out, line.calendar.month_name());
    out.push(b'/');
    padded(out, line.calendar.year, 4);
    out.push(b':');
    out.extend_from_slice(&line.calendar.time);
    put(out, " +0000] \"");
    put(out, line.random.weighted(&METHODS));
    out.push(b' ');
    let path = line.random.weighted(&PATHS);
    put(out, path);
    if path.len() > 1 && path.ends_with(['/', '=']) {
        number(out, line.random.popular(20_000));
    }
    put(out, if line.random.one_in(30) { " HTTP/1.0\" " } else { " HTTP/1.1\" " });
    let status = line.random.weighted(&STATUS);
    put(out, status);
    out.push(b' ');
    match status {
        "304" => out.push(b'-'),
        "206" => number(out, line.random.between(100_000, 9_000_000)),
        _ => number(out, line.random.duration(6_000)),
    }
    put(out, " \"");
    put(out, line.random.weighted(&REFERRERS));
    put(out, "\" \"");
    put(out, line.random.weighted(&AGENTS));
    put(out, "\"\n");
}
