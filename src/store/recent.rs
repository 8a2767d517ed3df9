//! The writer's memory of the exchanges that it changed last, so that it need not read them again.

use std::collections::HashMap;

use crate::base::{Digest, Xid};
use crate::exchange::{Direction, Phase};

/// Exchanges that are remembered, at least; as many more are until they are forgotten together.
const EXCHANGES_MAX: usize = 512;
/// Statements of exchanges that are remembered, at which those exchanges grow old together. One exchange may have more.
const STATEMENTS_MAX: usize = 1 << 16;

/// The cell of the slot file that holds the key of an exchange's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyCell {
    /// Not looked for.
    Unread,
    /// There is no header.
    None,
    /// This one.
    At(u32),
}

/// An exchange as it is in the ledger, with what the current group has changed.
#[derive(Debug)]
pub(crate) struct RecentExchange {
    pub(crate) no: i64,
    pub(crate) phase: Phase,
    pub(crate) direction: Direction,
    /// Its statements, by digest and number.
    pub(crate) statements: Vec<(Digest, i64)>,
    pub(crate) cell: KeyCell,
}

/// Exchanges by id. Emptied whenever a group or a batch of it did not become what was remembered.
#[derive(Debug, Default)]
pub(crate) struct RecentExchanges {
    new: HashMap<Xid, RecentExchange>,
    old: HashMap<Xid, RecentExchange>,
    /// Statements of those in `new`.
    statements: usize,
}

impl RecentExchanges {
    pub(crate) fn get(&mut self, xid: &Xid) -> Option<&mut RecentExchange> {
        if let Some(known) = self.old.remove(xid) {
            self.put(*xid, known);
        }
        self.new.get_mut(xid)
    }

    pub(crate) fn put(&mut self, xid: Xid, known: RecentExchange) {
        if self.new.len() >= EXCHANGES_MAX || self.statements >= STATEMENTS_MAX {
            self.old = std::mem::take(&mut self.new);
            self.statements = 0;
        }
        self.statements = self.statements.saturating_add(known.statements.len());
        self.new.insert(xid, known);
    }

    /// Adds a statement to an exchange, if that is remembered.
    pub(crate) fn add(&mut self, xid: &Xid, digest: Digest, seq: i64) {
        if let Some(known) = self.get(xid) {
            known.statements.push((digest, seq));
            self.statements = self.statements.saturating_add(1);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.new.clear();
        self.old.clear();
        self.statements = 0;
    }
}
