//! Peers, cards and named values.

use super::report::Check;
use crate::identity::card::Card;
use crate::identity::revocation::RevocationList;
use crate::receipt::Party;
use crate::store::rows::{CardRow, CrlRow, PeerRow, PeerState};
use crate::store::{StoreFault, reader, sql, sums};

/// Every card is signed and says what its row says. The keys of those that were adopted are those that statements are
/// verified with.
pub(super) fn cards(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let db = check.db;
    let mut query = db.prepare(sql::CARDS)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let read = reader::card(row).and_then(|card| Ok((card, row.get(6)?)));
        match read {
            Ok((row, sum)) => card(check, &row, sum),
            Err(e) => check.damage("row-unreadable", "table card", "values of their types", e),
        }
    }
    Ok(())
}

fn card(check: &mut Check<'_>, row: &CardRow, sum: i64) {
    let place = format!("card {} of {}", row.number, row.authority);
    let wanted = sums::card(row);
    if sum != wanted {
        check.damage("card-checksum", place.clone(), wanted, sum);
    }
    match Card::open(&row.note) {
        Ok((card, note)) => {
            let says = (&card.id, card.number, note.text_digest());
            if says != (&row.authority, row.number, row.digest) {
                let expected = format!("{} number {}", card.id, card.number);
                let found = format!("{} number {}", row.authority, row.number);
                check.damage("card-row", place, expected, found);
            }
            if row.adopted.is_some() {
                check.trust(&card);
            }
        }
        Err(e) => check.damage("card-note", place, "a card signed by its own key", e),
    }
}

/// Every peer's card is signed and says what the row says; its keys are those that statements are verified with.
pub(super) fn peers(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let db = check.db;
    let mut query = db.prepare(sql::PEERS_CHECK)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        super::report::tally(&mut check.report.peers, 1);
        let read = reader::peer(row).and_then(|peer| Ok((peer, row.get(12)?)));
        match read {
            Ok((peer, sum)) => one(check, &peer, sum),
            Err(e) => check.damage("row-unreadable", "table peer", "values of their types", e),
        }
    }
    Ok(())
}

fn one(check: &mut Check<'_>, peer: &PeerRow, sum: Option<i64>) {
    let place = format!("peer {}", peer.id);
    let wanted = sums::peer(peer);
    if sum != Some(wanted) {
        let found = sum.map_or_else(|| "none".to_owned(), |sum| sum.to_string());
        check.damage("peer-checksum", place.clone(), wanted, found);
    }
    match Card::open(&peer.card) {
        Ok((card, _)) => {
            if (&card.id, card.number) != (&peer.id, peer.number) {
                let found = format!("{} number {}", peer.id, peer.number);
                check.damage(
                    "peer-card",
                    place.clone(),
                    format!("{} number {}", card.id, card.number),
                    found,
                );
            }
            let is_adopted = check.parties.get(&card.id).is_some_and(|keys| {
                let named = Party::of(card.number, &card.keys.receipts);
                keys.find(&named).is_some()
            });
            if peer.state != PeerState::Added && !is_adopted {
                let expected = "one of the adopted cards";
                check.damage("peer-card", place, expected, "another");
            }
        }
        Err(e) => check.damage("peer-card", place, "a card signed by its own key", e),
    }
}

/// Every revocation list says what its row says, and is of a CA of a card of its authority, or below one, where that
/// card is here.
pub(super) fn crls(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let db = check.db;
    let mut query = db.prepare(sql::CRLS)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let read = reader::crl(row).and_then(|crl| Ok((crl, row.get(5)?)));
        match read {
            Ok((row, sum)) => crl(check, &row, sum)?,
            Err(e) => check.damage("row-unreadable", "table crl", "values of their types", e),
        }
    }
    Ok(())
}

fn crl(check: &mut Check<'_>, row: &CrlRow, sum: i64) -> Result<(), StoreFault> {
    let place = format!("revocation list of the CA {} of {}", row.ca, row.authority);
    let wanted = sums::crl(row);
    if sum != wanted {
        check.damage("crl-checksum", place.clone(), wanted, sum);
    }
    let cards = reader::rows(
        check.db,
        sql::CARDS_OF,
        [row.authority.as_str()],
        reader::card,
    )?;
    let cards = cards.iter().filter_map(|card| Card::open(&card.note).ok());
    let cas: Vec<_> = cards.flat_map(|(card, _)| card.cas()).collect();
    let stored = RevocationList::stored(row.ca, &row.list);
    let Some(stored) = stored.filter(|list| list.number() == row.number) else {
        let expected = format!("a list with number {}", row.number);
        check.damage("peer-crl", place, expected, "another, or none");
        return Ok(());
    };
    // A list of a card that was dropped since is of no use, and no harm.
    if stored.is_under(&cas) && !stored.is_signed_under(&cas) {
        let expected = "a list that this CA has signed";
        check.damage("peer-crl", place, expected, "one that it has not");
    }
    Ok(())
}

/// Every named value has its checksum.
pub(super) fn named_values(check: &mut Check<'_>) -> Result<(), StoreFault> {
    let db = check.db;
    let mut query = db.prepare(sql::METAS)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let read = (|| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))();
        let (key, value, sum): (String, Vec<u8>, Option<i64>) = match read {
            Ok(read) => read,
            Err(e) => {
                let e: rusqlite::Error = e;
                check.damage("row-unreadable", "table meta", "values of their types", e);
                continue;
            }
        };
        let wanted = sums::named(&key, &value);
        if sum != Some(wanted) {
            check.damage(
                "value-checksum",
                format!("named value {key}"),
                wanted,
                format!("{sum:?}"),
            );
        }
    }
    Ok(())
}
