//! Runs a [`Sender`] on a connection.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::base::{Ranges, Xid, limits};
use crate::exchange::{Phase, Step};
use crate::identity::statement::Note;
use crate::net::delivery::incoming::DELIVERY;
use crate::net::delivery::payload::{Payload, PayloadPart, send_part};
use crate::net::quic::frames::write_frame;
use crate::net::quic::reader::{FrameReader, peers_fault};
use crate::net::session::pace::Class;
use crate::net::session::station::Station;
use crate::net::session::{Attempt, Session, contradiction, countersign};
use crate::receipt::Kind;
use crate::store::{Ahead, Exchange, Op, StatementRow, StoredFault};
use crate::transfer::consignment::Consignment;
use crate::transfer::{
    Fault, Machine, Outcome, Progress, Sender, SenderCommit, SenderInput, SenderOutput,
};
use crate::wire::Frame;

/// Everything stored of an outgoing exchange that a sender needs.
pub(crate) struct Stored {
    consignment: Consignment,
    progress: Progress,
    payload: Option<Vec<u8>>,
    len: u64,
}

/// Everything that a sender needs, from what was read ahead.
fn at_hand(exchange: &Exchange, ahead: Ahead) -> Result<Stored, Attempt> {
    // While nothing was sent, the newest statement of the chain is the dispatch.
    let dispatch = Note::parse(&exchange.last_note).map_err(|_| altered(Kind::Dispatch))?;
    let consignment = Consignment {
        xid: exchange.xid,
        dispatch,
        disclosures: exchange.disclosures.clone(),
        header: Some(ahead.header),
        segments: exchange.segments,
        inline: exchange.inline,
    };
    Ok(Stored {
        consignment,
        progress: Progress::Dispatched,
        payload: Some(ahead.payload),
        len: exchange.len,
    })
}

/// Reads what is stored of an outgoing exchange.
pub(crate) async fn load(station: &Station, exchange: &Exchange) -> Result<Stored, Attempt> {
    let ledger = &station.ledger;
    let rows = ledger.statements_of(&exchange.xid, DELIVERY).await?;
    let progress = progress(exchange, &rows)?;
    let header = match &progress {
        Progress::Dispatched | Progress::Consigned(_) => ledger.header(&exchange.xid).await?,
        Progress::Answered { .. } | Progress::Lapsed(_) => None,
    };
    let unsent = matches!(progress, Progress::Dispatched) && exchange.inline;
    let payload = if unsent {
        ledger.payload(&exchange.xid).await?
    } else {
        None
    };
    let consignment = Consignment {
        xid: exchange.xid,
        dispatch: stored_note(&rows, Kind::Dispatch, 1)?,
        disclosures: exchange.disclosures.clone(),
        header,
        segments: exchange.segments,
        inline: exchange.inline,
    };
    Ok(Stored {
        consignment,
        progress,
        payload,
        len: exchange.len,
    })
}

fn stored_note(rows: &[StatementRow], kind: Kind, signatures: u8) -> Result<Note, Attempt> {
    let row = rows
        .iter()
        .rev()
        .find(|row| row.kind == kind.as_str() && row.signatures == signatures);
    let note = row.and_then(|row| Note::parse(&row.note).ok());
    note.ok_or_else(|| altered(kind))
}

fn altered(kind: Kind) -> Attempt {
    Attempt::Local(Fault::new(
        "ledger-altered",
        format!("the stored {kind} is missing or damaged"),
    ))
}

/// How far the exchange has come, with the notes that prove it.
fn progress(exchange: &Exchange, rows: &[StatementRow]) -> Result<Progress, Attempt> {
    let consigned = || stored_note(rows, Kind::Consigned, 2);
    match exchange.phase {
        Phase::Dispatched => Ok(Progress::Dispatched),
        Phase::Consigned => Ok(Progress::Consigned(consigned()?)),
        Phase::Delivered => Ok(Progress::Answered {
            consigned: consigned()?,
            last: stored_note(rows, Kind::Handover, 2)?,
        }),
        Phase::Failed => Ok(Progress::Answered {
            consigned: consigned()?,
            last: stored_note(rows, Kind::HandoverFailed, 2)?,
        }),
        Phase::Expired => Ok(Progress::Lapsed(stored_note(rows, Kind::Expired, 1)?)),
        Phase::Withdrawn => Ok(Progress::Lapsed(stored_note(rows, Kind::Withdrawn, 1)?)),
        Phase::Closed
        | Phase::RestrictionSigned
        | Phase::DestructionSigned
        | Phase::Destroyed
        | Phase::Rejected
        | Phase::Receiving
        | Phase::HandoverSigned
        | Phase::Held
        | Phase::Refused
        | Phase::Lapsed => Err(Attempt::Local(Fault::new(
            "conflict",
            "the exchange has ended",
        ))),
    }
}

