//! A log4j file: `%d %-5p [%t] %c - %m%n`, with stack traces that go over several lines.

use super::Line;
use super::text::{hex, number, padded, put};

const PACKAGE: &str = "com.safevideo";
const CLASSES: [&str; 6] = [
    "api.VideoController",
    "api.LoginService",
    "upload.UploadService",
    "kyc.KycService",
    "db.ConnectionPool",
    "worker.Transcoder",
];
const THREADS: [&str; 4] = ["http-nio-8080-exec-", "pool-2-thread-", "kafka-consumer-", "scheduling-"];

#[rustfmt::skip]
const MESSAGES: [(u32, (&str, &str)); 9] = [
    (60, ("INFO", "Request completed in {n} ms")),
    (20, ("INFO", "Session {h} opened")),
    (12, ("INFO", "動画を保存しました: video-{n}")),
    (16, ("DEBUG", "Cache hit for key video:{n}")),
    (8, ("DEBUG", "HikariPool-1 - Pool stats (total={n}, active=3, idle=7, waiting=0)")),
    (6, ("WARN", "Query took {n} ms: SELECT * FROM performers WHERE status = ?")),
    (2, ("WARN", "再試行します ({n} 回目)")),
    (4, ("ERROR", "Cannot handle request {h}")),
    (1, ("ERROR", "データベースに接続できません")),
];

const EXCEPTIONS: [&str; 5] = [
    "java.lang.NullPointerException: Cannot invoke \"Video.codec()\" because \"video\" is null",
    "java.lang.IllegalStateException: Upload was already closed",
    "java.util.concurrent.TimeoutException: No answer within 30000 ms",
    "org.springframework.dao.DataAccessResourceFailureException: Unable to acquire JDBC Connection",
    "java.io.IOException: No space left on device",
];

const FRAMES: [&str; 10] = [
    "com.safevideo.api.VideoController.stream(VideoController.java:{n})",
    "com.safevideo.upload.UploadService.finish(UploadService.java:{n})",
    "com.safevideo.db.ConnectionPool.acquire(ConnectionPool.java:{n})",
    "com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:{n})",
    "org.springframework.web.method.support.InvocableHandlerMethod.doInvoke(InvocableHandlerMethod.java:{n})",
    "org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java:{n})",
    "jakarta.servlet.http.HttpServlet.service(HttpServlet.java:{n})",
    "org.apache.catalina.core.StandardWrapperValve.invoke(StandardWrapperValve.java:{n})",
    "java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(DirectMethodHandleAccessor.java:{n})",
    "java.base/java.lang.Thread.run(Thread.java:{n})",
];

pub(super) fn write(line: &mut Line, out: &mut Vec<u8>) {
    let of_second = line.calendar.at(line.at_ms);
    line.calendar.iso(out, b' ');
    out.push(b',');
    padded(out, of_second, 3);
    let (level, message) = line.random.weighted(&MESSAGES);
    out.push(b' ');
    put(out, level);
    put(out, if level.len() == 4 { "  [" } else { " [" });
    put(out, line.random.pick(&THREADS));
    number(out, line.random.between(1, 20));
    put(out, "] ");
    put(out, PACKAGE);
    out.push(b'.');
    put(out, line.random.pick(&CLASSES));
    put(out, " - ");
    fill(line, message, out);
    out.push(b'\n');
    if level == "ERROR" {
        trace(line, out);
    }
}

fn trace(line: &mut Line, out: &mut Vec<u8>) {
    put(out, line.random.pick(&EXCEPTIONS));
    out.push(b'\n');
    let frames = line.random.between(4, 20);
    for _ in 0..frames {
        frame(line, out);
    }
    if line.random.one_in(3) {
        put(out, "Caused by: ");
        put(out, line.random.pick(&EXCEPTIONS));
        out.push(b'\n');
        (0..3).for_each(|_| frame(line, out));
        put(out, "\t... ");
        number(out, frames);
        put(out, " more\n");
    }
}

fn frame(line: &mut Line, out: &mut Vec<u8>) {
    put(out, "\tat ");
    let frame = line.random.pick(&FRAMES);
    fill(line, frame, out);
    out.push(b'\n');
}

fn fill(line: &mut Line, text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        put(out, before);
        match after.as_bytes()[0] {
            b'n' => number(out, line.random.popular(2_000)),
            _ => hex(out, line.random.next()),
        }
        rest = &after[2..];
    }
    put(out, rest);
}
