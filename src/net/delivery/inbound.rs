//! Runs a [`Receiver`] on a connection.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::base::{Ranges, Xid, limits};
use crate::exchange::{Direction, Phase};
use crate::net::delivery::header_check;
use crate::net::delivery::incoming::{Recording, known, row};
use crate::net::delivery::intake::{Intake, Taken, discard_payload, flush, intake_fault};
use crate::net::quic::frames::write_frame;
use crate::net::quic::reader::{FrameReader, peers_fault};
use crate::net::session::inbox::Arrival;
use crate::net::session::meter::{Active, Meter};
use crate::net::session::quota::Admitted;
use crate::net::session::station::{Station, Turn};
use crate::net::session::{Attempt, Ended, Session, contradiction, countersign, third_party};
use crate::receipt::Kind;
use crate::store::durable::STORAGE_FULL;
use crate::store::{CommitFault, Exchange, Op};
use crate::transfer::reception::Admission;
use crate::transfer::{
    Fault, Machine, Outcome, Receiver, ReceiverCommit, ReceiverInput, ReceiverOutput,
};
use crate::wire::{Frame, Later};

/// Runs one incoming exchange to the end of its stream.
pub(crate) async fn receive(
    session: &Session,
    send: quinn::SendStream,
    frames: FrameReader,
) -> Ended {
    let (taken_to, taken) = mpsc::channel(8);
    let machine = Receiver::new(Arc::clone(&session.station.own), session.other());
    let mut running = Running {
        session,
        machine,
        send,
        taken_to,
        work: None,
        phase: None,
        flushes: JoinSet::new(),
    };
    let attempt = running.go(frames, taken).await;
    let work = running.work.take();
    let xid = work.as_ref().map(|work| work.xid);
    if let Some(work) = work {
        let settled = matches!(attempt, Ok(Outcome::Delivered | Outcome::Ended));
        work.leave(session, settled).await;
    }
    // What is half received is still counted; of everything else, a peer could bring any number.
    if let Some(xid) = xid.filter(|_| running.phase != Some(Phase::Receiving)) {
        session.station.forget_idle(&xid);
    }
    Ended {
        peer: session.peer_id().clone(),
        xid,
        attempt: attempt.map_or_else(|attempt| attempt, Attempt::Ended),
    }
}

/// The claims that are held while an exchange is worked on.
struct Work {
    xid: Xid,
    exchange: Option<Box<Exchange>>,
    intake: Option<Intake>,
    arrivals: mpsc::Receiver<Arrival>,
    meter: Arc<Meter>,
    turn: Turn,
    _active: Active,
    admitted: Option<Admitted>,
}

impl Work {
    async fn leave(self, session: &Session, settled: bool) {
        session.inbox.release(self.xid, settled);
        if let Some(intake) = self.intake {
            let kept = self.turn.held();
            intake.abandon(&session.station, self.xid, kept).await;
        }
        drop(self.admitted);
    }
}

struct Running<'a> {
    session: &'a Session,
    machine: Receiver,
    send: quinn::SendStream,
    taken_to: mpsc::Sender<Taken>,
    work: Option<Work>,
    phase: Option<Phase>,
    /// Progress being made durable beside the transfer.
    flushes: JoinSet<Result<(), Attempt>>,
}

