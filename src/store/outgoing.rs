//! The packages that are to be sent now, with everything that sending needs, read in one look.

use std::collections::HashSet;

use rusqlite::{Connection, params};
use zeroize::Zeroizing;

use crate::base::{AuthorityId, Timestamp, Xid, limits};
use crate::exchange::{Direction, Phase};
use crate::store::ledger::{Ledger, number};
use crate::store::rows::Exchange;
use crate::store::slots::SlotKeys;
use crate::store::{StoreFault, reader, sql};

/// Payloads up to so many bytes are read ahead.
pub const AHEAD_BYTES_MAX: u64 = 32 << 10;

/// Exchanges that are read of an outbox at once, besides those that the reader knows.
pub const OUTBOX_PAGE: usize = 64;

/// An exchange that is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    /// The exchange.
    pub exchange: Exchange,
    /// Header and payload, where nothing of the exchange was sent yet and the payload is small.
    pub ahead: Option<Ahead>,
}

/// Header and payload of a small package, in memory.
#[derive(Debug)]
pub struct Ahead {
    /// The age header.
    pub header: Zeroizing<Vec<u8>>,
    /// The payload.
    pub payload: Vec<u8>,
}

/// The statements that a peer is to be told of, the furthest first; of the last, nothing was sent yet.
const STAGES: &[(Direction, Phase)] = &[
    (Direction::Out, Phase::RestrictionSigned),
    (Direction::In, Phase::DestructionSigned),
    (Direction::Out, Phase::Delivered),
    (Direction::Out, Phase::Consigned),
    (Direction::Out, Phase::Failed),
    (Direction::Out, Phase::Expired),
    (Direction::Out, Phase::Withdrawn),
    (Direction::Out, Phase::Dispatched),
];

impl Ledger {
    /// The exchanges to be sent to a peer now: their time of the next try is not in the future. At least
    /// [`OUTBOX_PAGE`] of each stage where there are as many, the furthest first, each oldest first, without those that
    /// are `known`; what has ended here without delivery is among them until the peer has been told. With `after`, only
    /// what nothing was sent of yet and was begun after that.
    pub async fn outbox_due(
        &self,
        peer: &AuthorityId,
        now: Timestamp,
        after: Option<Xid>,
        known: HashSet<Xid>,
    ) -> Result<Vec<Outgoing>, StoreFault> {
        let (peer, keys) = (peer.clone(), self.keys.clone());
        let limit = page_beside(&known);
        self.desk
            .ask(move |db| {
                let stages: &[(Direction, Phase)] = match after {
                    Some(_) => STAGES.last().map(std::slice::from_ref).unwrap_or_default(),
                    None => STAGES,
                };
                let mut due = Vec::new();
                if after.is_none() {
                    let values = params![peer.as_str(), now.millis(), limit];
                    due.extend(reader::rows(
                        db,
                        sql::OUTBOX_HELD,
                        values,
                        reader::exchange,
                    )?);
                }
                let after = number(db, after)?;
                for (way, stage) in stages {
                    let (way, stage, now) = (way.as_str(), stage.as_str(), now.millis());
                    let values = params![way, stage, peer.as_str(), after, now, limit];
                    due.extend(reader::rows(db, sql::OUTBOX_DUE, values, reader::exchange)?);
                }
                with_ahead(db, &keys, due, &known)
            })
            .await
    }

    /// The urgent exchanges to be sent to a peer now, oldest first, at least [`OUTBOX_PAGE`] where there are as many,
    /// without those that are `known`.
    pub async fn outbox_urgent(
        &self,
        peer: &AuthorityId,
        now: Timestamp,
        known: HashSet<Xid>,
    ) -> Result<Vec<Outgoing>, StoreFault> {
        let (peer, keys) = (peer.clone(), self.keys.clone());
        let limit = page_beside(&known);
        self.desk
            .ask(move |db| {
                let values = params![peer.as_str(), now.millis(), limit];
                let due = reader::rows(db, sql::OUTBOX_URGENT, values, reader::exchange)?;
                with_ahead(db, &keys, due, &known)
            })
            .await
    }
}

/// Rows to read so that a page is left without those that are known.
fn page_beside(known: &HashSet<Xid>) -> u32 {
    let rows = known.len().saturating_add(OUTBOX_PAGE);
    u32::try_from(rows).map_or(limits::LEDGER_ROWS_MAX, |rows| {
        rows.min(limits::LEDGER_ROWS_MAX)
    })
}

/// Reads headers and small payloads of what is not known yet.
fn with_ahead(
    db: &Connection,
    keys: &SlotKeys,
    due: Vec<Exchange>,
    known: &HashSet<Xid>,
) -> rusqlite::Result<Vec<Outgoing>> {
    due.into_iter()
        .filter(|exchange| !known.contains(&exchange.xid))
        .map(|exchange| {
            let ahead = ahead(db, keys, &exchange)?;
            Ok(Outgoing { exchange, ahead })
        })
        .collect()
}

/// A header that cannot be read is left to the attempt, which says why.
fn ahead(db: &Connection, keys: &SlotKeys, exchange: &Exchange) -> rusqlite::Result<Option<Ahead>> {
    let is_small = exchange.inline && exchange.len <= AHEAD_BYTES_MAX;
    if !is_small || exchange.phase != Phase::Dispatched {
        return Ok(None);
    }
    let xid = [exchange.xid.as_bytes()];
    let payload = reader::row(db, sql::PAYLOAD, xid, |row| row.get(0))?;
    let header = reader::header(db, keys, &exchange.xid)?;
    Ok(match (header, payload) {
        (Some(Ok(Some(header))), Some(payload)) => Some(Ahead { header, payload }),
        _ => None,
    })
}
