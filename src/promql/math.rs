//! Functions of one number, dates, and the few that make scalars and vectors of each other.

use super::ast::Expr;
use super::eval::{Eval, Evaluated, Point, Row, Worth, error};
use crate::series::{Labels, Value};
use std::f64::consts::PI;

/// Calls one of them.
pub(super) fn call(eval: &Eval<'_>, name: &str, arguments: &[Expr]) -> Evaluated<Worth> {
    let argument = |at: usize| arguments.get(at).map_or_else(|| error("an argument is missing"), Ok);
    let floats = |change: &dyn Fn(f64) -> f64| -> Evaluated<Worth> {
        let rows = eval.rows(argument(0)?)?;
        Ok(Worth::Rows(eval.each(rows, |value| value.float().map(|value| Value::Float(change(value))))?))
    };
    if let Some(function) = simple(name) {
        return floats(&function);
    }
    if let Some(function) = date(name) {
        return match arguments.first() {
            Some(_) => floats(&|seconds| function(&Date::of(seconds as i64))),
            None => {
                let now = |step: u32| function(&Date::of(eval.time(step).div_euclid(1000)));
                Ok(Worth::Rows(vec![unlabelled(eval, now)]))
            }
        };
    }
    Ok(match name {
        "pi" => Worth::Scalar(vec![PI; eval.steps]),
        "time" => Worth::Scalar((0..eval.steps as u32).map(|step| eval.time(step) as f64 / 1000.0).collect()),
        "vector" => {
            let values = eval.scalar(argument(0)?)?;
            Worth::Rows(vec![unlabelled(eval, |step| values[step as usize])])
        }
        "scalar" => Worth::Scalar(scalar(eval, &eval.rows(argument(0)?)?)),
        "max_of" | "min_of" => {
            let (one, two) = (eval.scalar(argument(0)?)?, eval.scalar(argument(1)?)?);
            let pick = |(one, two): (f64, f64)| if name == "max_of" { max(one, two) } else { min(one, two) };
            Worth::Scalar(one.into_iter().zip(two).map(pick).collect())
        }
        "round" => {
            let nearest = match arguments.get(1) {
                Some(nearest) => eval.scalar(nearest)?,
                None => vec![1.0; eval.steps],
            };
            let round = |step: u32, value: f64| {
                // Multiplying by the inverse loses less.
                let inverse = 1.0 / nearest[step as usize];
                (value * inverse + 0.5).floor() / inverse
            };
            let rows = eval.rows(argument(0)?)?;
            Worth::Rows(eval.each_at(rows, |step, value| value.float().map(|v| Value::Float(round(step, v))))?)
        }
        "clamp" | "clamp_min" | "clamp_max" => Worth::Rows(clamp(eval, name, arguments)?),
        _ => return error(format!("the function `{name}` is not there")),
    })
}

fn unlabelled(eval: &Eval<'_>, value: impl Fn(u32) -> f64) -> Row {
    let points = (0..eval.steps as u32).map(|step| Point { step, value: Value::Float(value(step)) }).collect();
    Row { labels: Labels::empty(), points }
}

fn scalar(eval: &Eval<'_>, rows: &[Row]) -> Vec<f64> {
    let mut values = vec![f64::NAN; eval.steps];
    let mut count = vec![0_u32; eval.steps];
    for point in rows.iter().flat_map(|row| &row.points) {
        if let Some(value) = point.value.float() {
            let at = point.step as usize;
            count[at] += 1;
            values[at] = if count[at] == 1 { value } else { f64::NAN };
        }
    }
    values
}

fn clamp(eval: &Eval<'_>, name: &str, arguments: &[Expr]) -> Evaluated<Vec<Row>> {
    let bound = |at: usize, none: f64| match arguments.get(at) {
        Some(bound) => eval.scalar(bound),
        None => Ok(vec![none; eval.steps]),
    };
    let (low, high) = match name {
        "clamp" => (bound(1, 0.0)?, bound(2, 0.0)?),
        "clamp_min" => (bound(1, 0.0)?, vec![f64::INFINITY; eval.steps]),
        _ => (vec![f64::NEG_INFINITY; eval.steps], bound(1, 0.0)?),
    };
    let Some(vector) = arguments.first() else { return error("an argument is missing") };
    eval.each_at(eval.rows(vector)?, |step, value| {
        let (low, high) = (low[step as usize], high[step as usize]);
        let value = value.float().filter(|_| high >= low || high.is_nan() || low.is_nan())?;
        Some(Value::Float(max(low, min(high, value))))
    })
}

/// The greater, or NaN if one is NaN.
fn max(one: f64, two: f64) -> f64 {
    if one.is_nan() || two.is_nan() { f64::NAN } else { one.max(two) }
}

fn min(one: f64, two: f64) -> f64 {
    if one.is_nan() || two.is_nan() { f64::NAN } else { one.min(two) }
}

fn simple(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |value| value * 180.0 / PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => super::quantile::log2,
        "rad" => |value| value * PI / 180.0,
        "sgn" => |value| match value {
            value if value < 0.0 => -1.0,
            value if value > 0.0 => 1.0,
            value => value,
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

/// A day and time of UTC, of any year: by the proleptic Gregorian calendar.
struct Date {
    year: i64,
    month: i64,
    day: i64,
    /// Days since 1970.
    days: i64,
    /// Second of the day.
    second: i64,
}

impl Date {
    fn of(seconds: i64) -> Date {
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Years of 365.2425 days beginning with March, so that the leap day is the last one.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Date { year, month, day: day_of_year - (153 * from_march + 2) / 5 + 1, days, second }
    }

    fn is_leap(&self) -> bool {
        (self.year % 4 == 0 && self.year % 100 != 0) || self.year % 400 == 0
    }

    fn days_in_month(&self) -> i64 {
        match self.month {
            2 if self.is_leap() => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn day_of_year(&self) -> i64 {
        const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        BEFORE[(self.month - 1) as usize] + self.day + i64::from(self.month > 2 && self.is_leap())
    }
}

fn date(name: &str) -> Option<fn(&Date) -> f64> {
    Some(match name {
        "day_of_month" => |date| date.day as f64,
        "day_of_week" => |date| (date.days + 4).rem_euclid(7) as f64,
        "day_of_year" => |date| date.day_of_year() as f64,
        "days_in_month" => |date| date.days_in_month() as f64,
        "hour" => |date| (date.second / 3600) as f64,
        "minute" => |date| (date.second / 60 % 60) as f64,
        "month" => |date| date.month as f64,
        "year" => |date| date.year as f64,
        _ => return None,
    })
}
