//! Functions of range vectors: one value from the samples of a window.

use super::ast::Expr;
use super::eval::{Eval, Evaluated, Point, Row, error, merge, without_metadata};
use super::select::Window;
use super::{label, quantile, rate};
use crate::series::{HistogramSum, NativeHistogram, Sample, Value, kahan};

/// Calls one of them; `at` is the place of the range vector among the arguments.
pub(super) fn call(eval: &Eval<'_>, name: &'static str, arguments: &[Expr], at: usize) -> Evaluated<Vec<Row>> {
    let scalars = arguments.iter().enumerate().filter(|(place, _)| *place != at);
    let scalars = scalars.map(|(_, scalar)| eval.scalar(scalar)).collect::<Evaluated<Vec<_>>>()?;
    if name == "double_exponential_smoothing" {
        check_factors(&scalars)?;
    }
    let windows = eval.windows(&arguments[at])?;
    if name == "absent_over_time" {
        let mut present = Vec::new();
        for series in &windows.series {
            windows.slide(eval, &series.samples, |step, _| present.push(step));
        }
        return Ok(label::missing(eval, present.into_iter(), &arguments[at]));
    }
    let function = function(name).map_or_else(|| error(format!("the function `{name}` is not there")), Ok)?;
    let keep_name = matches!(name, "first_over_time" | "last_over_time");
    let mut rows = Vec::with_capacity(windows.series.len());
    for series in &windows.series {
        eval.check_cancelled()?;
        let (mut points, mut parameters) = (Vec::new(), [0.0; 2]);
        windows.slide(eval, &series.samples, |step, window| {
            for (parameter, scalar) in parameters.iter_mut().zip(&scalars) {
                *parameter = scalar[step as usize];
            }
            if let Some(value) = function(&window, parameters) {
                points.push(Point { step, value });
            }
        });
        if !points.is_empty() {
            eval.hold(points.len())?;
            let labels = if keep_name { series.labels.clone() } else { without_metadata(&series.labels) };
            rows.push(Row { labels, points });
        }
    }
    merge(rows)
}

type Function = fn(&Window<'_>, [f64; 2]) -> Option<Value>;

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "rate" => |window, _| rate::extrapolated(window, true, true),
        "increase" => |window, _| rate::extrapolated(window, true, false),
        "delta" => |window, _| rate::extrapolated(window, false, false),
        "irate" => |window, _| rate::instant(window, true),
        "idelta" => |window, _| rate::instant(window, false),
        "changes" => |window, _| Some(rate::count(window, true)),
        "resets" => |window, _| Some(rate::count(window, false)),
        "avg_over_time" => |window, _| average(window.samples.iter().map(|sample| &sample.value)),
        "sum_over_time" => |window, _| sum(window.samples.iter().map(|sample| &sample.value)),
        "count_over_time" => |window, _| Some(Value::Float(window.samples.len() as f64)),
        "present_over_time" => |_, _| Some(Value::Float(1.0)),
        "first_over_time" => |window, _| window.samples.first().map(|sample| sample.value.clone()),
        "last_over_time" => |window, _| window.samples.last().map(|sample| sample.value.clone()),
        "max_over_time" => |window, _| extreme(window, |now, best| now > best).map(|(_, value)| Value::Float(value)),
        "min_over_time" => |window, _| extreme(window, |now, best| now < best).map(|(_, value)| Value::Float(value)),
        "ts_of_max_over_time" => |window, _| extreme(window, |now, best| now >= best).map(|(t, _)| seconds(t)),
        "ts_of_min_over_time" => |window, _| extreme(window, |now, best| now <= best).map(|(t, _)| seconds(t)),
        "ts_of_first_over_time" => |window, _| window.samples.first().map(|sample| seconds(sample.t)),
        "ts_of_last_over_time" => |window, _| window.samples.last().map(|sample| seconds(sample.t)),
        "quantile_over_time" => |window, [q, _]| {
            let mut values: Vec<f64> = floats(window).map(|(_, value)| value).collect();
            (!values.is_empty()).then(|| Value::Float(quantile::of_numbers(q, &mut values)))
        },
        "mad_over_time" => |window, _| deviation(window),
        "stddev_over_time" => |window, _| variance(window).map(|value| Value::Float(value.sqrt())),
        "stdvar_over_time" => |window, _| variance(window).map(Value::Float),
        "deriv" => |window, _| {
            let begin = floats(window).next()?.0;
            regression(window, begin).map(|(slope, _)| Value::Float(slope))
        },
        "predict_linear" => |window, [ahead, _]| {
            regression(window, window.now).map(|(slope, level)| Value::Float(slope * ahead + level))
        },
        "double_exponential_smoothing" => |window, [smoothing, trend]| smooth(window, smoothing, trend),
        _ => return None,
    })
}

fn seconds(milliseconds: i64) -> Value {
    Value::Float(milliseconds as f64 / 1000.0)
}

/// The numbers of a window, histograms left out.
fn floats<'w>(window: &'w Window<'_>) -> impl Iterator<Item = (i64, f64)> + 'w {
    window.samples.iter().filter_map(|sample: &Sample| Some((sample.t, sample.value.float()?)))
}

/// The first that none is better than; NaN only if there is nothing else.
fn extreme(window: &Window<'_>, better: fn(f64, f64) -> bool) -> Option<(i64, f64)> {
    let mut all = floats(window);
    let first = all.next()?;
    Some(all.fold(first, |best, now| if better(now.1, best.1) || best.1.is_nan() { now } else { best }))
}

