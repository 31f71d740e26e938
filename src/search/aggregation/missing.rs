//! `missing`: one bucket, of documents without a value in a field.

use super::filter::Filter;
use super::{Kind, Options, Shape};
use crate::search::ast::{Bool, Query, Test};
use crate::search::error::SearchError;

pub(super) const KIND: Kind = Kind { name: "missing", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&["field", "missing"])?;
    let exists = Query::on(options.field()?, Test::Exists);
    let query = Query::Bool(Bool { must_not: vec![exists], ..Bool::default() });
    Ok(Box::new(Filter { query, name: "missing" }))
}