impl Running<'_> {
    fn station(&self) -> &Arc<Station> {
        &self.session.station
    }

    fn feed(&mut self, input: ReceiverInput) {
        if !matches!(input, ReceiverInput::Timeout) {
            self.session.hears();
        }
        let now = self.session.station.moment(self.session.peer_head());
        self.machine.handle(&now, input);
    }

    async fn go(
        &mut self,
        mut frames: FrameReader,
        mut taken: mpsc::Receiver<Taken>,
    ) -> Result<Outcome, Attempt> {
        loop {
            while let Some(output) = self.machine.poll_output() {
                if let Some(outcome) = self.carry_out(output).await? {
                    return self.finish(outcome).await;
                }
            }
            let deadline = self.session.deadline(self.machine.poll_timeout());
            let (stop, arrivals) = match &mut self.work {
                Some(work) => (Some(work.turn.stop.clone()), Some(&mut work.arrivals)),
                None => (None, None),
            };
            tokio::select! {
                frame = frames.next() => match frame {
                    Ok(Some(Frame::Offer(_))) if !self.session.share.offer(self.station().micros()) => {
                        return self.put_off("rate".to_owned()).await;
                    }
                    Ok(Some(frame)) => self.feed(ReceiverInput::Frame(frame)),
                    Ok(None) => return Err(Attempt::Cut("the sender closed the stream".to_owned())),
                    Err(e) => match peers_fault(&e) {
                        Some(fault) => self.feed(ReceiverInput::BadData(fault)),
                        None => return Err(Attempt::Cut(e.to_string())),
                    },
                },
                Some(arrival) = next_arrival(arrivals) => self.arrived(arrival),
                Some(event) = taken.recv() => self.taken(event)?,
                Some(flushed) = self.flushes.join_next() => flushed.map_err(|e| Attempt::Cut(e.to_string()))??,
                () = stopped(stop) => return Err(Attempt::Cut("the sender has offered again on a newer connection".to_owned())),
                () = sleep_until(deadline) => self.feed(ReceiverInput::Timeout),
            }
        }
    }

    async fn put_off(&mut self, code: String) -> Result<Outcome, Attempt> {
        let (after_s, said) = (1, code.clone());
        let frame = Frame::Later(Later { code, after_s });
        let written = write_frame(&mut self.send, &frame).await;
        written.map_err(|e| Attempt::Cut(e.to_string()))?;
        let code = said;
        self.finish(Outcome::Later { code, after_s }).await
    }

    /// A data stream for this exchange: the intake reads it, if there is one.
    fn arrived(&mut self, arrival: Arrival) {
        let Some(Work {
            intake: Some(intake),
            meter,
            ..
        }) = &mut self.work
        else {
            return;
        };
        intake.take(arrival, Arc::clone(meter), self.taken_to.clone());
    }

    fn taken(&mut self, event: Taken) -> Result<(), Attempt> {
        let Some(Work {
            intake: Some(intake),
            xid,
            turn,
            ..
        }) = &mut self.work
        else {
            return Ok(());
        };
        let (xid, station) = (*xid, Arc::clone(&self.session.station));
        match event {
            Taken::Listed => {
                intake.set_listed();
                let have = intake.have.clone();
                self.feed(ReceiverInput::Listed);
                // A small payload may have overtaken its list.
                if !have.is_empty() {
                    self.feed(ReceiverInput::Stored(have));
                }
            }
            Taken::Segment(segment) => {
                intake.have.insert(segment);
                let (have, listed) = (intake.have.clone(), intake.listed());
                if let Some(due) = intake.due_progress() {
                    let kept = turn.held();
                    let sync = intake.sync();
                    self.flushes.spawn(flush(sync, station, (xid, due), kept));
                }
                if listed {
                    self.feed(ReceiverInput::Stored(have));
                }
            }
            Taken::Moved => self.feed(ReceiverInput::Moved),
            Taken::Bad(fault) => self.feed(ReceiverInput::BadData(fault)),
            Taken::Failed(e) if e.is_full() => self.feed(no_room(STORAGE_FULL)),
            Taken::Failed(e) => return Err(intake_fault(&e)),
        }
        Ok(())
    }

    async fn carry_out(&mut self, output: ReceiverOutput) -> Result<Option<Outcome>, Attempt> {
        match output {
            ReceiverOutput::Send(frame) => {
                write_frame(&mut self.send, &frame)
                    .await
                    .map_err(|e| Attempt::Cut(e.to_string()))?;
            }
            ReceiverOutput::Lookup(xid) => {
                let input = self.look_up(xid).await?;
                self.feed(input);
            }
            ReceiverOutput::Admit(admission) => {
                let input = self.admit(*admission).await?;
                self.feed(input);
            }
            ReceiverOutput::Resume(have) => {
                for input in self.resume(&have).await? {
                    self.feed(input);
                }
            }
            ReceiverOutput::Settle => {
                let input = self.settle().await?;
                self.feed(input);
            }
            ReceiverOutput::CheckHeader(header) => {
                let outcome = self.check_header(header).await?;
                self.feed(ReceiverInput::HeaderChecked(outcome));
            }
            ReceiverOutput::Commit(commit) => {
                let input = self.commit(commit).await?;
                self.feed(input);
            }
            ReceiverOutput::Close(outcome) => return Ok(Some(outcome)),
        }
        Ok(None)
    }

    /// Makes this stream the one that works on the exchange, and says what is known of it.
    async fn look_up(&mut self, xid: Xid) -> Result<ReceiverInput, Attempt> {
        let station = Arc::clone(self.station());
        let turn = station.take_over(xid).await;
        // What became of the last commit may not be known then, and the payload not be touched that it names.
        station.ledger.check()?;
        let meter = station.meter(xid);
        meter.slow_by(station.brake_in(&self.session.share));
        let active = meter.begin(station.instant());
        let arrivals = self.session.inbox.claim(xid);
        let exchange = station.ledger.exchange(&xid).await?;
        let known = match &exchange {
            None => ReceiverInput::Known(None),
            Some(row) if row.direction != Direction::In || row.peer != *self.session.peer_id() => {
                ReceiverInput::Foreign
            }
            Some(row) => ReceiverInput::Known(Some(Box::new(known(&station, row).await?))),
        };
        self.phase = exchange.as_ref().map(|row| row.phase);
        let exchange = exchange.map(Box::new);
        self.work = Some(Work {
            xid,
            exchange,
            intake: None,
            arrivals,
            meter,
            turn,
            _active: active,
            admitted: None,
        });
        Ok(known)
    }

    async fn admit(&mut self, admission: Admission) -> Result<ReceiverInput, Attempt> {
        let station = Arc::clone(self.station());
        if station.ledger.recovering().is_some() {
            return Ok(no_room("recovering"));
        }
        if let Some(reason) = third_party::refused(self.session, &admission).await? {
            return Ok(ReceiverInput::Refused(reason));
        }
        if let Err(fault) = countersign::heads(self.session, &admission.receipt).await? {
            return Ok(ReceiverInput::BadData(fault));
        }
        let exchange = row(
            &station,
            self.session.peer_id(),
            (&admission.dispatch, &admission.receipt),
            &admission.disclosures,
        )?;
        self.session.heard(&admission.receipt);
        let Some(kept) = self.work.as_ref().map(|work| work.turn.held()) else {
            return Err(Attempt::Local(Fault::new("internal", "nothing to admit")));
        };
        let share = &self.session.share;
        let admitted = share
            .within_quota(&station.ledger, station.micros(), &exchange)
            .await;
        let Some(admitted) = admitted? else {
            return Ok(no_room("quota"));
        };
        let intake = match Intake::open(&station, share, &exchange, kept.clone()).await {
            Ok(intake) => intake,
            Err(e) if e.is_full() => return Ok(no_room(STORAGE_FULL)),
            Err(e) => return Err(intake_fault(&e)),
        };
        if !exchange.inline {
            let dispatch = station.statement(
                Kind::Dispatch,
                &admission.dispatch,
                Some(exchange.xid),
                false,
            );
            let ops = vec![Op::Open(Box::new(exchange.clone())), dispatch];
            match self.session.commit_holding(ops, kept).await {
                Ok(_) => {}
                Err(CommitFault::Full) => return Ok(no_room(STORAGE_FULL)),
                Err(fault) => return Err(fault.into()),
            }
            self.phase = Some(Phase::Receiving);
        }
        if let Some(work) = &mut self.work {
            // Where nothing was recorded above, the last commit will.
            work.admitted = exchange.inline.then_some(admitted);
            work.exchange = Some(Box::new(exchange));
            work.intake = Some(intake);
        }
        Ok(ReceiverInput::Admitted)
    }

    /// Opens the part file again; where its list is durable, says so at once.
    async fn resume(&mut self, have: &Ranges) -> Result<Vec<ReceiverInput>, Attempt> {
        let station = Arc::clone(self.station());
        let Some(work) = &mut self.work else {
            return Ok(Vec::new());
        };
        let Some(exchange) = &work.exchange else {
            return Ok(Vec::new());
        };
        let share = &self.session.share;
        let intake = match Intake::open(&station, share, exchange, work.turn.held()).await {
            Ok(intake) => intake,
            Err(e) if e.is_full() => {
                return Ok(vec![no_room(STORAGE_FULL)]);
            }
            Err(e) => return Err(intake_fault(&e)),
        };
        // Less than was recorded means that files were lost: only what is really there counts.
        debug_assert!(
            intake.have.len() <= have.len(),
            "nothing unrecorded is counted"
        );
        work.meter.set_done(
            intake
                .have
                .len()
                .saturating_mul(limits::SEGMENT_BYTES)
                .min(exchange.len),
        );
        let lost = (intake.have != *have).then(|| ReceiverInput::Stored(intake.have.clone()));
        let listed = intake.listed().then_some(ReceiverInput::Listed);
        work.intake = Some(intake);
        Ok(lost.into_iter().chain(listed).collect())
    }

    async fn settle(&mut self) -> Result<ReceiverInput, Attempt> {
        let Some(Work {
            intake: Some(intake),
            ..
        }) = &mut self.work
        else {
            return Err(Attempt::Local(Fault::new("internal", "nothing to settle")));
        };
        match intake.settle().await {
            Ok(()) => Ok(ReceiverInput::Durable),
            Err(e) if e.is_full() => Ok(no_room(STORAGE_FULL)),
            Err(e) => Err(intake_fault(&e)),
        }
    }

    /// Whether the header opens what is here.
    async fn check_header(&mut self, header: Vec<u8>) -> Result<Result<(), String>, Attempt> {
        let Some(Work { xid, intake, .. }) = &self.work else {
            return Ok(Ok(()));
        };
        let inline = intake.as_ref().and_then(Intake::inline_bytes);
        let opens = header_check::opens(self.station(), *xid, inline, header).await?;
        if let Err(code) = &opens {
            let peer = self.session.peer_id();
            tracing::warn!(%peer, %xid, code, "its age header does not open its payload");
        }
        Ok(opens)
    }

    async fn commit(&mut self, commit: ReceiverCommit) -> Result<ReceiverInput, Attempt> {
        let station = Arc::clone(self.station());
        let Some(work) = &mut self.work else {
            return Err(Attempt::Local(Fault::new("internal", "nothing to commit")));
        };
        let discard = matches!(
            commit,
            ReceiverCommit::Lapsed(_) | ReceiverCommit::Failed(_)
        );
        let (peer, share) = (self.session.peer_id(), &self.session.share);
        if matches!(commit, ReceiverCommit::Rejected { .. })
            && let Err(code) = share.may_reject(station.micros(), work.exchange.as_deref())
        {
            return Ok(no_room(code));
        }
        let recording = Recording {
            station: &station,
            peer,
            xid: work.xid,
            unrecorded: work.exchange.as_deref().filter(|_| self.phase.is_none()),
            inline: match (&commit, &work.intake) {
                (ReceiverCommit::Consigned(_), Some(intake)) => intake.inline_bytes(),
                _ => None,
            },
        };
        let (to, ops) = recording.ops(commit)?;
        let kept = work.turn.held();
        match self.session.commit_holding(ops, kept).await {
            Ok(_) => self.phase = Some(to),
            Err(CommitFault::Full) => return Ok(no_room(STORAGE_FULL)),
            Err(CommitFault::Recovering) => return Ok(no_room("recovering")),
            Err(fault) => return Err(fault.into()),
        }
        if discard {
            let discarded = match work.intake.take() {
                Some(intake) => intake.discard(&station, work.xid, work.turn.held()).await,
                None => discard_payload(&station, work.xid, work.turn.held()).await,
            };
            discarded.map_err(|e| intake_fault(&e))?;
        }
        Ok(ReceiverInput::Committed)
    }

    async fn finish(&mut self, outcome: Outcome) -> Result<Outcome, Attempt> {
        if let Outcome::Faulted(fault) = &outcome {
            contradiction::keep(self.session, self.work.as_ref().map(|work| work.xid), fault)
                .await?;
        }
        // What had to be said was said; the sender may have gone.
        drop(self.send.finish());
        let wait = std::time::Duration::from_secs(2);
        drop(tokio::time::timeout(wait, self.send.stopped()).await);
        Ok(outcome)
    }
}

async fn next_arrival(arrivals: Option<&mut mpsc::Receiver<Arrival>>) -> Option<Arrival> {
    match arrivals {
        Some(arrivals) => arrivals.recv().await,
        None => std::future::pending().await,
    }
}

async fn stopped(stop: Option<tokio_util::sync::CancellationToken>) {
    match stop {
        Some(stop) => stop.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Not now; the sender is told why.
fn no_room(code: &str) -> ReceiverInput {
    let code = code.to_owned();
    ReceiverInput::NoRoom { code }
}
