//! What a request asks: parameters of the query string and of a posted form, times, durations.

use super::error::ApiError;
use crate::api::es::route::decode;
use crate::promql::{self, duration};
use crate::series::Matcher;

/// The earliest and the latest time that clients may mean, in milliseconds.
pub(super) const MIN_MS: i64 = i64::MIN / 4;
/// See [`MIN_MS`].
pub(super) const MAX_MS: i64 = i64::MAX / 4;

/// Parameters in order; a name may come several times.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Parameters of the query string, then those of a form.
    pub(super) fn parse(query: Option<&str>, body: &[u8]) -> Form {
        let body = String::from_utf8_lossy(body);
        let pairs = query.unwrap_or("").split('&').chain(body.split('&')).filter(|pair| !pair.is_empty());
        let plain = |text: &str| decode(&text.replace('+', " "));
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => (plain(name), plain(value)),
            None => (plain(pair), String::new()),
        };
        Form(pairs.map(pair).collect())
    }

    /// The first value of a parameter; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }

    /// All values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::bad(format!("invalid parameter \"{name}\": it is missing")))
    }

    /// A time, in milliseconds.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        time(text).map(Some).ok_or_else(|| {
            ApiError::bad(format!("invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp"))
        })
    }

    /// A length of time, in milliseconds.
    pub(super) fn duration(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let millis = match text.parse::<f64>() {
            Ok(seconds) => Some(seconds * 1000.0).filter(|ms| ms.abs() < MAX_MS as f64).map(|ms| ms as i64),
            Err(_) => duration::parse(text).ok(),
        };
        millis.map(Some).ok_or_else(|| {
            ApiError::bad(format!("invalid parameter \"{name}\": cannot parse \"{text}\" to a valid duration"))
        })
    }

    /// A number of things; 0 is no limit.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        match self.get("limit").map(str::parse::<usize>) {
            None | Some(Ok(0)) => Ok(usize::MAX),
            Some(Ok(limit)) => Ok(limit),
            Some(Err(_)) => Err(ApiError::bad("invalid parameter \"limit\": limit must be a number of at least 0")),
        }
    }

    /// The selectors of `match[]`.
    pub(super) fn matchers(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let selector = |text: &str| {
            promql::parse_selector(text).map_err(|mistakes| {
                ApiError::bad(format!("invalid parameter \"match[]\": {}", promql::describe(&mistakes, text)))
            })
        };
        self.all("match[]").map(selector).collect()
    }

    /// `start` and `end`; all times where they are not given.
    pub(super) fn span(&self) -> Result<(i64, i64), ApiError> {
        let (start, end) = (self.time("start")?.unwrap_or(MIN_MS), self.time("end")?.unwrap_or(MAX_MS));
        if end < start {
            return Err(ApiError::bad("invalid parameter \"end\": end timestamp must not be before start time"));
        }
        Ok((start, end))
    }
}

/// Seconds since 1970 with a fraction, or RFC 3339.
fn time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = (seconds * 1000.0).round();
        return (millis.abs() < MAX_MS as f64).then_some(millis as i64);
    }
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_times() {
        let form = Form::parse(Some("query=up%7Ba%3D%22b%22%7D&time=1.5"), b"match[]=a+b&match%5B%5D=c&x");
        assert_eq!(form.get("query"), Some("up{a=\"b\"}"));
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!((form.time("time").unwrap(), form.get("x"), form.get("y")), (Some(1_500), None, None));
        assert_eq!(time("2015-07-01T20:10:30.781Z"), Some(1_435_781_430_781));
        assert_eq!(time("1e30"), None);
        assert_eq!(time("NaN"), None);
        let form = Form::parse(Some("step=1m30s&timeout=2.5&limit=0"), b"");
        assert_eq!((form.duration("step").unwrap(), form.duration("timeout").unwrap()), (Some(90_000), Some(2_500)));
        assert_eq!(form.limit().unwrap(), usize::MAX);
    }
}
