//! `logboom generate`: sample logs on standard output, the same bytes for the same seed and start.
//!
//! One [`Generator`] serves this command, the demo, the tests and the benches. It must never
//! depend on anything that may change its bytes: the random numbers are its own
//! ([`random::Random`]), no floating point is used, and a test pins the bytes of every format.

mod apache;
mod java;
mod random;
mod safevideo;
mod syslog;
mod text;

pub use random::Random;

use anyhow::Context as _;
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

/// The start of the time line where none is given: the day of the operations guide's example.
pub const DEFAULT_START_MS: i64 = 1_705_833_045_123;
/// Bytes that are made before they are written.
const CHUNK_BYTES: usize = 64 << 10;
/// How often a paced generator writes.
const TICK: Duration = Duration::from_millis(20);

/// What to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// The JSON application log of the operations guide, one object a line.
    Json,
    /// Apache's combined access log.
    Apache,
    /// RFC 3164 lines of sshd, sudo, cron, the kernel and systemd.
    Syslog,
    /// A log4j file with stack traces over several lines.
    Java,
}

/// Sample logs on standard output.
///
/// The same seed and start give the same bytes, on every machine and in every version;
/// fewer lines are the beginning of more lines.
#[derive(clap::Parser, Debug)]
#[command(name = "logboom generate", bin_name = "logboom generate")]
pub struct Args {
    /// What to write
    #[arg(long, value_enum)]
    pub format: Format,
    /// How many events (a stack trace is part of its event) [default: 10000; with --rate: no end]
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Where the random numbers begin
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// The first event's time: `2024-01-21T10:30:45Z`, `2024-01-21` or `now` [default:
    /// 2024-01-21T10:30:45.123Z; with --rate: now]
    #[arg(long, value_name = "TIME", value_parser = parse_start)]
    pub start: Option<Start>,
    /// Events per second, as they happen, instead of as fast as possible
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: Option<u64>,
}

/// Where the time line begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// The wall clock.
    Now,
    /// Milliseconds since 1970.
    At(i64),
}

fn parse_start(text: &str) -> Result<Start, String> {
    if text == "now" {
        return Ok(Start::Now);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Start::At(at.as_millisecond()));
    }
    let utc = |at: jiff::civil::DateTime| jiff::tz::TimeZone::UTC.to_timestamp(at).ok();
    match text.parse::<jiff::civil::DateTime>().ok().and_then(utc) {
        Some(at) => Ok(Start::At(at.as_millisecond())),
        None => Err("expected a time such as 2024-01-21T10:30:45Z, a day or `now`".to_owned()),
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Runs the command from its arguments. Wrong ones end the process as clap does.
pub fn main(arguments: Vec<String>) -> anyhow::Result<()> {
    run(&super::arguments("generate", arguments))
}

/// Runs the command. A reader that goes away is no error.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let start = match (args.start, args.rate) {
        (Some(Start::At(ms)), _) => ms,
        (Some(Start::Now), _) | (None, Some(_)) => now_ms(),
        (None, None) => DEFAULT_START_MS,
    };
    let mut generator = Generator::new(args.format, args.seed, start);
    let out = std::io::stdout().lock();
    let written = match args.rate {
        None => write_all(&mut generator, args.count.unwrap_or(10_000), out),
        Some(rate) => write_paced(&mut generator, args.count.unwrap_or(u64::MAX), rate, out),
    };
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

fn write_all(generator: &mut Generator, count: u64, mut out: impl Write) -> std::io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + 4096);
    for _ in 0..count {
        generator.event(&mut chunk);
        if chunk.len() >= CHUNK_BYTES {
            out.write_all(&chunk)?;
            chunk.clear();
        }
    }
    out.write_all(&chunk)?;
    out.flush()
}

/// Writes what is due, every [`TICK`]. An event's time is the generator's start plus what has
/// passed since, so it is now unless `--start` said otherwise.
fn write_paced(generator: &mut Generator, count: u64, rate: u64, mut out: impl Write) -> std::io::Result<()> {
    let (begin, start) = (Instant::now(), generator.time());
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut done = 0;
    while done < count {
        let passed = begin.elapsed();
        let due = ((passed.as_nanos() * rate as u128 / 1_000_000_000) as u64 + 1).min(count);
        let at = start + passed.as_millis() as i64;
        // Far behind (a reader that stalls), it catches up by chunks.
        while done < due && chunk.len() < CHUNK_BYTES {
            generator.event_at(at, &mut chunk);
            done += 1;
        }
        if !chunk.is_empty() {
            out.write_all(&chunk)?;
            out.flush()?;
            chunk.clear();
        }
        if done >= due && done < count {
            std::thread::sleep(TICK.min(Duration::from_nanos(1_000_000_000 / rate)).max(Duration::from_millis(1)));
        }
    }
    Ok(())
}

/// Makes events of one format, one after the other.
pub struct Generator {
    format: Format,
    random: Random,
    calendar: text::Calendar,
    now_ms: i64,
    number: u64,
    key: u64,
}

/// What a format's file gets to make one event.
struct Line<'a> {
    random: &'a mut Random,
    calendar: &'a mut text::Calendar,
    at_ms: i64,
    /// Counts the events of this generator, from 0 on.
    number: u64,
    /// Differs from seed to seed.
    key: u64,
}

impl Generator {
    /// The time line begins at `start_ms`, in milliseconds since 1970.
    pub fn new(format: Format, seed: u64, start_ms: i64) -> Generator {
        let mut random = Random::new(seed ^ ((format as u64 + 1) << 56));
        let key = random.next();
        Generator { format, random, calendar: text::Calendar::default(), now_ms: start_ms, number: 0, key }
    }

