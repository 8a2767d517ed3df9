//! Incoming exchanges in the ledger: rows made from offers, standings read back, commits as operations.

use crate::base::{AuthorityId, Ranges, Xid, json, limits};
use crate::exchange::{Direction, Phase, Step};
use crate::identity::statement::Note;
use crate::net::session::Attempt;
use crate::net::session::station::Station;
use crate::package::segments;
use crate::receipt;
use crate::receipt::{Disclosure, Kind, Receipt, disclosure};
use crate::store::{Exchange, Op};
use crate::transfer::{Fault, KnownOffer, ReceiverCommit, Standing};

/// The kinds of statement that a delivery leads to.
pub(crate) const DELIVERY: &[Kind] = &[
    Kind::Dispatch,
    Kind::Rejected,
    Kind::Consigned,
    Kind::Handover,
    Kind::HandoverFailed,
    Kind::Expired,
    Kind::Withdrawn,
];

/// The ledger's state of an incoming exchange.
pub(crate) async fn known(station: &Station, row: &Exchange) -> Result<KnownOffer, Attempt> {
    let rows = station.ledger.statements_of(&row.xid, DELIVERY).await?;
    let note = |kind: Kind| {
        let found = rows
            .iter()
            .find(|row| row.kind == kind.as_str() && row.signatures == 1);
        let found = found.and_then(|row| Note::parse(&row.note).ok());
        let text = || format!("the {kind} of {} is missing or damaged", row.xid);
        found.ok_or_else(|| Attempt::Local(Fault::new("ledger-altered", text())))
    };
    let standing = match row.phase {
        Phase::Receiving => Standing::Receiving(row.have.clone()),
        Phase::Consigned => Standing::Consigned(note(Kind::Consigned)?),
        Phase::HandoverSigned => {
            let answer = note(Kind::Handover).or_else(|_| note(Kind::HandoverFailed));
            Standing::Answered(answer?)
        }
        Phase::Refused => Standing::Rejected(note(Kind::Rejected)?),
        Phase::Held
        | Phase::Failed
        | Phase::Lapsed
        | Phase::Dispatched
        | Phase::Delivered
        | Phase::Closed
        | Phase::RestrictionSigned
        | Phase::DestructionSigned
        | Phase::Destroyed
        | Phase::Rejected
        | Phase::Expired
        | Phase::Withdrawn => Standing::Settled,
    };
    let dispatch = note(Kind::Dispatch)?;
    Ok(KnownOffer { dispatch, standing })
}

fn unreadable(what: &str) -> Attempt {
    Attempt::Local(Fault::new("unreadable-offer", what))
}

/// The row of an offer that was verified.
pub(crate) fn row(
    station: &Station,
    peer: &AuthorityId,
    (dispatch, offer): (&Note, &Receipt),
    disclosures: &[String],
) -> Result<Exchange, Attempt> {
    let (Some(xid), Some(pkg), Some(terms)) = (offer.xid, &offer.pkg, &offer.terms) else {
        return Err(unreadable("a field is missing"));
    };
    let terms = String::from_utf8(json::canonical(terms));
    let read: Vec<_> = disclosures
        .iter()
        .filter_map(|text| Disclosure::parse(text).ok())
        .collect();
    let disclosed = |name: &str| disclosure::text(&read, name).map(str::to_owned);
    let now = station.clock();
    Ok(Exchange {
        xid,
        direction: Direction::In,
        peer: peer.clone(),
        phase: Phase::Receiving,
        created: now,
        updated: now,
        body: pkg.body,
        hdr: pkg.hdr,
        len: pkg.len,
        segments: segments::count(pkg.len),
        terms: terms.map_err(|e| unreadable(&e.to_string()))?,
        case_ref: disclosed("case"),
        request_ref: disclosed("request"),
        title: None,
        items: 0,
        disclosures: disclosures.to_vec(),
        have: Ranges::empty(),
        inline: pkg.len <= limits::INLINE_PAYLOAD_BYTES_MAX,
        attempts: 0,
        next_try: None,
        fault: None,
        last_note: dispatch.bytes().to_vec(),
        steps: 1,
        urgent: false,
    })
}

/// The facts of the exchange that a commit needs.
pub(crate) struct Recording<'a> {
    pub(crate) station: &'a Station,
    pub(crate) peer: &'a AuthorityId,
    pub(crate) xid: Xid,
    /// The row and its dispatch, where they are not in the ledger yet: small payloads are recorded with their receipt.
    pub(crate) unrecorded: Option<&'a Exchange>,
    /// A small payload.
    pub(crate) inline: Option<Vec<u8>>,
}

