//! `series`, `labels`, `label/NAME/values`, `metadata`.

use super::error::ApiError;
use super::form::{MAX_MS, MIN_MS};
use super::query;
use super::{Answer, Call, Prometheus, Reply};
use crate::series::{Labels, Matcher};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// `/api/v1/series`
pub(super) fn series(api: &Prometheus, call: &Call) -> Answer {
    let selectors = call.form.matchers()?;
    if selectors.is_empty() {
        return Err(ApiError::bad("no match[] parameter provided"));
    }
    let all = found(api, &selectors, call)?;
    let all: Vec<Value> = all.iter().map(query::labels).collect();
    cut(all, call)
}

/// `/api/v1/labels`
pub(super) fn labels(api: &Prometheus, call: &Call) -> Answer {
    let selectors = call.form.matchers()?;
    let names = if selectors.is_empty() && all_times(call)? {
        api.sampler.store.label_names()
    } else {
        let all = found(api, &selectors, call)?;
        all.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()).collect()
    };
    cut(names.into_iter().map(Value::String).collect(), call)
}

/// `/api/v1/label/NAME/values`
pub(super) fn values(api: &Prometheus, call: &Call) -> Answer {
    if call.part.is_empty() {
        return Err(ApiError::bad("invalid label name: \"\""));
    }
    let name = unescaped(&call.part);
    let selectors = call.form.matchers()?;
    let values: BTreeSet<String> = if selectors.is_empty() && all_times(call)? {
        api.sampler.store.label_values(&name)
    } else {
        let all = found(api, &selectors, call)?;
        all.iter().map(|labels| labels.get(&name).to_owned()).filter(|value| !value.is_empty()).collect()
    };
    cut(values.into_iter().map(Value::String).collect(), call)
}

/// A name as clients write it that hold to letters, digits and `_`: `U__` before it, `__` for `_`
/// and `_2e_` for the character of this number. Anything else is the name itself.
fn unescaped(name: &str) -> String {
    let read = |mut rest: &str| {
        let mut out = String::new();
        while let Some((before, after)) = rest.split_once('_') {
            out.push_str(before);
            rest = match after.strip_prefix('_') {
                Some(rest) => {
                    out.push('_');
                    rest
                }
                None => {
                    let (hex, rest) = after.split_once('_')?;
                    out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
                    rest
                }
            };
        }
        Some(out + rest)
    };
    name.strip_prefix("U__").and_then(read).unwrap_or_else(|| name.to_owned())
}

/// `/api/v1/metadata`
pub(super) fn metadata(api: &Prometheus, call: &Call) -> Answer {
    let limit = call.form.limit()?;
    let metadata = api.sampler.metadata();
    let wanted = call.form.get("metric");
    let chosen = metadata.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)).take(limit);
    let all =
        chosen.map(|(name, about)| (name.clone(), json!([{ "type": about.kind, "help": about.help, "unit": "" }])));
    Ok(Value::Object(all.collect::<Map<_, _>>()).into())
}

fn all_times(call: &Call) -> Result<bool, ApiError> {
    Ok(call.form.span()? == (MIN_MS, MAX_MS))
}

/// Label sets that one of the selectors matches, sorted.
fn found(api: &Prometheus, selectors: &[Vec<Matcher>], call: &Call) -> Result<Vec<Labels>, ApiError> {
    let (start, end) = call.form.span()?;
    let mut all: BTreeMap<Labels, ()> = BTreeMap::new();
    if selectors.is_empty() {
        all.extend(api.sampler.store.labels(&[], start, end).into_iter().map(|labels| (labels, ())));
    }
    for matchers in selectors {
        all.extend(api.sampler.store.labels(matchers, start, end).into_iter().map(|labels| (labels, ())));
    }
    Ok(all.into_keys().collect())
}

/// As many as asked for.
fn cut(mut all: Vec<Value>, call: &Call) -> Answer {
    let limit = call.form.limit()?;
    let mut warnings = Vec::new();
    if all.len() > limit {
        all.truncate(limit);
        warnings.push("results truncated due to limit".to_owned());
    }
    Ok(Reply { data: Value::Array(all), warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unescaped() {
        let check = |name: &str, want: &str| assert_eq!(unescaped(name), want);
        check("job", "job");
        check("U__room_2e_nr", "room.nr");
        check("U__a__b_20_c", "a_b c");
        check("U__", "");
        check("U__a_zz_b", "U__a_zz_b");
        check("U__a_2e", "U__a_2e");
    }
}
