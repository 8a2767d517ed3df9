//! The invariants that must hold after every event, looked at from outside the machines.

use std::collections::{BTreeMap, BTreeSet};

use rogatory::base::{Digest, Timestamp, Xid};
use rogatory::exchange::Phase;
use rogatory::identity::statement::Note;
use rogatory::policy::action::Action;
use rogatory::receipt::{self, Kind, Receipt};
use rogatory::transfer::reception::Admission;
use rogatory::wire::Frame;

use crate::jobs::path;
use crate::scene::Quirk;
use crate::world::World;

/// The memory of the checkers.
#[derive(Default)]
pub(crate) struct Checks {
    /// Something durable has changed since they last looked.
    pub(crate) dirty: bool,
    /// The first text of each kind of statement, and the first bytes of each with so many signatures.
    said: BTreeMap<(Xid, Kind, usize), Vec<u8>>,
    /// Heads that were ever sent: whose log, size, root.
    heads: BTreeSet<(usize, u64, Digest)>,
    admitted: BTreeSet<(usize, Xid)>,
    what_broke: Option<String>,
    less: Option<Xid>,
}

impl Checks {
    /// A file operation failed that cannot fail.
    pub(crate) fn broken(&mut self, what: &str) {
        self.what_broke.get_or_insert_with(|| what.to_owned());
    }

    /// Fewer segments are there than were recorded as durable.
    pub(crate) fn less_than_recorded(&mut self, xid: &Xid) {
        self.less.get_or_insert(*xid);
    }
}

/// An exchange, as the checkers look at it.
struct Case {
    xid: Xid,
    from: usize,
    to: usize,
    parcel: usize,
}

impl World {
    /// A frame is about to be sent: durable, then logged, then said.
    pub(crate) fn says(&mut self, node: usize, xid: Xid, frame: &Frame) {
        let ledger = &self.nodes[node].ledger;
        let sealed = ledger.note(&xid, Kind::Consigned, 2).is_some();
        match frame {
            Frame::Receipt(bytes) | Frame::Offer(bytes) => self.says_receipt(node, xid, bytes),
            Frame::Header(_) if !sealed => {
                self.violated(format!(
                    "the header of {xid} leaves before consigned is durable"
                ));
            }
            Frame::Accept { .. } if !self.checks.admitted.contains(&(node, xid)) => {
                self.violated(format!("I5: {xid} is accepted without a decision"));
            }
            Frame::Accept { .. }
            | Frame::Header(_)
            | Frame::Hello(_)
            | Frame::Card(_)
            | Frame::Crl(_)
            | Frame::Ack(_)
            | Frame::Held(_)
            | Frame::AddCheckpoint(_)
            | Frame::Cosignature(_)
            | Frame::Knows(_)
            | Frame::Gossip(_)
            | Frame::Disclosures(_)
            | Frame::Later(_)
            | Frame::Done
            | Frame::Fault(_) => {}
        }
    }

    fn says_receipt(&mut self, node: usize, xid: Xid, bytes: &[u8]) {
        let Ok(note) = Note::parse(bytes) else {
            return self.violated(format!("n{node} sends a note about {xid} that is none"));
        };
        let Ok(receipt) = receipt::open(&note) else {
            return self.violated(format!("n{node} sends a receipt about {xid} that is none"));
        };
        let kind = receipt.kind;
        let signatures = note.signatures().len();
        let ledger = &self.nodes[node].ledger;
        let held = ledger.note(&xid, kind, signatures);
        if held.is_none_or(|held| held.bytes() != bytes) {
            return self.violated(format!(
                "I1: n{node} says {kind} of {xid} before it is durable"
            ));
        }
        let place = (xid, kind, signatures);
        let first = self
            .checks
            .said
            .entry(place)
            .or_insert_with(|| bytes.to_vec());
        if first != bytes {
            return self.violated(format!("I2: another {kind} of {xid} than was said before"));
        }
        self.remember_heads(&receipt);
    }

    fn remember_heads(&mut self, receipt: &Receipt) {
        for head in &receipt.heads {
            let owner = head.origin.trim_end_matches("/log");
            let node = self.nodes.iter().position(|it| it.own.id.as_str() == owner);
            if let Some(node) = node {
                self.checks.heads.insert((node, head.size, head.root));
            }
        }
    }

    /// A receiver is about to take an offer in.
    pub(crate) fn admitted(&mut self, node: usize, admission: &Admission, clock: Timestamp) {
        let xid = admission.xid;
        let covers = admission
            .permit
            .covers(Action::Admit, &admission.pkg.body, clock);
        let Some(parcel) = self.by_xid.get(&xid).copied() else {
            return self.violated(format!("I5: {xid} is admitted, and nobody sent it"));
        };
        let tonight = Timestamp::from_millis(self.begins).date().end_of_day();
        let forbidden = match self.sent[parcel].parcel.quirk {
            Quirk::AboveCeiling | Quirk::TooLarge => true,
            Quirk::SunsetTonight => clock > tonight,
            Quirk::Plain | Quirk::BadHeader | Quirk::Withdrawn(_) | Quirk::GivenUp(_) => false,
        };
        if !covers || forbidden || self.sent[parcel].parcel.to != node {
            return self.violated(format!("I5: {xid} is admitted against the policy"));
        }
        self.checks.admitted.insert((node, xid));
    }

