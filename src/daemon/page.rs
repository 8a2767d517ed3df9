//! Which part of a list is asked for.

use serde::Deserialize;

use crate::base::{Cursor, limits};

/// A part of a list: so many items at most, after a place that an earlier part has named.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) limit: u32,
    pub(crate) after: Option<Cursor>,
}

/// The question for a list that has no filters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    limit: Option<u32>,
    after: Option<Cursor>,
}

impl Part {
    /// At most [`limits::LIST_ITEMS_MAX`] items, whatever is asked for: the answer says whether there are more.
    pub(crate) fn new(limit: Option<u32>, after: Option<Cursor>) -> Self {
        let most = limits::LIST_ITEMS_MAX;
        let limit = limit.map_or(most, |limit| limit.clamp(1, most));
        Self { limit, after }
    }
}

impl From<ListQuery> for Part {
    fn from(which: ListQuery) -> Self {
        Self::new(which.limit, which.after)
    }
}
