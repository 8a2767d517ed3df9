//! Rows of the ledger as the API shows them.

use crate::api::accounts::Accounts;
use crate::api::types::{
    FaultView, HeldBack, ListView, PackageView, PeerView, Problem, ReceiptView, Status,
    TransferView, WaitingCard,
};
use crate::base::{AuthorityId, Timestamp, limits};
use crate::daemon::Daemon;
use crate::daemon::peers::card_note::CardNote;
use crate::daemon::peers::roster::KnownPeer;
use crate::daemon::people::roles;
use crate::exchange::{Direction, Phase};
use crate::identity::revocation::RevocationList;
use crate::identity::statement::Note;
use crate::identity::words;
use crate::net::session::share::Share;
use crate::policy::terms::Terms;
use crate::receipt::{self, Reason};
use crate::store::durable::STORAGE_FULL;
use crate::store::{Exchange, PeerState, StatementRow, StoreFault, StoredFault};

pub(crate) fn fault(fault: &StoredFault) -> FaultView {
    FaultView {
        code: fault.code.clone(),
        text: fault.text.clone(),
    }
}

/// Why an exchange has ended, as the receipt of that says.
pub(crate) fn reason_of(note: &[u8]) -> Option<FaultView> {
    let note = Note::parse(note).ok()?;
    let reason = receipt::open(&note).ok()?.reason?;
    Some(said(reason))
}

fn said(Reason { code, clause }: Reason) -> FaultView {
    let words = match code.as_str() {
        "not-for-us" => {
            "the receiver could not open the header with its identity: did it publish another age key in its card?"
        }
        _ => &code,
    };
    let text = if clause.is_empty() {
        words.to_owned()
    } else {
        format!("{words} ({clause})")
    };
    FaultView { code, text }
}

fn held_back(share: &Share) -> HeldBack {
    let counts = share.counts();
    HeldBack {
        offers: counts.offers,
        quota: counts.quota,
        unopened_packages: None,
        unopened_bytes: None,
        grown_bytes: counts.grown.bytes,
        grown_leaves: counts.grown.leaves,
        growth: counts.grown.late,
        control: counts.control,
        send_ms: share.paces().send_waited_ms(),
        receive_ms: share.paces().receive_waited_ms(),
    }
}

pub(crate) fn peer(daemon: &Daemon, known: &KnownPeer) -> PeerView {
    let cas = known.card.cas();
    let in_use = known.lists.iter().filter(|list| list.is_under(&cas));
    let session = daemon.roster.session(&known.row.id);
    let heard = session
        .as_ref()
        .map(|session| crate::net::session::heard_at(&daemon.station, session));
    PeerView {
        id: known.row.id.clone(),
        alias: known.row.alias.clone(),
        name: known.card.name.clone(),
        country: known.card.country.clone(),
        state: known.row.state.as_str().to_owned(),
        fingerprint: known.fingerprint.clone(),
        endpoints: known.card.endpoints.clone(),
        card_number: known.row.number,
        card: None,
        connected: session.is_some(),
        last_seen: heard.max(known.row.last_seen),
        crl_expires: in_use.filter_map(RevocationList::ends).min(),
        lists: known
            .lists
            .iter()
            .map(|it| list(it, it.is_under(&cas)))
            .collect(),
        older_lists: Vec::new(),
        fault: known
            .row
            .fault
            .as_ref()
            .filter(|_| session.is_none())
            .map(fault),
        waiting_cards: known
            .waiting
            .iter()
            .map(|(at, it)| waiting_card(known, *at, it))
            .collect(),
        held_back: held_back(&daemon.station.share(&known.row.id)),
    }
}

/// A revocation list as it is shown.
pub(crate) fn list(it: &RevocationList, in_use: bool) -> ListView {
    ListView {
        ca: it.name().to_owned(),
        ca_id: it.ca(),
        number: it.number(),
        begins: it.begins(),
        expires: it.ends(),
        in_use,
    }
}

