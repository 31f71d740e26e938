//! The JSON application log of the operations guide: what a video service with identity checks
//! ("KYC") would write, in English and Japanese.

use super::Line;
use super::random::mix;
use super::text::{AGENTS, hex, ip, number, padded, put};

/// How often, and what: one row per kind of event.
#[derive(Clone, Copy)]
struct Kind {
    level: &'static str,
    services: &'static [&'static str],
    action: Option<&'static str>,
    /// `Some(true)` for success.
    status: Option<bool>,
    /// Usual duration in ms; 0 for none.
    usual_ms: u64,
    /// Whether a client's address and browser are known.
    client: bool,
    messages: &'static [&'static str],
}

const API: &[&str] = &["safevideo-api"];
const FRONT: &[&str] = &["safevideo-api", "safevideo-api", "safevideo-web"];
const UPLOAD: &[&str] = &["safevideo-api", "safevideo-upload"];
const KYC: &[&str] = &["safevideo-api", "safevideo-kyc"];
const BACK: &[&str] = &["safevideo-worker", "safevideo-kyc", "safevideo-upload", "safevideo-api"];

macro_rules! kinds {
    ($($weight:literal $level:ident $services:ident $action:expr, $status:expr, $usual:literal $client:literal [$($message:literal),* $(,)?]),* $(,)?) => {
        &[$(($weight, Kind {
            level: stringify!($level), services: $services, action: $action, status: $status,
            usual_ms: $usual, client: $client, messages: &[$($message),*],
        })),*]
    };
}

/// In messages `{n}` is a number, `{h}` a hex id, `{v}` a video, `{a}` an address and `{u}` the
/// user; the texts stand as in JSON, escapes included.
#[rustfmt::skip]
static KINDS: &[(u32, Kind)] = kinds![
    160 INFO FRONT Some("login"), Some(true), 90 true [
        "ログインしました", "Login succeeded for {u}", "Login succeeded, session {h} opened for 24 h"],
    24 WARN FRONT Some("login"), Some(false), 130 true [
        "ログイン失敗: パスワードが一致しません (あと{n}回でロック)", "ログイン失敗: ユーザーが見つかりません",
        "ログイン失敗: invalid password for {u} from {a}"],
    4 ERROR API Some("login"), Some(false), 1600 true [
        "ログイン失敗: 認証データベースに接続できません (timeout {n} ms)",
        "ログイン失敗: session store refused the connection at {a}:6379"],
    330 INFO FRONT Some("view"), Some(true), 45 true [
        "動画の再生を開始しました: {v}", "Playback of {v} started at 1080p", "GET /api/v1/videos/{v}/stream 206",
        "GET /api/v1/videos/{v}/manifest.m3u8 200, {n} segments"],
    12 WARN API Some("view"), Some(true), 1400 true [
        "動画の配信が遅延しています: {v}", "Slow response from the origin for {v}: {n} segments buffered"],
    6 ERROR API Some("view"), Some(false), 700 true [
        "動画を再生できません: {v} (code={n})",
        "Unhandled error in GET /api/v1/videos/{v}/stream\\nTypeError: Cannot read properties of undefined (reading 'codec')\\n    at Stream.open (/app/src/stream.js:{n}:17)\\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"],
    110 INFO UPLOAD Some("upload"), Some(true), 240 true [
        "アップロードが完了しました: {v}", "Upload of {v} finished, {n} parts, sha256 {h}"],
    10 WARN UPLOAD Some("upload"), Some(false), 420 true [
        "アップロード失敗: ファイル形式がサポートされていません", "Upload of \\\"{v}.mov\\\" rejected: {n} MB is over the limit of the plan"],
    5 ERROR UPLOAD Some("upload"), Some(false), 900 true [
        "アップロード失敗: ストレージに書き込めません (bucket safevideo-prod-{n})", "S3 PutObject failed for part {n} of {v}: 503 Slow Down"],
    60 INFO KYC Some("kyc_submit"), Some(true), 150 true [
        "本人確認書類を受け付けました (申請番号 {n})", "KYC application {n} received, document {h}"],
    4 WARN KYC Some("kyc_submit"), Some(false), 210 true [
        "本人確認書類の画像が不鮮明です (申請番号 {n})", "KYC application {n} rejected by the image check"],
    36 INFO KYC Some("kyc_approve"), Some(true), 380 false [
        "本人確認を承認しました (申請番号 {n})", "KYC application {n} approved by reviewer {h}"],
    9 INFO KYC Some("kyc_reject"), Some(true), 360 false [
        "本人確認を却下しました (申請番号 {n}): 氏名が一致しません", "KYC application {n} rejected by reviewer {h}: document expired"],
    3 ERROR KYC Some("kyc_approve"), Some(false), 1500 false [
        "本人確認サービスが応答しません (申請番号 {n})", "KYC provider answered 502 for application {n}, will try again"],
    24 INFO BACK None, None, 30 false [
        "Transcoding of {v} to 720p finished in {n} s with preset veryfast, bitrate 2500 kbit/s, keyframes every 48 frames",
        "サムネイルを生成しました: {v} ({n} 枚, 320x180, 640x360, 1280x720)",
        "Scheduled job cleanup-expired-sessions removed {n} rows from the table user_sessions"],
    12 WARN BACK None, None, 0 false [
        "接続プールの残りが少なくなっています: {n} 本使用中 (上限 100)、待ち行列が伸びています",
        "Slow query on performers: full scan of {n} rows, consider an index on (status, created_at)",
        "Retrying message {h} of queue transcode after {n} ms (attempt 2 of 5)"],
    6 ERROR BACK None, None, 0 false [
        "データベース接続エラー: {a}:3306 に接続できません (ER_CON_COUNT_ERROR, {n} 本使用中)",
        "Unhandled promise rejection: connect ECONNREFUSED {a}:5672\\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1595:16)\\n    at Queue.publish (/app/src/queue.js:{n}:9)",
        "Out of disk space while writing /var/lib/safevideo/tmp/{h}.mp4: {n} bytes left"],
    100 DEBUG BACK None, None, 12 false [
        "SQL: SELECT id, title, status, created_at FROM videos WHERE owner_id = ? ORDER BY created_at DESC LIMIT {n} [{u}] index=idx_owner_created",
        "cache miss for key session:{h}, reading from the primary at {a}:6379, ttl will be {n} s after the write",
        "S3 HEAD s3://safevideo-prod/videos/{v}/master.m3u8 etag={h} size={n} storage-class=STANDARD",
        "キューからメッセージを取得しました: transcode/{h} (残り {n} 件, 優先度 normal, 再試行 0 回)"],
];