/// One attempt at sending a package; what was read `ahead` of it need not be read again.
pub(crate) async fn send(
    session: &Session,
    exchange: &Exchange,
    ahead: Option<Ahead>,
) -> Result<Outcome, Attempt> {
    let station = &session.station;
    let stored = match ahead {
        Some(ahead) => at_hand(exchange, ahead)?,
        None => load(station, exchange).await?,
    };
    let (send, recv) = session
        .link
        .connection
        .open_bi()
        .await
        .map_err(|e| Attempt::Cut(e.to_string()))?;
    let meter = station.meter(exchange.xid);
    let class = Class::of(exchange.urgent || exchange.inline);
    meter.slow_by(station.brake_out(&session.share, class));
    let _active = meter.begin(station.instant());
    let machine = Sender::new(
        Arc::clone(&station.own),
        session.other(),
        stored.consignment,
        stored.progress,
    )
    .map_err(Attempt::Local)?;
    let payload = Payload {
        xid: exchange.xid,
        len: stored.len,
        inline: stored.payload.map(Bytes::from),
        urgent: exchange.urgent,
        meter,
    };
    let (moved_to, moved) = mpsc::channel(8);
    let mut running = Running {
        session,
        machine,
        send,
        payload: Arc::new(payload),
        moved_to,
        tasks: tokio::task::JoinSet::new(),
    };
    running.feed(SenderInput::Opened);
    running.go(FrameReader::new(recv), moved).await
}

struct Running<'a> {
    session: &'a Session,
    machine: Sender,
    send: quinn::SendStream,
    payload: Arc<Payload>,
    moved_to: mpsc::Sender<()>,
    tasks: tokio::task::JoinSet<io::Result<()>>,
}

impl Running<'_> {
    fn feed(&mut self, input: SenderInput) {
        if !matches!(input, SenderInput::Timeout) {
            self.session.hears();
        }
        let now = self.session.station.moment(None);
        self.machine.handle(&now, input);
    }

    async fn go(
        mut self,
        mut frames: FrameReader,
        mut moved: mpsc::Receiver<()>,
    ) -> Result<Outcome, Attempt> {
        loop {
            while let Some(output) = self.machine.poll_output() {
                if let Some(outcome) = self.carry_out(output).await? {
                    return self.finish(outcome).await;
                }
            }
            let deadline = self.session.deadline(self.machine.poll_timeout());
            let input = tokio::select! {
                frame = frames.next() => match frame {
                    Ok(Some(frame)) => SenderInput::Frame(frame),
                    Ok(None) => return Err(Attempt::Cut("the receiver closed the stream".to_owned())),
                    Err(e) => match peers_fault(&e) {
                        Some(fault) => return self.refuse(fault).await,
                        None => return Err(Attempt::Cut(e.to_string())),
                    },
                },
                Some(()) = moved.recv() => SenderInput::Moved,
                Some(done) = self.tasks.join_next() => match done {
                    Ok(Ok(())) => SenderInput::Moved,
                    Ok(Err(e)) => return Err(data_fault(&e)),
                    Err(e) => return Err(Attempt::Cut(e.to_string())),
                },
                () = sleep_until(deadline) => SenderInput::Timeout,
            };
            self.feed(input);
        }
    }

    async fn carry_out(&mut self, output: SenderOutput) -> Result<Option<Outcome>, Attempt> {
        match output {
            SenderOutput::Send(frame) => {
                write_frame(&mut self.send, &frame)
                    .await
                    .map_err(|e| Attempt::Cut(e.to_string()))?;
            }
            SenderOutput::SendList => self.spawn(PayloadPart::List),
            SenderOutput::SendSegments(ranges) => {
                let missing = bytes_in(&ranges, self.payload.len);
                self.payload
                    .meter
                    .set_done(self.payload.len.saturating_sub(missing));
                for run in ranges.runs() {
                    self.spawn(PayloadPart::Segments(*run));
                }
            }
            SenderOutput::Commit(commit) => {
                if let Some(fault) = self.believed(&commit).await? {
                    self.say(&fault).await;
                    return Ok(Some(Outcome::Faulted(fault)));
                }
                let ops = ops(&self.session.station, self.payload.xid, commit);
                self.session.commit(ops).await?;
                self.feed(SenderInput::Committed);
            }
            SenderOutput::Close(outcome) => return Ok(Some(outcome)),
        }
        Ok(None)
    }

    fn spawn(&mut self, part: PayloadPart) {
        let (session, payload, moved) = (
            self.session.clone(),
            Arc::clone(&self.payload),
            self.moved_to.clone(),
        );
        self.tasks
            .spawn(async move { send_part(&session, &payload, part, &moved).await });
    }

    /// Looks at what was just countersigned, before it is kept or leaves; what is wrong with it, if anything.
    async fn believed(&self, commit: &SenderCommit) -> Result<Option<Fault>, Attempt> {
        let (SenderCommit::Consigned(note)
        | SenderCommit::Delivered(note)
        | SenderCommit::Failed(note)) = commit
        else {
            return Ok(None);
        };
        match countersign::check(self.session, note).await? {
            Ok(receipt) => {
                self.session.heard(&receipt);
                Ok(None)
            }
            Err(fault) => Ok(Some(fault)),
        }
    }

    /// Tells the receiver what it did wrong.
    async fn say(&mut self, fault: &Fault) {
        let frame = Frame::Fault(crate::wire::FaultMessage::new(&fault.code, &fault.text));
        // It may have gone already.
        drop(write_frame(&mut self.send, &frame).await);
    }

    /// The receiver sent what is no frame: it is told so.
    async fn refuse(mut self, fault: Fault) -> Result<Outcome, Attempt> {
        self.say(&fault).await;
        self.finish(Outcome::Faulted(fault)).await
    }

    async fn finish(mut self, outcome: Outcome) -> Result<Outcome, Attempt> {
        self.tasks.abort_all();
        if let Outcome::Faulted(fault) = &outcome {
            contradiction::keep(self.session, Some(self.payload.xid), fault).await?;
        }
        // The other end may have gone already; what it had to know was committed and acknowledged before.
        drop(self.send.finish());
        if matches!(outcome, Outcome::Faulted(_)) {
            let wait = std::time::Duration::from_secs(2);
            drop(tokio::time::timeout(wait, self.send.stopped()).await);
        }
        Ok(outcome)
    }
}