fn waiting_card(known: &KnownPeer, came: Timestamp, it: &CardNote) -> WaitingCard {
    WaitingCard {
        number: it.card.number,
        fingerprint: words::words(&it.digest()),
        came,
        conflicts: known.is_contradicted_by(&it.card),
        card: None,
    }
}

/// The view of a peer with its cards as they were signed.
pub(crate) fn peer_with_cards(daemon: &Daemon, known: &KnownPeer) -> PeerView {
    let text = |note: &[u8]| Some(String::from_utf8_lossy(note).into_owned());
    let mut view = peer(daemon, known);
    view.card = text(&known.row.card);
    for (shown, (_, waiting)) in view.waiting_cards.iter_mut().zip(&known.waiting) {
        shown.card = text(waiting.note.bytes());
    }
    view
}

impl Daemon {
    fn alias(&self, id: &AuthorityId) -> Option<crate::base::Alias> {
        self.roster.by_id(id).map(|known| known.row.alias.clone())
    }

    /// A package as it is listed.
    pub(crate) fn package_view(&self, row: &Exchange) -> Result<PackageView, StoreFault> {
        let terms = row.terms_now().filter(|_| row.phase.is_handed_over());
        let terms: Terms = terms
            .map_or_else(|| serde_json::from_str(&row.terms), Ok)
            .map_err(|e| {
                StoreFault::Damaged(format!("the terms of {} cannot be read: {e}", row.xid))
            })?;
        let has_ended = matches!(
            row.phase,
            Phase::Rejected | Phase::Failed | Phase::Expired | Phase::Withdrawn
        );
        let ended = has_ended.then(|| reason_of(&row.last_note)).flatten();
        let lost = self.lost_receipt(&row.xid);
        let phase = lost.as_ref().map_or(row.phase, |_| Phase::Destroyed);
        Ok(PackageView {
            id: row.xid,
            direction: row.direction.as_str().to_owned(),
            state: phase.as_str().to_owned(),
            peer: row.peer.clone(),
            peer_alias: self.alias(&row.peer),
            case: row.case_ref.clone(),
            request: row.request_ref.clone(),
            title: row.title.clone(),
            created: row.created,
            updated: row.updated,
            len: row.len,
            items: (row.items > 0).then_some(row.items),
            terms,
            fault: lost
                .or(ended)
                .or_else(|| self.unstated_fault(&row.xid))
                .or_else(|| row.fault.as_ref().map(fault)),
        })
    }

    /// A transfer as it is listed.
    pub(crate) fn transfer_view(&self, row: &Exchange) -> TransferView {
        let meter = self.station.metered(&row.xid);
        let now = self.station.instant();
        let (active, moved) = meter
            .as_ref()
            .map_or((false, 0), |meter| (meter.active(), meter.moved()));
        let rate = meter.as_ref().map_or(0, |meter| meter.rate(now));
        let done_bytes = match row.phase {
            Phase::Dispatched if active => {
                meter.as_ref().map_or(0, |meter| meter.done().min(row.len))
            }
            Phase::Receiving => {
                let durable = row
                    .have
                    .len()
                    .saturating_mul(limits::SEGMENT_BYTES)
                    .min(row.len);
                meter
                    .as_ref()
                    .map_or(durable, |meter| meter.done().min(row.len).max(durable))
            }
            Phase::Dispatched
            | Phase::Rejected
            | Phase::Refused
            | Phase::Expired
            | Phase::Withdrawn
            | Phase::Lapsed => 0,
            Phase::Consigned
            | Phase::Delivered
            | Phase::Closed
            | Phase::Failed
            | Phase::HandoverSigned
            | Phase::Held
            | Phase::RestrictionSigned
            | Phase::DestructionSigned
            | Phase::Destroyed => row.len,
        };
        TransferView {
            id: row.xid,
            direction: row.direction.as_str().to_owned(),
            peer: row.peer.clone(),
            peer_alias: self.alias(&row.peer),
            state: row.phase.as_str().to_owned(),
            active,
            urgent: row.urgent,
            len: row.len,
            done_bytes,
            sent_bytes: moved,
            rate,
            eta_s: (rate > 0).then(|| row.len.saturating_sub(done_bytes) / rate),
            attempts: u64::from(row.attempts),
            next_try: row.next_try,
            fault: self.transfer_fault(row),
        }
    }

