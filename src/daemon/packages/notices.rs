//! The statements about its package that a sender is told automatically: an opening under a declared exception, content
//! that is not what it signed, what was done with it, that it was passed on, and a wish for its consent.
//!
//! Such a statement follows what both sides hold, not the receiver's own record of openings; it is marked in the same
//! commit as to be told, and the courier tells it until the sender has acknowledged it.

use crate::api::server::ApiFailure;
use crate::base::{AuthorityId, Digest, Timestamp, Xid};
use crate::daemon::Daemon;
use crate::daemon::packages::statements::Stated;
use crate::identity::statement::Note;
use crate::policy::Purpose;
use crate::receipt::{Disclosure, Kind, Reason, Used};
use crate::store::{self, Exchange, Op};

/// A statement that the sender is told of.
pub(crate) struct Notice {
    pub(crate) kind: Kind,
    pub(crate) reason: Option<Reason>,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) third: Option<AuthorityId>,
    pub(crate) subject: Option<Digest>,
    pub(crate) uses: Vec<Used>,
    /// They stay here, but for the words of a wish and the receipt of a third authority; their digests are signed.
    pub(crate) disclosures: Vec<Disclosure>,
}

impl Notice {
    /// One that says no more than its kind.
    pub(crate) const fn of(kind: Kind) -> Self {
        Self {
            kind,
            reason: None,
            purpose: None,
            third: None,
            subject: None,
            uses: Vec::new(),
            disclosures: Vec::new(),
        }
    }
}

/// The changes that have the sender of a package told of a statement.
pub(crate) fn tell(xid: Xid, note: &Note, now: Timestamp) -> [Op; 2] {
    [
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
    ]
}

impl Daemon {
    /// States this about a package that is (or was) held here, together with other changes, and has its sender told.
    pub(crate) async fn notify(
        &self,
        row: &Exchange,
        notice: Notice,
        mut ops: Vec<Op>,
    ) -> Result<Digest, ApiFailure> {
        let _one_at_a_time = self.access.lock().await;
        let chain = self.chain_of(row).await?;
        let last = chain.last()?;
        let mut next = last
            .receipt
            .follow(&last.note, notice.kind)
            .stamped(&self.stamp())
            .disclosing(&notice.disclosures);
        next.reason = notice.reason;
        next.purpose = notice.purpose;
        next.third = notice.third;
        next.subject = notice.subject;
        next.uses = notice.uses;
        let note = self.sign(next)?;
        let (xid, now) = (row.xid, self.station.clock());
        let stays = Stated {
            kind: notice.kind,
            note: &note,
            disclosures: &notice.disclosures,
        };
        ops.extend(self.stated(xid, &stays));
        ops.extend(tell(xid, &note, now));
        self.station.ledger.commit(ops).await?;
        self.ring(&row.peer);
        Ok(note.digest())
    }
}
