//! Random expressions of PromQL over the series of `differential.rs`: a grammar as a table, grown
//! from a seed.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// What expressions are made of: `«name»` is replaced by one of the texts of that name. The first
/// one leads to an end: it is taken where an expression has become deep.
const GRAMMAR: &[(&str, &[&str])] = &[
    // Labels and their values.
    ("job", &["a", "b", "c"]),
    ("label", &["job", "instance", "status", "kind", "le", "zone", "none"]),
    ("labels", &["job", "instance", "job, instance", "status", "job, status", "", "none", "kind"]),
    ("kind", &["nan", "inf", "constant", "zero", "huge", "tiny", "whole", "jumps", "negative"]),
    ("grouping", &[" by («labels») ", " without («labels») ", " by («labels») ", ""]),
    // Times.
    // Of NaN, infinities and times beyond 64 bits the reference makes what its machine makes of them.
    ("moment", &["load * 1e8", "«counter» * 1e6", "{\"room.temp\"} * -1e9", "«counter» * 3e5", "load", "vector(1e11)"]),
    ("range", &["1m", "5m", "15s", "30s", "45s", "1m15s", "2m", "7m30s", "10m", "20m", "37s", "300", "61s"]),
    ("days", &["2", "0.5", "10", "0", "-1", "100", "36500"]),
    ("step", &["30s", "15s", "1m", "17s", "45s", "2m", ""]),
    ("duration", &["1m", "15s", "5m", "-30s", "-2m", "7s", "12m", "0s", "60"]),
    ("at", &["@ «time»", "@ start()", "@ end()"]),
    ("shift", &["", "", "", "", " offset «duration»", " «at»", " «at» offset «duration»", " offset «duration» «at»"]),
    // Instant selectors, of numbers.
    (
        "counter",
        &[
            "hits_total",
            "hits_total{job=\"«job»\"}",
            "hits_total{status=~\"2..|404\"}",
            "hits_total{job!=\"«job»\", status!~\"4.*\"}",
            "{__name__=\"hits_total\", instance=\"i1\"}",
            "{\"hits_total\", status=\"500\"}",
            "hits_total{none=\"\"}",
            "hits_total{job=~\"a|b\", instance!~\"\", status!=\"\"}",
            "took_seconds_count",
            "took_seconds_bucket{le=\"0.5\"}",
            "hits_total{job='nobody'}",
        ],
    ),
    (
        "gauge",
        &[
            "load",
            "load{job=\"«job»\"}",
            "load{instance=~\".+2\"}",
            "odd",
            "odd{kind=\"«kind»\"}",
            "odd{kind!~\"nan|inf\"}",
            "{\"room.temp\"}",
            "{\"room.temp\", \"room.nr\"=\"1\"}",
            "slow",
        ],
    ),
    ("float", &["«counter»«shift»", "«gauge»«shift»", "mixed«shift»"]),
    // Range vectors, of numbers.
    (
        "floats",
        &[
            "«counter»[«range»]«shift»",
            "«gauge»[«range»]«shift»",
            "«gauge»[«range»]«shift»",
            "mixed[«range»]«shift»",
            "«float»[«range»:«step»]«shift»",
            "rate(«counter»[«range»])[«range»:«step»]«shift»",
            "(«vector»)[5m:«step»]«shift»",
        ],
    ),
    // Histograms.
    ("native", &["spans_seconds", "spans_seconds{job=\"«job»\"}", "sizes_bytes", "sizes_bytes{job=\"a\"}", "levels"]),
    ("histogram", &["«native»«shift»", "rate(«native»[«range»]«shift»)", "«histogram_deep»", "mixed«shift»"]),
    (
        "histogram_deep",
        &[
            "sum(rate(«native»[«range»]))",
            "sum by (job) («native»«shift»)",
            "avg(«native»«shift»)",
            "«histogram» * 2.5",
            "-«native»",
            "«histogram» / 3",
            "«native» + «native»",
            "«native» - «native» offset 1m",
            "increase(«native»[«range»])",
            "irate(«native»[«range»])",
            "delta(levels[«range»])",
            "idelta(levels[«range»])",
            "avg_over_time(«native»[«range»]«shift»)",
            "sum_over_time(«native»[«range»]«shift»)",
            "last_over_time(«native»[«range»]«shift»)",
            "first_over_time(«native»[«range»]«shift»)",
            "avg_over_time(rate(«native»[«range»])[«range»:«step»])",
            "«native» </ 2",
            "«native» >/ 0.3",
            "«native» == «native»",
            "«native» != «native» offset 2m",
            "«native» unless on (job) load > 3",
            "last_over_time(«native»[5m:«step»])",
            "nothing or «native»",
        ],
    ),
    (
        "of_histogram",
        &[
            "histogram_quantile(«quantile», «histogram»)",
            "histogram_count(«histogram»)",
            "histogram_sum(«histogram»)",
            "histogram_avg(«histogram»)",
            "histogram_stddev(«histogram»)",
            "histogram_stdvar(«histogram»)",
            "histogram_fraction(«bound», «bound», «histogram»)",
            "histogram_quantile(«scalar», «histogram»)",
            "histogram_quantiles(«histogram», \"q\", 0.1, 0.5, «quantile»)",
            "count_over_time(«native»[«range»]«shift»)",
            "present_over_time(«native»[«range»]«shift»)",
            "resets(«native»[«range»]«shift»)",
            "changes(«native»[«range»]«shift»)",
            "timestamp(«native»«shift»)",
            "count(«histogram»)",
            "group by (job) («histogram»)",
            "absent(«native»)",
            "sum(«histogram»)",
            "count_values(\"v\", «native»)",
        ],
    ),
    ("buckets", &["took_seconds_bucket«shift»", "rate(took_seconds_bucket[«range»]«shift»)", "quirks_bucket«shift»"]),
    (
        "of_classic",
        &[
            "histogram_quantile(«quantile», «buckets»)",
            "histogram_quantile(«quantile», sum by (le) («buckets»))",
            "histogram_quantile(«quantile», sum by (job, le) (rate(took_seconds_bucket[«range»])))",
            "histogram_fraction(«bound», «bound», «buckets»)",
            "histogram_quantile(«quantile», {__name__=~\"took_seconds_bucket|spans_seconds\"})",
            "histogram_quantiles(«buckets», \"q\", 0.5, «quantile»)",
            "histogram_avg(«buckets»)",
            "rate(took_seconds_sum[«range»]) / rate(took_seconds_count[«range»])",
            "histogram_quantile(0.5, «buckets» and took_seconds_bucket{le!=\"0.5\"})",
        ],
    ),
    ("quantile", &["0.5", "0.9", "0.99", "0", "1", "-1", "1.5", "NaN", "0.25", "1e-3"]),
    ("bound", &["0.5", "0", "1", "2.5", "-Inf", "+Inf", "-0.3", "0.05", "40", "NaN", "1e3"]),
    // Numbers.
    ("number", &["2", "0.5", "10", "0", "-1", "1e3", "Inf", "NaN", "0x1F", "1_000", "5m", "3.7", "100"]),
    (
        "scalar",
        &[
            "«number»",
            "scalar(load{job=\"a\", instance=\"i1\"})",
            "time()",
            "pi()",
            "scalar(«float»)",
            "(«scalar» + «scalar»)",
            "-«scalar»",
            "«scalar» «arithmetic» «scalar»",
            "(«scalar» «comparison» bool «scalar»)",
            "scalar(sum(«float»))",
            "max_of(«scalar», «scalar»)",
            "min_of(«number», time())",
        ],
    ),
    ("arithmetic", &["+", "-", "*", "/", "%", "^", "atan2"]),
    ("comparison", &["==", "!=", ">", "<", ">=", "<="]),
    // Functions of range vectors.
    (
        "rate",
        &[
            "rate(«floats»)",
            "increase(«floats»)",
            "irate(«floats»)",
            "rate(«counter»[«range»]«shift»)",
            "increase(«counter»[«range»]«shift»)",
        ],
    ),
    (
        "trend",
        &[
            "delta(«floats»)",
            "idelta(«floats»)",
            "deriv(«floats»)",
            "predict_linear(«floats», «ahead»)",
            "double_exponential_smoothing(«floats», 0.«digit», 0.«digit»)",
            "resets(«counter»[«range»]«shift»)",
            "changes(«gauge»[«range»]«shift»)",
            "resets(«gauge»[«range»]«shift»)",
            "changes(odd{kind=\"whole\"}[«range»:«step»]«shift»)",
        ],
    ),
    ("digit", &["1", "3", "5", "75", "99"]),
    ("ahead", &["60", "3600", "-120", "0.5", "1h", "scalar(load{job=\"b\", instance=\"i1\"})"]),
    (
        "over_time",
        &[
            "avg_over_time(«floats»)",
            "sum_over_time(«floats»)",
            "min_over_time(«floats»)",
            "max_over_time(«floats»)",
            "count_over_time(«floats»)",
            "last_over_time(«floats»)",
            "first_over_time(«floats»)",
            "present_over_time(«floats»)",
            "stddev_over_time(«floats»)",
            "stdvar_over_time(«floats»)",
            "mad_over_time(«floats»)",
            "quantile_over_time(«quantile», «floats»)",
            "absent_over_time(«floats»)",
            "ts_of_first_over_time(«floats»)",
            "ts_of_last_over_time(«floats»)",
            "ts_of_max_over_time(«floats»)",
            "ts_of_min_over_time(«floats»)",
        ],
    ),
    // Functions of instant vectors.
    (
        "function",
        &[
            "abs(«vector»)",
            "ceil(«vector»)",
            "floor(«vector»)",
            "round(«float»)",
            "round(«float», «number»)",
            "exp(«float» / 100)",
            "ln(«vector»)",
            "log2(«vector»)",
            "log10(«vector»)",
            "sqrt(«vector»)",
            "sgn(«vector»)",
            "clamp(«vector», «number», «number»)",
            "clamp_min(«vector», «scalar»)",
            "clamp_max(«vector», «number»)",
            "sin(«float»)",
            "cos(«float»)",
            "tan(«float»)",
            "asin(«float» / 10)",
            "acos(«float» / 10)",
            "atan(«float»)",
            "sinh(«float» / 100)",
            "cosh(«float» / 100)",
            "tanh(«float»)",
            "asinh(«float»)",
            "acosh(«float»)",
            "atanh(«float» / 10)",
            "deg(«float»)",
            "rad(«float»)",
            "-«vector»",
            "+«float»",
        ],
    ),
    (
        "time_function",
        &[
            "timestamp(«float»)",
            "timestamp(«vector»)",
            "vector(time())",
            "hour()",
            "minute(timestamp(«float»))",
            "minute(«moment»)",
            "day_of_year(«moment»)",
            "days_in_month(«moment»)",
            "year(«moment»)",
            "day_of_week(«moment»)",
            "day_of_week(vector(«time»))",
            "day_of_month(«moment»)",
            "day_of_year(vector(time() + «days» * 86400))",
            "days_in_month(vector(time() - 86400 * «days»))",
            "month(«moment»)",
            "year(vector(-«time»))",
            "hour(«moment»)",
            "timestamp(timestamp(«float»))",
            "time() - timestamp(«float»)",
        ],
    ),
    (
        "label_function",
        &[
            "label_replace(«float», \"new\", \"$1-x\", \"job\", \"(.*)\")",
            "label_replace(«float», \"job\", \"\", \"job\", \"a\")",
            "label_replace(«vector», \"zone\", \"${word}!$2\", \"instance\", \"(?P<word>[a-z]+)(.*)\")",
            "label_replace(load, \"__name__\", \"renamed_$1\", \"job\", \"(.+)\")",
            "label_replace(«float», \"status\", \"$1\", \"status\", \"(.).*\")",
            "label_join(«float», \"joined\", \"-\", \"job\", \"instance\", \"none\")",
            "label_join(«vector», \"job\", \"\", \"status\")",
            "label_join(load, \"x\", \",\")",
            "sum by (new) (label_replace(«float», \"new\", \"$0\", \"status\", \"[24].*\"))",
        ],
    ),
    // Aggregations.
    (
        "aggregation",
        &[
            "sum«grouping»(«float»)",
            "avg«grouping»(«vector»)",
            "min«grouping»(«vector»)",
            "max«grouping»(«vector»)",
            "count«grouping»(«vector»)",
            "group«grouping»(«vector»)",
            "stddev«grouping»(«vector»)",
            "stdvar«grouping»(«float»)",
            "quantile«grouping»(«quantile», «vector»)",
            "sum«grouping»(«rate»)",
            "avg«grouping»(«over_time»)",
            "max(«float») by («labels»)",
        ],
    ),
    (
        "counted",
        &[
            "count_values(\"value\", odd{kind=~\"whole|constant|zero|inf|nan\"}«shift»)",
            "count_values by (job) (\"job\", hits_total«shift»)",
            "count_values without (status) (\"v\", hits_total)",
            "count_values(\"le\", took_seconds_bucket)",
            "group by («labels») («float»)",
            "quantile by («labels») («scalar», «float»)",
        ],
    ),
    // Where elements tie, the reference picks any of them: only of values that differ.
    (
        "ordered",
        &[
            "sort(load«shift»)",
            "sort_desc(load«shift»)",
            "topk(«few», load«shift»)",
            "bottomk(«few», load«shift»)",
            "topk by (job) («few», load«shift»)",
            "bottomk without (instance) («few», avg_over_time(load[«range»]))",
            "sort(avg_over_time(load[5m]))",
            "sum(topk(«few», load))",
            "topk(scalar(count(load)) - 3, load)",
            "sort_by_label(«float», \"job\", \"status\", \"instance\", \"kind\")",
            "sort_by_label_desc(«float», \"status\")",
        ],
    ),
    ("few", &["1", "2", "3", "0", "-1", "100", "2.7"]),
    // Operators.
    (
        "binary",
        &[
            "«float» «arithmetic» «number»",
            "«number» «arithmetic» «float»",
            "«vector» «arithmetic» «scalar»",
            "«float» «comparison» «number»",
            "«scalar» «comparison» «float»",
            "«vector» «comparison» bool «scalar»",
            "load «arithmetic» load«shift»",
            "hits_total «arithmetic» hits_total«shift»",
            "load «comparison» load«shift»",
            "hits_total «comparison» bool hits_total«shift»",
            "rate(hits_total[«range»]) «arithmetic» increase(hits_total[«range»])",
            "sum by (job) («float») «arithmetic» on (job) avg by (job) («float»)",
            "sum by (job, status) (hits_total) «arithmetic» on (job, status) max by (job, status) (hits_total)",
            "sum«grouping»(hits_total) «comparison» count«grouping»(hits_total)",
            "load «arithmetic» ignoring (instance) load{instance=\"i1\"}",
            "sum(«float») «arithmetic» sum(«float»)",
            "odd «arithmetic» odd«shift»",
            "odd «comparison» odd«shift»",
            "mixed «arithmetic» 2",
            "2 «arithmetic» mixed",
            "mixed «comparison» 3",
            "«native» «arithmetic» 2",
            "2 «arithmetic» «native»",
            "«native» «arithmetic» on (job) load{instance=\"i1\"}",
            "(«vector») «arithmetic» («vector»)",
            "a_metric_without_series «arithmetic» load",
        ],
    ),
    (
        "matching",
        &[
            "hits_total «arithmetic» on (job, instance) group_left load",
            "hits_total «arithmetic» on (job, instance) group_left (zone) build_info",
            "hits_total «arithmetic» ignoring (status) group_left load«shift»",
            "load «arithmetic» on (job, instance) group_right hits_total",
            "build_info «arithmetic» on (job, instance) group_right (zone, version) rate(hits_total[«range»])",
            "hits_total «comparison» on (job, instance) group_left load",
            "hits_total «comparison» bool on (job, instance) group_left (version) (build_info * 40)",
            "load * on (job) group_left (zone) max by (job, zone) (build_info)",
            "hits_total / ignoring (status, instance) group_left sum by (job) (hits_total)",
            "hits_total «arithmetic» on (job) load",
            "hits_total «arithmetic» ignoring (status) load",
            "load «arithmetic» on (job) group_left hits_total",
            "load «comparison» on () sum(load)",
            "load «arithmetic» on () group_left sum(load)",
            "hits_total «arithmetic» on (status) group_left load",
            "load * on (job, instance) group_left (none) build_info",
            "rate(spans_seconds[«range»]) * on (job) group_left sum by (job) (build_info)",
        ],
    ),
    (
        "sets",
        &[
            "«float» and «float»",
            "«float» or «float»",
            "«float» unless «float»",
            "load and on (job) hits_total > 50",
            "hits_total unless on (job, instance) load > 5",
            "load or on (job) hits_total",
            "hits_total and ignoring (status) load",
            "sum by (job) (hits_total) or sum by (instance) (load)",
            "«vector» and «vector»",
            "«vector» or vector(«number»)",
            "«vector» unless «vector»",
            "«histogram» or «float»",
            "«float» and on () vector(1) == 1",
            "load or ignoring (instance) load offset 1m",
        ],
    ),
    (
        "absence",
        &[
            "absent(«float»)",
            "absent(hits_total{job=\"nobody\", status=~\"2..\", instance=\"x\"})",
            "absent(sum(«float»))",
            "absent(«float» > 100)",
            "absent_over_time(«floats»)",
            "absent_over_time(nothing{job=\"a\", job=\"b\", zone!=\"c\"}[«range»])",
            "absent_over_time(slow[«range»]«shift»)",
            "absent(«vector»)",
        ],
    ),
    // Anything, also within other things.
    (
        "vector",
        &[
            "«float»",
            "«rate»",
            "«over_time»",
            "«aggregation»",
            "«function»",
            "«trend»",
            "«binary»",
            "«sets»",
            "«matching»",
            "«of_histogram»",
            "«of_classic»",
            "«time_function»",
            "«label_function»",
            "vector(«scalar»)",
            "(«vector»)",
        ],
    ),
    (
        "subquery",
        &[
            "max_over_time(rate(«counter»[«range»])[«range»:«step»]«shift»)",
            "avg_over_time((«vector»)[«range»:«step»]«shift»)",
            "sum_over_time(sum«grouping»(«float»)[«range»:«step»]«shift»)",
            "min_over_time(max_over_time(load[«range»])[«range»:«step»])",
            "avg_over_time(avg_over_time(«float»[2m:30s])[5m:«step»]«shift»)",
            "last_over_time(time()[«range»:«step»]«shift»)",
            "rate(«counter»[«range»:«step»]«shift»)",
            "count_over_time((«float» > 10)[«range»:«step»]«shift»)",
            "absent_over_time((«float» > 100)[«range»:«step»]«shift»)",
            "quantile_over_time(«quantile», («vector»)[10m:«step»])",
            "deriv(«float»[«range»:«step»]«shift»)",
            "sum_over_time(timestamp(load)[2m:15s])",
        ],
    ),
    (
        "selector",
        &[
            "«float»",
            "«native»«shift»",
            "«counter»[«range»]«shift»",
            "«gauge»[«range»]«shift»",
            "«native»[«range»]«shift»",
            "«float»[5m:«step»]",
            "«scalar»",
            "\"a text\"",
            "{job=\"«job»\", __name__=~\"h.*|l.*\"}",
            "{__name__!~\"h.*\", job=\"a\", instance=\"i1\"}",
        ],
    ),
    // What must be an error.
    (
        "wrong",
        &[
            "«float» «arithmetic»",
            "sum(«counter»[5m])",
            "rate(«float»)",
            "load * on (job) load",
            "hits_total{job=\"a\"",
            "holt_winters(load[5m], 0.5, 0.5)",
            "double_exponential_smoothing(load[5m], 1.5, 0.5)",
            "«float» and 1",
            "1 «comparison» 2",
            "{}",
            "{job=~\".*\"}",
            "label_replace(load, \"a\", \"b\", \"c\", \"(\")",
            "label_replace(load, \"job\", \"x\", \"job\", \".*\")",
            "load{job=~\"[\"}",
            "load[5m][1m]",
            "load offset 1m offset 2m",
            "load @ 1 @ 2",
            "abs(load, load)",
            "abs()",
            "topk(\"a\", load)",
            "count_values(1, load)",
            "unknown_function(load)",
            "load bool 1",
            "load + bool load",
            "load group_left load",
            "hits_total and on (job) group_left load",
            "hits_total * on (job) group_left (job) load",
            "sum by (job (load)",
            "load[0s]",
            "load[5m:-1m]",
            "(load",
            "load)",
            "'\\q'",
            "1 +* 2",
            "load{job=a}",
            "-load[5m]",
            "count_values(\"\", load)",
            "label_join(load, \"\", \"-\", \"job\")",
            "quantile_over_time(load[5m], 0.5)",
            "topk(NaN, load)",
            "sum by (job) without (job) (load)",
            "load{job=\"a\"}{instance=\"i1\"}",
            "label_replace({__name__=~\"load|odd\", job=\"a\"}, \"instance\", \"\", \"\", \"\")",
            "rate({__name__=~\"hits_total|load\"}[5m])",
            "abs({__name__=~\"load|build_info\"})",
            "sum_over_time(load[5m:])) + 1",
            "timestamp(5)",
            "histogram_quantile(load, load)",
        ],
    ),
];