    /// Why a transfer does not go on: its own fault, or that its peer cannot be reached; nothing once it is over.
    fn transfer_fault(&self, row: &Exchange) -> Option<FaultView> {
        if matches!(row.phase, Phase::Closed | Phase::Held | Phase::Destroyed) {
            return None;
        }
        let unreached = || self.roster.by_id(&row.peer)?.row.fault.as_ref().map(fault);
        let connected = self.roster.session(&row.peer).is_some();
        let unreached = if connected { None } else { unreached() };
        unreached.or_else(|| row.fault.as_ref().map(fault))
    }

    /// All that an operator wants to see first.
    pub(crate) async fn status(&self) -> Result<Status, StoreFault> {
        let counts = self.station.ledger.counts().await?;
        let in_name = self.station.ledger.held_in_name().await?;
        let count = |direction: Direction, phases: &[Phase]| -> u64 {
            counts
                .iter()
                .filter(|(way, phase, _)| *way == direction && phases.contains(phase))
                .map(|(_, _, n)| n)
                .sum()
        };
        let papers = self.papers.shown();
        let peers: Vec<_> = self
            .roster
            .all()
            .iter()
            .map(|known| peer(self, known))
            .collect();
        let free = self.station.blobs.free().ok();
        let waiting = self.station.ledger.waiting().await?;
        let log = self.log_status().await?;
        let clock = self.clock_view().await;
        let mut problems = self.log_problems(&log);
        problems.extend(self.problems(&peers, free, &waiting));
        problems.extend(self.role_problems());
        problems.extend(self.retention_problem());
        problems.extend(self.review_problem());
        problems.extend(self.policy_problem().await?);
        problems.extend(self.fork_problems().await?);
        problems.extend(self.journal_problems());
        problems.extend(self.clock_problem());
        problems.sort_by(|a, b| a.severity.cmp(&b.severity));
        Ok(Status {
            problems,
            authority: self.station.own.id.clone(),
            alias: self.card.alias.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            phase: self.phase().borrow().as_str().to_owned(),
            listen: self
                .endpoint
                .local_addr()
                .map(|at| at.to_string())
                .unwrap_or_default(),
            peers,
            outgoing: count(
                Direction::Out,
                &[Phase::Dispatched, Phase::Consigned, Phase::Delivered],
            ),
            incoming: count(
                Direction::In,
                &[Phase::Receiving, Phase::Consigned, Phase::HandoverSigned],
            ),
            held: count(Direction::In, &[Phase::Held]).saturating_sub(in_name),
            log,
            store_free_bytes: free.unwrap_or_default(),
            send_waited_ms: self.station.paces().send_waited_ms(),
            receive_waited_ms: self.station.paces().receive_waited_ms(),
            certificate_expires: papers.certificate_expires,
            crl_expires: papers.crl_expires(),
            clock: Some(clock),
            sandbox: Some(self.sandbox.view()),
        })
    }

    /// Names in `[roles]` that this system does not know: a slip of the pen keeps somebody out.
    fn role_problems(&self) -> impl Iterator<Item = Problem> {
        let holders = self.config.roles.as_deref().unwrap_or_default();
        let unknown = |(_, it): &&(_, _)| roles::is_unknown(it, Accounts::remembered());
        holders.iter().filter(unknown).map(|(role, holder)| Problem {
            severity: "warning".to_owned(),
            code: "role-holder-unknown".to_owned(),
            subject: format!("roles.{role}"),
            message: format!(
                "this system did not know {holder} when the daemon started: correct it, or name it by number, then restart the daemon"
            ),
        })
    }

