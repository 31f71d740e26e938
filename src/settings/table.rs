//! The table of all settings: one line feeds parsing, messages and the printed reference.
//!
//! Longer than other files, since there are many settings and one table is easier to read than two.

use std::time::Duration;

/// What a setting takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// `true` or `false`.
    Boolean,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// `64mb`, `1gb`, or bytes.
    Bytes,
    /// `10s`, `50ms`; the duration is what one of a bare number is worth.
    Time(Duration),
    /// `90d`, or `never`.
    Age,
    /// Any text.
    Text,
    /// A file or folder.
    Path,
    /// One or several paths or patterns of paths.
    Paths,
    /// One of these words.
    Words(&'static [&'static str]),
    /// Texts: a YAML list, or one text with commas.
    List,
    /// Endpoints: an URL or an object with `url` and more, or a list of these. Kept as texts: URLs, and
    /// objects in JSON.
    Endpoints,
    /// A port, or a range of which the first free one is taken: `9600-9700`.
    Ports,
}

/// What becomes of a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It is used.
    Used,
    /// It has no effect here, and something may behave otherwise than expected: said at start,
    /// where it is set to anything but its default.
    Differs(&'static str),
}

/// One setting.
#[derive(Debug)]
pub struct Def {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub ty: Type,
    /// Its default as one would write it; empty where there is none or it is computed.
    pub default: &'static str,
    /// What becomes of it.
    pub effect: Effect,
    /// Whether `pipelines.yml` may set it for one pipeline.
    pub pipeline: bool,
    /// One sentence or two for the reference, the reason of the default included.
    pub doc: &'static str,
}

const MILLIS: Type = Type::Time(Duration::from_millis(1));
const NANOS: Type = Type::Time(Duration::from_nanos(1));
const ANY: Type = Type::Number(0, u64::MAX);

const fn used(name: &'static str, ty: Type, default: &'static str, doc: &'static str) -> Def {
    Def { name, ty, default, effect: Effect::Used, pipeline: false, doc }
}

const fn each(name: &'static str, ty: Type, default: &'static str, doc: &'static str) -> Def {
    Def { pipeline: true, ..used(name, ty, default, doc) }
}

const fn differs(name: &'static str, ty: Type, default: &'static str, why: &'static str) -> Def {
    Def { effect: Effect::Differs(why), ..used(name, ty, default, why) }
}

const fn of_pipeline(def: Def) -> Def {
    Def { pipeline: true, ..def }
}

const TRUE_FALSE_AUTO: Type = Type::Words(&["auto", "true", "false"]);
const REQUIRED: Type = Type::Words(&["REQUIRED", "OPTIONAL"]);
const NO_TLS: &str = "The management API speaks no TLS yet.";
const NO_DISK_QUEUE: &str = "There is no disk queue yet.";
const NO_DEAD_LETTERS: &str =
    "There is no dead letter queue yet: events that can't be processed are logged and dropped.";
const NO_SLOWLOG: &str = "There is no slow log yet.";

