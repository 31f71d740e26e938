//! `query`, `query_range`, `query_exemplars`, `format_query`.

use super::error::ApiError;
use super::{Answer, Call, Prometheus, TIMEOUT};
use crate::metric::derive::Exemplar;
use crate::promql::{self, Expr, Options, ast};
use crate::series::{Labels, Matcher, NativeHistogram, Sample, Series, Value as Worth, notation};
use parking_lot::{Condvar, Mutex};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Points of one series that a range query may give, as in Prometheus.
const POINTS_MAX: i64 = 11_000;

/// `/api/v1/query`
pub(super) fn instant(api: &Prometheus, call: &Call) -> Answer {
    let text = call.form.required("query")?;
    let time = call.form.time("time")?.unwrap_or_else(now_ms);
    let limit = call.form.limit()?;
    let expr = parse(text)?;
    let watch = Watch::new(call)?;
    let answer = promql::instant(&expr, &*api.sampler.store, time, &watch.options)?;
    let data = match answer {
        promql::Answer::Scalar(value) => json!({ "resultType": "scalar", "result": point(time, value) }),
        promql::Answer::Text(text) => json!({ "resultType": "string", "result": [seconds(time), text] }),
        promql::Answer::Vector(elements) => {
            let result = elements.iter().take(limit).map(|element| {
                let mut one = Map::new();
                one.insert("metric".to_owned(), labels(&element.labels));
                match &element.value {
                    Worth::Float(value) => one.insert("value".to_owned(), point(time, *value)),
                    Worth::Histogram(h) => one.insert("histogram".to_owned(), json!([seconds(time), histogram(h)])),
                };
                Value::Object(one)
            });
            json!({ "resultType": "vector", "result": result.collect::<Vec<_>>() })
        }
        promql::Answer::Matrix(all) => matrix(&all, limit),
    };
    Ok(data.into())
}

