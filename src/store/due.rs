//! The packages to be looked at by now. The day is a column of its own, so that what is not due yet costs nothing.

use rusqlite::params;

use crate::base::Timestamp;
use crate::base::limits;
use crate::identity::statement::Note;
use crate::policy::Terms;
use crate::receipt;
use crate::store::StoreFault;
use crate::store::ledger::Ledger;
use crate::store::reader;
use crate::store::rows::Exchange;
use crate::store::sql;

/// Where a page of what is due has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueMark {
    due: i64,
    no: i64,
}

/// Some of what is due, and where the next page begins; `None` after the last.
pub type DuePage = (Vec<Exchange>, Option<DueMark>);

impl Ledger {
    /// Packages here that may be due for something now: whose day of review, or last day of use or of keeping, is over.
    /// The longest due first. What is done about it is for the caller to decide.
    pub async fn due(&self, now: Timestamp, after: Option<DueMark>) -> Result<DuePage, StoreFault> {
        self.read(move |db| {
            let start = DueMark {
                due: i64::MIN,
                no: 0,
            };
            let DueMark { due, no } = after.unwrap_or(start);
            let values = params![now.millis(), due, no, limits::LEDGER_ROWS_MAX];
            let rows = reader::rows(db, sql::EXCHANGES_DUE, values, |row| {
                let (due, no) = (row.get(25)?, row.get(26)?);
                Ok((reader::exchange(row)?, DueMark { due, no }))
            })?;
            let next = rows.last().map(|(_, mark)| *mark);
            let rows = rows.into_iter().map(|(exchange, _)| exchange);
            Ok((rows.collect(), next))
        })
        .await
    }
}

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
    let note = Note::parse(note).ok()?;
    let terms = receipt::open(&note).ok()?.terms?;
    Some(due(&terms))
}