/// The sum of numbers or of histograms; nothing of a mix.
pub(super) fn sum<'v>(values: impl Iterator<Item = &'v Value>) -> Option<Value> {
    let mut values = values.peekable();
    if let Value::Histogram(_) = values.peek()? {
        return sum_of_histograms(values).map(Value::from);
    }
    let (mut sum, mut lost) = (0.0, 0.0);
    for value in values {
        (sum, lost) = kahan(value.float()?, sum, lost);
    }
    Some(Value::Float(if f64::is_infinite(sum) { sum } else { sum + lost }))
}

fn sum_of_histograms<'v>(mut values: impl Iterator<Item = &'v Value>) -> Option<NativeHistogram> {
    let mut sum = HistogramSum::new((**values.next()?.histogram()?).clone());
    for value in values {
        sum.add(value.histogram()?).ok()?;
    }
    let mut sum = sum.total();
    sum.compact();
    Some(sum)
}

/// The mean of numbers or of histograms; nothing of a mix. Sums up as long as that does not run
/// over, and corrects a running mean from there on.
pub(super) fn average<'v>(values: impl Iterator<Item = &'v Value>) -> Option<Value> {
    let mut values = values.peekable();
    if let Value::Histogram(_) = values.peek()? {
        return average_of_histograms(values).map(Value::from);
    }
    let (mut sum, mut lost, mut count) = (values.next()?.float()?, 0.0, 1.0);
    let mut mean = None;
    for value in values {
        let value = value.float()?;
        count += 1.0;
        if mean.is_none() {
            let (next, rest) = kahan(value, sum, lost);
            if !f64::is_infinite(next) {
                (sum, lost) = (next, rest);
                continue;
            }
            lost /= count - 1.0;
        }
        let before: f64 = mean.unwrap_or(sum / (count - 1.0));
        let share = (count - 1.0) / count;
        let (next, rest) = kahan(value / count, share * before, share * lost);
        (mean, lost) = (Some(next), rest);
    }
    Some(Value::Float(match mean {
        Some(mean) => mean + lost,
        None => sum / count + lost / count,
    }))
}

fn average_of_histograms<'v>(mut values: impl Iterator<Item = &'v Value>) -> Option<NativeHistogram> {
    let mut sum = HistogramSum::new((**values.next()?.histogram()?).clone());
    let (mut count, mut running) = (1.0, false);
    for value in values {
        let histogram = value.histogram()?;
        count += 1.0;
        if !running {
            let mut next = sum.clone();
            next.add(histogram).ok()?;
            if !next.so_far().is_overflown() {
                sum = next;
                continue;
            }
            running = true;
            sum.scale(1.0 / (count - 1.0));
        }
        sum.scale((count - 1.0) / count);
        let mut share = (**histogram).clone();
        share.divide(count);
        sum.add(&share).ok()?;
    }
    if !running {
        sum.divide(count);
    }
    let mut mean = sum.total();
    mean.compact();
    Some(mean)
}

fn variance(window: &Window<'_>) -> Option<f64> {
    let (mut count, mut mean, mut mean_lost, mut sum, mut sum_lost) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (_, value) in floats(window) {
        count += 1.0;
        let delta = value - (mean + mean_lost);
        (mean, mean_lost) = kahan(delta / count, mean, mean_lost);
        (sum, sum_lost) = kahan(delta * (value - (mean + mean_lost)), sum, sum_lost);
    }
    (count > 0.0).then(|| (sum + sum_lost) / count)
}

/// The median of the distances to the median.
fn deviation(window: &Window<'_>) -> Option<Value> {
    let mut values: Vec<f64> = floats(window).map(|(_, value)| value).collect();
    if values.is_empty() {
        return None;
    }
    if values.iter().any(|value| value.is_nan()) {
        return Some(Value::Float(f64::NAN));
    }
    let median = quantile::of_numbers(0.5, &mut values);
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    Some(Value::Float(quantile::of_numbers(0.5, &mut values)))
}

/// The least squares line through the numbers: its slope per second and its level at `time`.
fn regression(window: &Window<'_>, time: i64) -> Option<(f64, f64)> {
    let first = floats(window).next()?.1;
    let (mut count, mut constant) = (0.0, true);
    // Sums of x, y, xy and x², and what each has lost.
    let (mut sums, mut lost) = ([0.0; 4], [0.0; 4]);
    for (t, y) in floats(window) {
        constant &= y == first;
        count += 1.0;
        let x = (t - time) as f64 / 1000.0;
        for (at, term) in [x, y, x * y, x * x].into_iter().enumerate() {
            (sums[at], lost[at]) = kahan(term, sums[at], lost[at]);
        }
    }
    if count < 2.0 {
        return None;
    }
    if constant {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let [x, y, xy, xx] = std::array::from_fn(|at| sums[at] + lost[at]);
    let slope = (xy - x * y / count) / (xx - x * x / count);
    Some((slope, y / count - slope * x / count))
}

fn check_factors(scalars: &[Vec<f64>]) -> Evaluated<()> {
    for (what, values) in ["smoothing", "trend"].iter().zip(scalars) {
        if let Some(bad) = values.iter().find(|value| !(**value > 0.0 && **value < 1.0)) {
            return error(format!("the {what} factor must lie between 0 and 1, not be {bad}"));
        }
    }
    Ok(())
}

/// Holt's double exponential smoothing.
fn smooth(window: &Window<'_>, smoothing: f64, trend: f64) -> Option<Value> {
    let values: Vec<f64> = floats(window).map(|(_, value)| value).collect();
    let [first, second, ..] = values[..] else { return None };
    let (mut before, mut level, mut slope) = (0.0, first, second - first);
    for (at, value) in values[1..].iter().enumerate() {
        if at > 0 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    Some(Value::Float(level))
}