    /// The time of the next event, in milliseconds since 1970.
    pub fn time(&self) -> i64 {
        self.now_ms
    }

    /// Appends the next event on the generator's own time line, some 50 a second. It ends with
    /// a newline.
    pub fn event(&mut self, out: &mut Vec<u8>) {
        let at = self.now_ms;
        self.now_ms += self.random.below(41) as i64;
        self.event_at(at, out);
    }

    /// Appends an event of a time that the caller says.
    pub fn event_at(&mut self, at_ms: i64, out: &mut Vec<u8>) {
        let mut line =
            Line { random: &mut self.random, calendar: &mut self.calendar, at_ms, number: self.number, key: self.key };
        match self.format {
            Format::Json => safevideo::write(&mut line, out),
            Format::Apache => apache::write(&mut line, out),
            Format::Syslog => syslog::write(&mut line, out),
            Format::Java => java::write(&mut line, out),
        }
        self.number += 1;
    }

    /// `count` events as one text, for tests and benches.
    pub fn text(format: Format, seed: u64, count: usize) -> Vec<u8> {
        let mut generator = Generator::new(format, seed, DEFAULT_START_MS);
        let mut out = Vec::new();
        (0..count).for_each(|_| generator.event(&mut out));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use xxhash_rust::xxh3::xxh3_64;

    /// These bytes are a promise: figures and expectations elsewhere are taken from them.
    #[test]
    fn the_bytes_never_change() {
        let formats = [Format::Json, Format::Apache, Format::Syslog, Format::Java];
        let got = formats.map(|format| xxh3_64(&Generator::text(format, 1, 5_000)));
        assert_eq!(
            got,
            [0x5a87_1bbe_36b1_543e, 0x2f41_0e0e_430c_5c07, 0x70a9_a38f_b2c3_a17a, 0x6a98_3574_c0d3_a585],
            "now {got:#x?}"
        );
    }

    #[test]
    fn fewer_events_are_the_beginning_of_more() {
        for format in [Format::Json, Format::Apache, Format::Syslog, Format::Java] {
            let (few, many) = (Generator::text(format, 7, 100), Generator::text(format, 7, 200));
            assert!(many.starts_with(&few), "{format:?}");
            assert_ne!(few, Generator::text(format, 8, 100), "{format:?}");
        }
    }

    #[test]
    fn json_lines_are_as_the_guide_says() {
        let text = String::from_utf8(Generator::text(Format::Json, 3, 50_000)).unwrap();
        let average = text.len() / 50_000;
        assert!((360..=400).contains(&average), "a line has {average} bytes on average");
        let mut traces = std::collections::HashSet::new();
        let mut seen = std::collections::BTreeMap::<&str, usize>::new();
        let mut count = |name: &'static str, yes: bool| *seen.entry(name).or_default() += yes as usize;
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let str = |key: &str| event[key].as_str();
            for key in ["timestamp", "level", "service", "traceId", "userId", "message"] {
                assert!(str(key).is_some(), "{key} is missing: {line}");
            }
            assert!(!line.contains("null"), "{line}");
            let trace = str("traceId").unwrap();
            assert!(trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit()));
            assert!(traces.insert(trace.to_owned()), "{trace} comes twice");
            let actions = ["login", "upload", "view", "kyc_submit", "kyc_approve", "kyc_reject"];
            assert!(str("action").is_none_or(|a| actions.contains(&a)));
            assert!(str("status").is_none_or(|s| ["success", "failed"].contains(&s)));
            let failed_login = str("action") == Some("login") && str("status") == Some("failed");
            let says = str("message").unwrap().contains("ログイン失敗");
            assert_eq!(failed_login, says, "{line}");
            let slow = event["duration"].as_i64().is_some_and(|ms| ms > 1000);
            count("failed login", failed_login);
            count("user123", str("userId") == Some("user123"));
            count("slow", slow);
            count("slow in the api", slow && str("service") == Some("safevideo-api"));
            count("no ip", event["metadata"]["ip"].is_null());
            for (level, name) in [("ERROR", "error"), ("WARN", "warn"), ("INFO", "info"), ("DEBUG", "debug")] {
                count(name, str("level") == Some(level));
            }
        }
        let check = |name: &str, range: std::ops::Range<usize>| {
            assert!(range.contains(&seen[name]), "{name}: {} of 50,000 in {seen:?}", seen[name]);
        };
        check("failed login", 500..3_000);
        check("user123", 10..200);
        check("slow", 500..5_000);
        check("slow in the api", 200..3_000);
        check("no ip", 2_000..25_000);
        check("error", 500..2_500);
        check("warn", 1_500..5_000);
        check("info", 30_000..42_000);
        check("debug", 3_000..12_000);
    }

    #[test]
    fn starts() {
        let check = |text: &str, want: Option<Start>| assert_eq!(parse_start(text).ok(), want, "{text}");
        check("now", Some(Start::Now));
        check("2024-01-21T10:30:45.123Z", Some(Start::At(DEFAULT_START_MS)));
        check("2024-01-21T19:30:45.123+09:00", Some(Start::At(DEFAULT_START_MS)));
        check("2024-01-21", Some(Start::At(1_705_795_200_000)));
        check("soon", None);
    }

    #[test]
    fn a_paced_run_writes_what_was_asked_for() {
        let mut out = Vec::new();
        write_paced(&mut Generator::new(Format::Syslog, 1, 0), 20, 2_000, &mut out).unwrap();
        assert_eq!(out.iter().filter(|&&b| b == b'\n').count(), 20);
    }
}
