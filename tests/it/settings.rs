//! Folders as a Logstash has them, and secrets.

use crate::program::logboom;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

fn run(dir: &Path, more: &[&str], env: &[(&str, &str)]) -> Output {
    let (config, data) =
        (format!("--path.settings={}", dir.display()), format!("--path.data={}", dir.join("data").display()));
    logboom().args([&config, &data, "--api.enabled=false"]).args(more).envs(env.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Everything that a settings file of Logstash 8 can hold, at values that people give.
const EVERYTHING: &str = r#"
node.name: test
pipeline:
  id: main
  workers: 2
  batch:
    size: 125
    delay: 50
    output_chunking.growth_threshold_factor: 100
    metrics.sampling_mode: "full"
  unsafe_shutdown: true
  ordered: auto
  ecs_compatibility: v8
  recoverable: auto
  separate_logs: true
  buffer.type: direct
  plugin_classloaders: true
config:
  test_and_exit: false
  reload.automatic: false
  reload.interval: 3s
  debug: false
  support_escapes: false
ssl.reload.automatic: true
api.environment: "staging"
api.ssl.enabled: false
api.ssl.keystore.path: /path/to/keystore.jks
api.ssl.keystore.password: "y0uRp4w0rD"
api.ssl.supported_protocols: [TLSv1.2,TLSv1.3]
api.auth.type: none
api.auth.basic.username: "logstash-user"
api.auth.basic.password: "s3cUreP4w0rD"
api.auth.basic.password_policy.mode: WARN
http.port: 9600-9700
queue.type: memory
path.queue: /q
queue.page_capacity: 64mb
queue.max_events: 0
queue.max_bytes: 2gb
queue.checkpoint.acks: 1024
queue.checkpoint.writes: 2048
queue.compression: none
queue.drain: true
dead_letter_queue.enable: false
dead_letter_queue.max_bytes: 2gb
dead_letter_queue.flush_interval: 1000
dead_letter_queue.flush_check_interval: 2000
dead_letter_queue.storage_policy: drop_older
dead_letter_queue.retain.age: 1d
path.dead_letter_queue: /d
otel.metrics.enabled: false
otel.exporter.otlp.endpoint: "http://localhost:4317"
otel.service.name: "logstash"
log.level: info
log.format: plain
log.format.json.fix_duplicate_message_fields: false
path.logs: /var/log/logstash
allow_superuser: true
path.plugins: []
slowlog.threshold.warn: 2s
modules:
  - name: netflow
    var.input.udp.port: 9996
cloud.id: x
monitoring.cluster_uuid: abc
xpack.monitoring.enabled: true
xpack.monitoring.elasticsearch.hosts: ["https://es1:9200", "https://es2:9200"]
xpack.management.enabled: false
xpack.management.pipeline.id: ["main", "apache_logs"]
xpack.geoip.downloader.enabled: true
"#;

#[test]
fn a_folder_of_logstash_s_starts_and_what_has_no_effect_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "logstash.yml", EVERYTHING);
    write(dir.path(), "pipelines.yml", "# - pipeline.id: commented\n");
    write(dir.path(), "log4j2.properties", "status = error\nname = LogstashPropertiesConfig\n");
    write(dir.path(), "jvm.options", "-Xms1g\n11-:-XX:+UseG1GC\n");
    write(dir.path(), "startup.options", "JAVACMD=/usr/bin/java\n");
    let run = run(dir.path(), &["-e", "input { generator { count => 3 } } output { stdout { codec => dots } }"], &[]);
    let said = text(&run.stderr);
    assert!(run.status.success(), "{said}");
    assert_eq!(text(&run.stdout).matches('.').count(), 3);
    for name in [
        "queue.max_bytes",
        "queue.drain",
        "dead_letter_queue.max_bytes",
        "pipeline.unsafe_shutdown",
        "pipeline.separate_logs",
        "path.logs",
        "slowlog.threshold.warn",
        "http.port",
        "modules",
        "cloud.id",
        "xpack.monitoring.enabled",
        "api.ssl.keystore.path",
        "allow_superuser",
    ] {
        assert!(said.contains(&format!("`{name}`")), "{name} is not named in {said}");
    }
    assert!(!said.contains("setting `log.level`") && !said.contains("setting `queue.type`"), "{said}");
}

#[test]
fn what_would_promise_too_much_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = "input { generator { count => 1 } } output { null { } }";
    for (setting, want) in [
        ("--queue.type=persisted", "there is no disk queue yet"),
        ("--dead_letter_queue.enable=true", "there is no dead letter queue yet"),
        ("--api.ssl.enabled=true", "speaks no TLS yet"),
        ("--api.auth.type=basic", "without `api.auth.basic.username`"),
        ("--pipeline.wrokers=1", "did you mean `pipeline.workers`?"),
    ] {
        let run = run(dir.path(), &[setting, "-e", pipeline], &[]);
        assert!(!run.status.success() && text(&run.stderr).contains(want), "{setting}: {}", text(&run.stderr));
    }
}

fn keystore(dir: &Path, arguments: &[&str], given: &str, password: &str) -> Output {
    let mut child = logboom()
        .arg("keystore")
        .args(arguments)
        .arg(format!("--path.settings={}", dir.display()))
        .env("LOGSTASH_KEYSTORE_PASS", password)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn secrets_come_from_the_keystore_a_folder_and_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    for password in ["", "hunter2"] {
        let ok = |arguments: &[&str], given: &str| {
            let output = keystore(dir.path(), arguments, given, password);
            assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
            text(&output.stdout)
        };
        ok(&["create", "--force"], "");
        ok(&["add", "ONE", "gone", "--stdin"], "first s3cret\nx\n");
        ok(&["remove", "gone"], "");
        assert_eq!(ok(&["list"], ""), "one\n");
        let again = keystore(dir.path(), &["create"], "", password);
        assert!(!again.status.success() && text(&again.stderr).contains("--force"), "{}", text(&again.stderr));
        let secrets = dir.path().join("secrets");
        std::fs::create_dir_all(&secrets).unwrap();
        std::fs::write(secrets.join("TWO"), "second\n").unwrap();
        let pipeline = "input { generator { count => 1 } } filter { mutate { replace => { message => '${ONE}|${TWO}|${THREE}|${FOUR:none}' } } }
                        output { stdout { codec => json_lines } }";
        let here = dir.path().display().to_string();
        let env =
            [("HERE", here.as_str()), ("THREE", "third"), ("ONE", "shadowed"), ("LOGBOOM_KEYSTORE_PASS", password)];
        // A path in the settings file may not name a variable before secrets are open.
        write(dir.path(), "logboom.yml", &format!("path.secrets: {here}/secrets\n"));
        let run = run(dir.path(), &["-e", pipeline], &env);
        let out = text(&run.stdout);
        assert!(out.contains("\"first s3cret|second|third|none\""), "{out} {}", text(&run.stderr));
    }
    let wrong = run(
        dir.path(),
        &["-e", "input { generator { count => 1 } } output { null { } }"],
        &[("LOGSTASH_KEYSTORE_PASS", "x")],
    );
    assert!(
        !wrong.status.success() && text(&wrong.stderr).contains("the password is wrong"),
        "{}",
        text(&wrong.stderr)
    );
}
