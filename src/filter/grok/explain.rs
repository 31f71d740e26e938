//! What `logboom explain` says of a grok filter.

use super::{library, match_limit, pairs};
use crate::grok::{self, Explanation};
use crate::plugin::{Context, Options};

/// One pattern of a filter.
pub struct Explained {
    /// The field that it is tried on.
    pub field: String,
    /// As written.
    pub pattern: String,
    /// What is to say of it, or why it can't be compiled.
    pub explanation: Result<Explanation, String>,
}

/// Every pattern of a filter, in the order in which they are tried.
pub fn explain(options: &Options, context: &Context) -> Vec<Explained> {
    let mut mistakes = Vec::new();
    let library = library(options, context, &mut mistakes);
    let compile = grok::Options {
        named_captures_only: options.bool("named_captures_only", true),
        match_limit: match_limit(options),
    };
    let mut all: Vec<Explained> = Vec::new();
    for (name, patterns) in pairs(options.get("match"), &mut mistakes) {
        let field = name.as_str().unwrap_or_default();
        let first = all.len();
        for pattern in patterns.iter().filter_map(|setting| setting.as_str()) {
            let mut explanation = grok::explain(pattern, &library, compile).map_err(|error| error.to_string());
            let before = all[first..].iter().find(|other| other.pattern == pattern || is_everything(&other.pattern));
            if let (Ok(explanation), Some(before), true) =
                (&mut explanation, before, options.bool("break_on_match", true))
            {
                explanation
                    .warnings
                    .push(format!("it is never tried: {} before it matches all that it does", before.pattern));
            }
            all.push(Explained { field: field.to_owned(), pattern: pattern.to_owned(), explanation });
        }
    }
    all
}

/// Whether a pattern matches every text.
fn is_everything(pattern: &str) -> bool {
    let inner = pattern.trim_start_matches('^').trim_end_matches('$');
    let name = inner.strip_prefix("%{").and_then(|inner| inner.strip_suffix('}')).unwrap_or("");
    !name.contains('{') && matches!(name.split(':').next(), Some("GREEDYDATA" | "DATA"))
}
