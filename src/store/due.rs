//! The packages to be looked at by now. The day is a column of its own, so that what is not due yet costs nothing.

use crate::identity::statement::Note;
use crate::policy::Terms;
use crate::receipt;

/// The end of the first day on which somebody has to look, in milliseconds: of review, of use or of keeping.
fn due(terms: &Terms) -> i64 {
    let days = [terms.review, terms.sunset].into_iter().flatten();
    let first = days.fold(terms.retain_until, Ord::min);
    first.end_of_day().millis()
}

/// The same of a row as it begins. Terms that cannot be read are looked at each time.
pub(super) fn due_first(terms: &str) -> i64 {
    serde_json::from_str(terms).map_or(0, |terms| due(&terms))
}

/// The same after a newer statement of the exchange, if it has terms.
pub(super) fn due_after(note: &[u8]) -> Option<i64> {
    terms_in(note).as_ref().map(due)
}

/// The terms that this statement repeats; its signatures are not looked at.
pub(super) fn terms_in(note: &[u8]) -> Option<Terms> {
    receipt::open(&Note::parse(note).ok()?).ok()?.terms
}