/// Where the first nodes come from, by turns.
const FAMILIES: [&str; 22] = [
    "selector",
    "rate",
    "over_time",
    "aggregation",
    "binary",
    "of_histogram",
    "histogram",
    "matching",
    "sets",
    "function",
    "trend",
    "subquery",
    "of_classic",
    "absence",
    "time_function",
    "label_function",
    "ordered",
    "counted",
    "vector",
    "histogram_deep",
    "wrong",
    "vector",
];

/// From this depth on the first alternative is taken.
const DEPTH_MAX: usize = 5;

/// Grows expressions.
pub struct Generator {
    rng: SmallRng,
    /// First and last time of the series, in seconds.
    times: (i64, i64),
    grown: usize,
}

impl Generator {
    /// Expressions of a seed about series in this time, in seconds.
    pub fn new(seed: u64, times: (i64, i64)) -> Generator {
        Generator { rng: SmallRng::seed_from_u64(seed), times, grown: 0 }
    }

    /// One more.
    pub fn expression(&mut self) -> String {
        let family = FAMILIES[self.grown % FAMILIES.len()];
        self.grown += 1;
        let mut out = String::new();
        self.grow(family, 0, &mut out);
        out
    }

    /// A time within that of the series, in milliseconds; mostly one at which there are samples.
    pub fn time_ms(&mut self) -> i64 {
        let (first, last) = self.times;
        let seconds = self.rng.random_range(first / 15..=last / 15) * 15;
        if self.rng.random_ratio(2, 3) { seconds * 1000 } else { seconds * 1000 + self.rng.random_range(-9_000..9_000) }
    }

    /// Start, end and step of a range, in milliseconds.
    pub fn range_ms(&mut self) -> (i64, i64, i64) {
        let step = *[15_000, 60_000, 37_000, 90_000, 5_500].choose(&mut self.rng).expect("there are some");
        let start = self.time_ms().min(self.times.1 * 1000 - 300_000);
        (start, start + step * self.rng.random_range(0..30), step)
    }

    fn grow(&mut self, name: &str, depth: usize, out: &mut String) {
        if name == "time" {
            let time = self.time_ms();
            out.push_str(&if time % 1000 == 0 {
                format!("{}", time / 1000)
            } else {
                format!("{:.3}", time as f64 / 1e3)
            });
            return;
        }
        let (_, all) = GRAMMAR.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no `{name}`"));
        let text = if depth > DEPTH_MAX { all[0] } else { all.choose(&mut self.rng).expect("there is one") };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('«') {
            let (name, after) = after.split_once('»').expect("a name ends");
            out.push_str(before);
            self.grow(name, depth + 1, out);
            rest = after;
        }
        out.push_str(rest);
    }
}
