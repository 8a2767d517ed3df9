//! The packages that nobody has opened yet, and the openings under way.

use rusqlite::params;

use crate::base::AuthorityId;
use crate::store::{Ledger, OpeningRow, StoreFault, reader, sql};

impl Ledger {
    /// The amount that a peer has brought and nobody has opened yet: packages, and their bytes.
    pub async fn unopened(&self, peer: &AuthorityId) -> Result<(u64, u64), StoreFault> {
        let peer = peer.clone();
        let counted = self.read(move |db| {
            reader::row(db, sql::UNOPENED, params![peer.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        });
        Ok(counted.await?.unwrap_or_default())
    }

    /// The openings under which bytes have left, or may have, and that are not stated yet; oldest first, all of them.
    pub async fn openings(&self) -> Result<Vec<OpeningRow>, StoreFault> {
        self.read(|db| reader::rows(db, sql::OPENINGS, [], reader::opening))
            .await
    }
}
