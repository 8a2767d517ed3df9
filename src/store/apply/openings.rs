//! How openings that are not stated yet become rows.

use rusqlite::params;

use crate::store::apply::{CommitGroup, GroupStop, UNKNOWN};
use crate::store::rows::OpeningRow;
use crate::store::{reader, sql, sums};

impl CommitGroup<'_> {
    pub(super) fn opening_begin(&self, row: &OpeningRow) -> Result<(), GroupStop> {
        self.one(
            sql::OPENING_PUT,
            params![
                row.id,
                row.xid.as_bytes(),
                row.began.millis(),
                row.bound,
                row.record,
                sums::opening(row)
            ],
        )
    }

    pub(super) fn opening_raise(&self, id: &[u8; 16], bound: u64) -> Result<(), GroupStop> {
        let row = reader::row(self.db, sql::OPENING, [id], reader::opening)?;
        let mut row = row.ok_or(UNKNOWN)?;
        row.bound = row.bound.max(bound);
        let values = params![row.bound, sums::opening(&row), id];
        self.one(sql::OPENING_RAISE, values)
    }
}