/// Every setting, in alphabetical order.
pub static SETTINGS: &[Def] = &[
    used(
        "alertmanager.urls",
        Type::Endpoints,
        "",
        "Alertmanagers that alerts are sent to: an URL each, or an object with `url` and, as in `prometheus.yml`, `path_prefix`, `basic_auth`, `authorization`, `tls_config`, `headers`, `timeout`, `alert_relabel_configs`.",
    ),
    used(
        "alertmanager.webhooks",
        Type::Endpoints,
        "",
        "Receivers for those without an Alertmanager: they get the JSON that it posts to webhooks, when an alert begins and ends. An URL each, or an object as in `alertmanager.urls`.",
    ),
    differs("allow_superuser", Type::Boolean, "false", "The process may run as any user."),
    used(
        "api.allow_unauthenticated",
        Type::Boolean,
        "false",
        "Whether the management API may listen beyond this machine although it asks for no password.",
    ),
    used(
        "api.auth.basic.password",
        Type::Text,
        "",
        "The password that the management API asks for, with `api.auth.type: basic`; better `${NAME}` than the word itself.",
    ),
    used("api.auth.basic.password_policy.include.digit", REQUIRED, "REQUIRED", "Whether the password needs a digit."),
    used(
        "api.auth.basic.password_policy.include.lower",
        REQUIRED,
        "REQUIRED",
        "Whether the password needs a lower case letter.",
    ),
    used("api.auth.basic.password_policy.include.symbol", REQUIRED, "OPTIONAL", "Whether the password needs a symbol."),
    used(
        "api.auth.basic.password_policy.include.upper",
        REQUIRED,
        "REQUIRED",
        "Whether the password needs a upper case letter.",
    ),
    used("api.auth.basic.password_policy.length.minimum", ANY, "8", "How long the password is at least."),
    used(
        "api.auth.basic.password_policy.mode",
        Type::Words(&["WARN", "ERROR"]),
        "WARN",
        "Whether a weak password is warned of or refused.",
    ),
    used("api.auth.basic.username", Type::Text, "", "The user that goes with it."),
    used(
        "api.auth.type",
        Type::Words(&["none", "basic"]),
        "none",
        "Whether the management API asks for a user and a password.",
    ),
    used("api.enabled", Type::Boolean, "true", "Whether the management API (metrics, statistics, health) listens."),
    differs("api.environment", Type::Text, "production", "Answers name no environment."),
    used("api.http.host", Type::Text, "127.0.0.1", "The address of the management API."),
    used("api.http.port", Type::Ports, "9600-9700", "Its port; of a range, the first free one."),
    differs("api.ssl.enabled", Type::Boolean, "false", NO_TLS),
    differs("api.ssl.keystore.password", Type::Text, "", NO_TLS),
    differs("api.ssl.keystore.path", Type::Path, "", NO_TLS),
    differs("api.ssl.supported_protocols", Type::List, "", NO_TLS),
    each("config.debug", Type::Boolean, "false", "Whether the compiled pipeline is logged, at level debug."),
    differs(
        "config.field_reference.escape_style",
        Type::Words(&["none", "percent", "ampersand"]),
        "none",
        "Field references know no escapes.",
    ),
    used(
        "config.reload.automatic",
        Type::Boolean,
        "false",
        "Whether changed pipelines are taken while they run. SIGHUP does the same once. `pipelines.yml` and the pipelines' files are read again, this file is not.",
    ),
    used("config.reload.interval", NANOS, "3s", "How often it is looked whether they have changed."),
    each("config.string", Type::Text, "", "The pipeline itself, as text."),
    each(
        "config.support_escapes",
        Type::Boolean,
        "false",
        "Whether `\\n`, `\\t`, `\\\"` and so on in texts are read as escapes.",
    ),
    used(
        "config.test_and_exit",
        Type::Boolean,
        "false",
        "Check the configuration, say what is wrong with it, and end.",
    ),
    of_pipeline(differs("dead_letter_queue.enable", Type::Boolean, "false", NO_DEAD_LETTERS)),
    of_pipeline(differs("dead_letter_queue.flush_check_interval", ANY, "1000", NO_DEAD_LETTERS)),
    of_pipeline(differs("dead_letter_queue.flush_interval", ANY, "5000", NO_DEAD_LETTERS)),
    of_pipeline(differs("dead_letter_queue.max_bytes", Type::Bytes, "1024mb", NO_DEAD_LETTERS)),
    of_pipeline(differs("dead_letter_queue.retain.age", Type::Text, "", NO_DEAD_LETTERS)),
    of_pipeline(differs(
        "dead_letter_queue.storage_policy",
        Type::Words(&["drop_newer", "drop_older"]),
        "drop_newer",
        NO_DEAD_LETTERS,
    )),
    used(
        "derive.defaults",
        Type::Boolean,
        "true",
        "Whether the metrics of `config/derive.conf` are derived from the events of every pipeline: events by service and level, the share of errors, and a histogram of `duration`.",
    ),
    differs("enable-local-plugin-development", Type::Boolean, "false", "Plugins are built in."),
    used(
        "index.epoch.bytes",
        Type::Bytes,
        "64mb",
        "How many bytes of events wait at the most before they are made durable: enough for segments that need few merges.",
    ),
    used(
        "index.epoch.interval",
        MILLIS,
        "10s",
        "How long events wait at the most before they are made durable. Until then their source is not acknowledged, so nothing is lost.",
    ),
    used(
        "index.pending.bytes",
        Type::Bytes,
        "256mb",
        "How many bytes of events may wait in all; at that point inputs are held back.",
    ),
    used(
        "index.retention.clock",
        Type::Words(&["arrival", "event"]),
        "arrival",
        "What the age of a partition counts from: `arrival`, the later of its day and its last write; `event`, its day.",
    ),
    used("index.retention.debug", Type::Age, "7d", "How long events of level DEBUG and below stay."),
    used("index.retention.error", Type::Age, "90d", "How long events of level ERROR and above stay."),
    used("index.retention.info", Type::Age, "14d", "How long events of level INFO stay."),
    used("index.retention.warn", Type::Age, "30d", "How long events of level WARN stay."),
    used(
        "index.text_fields",
        Type::List,
        "",
        "Fields that get a full text index besides `message`, `event.original` and `error.*`.",
    ),
    differs("interactive", Type::Text, "", "There is no interactive shell."),
    differs("keystore.classname", Type::Text, "", "There is one kind of keystore."),
    used(
        "keystore.file",
        Type::Path,
        "",
        "The keystore (`logboom keystore`), from which `${NAME}` is taken first; `logboom.keystore` in `path.settings` where not set.",
    ),
    used("log.format", Type::Words(&["plain", "json"]), "plain", "How this process writes its own log."),
    differs(
        "log.format.json.fix_duplicate_message_fields",
        Type::Boolean,
        "true",
        "The log's own JSON names no field twice.",
    ),
    used(
        "log.level",
        Type::Words(&["fatal", "error", "warn", "info", "debug", "trace"]),
        "info",
        "How much this process says of itself, on standard error.",
    ),
    of_pipeline(differs("metric.collect", Type::Boolean, "true", "Counting costs nothing per event and is always on.")),
    differs(
        "monitoring.cluster_uuid",
        Type::Text,
        "",
        "Nothing is sent to a monitoring cluster: scrape `/metrics` instead.",
    ),
    used("node.name", Type::Text, "", "The name of this node in the management API; the host's where not set."),
    used("otel.exporter.otlp.certificate", Type::Path, "", "The authority that signed the collector's certificate."),
    used("otel.exporter.otlp.client.certificate", Type::Path, "", "The certificate to show to the collector."),
    used("otel.exporter.otlp.client.key", Type::Path, "", "Its key."),
    used(
        "otel.exporter.otlp.endpoint",
        Type::Text,
        "http://localhost:4318",
        "The OpenTelemetry collector; `/v1/metrics` is added where the URL has no path.",
    ),
    used(
        "otel.exporter.otlp.headers",
        Type::Text,
        "",
        "Headers for the collector, `name=value` each, with commas between.",
    ),
    used(
        "otel.exporter.otlp.protocol",
        Type::Words(&["grpc", "http"]),
        "http",
        "How metrics travel: only protocol buffers by HTTP here, also where Logstash would use gRPC.",
    ),
    used("otel.metric.export.interval", NANOS, "10s", "How often metrics are pushed to the collector."),
    used(
        "otel.metrics.enabled",
        Type::Boolean,
        "false",
        "Whether all metrics are pushed to an OpenTelemetry collector.",
    ),
    used(
        "otel.resource.attributes",
        Type::Text,
        "",
        "Attributes of this process for the collector, `name=value` each, with commas between.",
    ),
    used("otel.service.name", Type::Text, "logboom", "The name of this service for the collector."),
    each(
        "path.config",
        Type::Paths,
        "",
        "The pipeline's files: a file, a folder (all of its files, sorted) or a pattern.",
    ),
    used(
        "path.data",
        Type::Path,
        "",
        "Where the index and the positions of inputs are kept: `$XDG_DATA_HOME/logboom` where not set, else `~/.local/share/logboom`.",
    ),
    of_pipeline(differs("path.dead_letter_queue", Type::Path, "", NO_DEAD_LETTERS)),
    differs("path.logs", Type::Path, "", "The log goes to standard error; let the service manager keep it."),
    differs("path.plugins", Type::List, "", "Plugins are built in; Ruby and Java ones can't be loaded."),
    of_pipeline(differs("path.queue", Type::Path, "", NO_DISK_QUEUE)),
    used(
        "path.secrets",
        Type::Path,
        "",
        "A folder with a file for each secret, from which `${NAME}` is taken after the keystore and before the environment. What systemd's `LoadCredential=` gives is taken too.",
    ),
    used(
        "path.settings",
        Type::Path,
        "",
        "The folder that holds `logboom.yml` (else `logstash.yml`) and `pipelines.yml`.",
    ),
    each(
        "pipeline.batch.delay",
        MILLIS,
        "50",
        "How long an input waits at the most for a batch to fill, in milliseconds.",
    ),
    of_pipeline(differs(
        "pipeline.batch.metrics.sampling_mode",
        Type::Words(&["disabled", "minimal", "full"]),
        "minimal",
        "Batches are not sampled: every one is counted.",
    )),
    of_pipeline(differs(
        "pipeline.batch.output_chunking.growth_threshold_factor",
        Type::Number(1, u64::MAX),
        "1000",
        "A batch goes to outputs whole.",
    )),
    each(
        "pipeline.batch.size",
        Type::Number(1, 1_000_000),
        "1000",
        "Events in a batch at the most. More than Logstash's 125, since a batch here costs one hand-over and no objects: at 1000 the hand-over vanishes beside the work, and a batch of common lines still fits in a core's cache.",
    ),
    differs("pipeline.buffer.type", Type::Words(&["direct", "heap"]), "heap", "There is no Java heap."),
    each(
        "pipeline.ecs_compatibility",
        Type::Words(&["disabled", "v1", "v8"]),
        "v8",
        "Which names plugins give to fields of their own: those of the Elastic Common Schema, or the older ones.",
    ),
    each(
        "pipeline.id",
        Type::Text,
        "main",
        "The pipeline's name in metrics and logs; what was read is remembered under it.",
    ),
    each(
        "pipeline.ordered",
        TRUE_FALSE_AUTO,
        "auto",
        "Whether events keep their order: `auto`, with one worker; `true`, by having only one.",
    ),
    of_pipeline(differs("pipeline.plugin_classloaders", Type::Boolean, "false", "There is no Java machine.")),
    of_pipeline(differs(
        "pipeline.recoverable",
        TRUE_FALSE_AUTO,
        "false",
        "A pipeline does not crash as a whole: an input that fails is started again.",
    )),
    each("pipeline.reloadable", Type::Boolean, "true", "Whether the pipeline may be changed while it runs."),
    of_pipeline(differs("pipeline.separate_logs", Type::Boolean, "false", "All pipelines write one log.")),
    of_pipeline(differs("pipeline.system", Type::Boolean, "false", "All pipelines are users' own.")),
    of_pipeline(differs(
        "pipeline.unsafe_shutdown",
        Type::Boolean,
        "false",
        "What was read is delivered before the process ends; a second signal ends it at once, and inputs that can read it again.",
    )),
    each(
        "pipeline.workers",
        Type::Number(1, 1024),
        "",
        "Threads that decode and filter; as many as cores where not set.",
    ),
    used(
        "pushgateway.interval",
        Type::Time(Duration::from_secs(1)),
        "15s",
        "How often metrics are pushed to Pushgateways.",
    ),
    used("pushgateway.job", Type::Text, "logboom", "The job under which metrics are pushed to Pushgateways."),
    used(
        "pushgateway.urls",
        Type::Endpoints,
        "",
        "Pushgateways that all metrics are pushed to: an URL each, or an object as in `remote_write.urls`.",
    ),
    of_pipeline(differs("queue.checkpoint.acks", ANY, "1024", NO_DISK_QUEUE)),
    of_pipeline(differs("queue.checkpoint.interval", ANY, "1000", NO_DISK_QUEUE)),
    of_pipeline(differs("queue.checkpoint.retry", Type::Boolean, "true", NO_DISK_QUEUE)),
    of_pipeline(differs("queue.checkpoint.writes", ANY, "1024", NO_DISK_QUEUE)),
    of_pipeline(differs(
        "queue.compression",
        Type::Words(&["none", "speed", "balanced", "size", "disabled"]),
        "none",
        NO_DISK_QUEUE,
    )),
    of_pipeline(differs("queue.drain", Type::Boolean, "false", NO_DISK_QUEUE)),
    of_pipeline(differs("queue.max_bytes", Type::Bytes, "1024mb", NO_DISK_QUEUE)),
    of_pipeline(differs("queue.max_events", ANY, "0", NO_DISK_QUEUE)),
    of_pipeline(differs("queue.page_capacity", Type::Bytes, "64mb", NO_DISK_QUEUE)),
    each(
        "queue.type",
        Type::Words(&["memory", "persisted"]),
        "memory",
        "Where events wait between inputs and workers; `persisted` is not there yet.",
    ),
    used(
        "remote_write.external_labels",
        Type::List,
        "",
        "Labels for every series that is sent away, `name=value` each, where it has none of the name.",
    ),
    used(
        "remote_write.urls",
        Type::Endpoints,
        "",
        "Where the samples of all series are sent by Prometheus' remote write: an URL each, or an object with `url` and, as in `prometheus.yml`, `protobuf_message` (or `protocol_version: 2.0`), `basic_auth`, `authorization`, `tls_config`, `headers`, `remote_timeout`, `write_relabel_configs`, `queue_config` (`max_shards`, `max_samples_per_send`, `max_bytes` on disk), `metadata_config`, `send_exemplars`, `send_native_histograms`.",
    ),
    used(
        "rules.evaluation_interval",
        Type::Time(Duration::from_secs(1)),
        "15s",
        "How often groups of rules are evaluated that don't say so themselves; 1s at the least.",
    ),
    used(
        "rules.external_labels",
        Type::List,
        "",
        "Labels for every alert that is sent away, `name=value` each, where it has none of the name.",
    ),
    used(
        "rules.external_url",
        Type::Text,
        "",
        "Where users reach the management API: links in alerts begin so; the address that it listens on where not set.",
    ),
    used(
        "rules.files",
        Type::Paths,
        "",
        "Rule files of Prometheus' format, and files of objectives (`slis:`, `slos:`): paths or patterns of paths. Read again on SIGHUP and with `config.reload.automatic`, this setting included.",
    ),
    used(
        "rules.kibana_url",
        Type::Text,
        "",
        "Kibana's address: the links of alerts to the documents behind them (annotation `logs_url`) open its page Discover.",
    ),
    used(
        "rules.query_offset",
        Type::Time(Duration::from_secs(1)),
        "0s",
        "How far into the past rules look whose group does not say so itself.",
    ),
    used(
        "rules.resend_delay",
        Type::Time(Duration::from_secs(1)),
        "1m",
        "How often receivers hear again of an alert that goes on firing.",
    ),
    used(
        "rules.search_url",
        Type::Text,
        "",
        "Where users reach the search API, for the links of alerts to the documents behind them where `rules.kibana_url` is not set; the address that it listens on where this is not set either.",
    ),
    used(
        "search.allow_unauthenticated",
        Type::Boolean,
        "false",
        "Whether the search API may listen beyond this machine although it asks for no password.",
    ),
    used(
        "search.http.host",
        Type::Text,
        "127.0.0.1",
        "The address of the search API, which listens only where something uses the index.",
    ),
    used("search.http.port", Type::Ports, "9200", "Its port; of a range, the first free one."),
    used(
        "series.enabled",
        Type::Boolean,
        "true",
        "Whether all metrics are sampled and kept for some hours, for rules, the Prometheus API and remote write.",
    ),
    used(
        "series.interval",
        Type::Time(Duration::from_secs(1)),
        "15s",
        "How often metrics are sampled where no rule wants it more often; 1s at the least.",
    ),
    used(
        "series.max",
        Type::Number(1_000, 100_000_000),
        "500000",
        "How many series are kept; what comes beyond is refused and counted.",
    ),
    used(
        "series.recorded.retention",
        Type::Age,
        "35d",
        "How long results of recording rules and what SLOs count stay.",
    ),
    used("series.retention", Type::Age, "2h", "How long the samples of all other series stay."),
    differs("slowlog.threshold.debug", Type::Text, "-1", NO_SLOWLOG),
    differs("slowlog.threshold.info", Type::Text, "-1", NO_SLOWLOG),
    differs("slowlog.threshold.trace", Type::Text, "-1", NO_SLOWLOG),
    differs("slowlog.threshold.warn", Type::Text, "-1", NO_SLOWLOG),
    differs("ssl.reload.automatic", Type::Boolean, "false", "Nothing here reads TLS files yet."),
];

/// Settings of Logstash's extensions and of its cloud: accepted, with a warning.
pub const FOREIGN_PREFIXES: &[&str] = &["xpack.", "modules", "cloud.", "monitoring.", "var."];

/// Whether the value of a setting may be shown to whoever asks.
pub fn is_public(name: &str) -> bool {
    !["password", "secret", "token", "headers"].iter().any(|word| name.contains(word))
        && name != "config.string"
        && find(name).is_none_or(|def| def.ty != Type::Endpoints)
}

/// A setting by name.
pub fn find(name: &str) -> Option<&'static Def> {
    SETTINGS.binary_search_by(|def| def.name.cmp(name)).ok().map(|at| &SETTINGS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_sorted_and_documented() {
        assert!(SETTINGS.is_sorted_by(|a, b| a.name < b.name), "not sorted");
        for def in SETTINGS {
            assert!(def.doc.ends_with('.'), "{}: no sentence", def.name);
            assert!(find(def.name).is_some(), "{}", def.name);
        }
    }
}