    fn cases(&self) -> Vec<Case> {
        let all = self.by_xid.iter();
        all.map(|(xid, parcel)| Case {
            xid: *xid,
            from: self.sent[*parcel].parcel.from,
            to: self.sent[*parcel].parcel.to,
            parcel: *parcel,
        })
        .collect()
    }

    fn phase(&self, node: usize, xid: &Xid) -> Option<Phase> {
        self.nodes[node].ledger.rows.get(xid).map(|row| row.phase)
    }

    /// Looks at everything durable, if it has changed.
    pub(crate) fn check_now(&mut self) {
        if let Some(what) = self.checks.what_broke.take() {
            return self.violated(format!("a file operation failed that cannot fail: {what}"));
        }
        if let Some(xid) = self.checks.less.take() {
            return self.violated(format!(
                "I1: segments of {xid} recorded as durable are gone"
            ));
        }
        if !std::mem::take(&mut self.checks.dirty) {
            return;
        }
        for case in self.cases() {
            let wrong = self
                .check_sender(&case)
                .or_else(|| self.check_receiver(&case));
            if let Some(wrong) = wrong {
                return self.violated(format!("{wrong} ({})", case.xid));
            }
        }
        let forked = self
            .checks
            .heads
            .iter()
            .find(|(node, size, root)| self.nodes[*node].ledger.root_at(*size) != Some(*root));
        if let Some((node, size, _)) = forked {
            let what = format!("I4: the log of n{node} is not what its head of size {size} said");
            self.violated(what);
        }
    }

