//! The findings of a check, and the check under way.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;

use crate::base::{AuthorityId, KeyId};
use crate::identity::card::Card;
use crate::identity::keys::{KeyName, PublicKey};
use crate::receipt::PartyKeys;
use crate::store::rows::{CosignedRow, WitnessedRow};

/// Findings that are kept; more are only counted.
const FINDINGS_MAX: usize = 10_000;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something is not what was written.
    Damage,
    /// Leftovers of a process that was killed; the next start of the daemon clears them away.
    Leftover,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Damage or leftover.
    pub severity: Severity,
    /// A stable kebab-case code.
    pub code: &'static str,
    /// Which table and row, or which file.
    pub place: String,
    /// The value that should be there.
    pub expected: String,
    /// The value that is there.
    pub found: String,
    /// Whether [`crate::store::check::repair()`] can set it right from the statements.
    pub repairable: bool,
}

/// The result of a check: what was looked at, and the findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The differences, in the order they were found; at most 10,000.
    pub findings: Vec<Difference>,
    /// How many more there were.
    pub more: u64,
    /// Statements read.
    pub statements: u64,
    /// Signatures that were verified.
    pub signatures: u64,
    /// Signatures by keys that are on no card here, so that they could not be verified.
    pub unverified: u64,
    /// Leaves of the log.
    pub leaves: u64,
    /// Exchanges compared with their statements.
    pub exchanges: u64,
    /// Payloads hashed, in files and in the ledger.
    pub payloads: u64,
    /// Bytes of these payloads.
    pub payload_bytes: u64,
    /// Headers decrypted.
    pub headers: u64,
    /// Entries of the journal of destructions.
    pub destructions: u64,
    /// Packages that were destroyed before this state was restored, so that no statement here says so.
    pub unstated: u64,
    /// Packages that were made unreadable after their term, so that their destruction is still to be stated.
    pub unreadable: u64,
    /// Peers.
    pub peers: u64,
    /// Heads of others' logs, alarms about them, and cosignatures on the own log.
    pub heads: u64,
}

impl Report {
    /// Whether something is damaged; leftovers are not damage.
    pub fn is_damaged(&self) -> bool {
        let damaged = |finding: &Difference| finding.severity == Severity::Damage;
        self.more > 0 || self.findings.iter().any(damaged)
    }

    pub(crate) fn add(&mut self, finding: Difference) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            tally(&mut self.more, 1);
        }
    }
}

/// Counts what was looked at.
pub(crate) fn tally(counter: &mut u64, more: u64) {
    *counter = counter.saturating_add(more);
}

/// How a difference can be set right.
pub(crate) enum Fix {
    /// Write the row of this exchange anew from its statements.
    Exchange(i64),
    /// Write leaves and frontier anew from the statements.
    Log,
    /// Write size and root of a head of another's log as its checkpoint says.
    Witnessed(Box<WitnessedRow>),
    /// Write size, time and checksum of a cosignature as its checkpoint and its line say.
    Cosigned(Box<CosignedRow>),
    /// Build the indexes anew.
    Indexes,
    /// Give every statement the number of its exchange.
    Numbers,
    /// Write anew which statement has which digest.
    Found,
    /// Write this list of segment hashes anew from its payload.
    List(std::path::PathBuf),
    /// Remove this file.
    File(std::path::PathBuf),
    /// Overwrite this cell of the slot file.
    Cell(u32),
}

/// One run: where it looks, what it trusts, what it found.
pub(crate) struct Check<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) folder: &'a Path,
    /// The journal of destructions.
    pub(crate) journal: &'a Path,
    pub(crate) own: &'a AuthorityId,
    pub(crate) keys: HashMap<(KeyName, KeyId), PublicKey>,
    /// Receipts keys, each under its card.
    pub(crate) parties: HashMap<AuthorityId, PartyKeys>,
    pub(crate) report: Report,
    pub(crate) fixes: Vec<Fix>,
}

impl Check<'_> {
    /// Notes damage.
    pub(crate) fn damage(
        &mut self,
        code: &'static str,
        place: impl Into<String>,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) {
        self.note(
            (Severity::Damage, code),
            place.into(),
            (expected, found),
            None,
        );
    }

    /// Notes damage that can be set right.
    pub(crate) fn repairable(
        &mut self,
        fix: Fix,
        code: &'static str,
        place: impl Into<String>,
        (expected, found): (impl std::fmt::Display, impl std::fmt::Display),
    ) {
        self.note(
            (Severity::Damage, code),
            place.into(),
            (expected, found),
            Some(fix),
        );
    }

    /// Notes what a killed process left.
    pub(crate) fn leftover(
        &mut self,
        fix: Option<Fix>,
        code: &'static str,
        place: String,
        found: &str,
    ) {
        self.note((Severity::Leftover, code), place, ("nothing", found), fix);
    }

    fn note(
        &mut self,
        (severity, code): (Severity, &'static str),
        place: String,
        (expected, found): (impl std::fmt::Display, impl std::fmt::Display),
        fix: Option<Fix>,
    ) {
        self.report.add(Difference {
            severity,
            code,
            place,
            expected: expected.to_string(),
            found: found.to_string(),
            repairable: fix.is_some(),
        });
        self.fixes.extend(fix);
    }

    pub(crate) fn trust(&mut self, card: &Card) {
        for (_, key) in card.keys.all() {
            self.keys
                .insert((key.name().clone(), key.id()), key.clone());
        }
        let (number, key) = (card.number, &card.keys.receipts);
        self.parties
            .entry(card.id.clone())
            .and_modify(|keys| keys.add(number, key.clone()))
            .or_insert_with(|| PartyKeys::of(card));
    }
}