    /// The packages that may no longer be kept and are still here: somebody has to order their destruction, or to see
    /// why it fails.
    fn retention_problem(&self) -> Option<Problem> {
        let due = self.retention.due();
        (due > 0).then(|| Problem {
            severity: "warning".to_owned(),
            code: "destruction-due".to_owned(),
            subject: "packages".to_owned(),
            message: format!(
                "{due} may no longer be kept: a supervisor looks at them with: rogatory package purge --due --dry-run"
            ),
        })
    }

    /// The packages that are not used any more until somebody has looked whether they are still needed.
    fn review_problem(&self) -> Option<Problem> {
        let due = self.retention.unreviewed();
        (due > 0).then(|| Problem {
            severity: "warning".to_owned(),
            code: "review-due".to_owned(),
            subject: "packages".to_owned(),
            message: format!(
                "{due} are not opened until somebody has looked whether they are still needed: a supervisor records it with: rogatory package review ID"
            ),
        })
    }

    fn problems(
        &self,
        peers: &[PeerView],
        free: Option<u64>,
        waiting: &[crate::store::Waiting],
    ) -> Vec<Problem> {
        let problem = |severity: &str, code: &str, subject: &str, message: String| Problem {
            severity: severity.to_owned(),
            code: code.to_owned(),
            subject: subject.to_owned(),
            message,
        };
        let mut problems = Vec::new();
        match free {
            None => problems.push(problem(
                "error",
                "store-unknown",
                "state",
                "the free space cannot be read".to_owned(),
            )),
            Some(free) if free < self.config.limits.reserve => {
                let message = format!(
                    "{free} bytes are free, less than limits.reserve: new packages are told to wait; free space"
                );
                problems.push(problem("error", STORAGE_FULL, "state", message));
            }
            Some(_) => {}
        }
        problems.extend(self.paper_problems(peers));
        for peer in peers
            .iter()
            .filter(|peer| peer.state == PeerState::Accepted.as_str())
        {
            let mail = waiting
                .iter()
                .find(|waiting| waiting.peer == peer.id)
                .map_or(0, |waiting| waiting.count);
            if let (Some(fault), true) = (&peer.fault, mail > 0) {
                let waits = match mail {
                    1 => "1 package waits".to_owned(),
                    _ => format!("{mail} packages wait"),
                };
                let message = format!("{waits}: {}", fault.text);
                problems.push(problem("error", &fault.code, peer.alias.as_str(), message));
            }
        }
        for peer in peers
            .iter()
            .filter(|peer| peer.state == PeerState::Added.as_str())
        {
            let message = format!(
                "added, not accepted: compare the six words by telephone, then: rogatory peer accept {}",
                peer.alias
            );
            problems.push(problem(
                "warning",
                "peer-not-accepted",
                peer.alias.as_str(),
                message,
            ));
        }
        problems.extend(self.peer_problems());
        problems
    }
}

/// A statement as it is listed.
pub(crate) fn receipt_view(row: &StatementRow) -> ReceiptView {
    let receipt = Note::parse(&row.note)
        .ok()
        .and_then(|note| receipt::open(&note).ok());
    let event = receipt
        .as_ref()
        .and_then(|receipt| receipt.kind.profile().event);
    ReceiptView {
        seq: row.seq,
        kind: row.kind.clone(),
        xid: row.xid,
        issuer: row.issuer.clone(),
        countersigned: row.signatures > 1,
        t: receipt.as_ref().map_or(row.at, |receipt| receipt.t),
        digest: row.digest,
        leaf: row.leaf,
        reason: receipt
            .as_ref()
            .and_then(|receipt| receipt.reason.as_ref())
            .map(|reason| reason.code.clone()),
        event: event.map(str::to_owned),
        released: receipt.as_ref().and_then(|receipt| receipt.released),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_has_its_reason_in_words() {
        let text = |code: &str, clause: &str| {
            let (code, clause) = (code.to_owned(), clause.to_owned());
            said(Reason { clause, code }).text
        };
        assert!(text("not-for-us", "").starts_with("the receiver could not open the header"));
        assert_eq!(text("header-mac", ""), "header-mac");
        assert_eq!(text("onward", "by terms"), "onward (by terms)");
    }
}