    fn check_sender(&self, case: &Case) -> Option<&'static str> {
        let xid = &case.xid;
        let (here, there) = (&self.nodes[case.from].ledger, &self.nodes[case.to].ledger);
        let phase = self.phase(case.from, xid)?;
        let other = self.phase(case.to, xid);
        let same = |kind| {
            let (ours, theirs) = (here.note(xid, kind, 2), there.note(xid, kind, 1));
            matches!((ours, theirs), (Some(a), Some(b)) if a.text() == b.text())
        };
        let signed = match phase {
            Phase::Dispatched => true,
            Phase::Consigned => same(Kind::Consigned),
            Phase::Delivered | Phase::Closed => same(Kind::Consigned) && same(Kind::Handover),
            Phase::Failed => same(Kind::Consigned) && same(Kind::HandoverFailed),
            Phase::Rejected => {
                let ours = here.note(xid, Kind::Rejected, 1);
                ours.is_some() && ours == there.note(xid, Kind::Rejected, 1)
            }
            Phase::Expired | Phase::Withdrawn => here.note(xid, Kind::Consigned, 2).is_none(),
            Phase::Receiving
            | Phase::RestrictionSigned
            | Phase::DestructionSigned
            | Phase::Destroyed
            | Phase::HandoverSigned
            | Phase::Held
            | Phase::Refused
            | Phase::Lapsed => false,
        };
        if !signed {
            return Some("I1: the sender holds what the receiver has not durably signed");
        }
        let fits = match phase {
            Phase::Consigned => matches!(other, Some(Phase::Consigned | Phase::HandoverSigned)),
            Phase::Delivered => matches!(other, Some(Phase::HandoverSigned | Phase::Held)),
            Phase::Closed => other == Some(Phase::Held),
            Phase::Failed => matches!(other, Some(Phase::HandoverSigned | Phase::Failed)),
            Phase::Rejected => other == Some(Phase::Refused),
            Phase::Dispatched | Phase::Expired | Phase::Withdrawn => !matches!(
                other,
                Some(Phase::HandoverSigned | Phase::Held | Phase::Failed)
            ),
            Phase::Receiving
            | Phase::RestrictionSigned
            | Phase::DestructionSigned
            | Phase::Destroyed
            | Phase::HandoverSigned
            | Phase::Held
            | Phase::Refused
            | Phase::Lapsed => false,
        };
        if !fits {
            return Some("I2: the two ends contradict each other");
        }
        let needs = matches!(phase, Phase::Dispatched | Phase::Consigned);
        match (needs, here.headers.get(xid)) {
            (true, None) => Some("the sender has lost its header"),
            (false, Some(_)) => Some("the sender has kept its header"),
            (true, Some(_)) | (false, None) => None,
        }
    }

    fn check_receiver(&self, case: &Case) -> Option<&'static str> {
        let xid = &case.xid;
        let here = &self.nodes[case.to];
        let phase = self.phase(case.to, xid)?;
        let parcel = &self.sent[case.parcel].parcel;
        let signed = matches!(
            phase,
            Phase::Consigned | Phase::HandoverSigned | Phase::Held | Phase::Failed
        );
        if signed {
            let whole = match here.ledger.payloads.get(xid) {
                Some(content) => [*content] == parcel.contents[..],
                None => here
                    .disk
                    .certain(&path("blobs", xid, ""))
                    .is_some_and(|contents| contents == parcel.contents),
            };
            if !whole {
                return Some("I1: consigned is signed, and the payload is not durable and whole");
            }
        }
        let header = here.ledger.headers.get(xid);
        let handed = here.ledger.note(xid, Kind::Handover, 1).is_some();
        let readable = matches!(phase, Phase::HandoverSigned | Phase::Held) && handed;
        match header {
            Some(header) if **header != parcel.header => Some("I1: another header than was sent"),
            Some(_) if !readable => Some("I3: a package can be read before its handover"),
            None if readable => Some("I1: handover is signed, and the header is gone"),
            Some(_) | None => None,
        }
    }

    /// Whether every exchange has ended at both ends.
    pub(crate) fn all_ended(&self) -> bool {
        let created = self.sent.iter().all(|sent| {
            let known = |xid: &Xid| self.nodes[sent.parcel.from].ledger.rows.contains_key(xid);
            sent.xid.as_ref().is_some_and(known)
        });
        created
            && self
                .cases()
                .iter()
                .all(|case| self.still_open(case).is_none())
    }

    /// Why an exchange has not ended.
    fn still_open(&self, case: &Case) -> Option<String> {
        let row = self.nodes[case.from].ledger.rows.get(&case.xid)?;
        let there = self.phase(case.to, &case.xid);
        let ended_here = match row.phase {
            Phase::Closed | Phase::Rejected => true,
            Phase::Failed | Phase::Expired | Phase::Withdrawn => row.told,
            Phase::Dispatched
            | Phase::Consigned
            | Phase::Delivered
            | Phase::RestrictionSigned
            | Phase::DestructionSigned
            | Phase::Destroyed
            | Phase::Receiving
            | Phase::HandoverSigned
            | Phase::Held
            | Phase::Refused
            | Phase::Lapsed => false,
        };
        let ended_there = matches!(
            there,
            None | Some(Phase::Held | Phase::Failed | Phase::Refused | Phase::Lapsed)
        );
        let what = format!("{} is {} here, {there:?} there", case.xid, row.phase);
        (!ended_here || !ended_there).then_some(what)
    }

    /// Looks at what is left when time is over.
    pub(crate) fn check_end(&mut self) {
        if !self.all_ended() {
            let open: Vec<String> = self
                .cases()
                .iter()
                .filter_map(|it| self.still_open(it))
                .collect();
            return self.violated(format!("I8: not ended: {}", open.join("; ")));
        }
        for case in self.cases() {
            for node in [case.from, case.to] {
                if let Err(why) = self.check_chain(node, &case) {
                    return self.violated(format!("I2: {} at n{node}: {why}", case.xid));
                }
            }
            if let Some(phase) = self.phase(case.from, &case.xid) {
                *self.figures.ends.entry(phase.to_string()).or_default() += 1;
            }
        }
    }

    /// The statements of an exchange are a chain that verifies, each kind once with each number of signatures.
    fn check_chain(&self, node: usize, case: &Case) -> Result<(), String> {
        let ledger = &self.nodes[node].ledger;
        let of = ledger.statements.iter().filter(|it| it.xid == case.xid);
        let mut seen = BTreeSet::new();
        let mut chain: BTreeMap<u32, (Receipt, Note)> = BTreeMap::new();
        let mut branches = 0;
        for statement in of {
            let note = &statement.note;
            let receipt = receipt::open(note).map_err(|e| e.to_string())?;
            if !seen.insert((receipt.kind, note.signatures().len())) {
                return Err(format!("two {} with as many signatures", receipt.kind));
            }
            let complete = note.signatures().len() == 2 || !receipt.kind.profile().countersigned;
            let (sender, receiver) = (&self.nodes[case.from].public, &self.nodes[case.to].public);
            receipt::verify(note, &receipt, sender, receiver, complete)
                .map_err(|e| e.to_string())?;
            let step = receipt.step.unwrap_or(0);
            let before = chain.get(&step).map(|(_, note)| note.text().to_owned());
            if before.is_some_and(|before| before != note.text()) {
                branches += 1;
            }
            chain.insert(step, (receipt, note.clone()));
        }
        // A receiver may have signed `consigned` before it heard that the sender had ended the exchange.
        let lapsed = chain
            .values()
            .any(|(it, _)| matches!(it.kind, Kind::Expired | Kind::Withdrawn));
        if branches > u32::from(lapsed) {
            return Err("two statements of one step".to_owned());
        }
        for pair in chain.values().collect::<Vec<_>>().windows(2) {
            let [(prev, note), (next, _)] = pair else {
                continue;
            };
            receipt::continues(prev, note, next).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}
