//! What a sender is told of its package by itself: a declared exception, content that is not what it signed, and what
//! was done with it.
//!
//! Such a statement follows what both sides hold, not the receiver's own record of openings; it is marked in the same commit as
//! to be told, and the courier tells it until the sender has acknowledged it.

use crate::api::server::{ApiFailure, Caller};
use crate::base::Digest;
use crate::base::Xid;
use crate::base::json;
use crate::daemon::Daemon;
use crate::daemon::openings::altered;
use crate::daemon::statements::{commit_failure, disclosures_key, unsigned};
use crate::policy::{Code, Purpose};
use crate::receipt::{Disclosure, Kind, Reason, Used};
use crate::store::{self, Exchange, Op, Phase};

/// What is stated and told.
pub(crate) struct Notice {
    pub(crate) kind: Kind,
    pub(crate) reason: Option<Reason>,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) uses: Vec<Used>,
    /// They stay here; their digests are signed.
    pub(crate) disclosures: Vec<Disclosure>,
}

impl Daemon {
    /// States this about a package that is held here, together with other changes, and has its sender told.
    pub(crate) async fn notify(
        &self,
        row: &Exchange,
        notice: Notice,
        mut ops: Vec<Op>,
    ) -> Result<Digest, ApiFailure> {
        let _one_at_a_time = self.access.lock().await;
        let last = self.shared_notes(row).await?.pop();
        let last = last.ok_or_else(|| altered("handover"))?;
        let mut next = last
            .receipt
            .follow(&last.note, notice.kind)
            .stamped(&self.stamp())
            .disclosing(&notice.disclosures);
        next.reason = notice.reason;
        next.purpose = notice.purpose;
        next.uses = notice.uses;
        let note = next.sign(&self.station.own.key).map_err(|e| unsigned(&e))?;
        let kept: Vec<_> = notice.disclosures.iter().map(Disclosure::encode).collect();
        let (xid, now) = (row.xid, self.station.clock());
        ops.extend([
            self.logged(Some(xid), notice.kind, &note),
            Op::Advance {
                xid,
                from: vec![Phase::Held],
                to: Phase::Held,
                last_note: Some(note.bytes().to_vec()),
                at: now,
            },
            Op::Retry {
                xid,
                attempts: 0,
                next_try: Some(now),
                fault: None,
            },
            Op::Meta {
                key: store::tell_key(&note.digest()),
                value: store::DUE.to_vec(),
            },
            Op::Meta {
                key: disclosures_key(&note),
                value: json::canonical(&kept),
            },
        ]);
        let committed = self.station.ledger.commit(ops).await;
        committed.map_err(commit_failure)?;
        self.changed(xid);
        self.ring(&row.peer);
        Ok(note.digest())
    }

    /// States that what an opening gave is not what was signed, as the person who unpacked it found; the opening ends.
    pub(crate) async fn mismatch(
        &self,
        caller: &Caller,
        opening: &str,
        code: &str,
    ) -> Result<Digest, ApiFailure> {
        if !Code::is_well_formed(code) {
            let message = "what does not match is named by one word";
            return Err(ApiFailure::usage("bad-code", message));
        }
        let xid: Xid = self.openings.of(opening, caller, self.station.clock())?;
        let row = self.exchange(&xid).await?;
        let notice = Notice {
            kind: Kind::ContentMismatch,
            reason: Some(Reason::technical(code)),
            purpose: None,
            uses: Vec::new(),
            disclosures: Vec::new(),
        };
        let receipt = self.notify(&row, notice, Vec::new()).await?;
        self.openings.end(opening, caller);
        tracing::error!(%xid, code, "a package is not what its sender has signed; the sender is told");
        Ok(receipt)
    }
}