impl Recording<'_> {
    fn own(&self, kind: Kind, note: &Note) -> Op {
        self.station.statement(kind, note, Some(self.xid), true)
    }

    /// A statement that the sender alone has signed is kept, but is no leaf of our log.
    fn received(&self, kind: Kind, note: &Note) -> Op {
        self.station.statement(kind, note, Some(self.xid), false)
    }

    fn advance(&self, kind: Kind, note: &Note) -> Op {
        let last_note = Some(note.bytes().to_vec());
        Op::Advance {
            xid: self.xid,
            step: Step::of(kind, note),
            last_note,
            at: self.station.clock(),
        }
    }

    fn first(&self) -> Vec<Op> {
        self.unrecorded
            .map_or_else(Vec::new, |row| self.opening(row.clone()))
    }

    fn opening(&self, row: Exchange) -> Vec<Op> {
        let dispatch = Note::parse(&row.last_note).ok();
        let dispatch = dispatch.map(|note| self.received(Kind::Dispatch, &note));
        let open = Op::Open(Box::new(row));
        std::iter::once(open).chain(dispatch).collect()
    }

    /// Of an offer that was taken back, nothing stays of what was disclosed beside it.
    fn undisclosed(&self) -> Vec<Op> {
        let Some(row) = self.unrecorded else {
            return vec![Op::DropDisclosed { xid: self.xid }];
        };
        let mut row = row.clone();
        row.undisclosed();
        self.opening(row)
    }

    /// The ledger's operations for one step, and the phase they lead to.
    pub(crate) fn ops(mut self, commit: ReceiverCommit) -> Result<(Phase, Vec<Op>), Attempt> {
        let step = match commit {
            ReceiverCommit::Rejected { dispatch, note } => {
                let offer = receipt::open(&dispatch);
                let offer = offer.map_err(|e| unreadable(&e.to_string()))?;
                let mut row = row(self.station, self.peer, (&dispatch, &offer), &[])?;
                row.phase = Phase::Refused;
                row.last_note = note.bytes().to_vec();
                row.steps = 2;
                let ops = [
                    self.received(Kind::Dispatch, &dispatch),
                    self.own(Kind::Rejected, &note),
                ];
                let open = Op::Open(Box::new(row));
                (Phase::Refused, std::iter::once(open).chain(ops).collect())
            }
            ReceiverCommit::Consigned(note) => {
                let mut ops = self.first();
                let xid = self.xid;
                ops.extend(self.inline.take().map(|bytes| Op::Payload { xid, bytes }));
                ops.push(self.own(Kind::Consigned, &note));
                ops.push(self.advance(Kind::Consigned, &note));
                (Phase::Consigned, ops)
            }
            ReceiverCommit::Handover {
                consigned,
                header,
                note,
            } => {
                let header = Op::Header {
                    xid: self.xid,
                    header: header.into(),
                };
                let ops = vec![
                    self.own(Kind::Consigned, &consigned),
                    header,
                    self.own(Kind::Handover, &note),
                    self.advance(Kind::Handover, &note),
                ];
                (Phase::HandoverSigned, ops)
            }
            ReceiverCommit::HandoverFailed { consigned, note } => {
                let ops = vec![
                    self.own(Kind::Consigned, &consigned),
                    self.own(Kind::HandoverFailed, &note),
                    self.advance(Kind::HandoverFailed, &note),
                ];
                (Phase::HandoverSigned, ops)
            }
            ReceiverCommit::Held(note) => (Phase::Held, self.answered(Kind::Handover, &note)),
            ReceiverCommit::Failed(note) => {
                let mut ops = self.answered(Kind::HandoverFailed, &note);
                // Nobody will ever open it.
                ops.push(Op::Shred { xid: self.xid });
                (Phase::Failed, ops)
            }
            ReceiverCommit::Lapsed(note) => {
                let kind = receipt::open(&note).map_or(Kind::Expired, |receipt| receipt.kind);
                let mut ops = self.undisclosed();
                ops.push(self.received(kind, &note));
                ops.push(self.advance(kind, &note));
                (Phase::Lapsed, ops)
            }
        };
        Ok(step)
    }

    fn answered(&self, kind: Kind, note: &Note) -> Vec<Op> {
        vec![self.own(kind, note), self.advance(kind, note)]
    }
}
