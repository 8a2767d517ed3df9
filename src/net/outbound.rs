//! Runs a [`Sender`] on a connection.

use std::io;
use std::io::Read;
use std::io::Seek;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::base::Range;
use crate::base::Ranges;
use crate::base::Xid;
use crate::base::limits;
use crate::identity::statement::Note;
use crate::net::frames::write_frame;
use crate::net::reader::FrameReader;
use crate::net::session::Session;
use crate::net::station::Meter;
use crate::net::station::Station;
use crate::receipt::Kind;
use crate::store::CommitFault;
use crate::store::Exchange;
use crate::store::Fault as StoredFault;
use crate::store::Op;
use crate::store::Phase;
use crate::transfer::sender::Consignment;
use crate::transfer::{
    Fault, Machine, Outcome, Progress, Sender, SenderCommit, SenderInput, SenderOutput,
};
use crate::wire::DataHead;

/// How one attempt at an exchange ended.
#[derive(Debug)]
pub enum Attempt {
    /// As the machine says.
    Ended(Outcome),
    /// The connection or stream broke.
    Cut(String),
    /// Something here prevents it.
    Local(Fault),
    /// The store cannot be trusted any more: the daemon must stop.
    Broken(String),
}

impl From<CommitFault> for Attempt {
    fn from(fault: CommitFault) -> Self {
        let text = fault.to_string();
        match fault {
            CommitFault::Broken(why) => Self::Broken(why),
            CommitFault::Full => Self::Local(Fault::new("storage-full", text)),
            CommitFault::Conflict { .. } => Self::Local(Fault::new("conflict", text)),
            CommitFault::Unfit(_) => Self::Local(Fault::new("unfit", text)),
        }
    }
}

/// Everything stored of an outgoing exchange that a sender needs.
pub(crate) struct Stored {
    consignment: Consignment,
    progress: Progress,
    payload: Option<Vec<u8>>,
    len: u64,
}