fn data_fault(e: &io::Error) -> Attempt {
    if e.kind() == io::ErrorKind::ConnectionReset {
        return Attempt::Cut(e.to_string());
    }
    Attempt::Local(Fault::new("payload-unreadable", e.to_string()))
}

fn bytes_in(ranges: &Ranges, len: u64) -> u64 {
    let start = |segment: u64| segment.saturating_mul(limits::SEGMENT_BYTES).min(len);
    ranges
        .runs()
        .iter()
        .map(|run| start(run.end()).saturating_sub(start(run.first)))
        .fold(0, u64::saturating_add)
}

/// The ledger's operations for one step.
fn ops(station: &Station, xid: Xid, commit: SenderCommit) -> Vec<Op> {
    let at = station.clock();
    let step = |kind: Kind, note: &Note| {
        // A rejection is signed by the receiver alone.
        let statement = station.statement(kind, note, Some(xid), kind != Kind::Rejected);
        let last_note = Some(note.bytes().to_vec());
        vec![
            statement,
            Op::Advance {
                xid,
                step: Step::of(kind, note),
                last_note,
                at,
            },
        ]
    };
    let mut ops = match commit {
        SenderCommit::Consigned(note) => return step(Kind::Consigned, &note),
        SenderCommit::Delivered(note) => step(Kind::Handover, &note),
        SenderCommit::Failed(note) => step(Kind::HandoverFailed, &note),
        SenderCommit::Rejected(note) => step(Kind::Rejected, &note),
        SenderCommit::Closed => {
            return vec![Op::Advance {
                xid,
                step: Step::Acknowledged(Kind::Handover),
                last_note: None,
                at,
            }];
        }
        SenderCommit::Told => return vec![told(xid)],
    };
    ops.push(Op::Shred { xid });
    ops
}

/// Marks an ended exchange as known to the receiver, so that it is not offered again.
fn told(xid: Xid) -> Op {
    Op::Retry {
        xid,
        attempts: 0,
        next_try: None,
        fault: Some(StoredFault {
            code: "told".to_owned(),
            text: "the receiver knows".to_owned(),
        }),
    }
}