/// `/api/v1/query_range`
pub(super) fn range(api: &Prometheus, call: &Call) -> Answer {
    let text = call.form.required("query")?;
    let need = |name: &str, found: Option<i64>| {
        found.ok_or_else(|| ApiError::bad(format!("invalid parameter \"{name}\": it is missing")))
    };
    let start = need("start", call.form.time("start")?)?;
    let end = need("end", call.form.time("end")?)?;
    let step = need("step", call.form.duration("step")?)?;
    if end < start {
        return Err(ApiError::bad("invalid parameter \"end\": end timestamp must not be before start time"));
    }
    if step <= 0 {
        return Err(ApiError::bad(
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end - start) / step > POINTS_MAX {
        return Err(ApiError::bad(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let limit = call.form.limit()?;
    let expr = parse(text)?;
    if !matches!(expr.ty(), ast::Type::Scalar | ast::Type::Vector) {
        return Err(ApiError::bad(format!(
            "invalid parameter \"query\": a range needs a scalar or an instant vector at each step, not {}",
            expr.ty().name()
        )));
    }
    let watch = Watch::new(call)?;
    let all = promql::range(&expr, &*api.sampler.store, (start, end, step), &watch.options)?;
    Ok(matrix(&all, limit).into())
}

/// `/api/v1/query_exemplars`
pub(super) fn exemplars(api: &Prometheus, call: &Call) -> Answer {
    let expr = parse(call.form.required("query")?)?;
    let (start, end) = call.form.span()?;
    let mut selectors: Vec<Vec<Matcher>> = Vec::new();
    expr.walk(&mut |inner| {
        if let ast::Kind::Selector(selector) = &inner.kind {
            selectors.push(selector.matchers.clone());
        }
    });
    let wanted = |labels: &Labels| selectors.iter().any(|matchers| Matcher::all_match(matchers, labels));
    let of = |(series, list): (Labels, Vec<Exemplar>)| {
        let list = list.iter().map(|exemplar| {
            json!({
                "labels": { "trace_id": exemplar.trace },
                "value": notation::json_number(exemplar.value),
                "timestamp": seconds(exemplar.at_ms),
            })
        });
        json!({ "seriesLabels": labels(&series), "exemplars": list.collect::<Vec<_>>() })
    };
    let all: Vec<Value> = api.sampler.exemplars(start, end, wanted).into_iter().map(of).collect();
    Ok(Value::Array(all).into())
}

/// `/api/v1/format_query`: checks the expression and gives it back.
pub(super) fn format(_: &Prometheus, call: &Call) -> Answer {
    let text = call.form.required("query")?;
    parse(text)?;
    Ok(Value::String(text.trim().to_owned()).into())
}

fn parse(text: &str) -> Result<Expr, ApiError> {
    promql::parse(text).map_err(|mistakes| {
        ApiError::bad(format!("invalid parameter \"query\": {}", promql::describe(&mistakes, text)))
    })
}

/// Ends a query after its time.
struct Watch {
    options: Options,
    done: Arc<(Mutex<bool>, Condvar)>,
}

impl Watch {
    fn new(call: &Call) -> Result<Watch, ApiError> {
        let asked = call.form.duration("timeout")?.map(|ms| Duration::from_millis(ms.max(1) as u64));
        let limit = asked.map_or(TIMEOUT, |asked| asked.min(TIMEOUT));
        let mut options = Options::default();
        if let Some(lookback) = call.form.duration("lookback_delta")?.filter(|&ms| ms > 0) {
            options.lookback = lookback;
        }
        let cancelled = Arc::new(AtomicBool::new(false));
        options.cancelled = Some(cancelled.clone());
        let done = Arc::new((Mutex::new(false), Condvar::new()));
        let waits = done.clone();
        let until = Instant::now() + limit;
        // Most queries end at once: the watch ends with them.
        let watch = std::thread::Builder::new().name("query-watch".into()).spawn(move || {
            let mut over = waits.0.lock();
            while !*over {
                if waits.1.wait_until(&mut over, until).timed_out() {
                    cancelled.store(true, Ordering::Release);
                    return;
                }
            }
        });
        watch.map_err(|error| ApiError::unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Watch { options, done })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *self.done.0.lock() = true;
        self.done.1.notify_all();
    }
}

fn matrix(all: &[Series], limit: usize) -> Value {
    let one = |series: &Series| {
        let mut one = Map::new();
        one.insert("metric".to_owned(), labels(&series.labels));
        let (mut values, mut histograms) = (Vec::new(), Vec::new());
        for Sample { t, value } in &series.samples {
            match value {
                Worth::Float(value) => values.push(point(*t, *value)),
                Worth::Histogram(h) => histograms.push(json!([seconds(*t), histogram(h)])),
            }
        }
        if !values.is_empty() || histograms.is_empty() {
            one.insert("values".to_owned(), Value::Array(values));
        }
        if !histograms.is_empty() {
            one.insert("histograms".to_owned(), Value::Array(histograms));
        }
        Value::Object(one)
    };
    json!({ "resultType": "matrix", "result": all.iter().take(limit).map(one).collect::<Vec<_>>() })
}

/// A label set as an object.
pub(super) fn labels(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}

/// A time as clients read it: seconds, whole ones without a fraction.
pub(super) fn seconds(at_ms: i64) -> Value {
    if at_ms % 1000 == 0 { json!(at_ms / 1000) } else { json!(at_ms as f64 / 1000.0) }
}

fn point(at_ms: i64, value: f64) -> Value {
    json!([seconds(at_ms), notation::json_number(value)])
}

/// Which bounds belong to a bucket: 0 the upper, 1 the lower, 2 none, 3 both.
fn histogram(histogram: &NativeHistogram) -> Value {
    let buckets = histogram.buckets();
    let buckets = buckets.iter().filter(|bucket| bucket.count != 0.0).map(|bucket| {
        let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        let number = notation::json_number;
        json!([rule, number(bucket.lower), number(bucket.upper), number(bucket.count)])
    });
    let buckets: Vec<Value> = buckets.collect();
    let mut out =
        json!({ "count": notation::json_number(histogram.count), "sum": notation::json_number(histogram.sum) });
    if !buckets.is_empty() {
        out["buckets"] = Value::Array(buckets);
    }
    out
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
