//! When this authority last signed something.

use crate::base::Timestamp;
use crate::store::{Ledger, StoreFault, reader, sql};

impl Ledger {
    /// The number of the last statement, and the newest time at which this authority signed one after number `after`.
    pub async fn newest_own(&self, after: i64) -> Result<(i64, Option<Timestamp>), StoreFault> {
        let found = self.read(move |db| {
            reader::row(db, sql::STATEMENT_OWN_NEWEST, [after], |row| {
                Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?))
            })
        });
        let (last, newest) = found.await?.unwrap_or((after, None));
        Ok((last, newest.map(Timestamp::from_millis)))
    }
}