pub(super) fn write(line: &mut Line, out: &mut Vec<u8>) {
    let kind = line.random.weighted(KINDS);
    let user = line.random.popular(5_000);
    let of_second = line.calendar.at(line.at_ms);
    put(out, "{\"timestamp\":\"");
    line.calendar.iso(out, b'T');
    out.push(b'.');
    padded(out, of_second, 3);
    put(out, "Z\",\"level\":\"");
    put(out, kind.level);
    put(out, "\",\"service\":\"");
    put(out, line.random.pick(kind.services));
    put(out, "\",\"traceId\":\"");
    // The first half differs for every number, the second is for the looks.
    hex(out, mix(line.number.wrapping_add(line.key)));
    hex(out, line.random.next());
    put(out, "\",\"userId\":\"user");
    number(out, user);
    if let Some(action) = kind.action {
        put(out, "\",\"action\":\"");
        put(out, action);
    }
    out.push(b'"');
    if kind.usual_ms > 0 {
        put(out, ",\"duration\":");
        number(out, line.random.duration(kind.usual_ms));
    }
    match kind.status {
        Some(true) => put(out, ",\"status\":\"success\""),
        Some(false) => put(out, ",\"status\":\"failed\""),
        None => {}
    }
    put(out, ",\"message\":\"");
    let template = line.random.pick(kind.messages);
    message(line, template, user, out);
    out.push(b'"');
    if kind.client {
        put(out, ",\"metadata\":{\"ip\":\"");
        ip(out, line.random);
        // Some clients send no User-Agent.
        if !line.random.one_in(50) {
            put(out, "\",\"userAgent\":\"");
            put(out, line.random.weighted(&AGENTS));
        }
        put(out, "\"}");
    }
    put(out, "}\n");
}

fn message(line: &mut Line, template: &str, user: u64, out: &mut Vec<u8>) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        put(out, before);
        match after.as_bytes()[0] {
            b'n' => number(out, line.random.popular(900)),
            b'h' => hex(out, line.random.next()),
            b'v' => {
                put(out, "video-");
                padded(out, line.random.popular(20_000), 6);
            }
            b'a' => ip(out, line.random),
            _ => {
                put(out, "user");
                number(out, user);
            }
        }
        rest = &after[2..];
    }
    put(out, rest);
}
