//! `match_phrase_prefix`: a phrase whose last token may be a beginning.

use super::Kind;
use super::match_phrase::phrase;
use crate::search::ast::Query;
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "match_phrase_prefix", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    phrase("match_phrase_prefix", body, true)
}