/// Reads what is stored of an outgoing exchange.
pub(crate) async fn load(station: &Station, exchange: &Exchange) -> Result<Stored, Attempt> {
    let broken = |e: crate::store::StoreFault| Attempt::Local(Fault::new("store", e.to_string()));
    let altered = |what: &str| {
        Attempt::Local(Fault::new(
            "ledger-altered",
            format!("{what} of {} is missing or damaged", exchange.xid),
        ))
    };
    let rows = station
        .ledger
        .statements(&exchange.xid)
        .await
        .map_err(broken)?;
    let note = |kind: Kind, signatures: u8| {
        let row = rows
            .iter()
            .rev()
            .find(|row| row.kind == kind.as_str() && row.signatures == signatures)?;
        Note::parse(&row.note).ok()
    };
    let progress = match exchange.phase {
        Phase::Dispatched => Progress::Dispatched,
        Phase::Consigned => Progress::Consigned(
            note(Kind::Consigned, 2).ok_or_else(|| altered("the consigned receipt"))?,
        ),
        Phase::Delivered | Phase::Failed => Progress::Answered {
            consigned: note(Kind::Consigned, 2).ok_or_else(|| altered("the consigned receipt"))?,
            last: note(Kind::Handover, 2)
                .or_else(|| note(Kind::HandoverFailed, 2))
                .ok_or_else(|| altered("the handover receipt"))?,
        },
        Phase::Expired => {
            Progress::Lapsed(note(Kind::Expired, 1).ok_or_else(|| altered("the expired receipt"))?)
        }
        Phase::Withdrawn => Progress::Lapsed(
            note(Kind::Withdrawn, 1).ok_or_else(|| altered("the withdrawn receipt"))?,
        ),
        Phase::Closed
        | Phase::Rejected
        | Phase::Receiving
        | Phase::HandoverSigned
        | Phase::Held
        | Phase::Refused
        | Phase::Lapsed => {
            return Err(Attempt::Local(Fault::new(
                "conflict",
                "the exchange has ended",
            )));
        }
    };
    let header = match &progress {
        Progress::Dispatched | Progress::Consigned(_) => {
            station.ledger.header(&exchange.xid).await.map_err(broken)?
        }
        Progress::Answered { .. } | Progress::Lapsed(_) => None,
    };
    let payload = match &progress {
        Progress::Dispatched if exchange.inline => station
            .ledger
            .payload(&exchange.xid)
            .await
            .map_err(broken)?,
        _later => None,
    };
    let consignment = Consignment {
        xid: exchange.xid,
        dispatch: note(Kind::Dispatch, 1).ok_or_else(|| altered("the dispatch"))?,
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

/// Runs one attempt to its end.
pub(crate) async fn run(session: &Session, exchange: &Exchange) -> Attempt {
    match attempt(session, exchange).await {
        Ok(outcome) => Attempt::Ended(outcome),
        Err(attempt) => attempt,
    }
}

async fn attempt(session: &Session, exchange: &Exchange) -> Result<Outcome, Attempt> {
    let station = &session.station;
    let stored = load(station, exchange).await?;
    let (send, recv) = session
        .link
        .connection
        .open_bi()
        .await
        .map_err(|e| Attempt::Cut(e.to_string()))?;
    let meter = station.meter(exchange.xid);
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
                    Err(e) => return Err(Attempt::Cut(e.to_string())),
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
            SenderOutput::SendList => self.spawn(Part::List),
            SenderOutput::SendSegments(ranges) => {
                let missing = bytes_in(&ranges, self.payload.len);
                self.payload
                    .meter
                    .set_done(self.payload.len.saturating_sub(missing));
                for run in ranges.runs() {
                    self.spawn(Part::Segments(*run));
                }
            }
            SenderOutput::Commit(commit) => {
                let ops = ops(&self.session.station, self.payload.xid, commit);
                self.session.station.ledger.commit(ops).await?;
                self.feed(SenderInput::Committed);
            }
            SenderOutput::Close(outcome) => return Ok(Some(outcome)),
        }
        Ok(None)
    }

    fn spawn(&mut self, part: Part) {
        let (session, payload, moved) = (
            self.session.clone(),
            Arc::clone(&self.payload),
            self.moved_to.clone(),
        );
        self.tasks
            .spawn(async move { send_part(&session, &payload, part, &moved).await });
    }

    async fn finish(mut self, outcome: Outcome) -> Result<Outcome, Attempt> {
        self.tasks.abort_all();
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
        .map(|run| start(run.end()) - start(run.first))
        .sum()
}

/// The ledger's operations for one step.
fn ops(station: &Station, xid: Xid, commit: SenderCommit) -> Vec<Op> {
    let at = station.clock();
    let step = |kind: Kind, note: Note, from: Vec<Phase>, to: Phase, own: bool| {
        let issuer = note
            .signatures()
            .first()
            .map(|line| line.name.authority().clone());
        let statement = Op::Statement {
            xid: Some(xid),
            kind: kind.as_str().to_owned(),
            issuer: issuer.unwrap_or_else(|| station.own.id.clone()),
            signatures: u8::try_from(note.signatures().len()).unwrap_or(u8::MAX),
            note: note.bytes().to_vec(),
            at,
            logged: own,
        };
        vec![
            statement,
            Op::Advance {
                xid,
                from,
                to,
                last_note: Some(note.bytes().to_vec()),
                at,
            },
        ]
    };
    let mut ops = match commit {
        SenderCommit::Consigned(note) => {
            return step(
                Kind::Consigned,
                note,
                vec![Phase::Dispatched],
                Phase::Consigned,
                true,
            );
        }
        SenderCommit::Delivered(note) => step(
            Kind::Handover,
            note,
            vec![Phase::Consigned],
            Phase::Delivered,
            true,
        ),
        SenderCommit::Failed(note) => step(
            Kind::HandoverFailed,
            note,
            vec![Phase::Consigned],
            Phase::Failed,
            true,
        ),
        SenderCommit::Rejected(note) => step(
            Kind::Rejected,
            note,
            vec![Phase::Dispatched],
            Phase::Rejected,
            false,
        ),
        SenderCommit::Closed => {
            return vec![Op::Advance {
                xid,
                from: vec![Phase::Delivered],
                to: Phase::Closed,
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

/// Where payload bytes come from.
struct Payload {
    xid: Xid,
    len: u64,
    inline: Option<Bytes>,
    meter: Arc<Meter>,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    List,
    Segments(Range),
}

async fn send_part(
    session: &Session,
    payload: &Payload,
    part: Part,
    moved: &mpsc::Sender<()>,
) -> io::Result<()> {
    let reset = |e: String| io::Error::new(io::ErrorKind::ConnectionReset, e);
    let mut stream = session
        .link
        .connection
        .open_uni()
        .await
        .map_err(|e| reset(e.to_string()))?;
    let (head, urgency) = match part {
        Part::List => (DataHead::List { xid: payload.xid }, 1),
        Part::Segments(run) => (
            DataHead::Segments {
                xid: payload.xid,
                first: run.first,
            },
            0,
        ),
    };
    // Small and large streams share a connection: lists and small payloads go first.
    drop(stream.set_priority(if payload.inline.is_some() { 1 } else { urgency }));
    stream
        .write_all(&head.encode())
        .await
        .map_err(|e| reset(e.to_string()))?;
    let mut pieces = pieces(&session.station, payload, part)?;
    while let Some(piece) = pieces.recv().await {
        let piece = piece?;
        let length = piece.len() as u64;
        stream
            .write_chunk(piece)
            .await
            .map_err(|e| reset(e.to_string()))?;
        if matches!(part, Part::Segments(_)) {
            payload.meter.add(length);
        }
        // A full queue already tells the machine that bytes move.
        drop(moved.try_send(()));
    }
    drop(stream.finish());
    // The stream's end must be taken before its task may be dropped; a stop by the receiver is its right.
    drop(stream.stopped().await);
    Ok(())
}

/// The bytes of a part, read ahead on a thread of its own for payloads that are files.
fn pieces(
    station: &Station,
    payload: &Payload,
    part: Part,
) -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let (to, from) = mpsc::channel(2);
    if let Some(inline) = &payload.inline {
        let bytes = match part {
            Part::List => {
                Bytes::copy_from_slice(crate::package::segments::segment_hash(inline).as_bytes())
            }
            Part::Segments(_) => inline.clone(),
        };
        // The channel is empty.
        drop(to.try_send(Ok(bytes)));
        return Ok(from);
    }
    let (mut file, start, mut left) = match part {
        Part::List => {
            let file = station.blobs.list(&payload.xid)?;
            let length = file.metadata()?.len();
            (file, 0, length)
        }
        Part::Segments(run) => {
            let start = run
                .first
                .saturating_mul(limits::SEGMENT_BYTES)
                .min(payload.len);
            let end = run
                .end()
                .saturating_mul(limits::SEGMENT_BYTES)
                .min(payload.len);
            (station.blobs.payload(&payload.xid)?, start, end - start)
        }
    };
    file.seek(io::SeekFrom::Start(start))?;
    tokio::task::spawn_blocking(move || {
        while left > 0 {
            let mut piece = vec![0; usize::try_from(left.min(PIECE_BYTES)).unwrap_or_default()];
            left -= piece.len() as u64;
            let piece = file.read_exact(&mut piece).map(|()| piece.into());
            let failed = piece.is_err();
            if to.blocking_send(piece).is_err() || failed {
                return;
            }
        }
    });
    Ok(from)
}

/// Bytes read and put on the wire at a time.
const PIECE_BYTES: u64 = 256 << 10;
