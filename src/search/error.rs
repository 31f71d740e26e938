//! Why a search can't be answered: the kinds that Elasticsearch's clients tell apart. The API
//! turns them into its error bodies.

/// A search, or a part of one, that can't be answered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SearchError {
    /// The body does not have the shape that it should: `parsing_exception`.
    #[error("{reason}")]
    Parsing {
        /// What is wrong.
        reason: String,
        /// The word of the body at which it shows, to find the line.
        word: Option<String>,
        /// The type and the reason of the cause, where clients look at it.
        cause: Option<(&'static str, String)>,
    },
    /// A value that is not allowed: `illegal_argument_exception`, for the whole request.
    #[error("{0}")]
    Argument(String),
    /// A problem found while searching: reported as the failure of all shards.
    #[error("{reason}")]
    Shard {
        /// Elasticsearch's type.
        kind: &'static str,
        /// What is wrong.
        reason: String,
        /// The type and the reason of the cause.
        cause: Option<(&'static str, String)>,
    },
    /// More buckets than one answer may hold.
    #[error(
        "Trying to create too many buckets. Must be less than or equal to: [{limit}] but was [{was}]. This limit can be set by changing the [search.max_buckets] cluster level setting."
    )]
    Buckets {
        /// The limit.
        limit: usize,
        /// What there would be.
        was: usize,
    },
    /// It took longer than it may.
    #[error("the search was stopped after its time")]
    Timeout,
    /// The index could not be read.
    #[error("cannot search the index: {0}")]
    Index(String),
}

impl SearchError {
    /// A body of the wrong shape.
    pub fn parsing(reason: impl Into<String>, word: &str) -> SearchError {
        SearchError::Parsing { reason: reason.into(), word: Some(word.to_owned()), cause: None }
    }

    /// A value that is not allowed.
    pub fn argument(reason: impl Into<String>) -> SearchError {
        SearchError::Argument(reason.into())
    }

    /// A query that does not fit its field.
    pub fn query(reason: impl Into<String>, cause: Option<(&'static str, String)>) -> SearchError {
        SearchError::Shard { kind: "query_shard_exception", reason: reason.into(), cause }
    }

    /// A value that is not allowed, found while searching.
    pub fn shard(reason: impl Into<String>) -> SearchError {
        SearchError::Shard { kind: "illegal_argument_exception", reason: reason.into(), cause: None }
    }
}
