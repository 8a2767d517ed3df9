//! How openings that are not stated yet become rows.

use rusqlite::params;

use crate::store::apply::Group;
use crate::store::apply::Stop;
use crate::store::apply::UNKNOWN;
use crate::store::reader;
use crate::store::rows::OpeningRow;
use crate::store::sql;
use crate::store::sums;

impl Group<'_> {
    pub(super) fn opening_begin(&self, row: &OpeningRow) -> Result<(), Stop> {
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

    pub(super) fn opening_raise(&self, id: &[u8; 16], bound: u64) -> Result<(), Stop> {
        let row = reader::row(self.db, sql::OPENING, [id], reader::opening)?;
        let mut row = row.ok_or(UNKNOWN)?;
        row.bound = row.bound.max(bound);
        let values = params![row.bound, sums::opening(&row), id];
        self.one(sql::OPENING_RAISE, values)
    }
}
