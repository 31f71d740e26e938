//! Every function: its arguments, its result, and what computes it.

use super::ast::Type;

/// A function of PromQL.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of its arguments.
    pub arguments: &'static [Type],
    /// How many of the last arguments may be left out.
    pub optional: usize,
    /// Whether the last argument may be repeated, and how often at most.
    pub repeated: usize,
    /// Type of its result.
    pub returns: Type,
}

use Type::{Matrix as M, Scalar as S, Text as T, Vector as V};

const fn one(name: &'static str, arguments: &'static [Type]) -> Function {
    Function { name, arguments, optional: 0, repeated: 0, returns: V }
}

const fn scalar(name: &'static str, arguments: &'static [Type]) -> Function {
    Function { name, arguments, optional: 0, repeated: 0, returns: S }
}

const fn optional(name: &'static str, arguments: &'static [Type]) -> Function {
    Function { name, arguments, optional: 1, repeated: 0, returns: V }
}

const fn repeated(name: &'static str, arguments: &'static [Type], optional: usize, repeated: usize) -> Function {
    Function { name, arguments, optional, repeated, returns: V }
}

/// All functions, sorted by name.
pub static FUNCTIONS: &[Function] = &[
    one("abs", &[V]),
    one("absent", &[V]),
    one("absent_over_time", &[M]),
    one("acos", &[V]),
    one("acosh", &[V]),
    one("asin", &[V]),
    one("asinh", &[V]),
    one("atan", &[V]),
    one("atanh", &[V]),
    one("avg_over_time", &[M]),
    one("ceil", &[V]),
    one("changes", &[M]),
    one("clamp", &[V, S, S]),
    one("clamp_max", &[V, S]),
    one("clamp_min", &[V, S]),
    one("cos", &[V]),
    one("cosh", &[V]),
    one("count_over_time", &[M]),
    optional("day_of_month", &[V]),
    optional("day_of_week", &[V]),
    optional("day_of_year", &[V]),
    optional("days_in_month", &[V]),
    one("deg", &[V]),
    one("delta", &[M]),
    one("deriv", &[M]),
    one("double_exponential_smoothing", &[M, S, S]),
    one("exp", &[V]),
    one("first_over_time", &[M]),
    one("floor", &[V]),
    one("histogram_avg", &[V]),
    one("histogram_count", &[V]),
    one("histogram_fraction", &[S, S, V]),
    one("histogram_quantile", &[S, V]),
    repeated("histogram_quantiles", &[V, T, S], 0, 9),
    one("histogram_stddev", &[V]),
    one("histogram_stdvar", &[V]),
    one("histogram_sum", &[V]),
    optional("hour", &[V]),
    one("idelta", &[M]),
    one("increase", &[M]),
    one("irate", &[M]),
    repeated("label_join", &[V, T, T, T], 1, usize::MAX),
    one("label_replace", &[V, T, T, T, T]),
    one("last_over_time", &[M]),
    one("ln", &[V]),
    one("log10", &[V]),
    one("log2", &[V]),
    one("mad_over_time", &[M]),
    scalar("max_of", &[S, S]),
    one("max_over_time", &[M]),
    scalar("min_of", &[S, S]),
    one("min_over_time", &[M]),
    optional("minute", &[V]),
    optional("month", &[V]),
    scalar("pi", &[]),
    one("predict_linear", &[M, S]),
    one("present_over_time", &[M]),
    one("quantile_over_time", &[S, M]),
    one("rad", &[V]),
    one("rate", &[M]),
    one("resets", &[M]),
    optional("round", &[V, S]),
    scalar("scalar", &[V]),
    one("sgn", &[V]),
    one("sin", &[V]),
    one("sinh", &[V]),
    one("sort", &[V]),
    repeated("sort_by_label", &[V, T], 1, usize::MAX),
    repeated("sort_by_label_desc", &[V, T], 1, usize::MAX),
    one("sort_desc", &[V]),
    one("sqrt", &[V]),
    one("stddev_over_time", &[M]),
    one("stdvar_over_time", &[M]),
    one("sum_over_time", &[M]),
    one("tan", &[V]),
    one("tanh", &[V]),
    scalar("time", &[]),
    one("timestamp", &[V]),
    one("ts_of_first_over_time", &[M]),
    one("ts_of_last_over_time", &[M]),
    one("ts_of_max_over_time", &[M]),
    one("ts_of_min_over_time", &[M]),
    one("vector", &[S]),
    optional("year", &[V]),
];

/// Names that Prometheus knows and that are not here, and why.
pub static ABSENT: &[(&str, &str)] = &[
    ("holt_winters", "it was renamed in Prometheus 3: write `double_exponential_smoothing`"),
    ("info", "it is experimental in Prometheus: join with `* on (…) group_left (…)`"),
    ("start_timestamp", "it is experimental in Prometheus, and series have no start times here"),
    ("limitk", "it is experimental in Prometheus: `topk` picks by value"),
    ("limit_ratio", "it is experimental in Prometheus"),
];

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_sorted_and_unique() {
        assert!(FUNCTIONS.windows(2).all(|two| two[0].name < two[1].name));
    }
}
