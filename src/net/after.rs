//! Statements about packages that were handed over, on streams of their own: hearing them and telling them.

use std::time::Duration;

use crate::base::Xid;
use crate::identity::statement::Note;
use crate::net::frames::write_frame;
use crate::net::incoming::store_fault;
use crate::net::outbound::Attempt;
use crate::net::reader::FrameReader;
use crate::net::session::{Ended, Session};
use crate::receipt;
use crate::receipt::Kind;
use crate::store::{self, CommitFault, Direction, Exchange, Op, Phase};
use crate::transfer::after::{self, After};
use crate::transfer::{Fault, Outcome, PATIENCE_MS};
use crate::wire::Frame;

/// What the other side is told: an answer about an exchange, or what it did wrong.
type Heard = Result<(Option<Xid>, Frame), Fault>;

/// Hears the one statement of an incoming stream and answers it.
pub(crate) async fn answer(session: &Session, mut send: quinn::SendStream, note: &[u8]) -> Ended {
    let heard = if session.share.offer(session.station.micros()) {
        hear(session, note).await
    } else {
        let rate = "rate".to_owned();
        let later = crate::wire::Later {
            code: rate,
            after_s: 1,
        };
        Ok(Ok((None, Frame::Later(later))))
    };
    let (xid, frame, outcome) = match heard {
        Ok(Ok((xid, frame))) => (xid, frame, Outcome::Ended),
        Ok(Err(fault)) => {
            let said = crate::wire::Fault::new(&fault.code, &fault.text);
            (None, Frame::Fault(said), Outcome::Faulted(fault))
        }
        Err(attempt) => return Ended { xid: None, attempt },
    };
    let attempt = match write_frame(&mut send, &frame).await {
        Ok(()) => Attempt::Ended(outcome),
        Err(e) => Attempt::Cut(e.to_string()),
    };
    // What had to be said was said; the other end may have gone.
    drop(send.finish());
    drop(tokio::time::timeout(Duration::from_secs(2), send.stopped()).await);
    Ended { xid, attempt }
}

/// Takes a statement of the peer and answers it; whatever is promised is committed before.
async fn hear(session: &Session, bytes: &[u8]) -> Result<Heard, Attempt> {
    let station = &session.station;
    session.hears();
    let (note, xid) = match after::read(bytes) {
        Ok(read) => read,
        Err(fault) => return Ok(Err(fault)),
    };
    // One at a time: two that follow the same statement must not both be answered.
    let _turn = station.take_over(xid).await;
    let exchange = station.ledger.exchange(&xid).await;
    let exchange = exchange.map_err(|e| store_fault(&e))?;
    let Some(exchange) = exchange.filter(|row| row.peer == *session.peer_id()) else {
        return Ok(Err(unknown()));
    };
    let held = notes(session, &xid).await?;
    let after = match after::judge(&station.own, &session.other(), &held, note) {
        Ok(after) => after,
        Err(fault) => return Ok(Err(fault)),
    };
    let (ops, answer) = match after {
        After::Known(None) => return Ok(Ok((Some(xid), Frame::Done))),
        After::Known(Some(both)) => (Vec::new(), Frame::Receipt(both.bytes().to_vec())),
        After::Restricted(note) => {
            let stays = [(exchange.phase, exchange.phase)];
            let phases = [Phase::Held, Phase::DestructionSigned, Phase::Destroyed];
            if exchange.direction == Direction::Out || !phases.contains(&exchange.phase) {
                return Ok(Err(unknown()));
            }
            let ops = step(session, &exchange, Kind::RestrictionChanged, &note, &stays);
            (ops, Frame::Done)
        }
        After::Noted(note) => {
            let stays = [(exchange.phase, exchange.phase)];
            let phases = [
                Phase::Delivered,
                Phase::Closed,
                Phase::RestrictionSigned,
                Phase::Destroyed,
            ];
            if exchange.direction == Direction::In || !phases.contains(&exchange.phase) {
                return Ok(Err(unknown()));
            }
            let Ok(noted) = receipt::open(&note) else {
                return Ok(Err(unknown()));
            };
            let reason = noted.reason.map(|it| it.code).unwrap_or_default();
            tracing::warn!(%xid, peer = %exchange.peer, kind = %noted.kind, reason, "the receiver tells of a package of ours");
            let ops = step(session, &exchange, noted.kind, &note, &stays);
            (ops, Frame::Done)
        }
        After::Destroyed(both) => {
            let ends = [Phase::Delivered, Phase::Closed, Phase::RestrictionSigned];
            if exchange.direction == Direction::In || !ends.contains(&exchange.phase) {
                return Ok(Err(unknown()));
            }
            let ends = ends.map(|from| (from, Phase::Destroyed));
            let mut ops = step(session, &exchange, Kind::Destroyed, &both, &ends);
            // Stricter terms that were still to be told are of no use any more.
            ops.push(calm(xid));
            (ops, Frame::Receipt(both.bytes().to_vec()))
        }
    };
    match station.ledger.commit(ops).await {
        Ok(_) => Ok(Ok((Some(xid), answer))),
        Err(fault @ (CommitFault::Full | CommitFault::Recovering)) => {
            Ok(Ok((None, Frame::Later(later(&fault)))))
        }
        Err(fault) => Err(fault.into()),
    }
}

fn later(fault: &CommitFault) -> crate::wire::Later {
    let code = match fault {
        CommitFault::Recovering => "recovering",
        CommitFault::Full
        | CommitFault::Conflict { .. }
        | CommitFault::Unfit(_)
        | CommitFault::Broken(_) => store::durable::STORAGE_FULL,
    };
    crate::wire::Later {
        code: code.to_owned(),
        after_s: 60,
    }
}

fn unknown() -> Fault {
    Fault::new(
        "not-handed-over",
        "no package of this exchange was handed over",
    )
}

/// The notes of an exchange, as they are kept.
async fn notes(session: &Session, xid: &Xid) -> Result<Vec<Note>, Attempt> {
    let rows = session.station.ledger.statements(xid).await;
    let rows = rows.map_err(|e| store_fault(&e))?;
    let damaged = |e: crate::identity::statement::StatementFault| {
        Attempt::Local(Fault::new(
            "ledger-altered",
            format!("a statement of {xid}: {e}"),
        ))
    };
    let notes = rows.iter().map(|row| Note::parse(&row.note));
    notes.collect::<Result<_, _>>().map_err(damaged)
}

/// The ledger's operations for a statement that moves an exchange from one of these phases. What the other side alone has
/// signed is no leaf of our log.
fn step(
    session: &Session,
    exchange: &Exchange,
    kind: Kind,
    note: &Note,
    moves: &[(Phase, Phase)],
) -> Vec<Op> {
    let station = &session.station;
    let xid = exchange.xid;
    let logged = note.signatures().len() > 1;
    let to = moves.first().map_or(exchange.phase, |(_, to)| *to);
    vec![
        station.statement(kind, note, Some(xid), logged),
        Op::Advance {
            xid,
            from: moves.iter().map(|(from, _)| *from).collect(),
            to,
            last_note: Some(note.bytes().to_vec()),
            at: station.clock(),
        },
    ]
}

/// Nothing is to be tried again.
fn calm(xid: Xid) -> Op {
    Op::Retry {
        xid,
        attempts: 0,
        next_try: None,
        fault: None,
    }
}

/// Tells the peer what this authority has said of a package after its handover, until it has acknowledged it.
pub(crate) async fn tell(session: &Session, exchange: &Exchange) -> Result<Outcome, Attempt> {
    let held = notes(session, &exchange.xid).await?;
    for note in to_tell(session, exchange, &held).await? {
        let answer = ask(session, note).await?;
        let kind = kind_of(note).unwrap_or(Kind::Access);
        if let Some(outcome) = answered(session, exchange, &held, (kind, answer)).await? {
            return Ok(outcome);
        }
        if after::is_notice(kind) {
            let told = Op::Meta {
                key: store::tell_key(&note.digest()),
                value: store::TOLD.to_vec(),
            };
            session.station.ledger.commit(vec![told]).await?;
        }
    }
    let xid = exchange.xid;
    let mut ops = vec![calm(xid)];
    if exchange.phase == Phase::RestrictionSigned {
        ops.push(Op::Advance {
            xid,
            from: vec![Phase::RestrictionSigned],
            to: Phase::Closed,
            last_note: None,
            at: session.station.clock(),
        });
    }
    session.station.ledger.commit(ops).await?;
    // Something new may have been said meanwhile, and its mark taken away with the others.
    let held = notes(session, &xid).await?;
    if exchange.phase == Phase::Held && !to_tell(session, exchange, &held).await?.is_empty() {
        let (code, after_s) = ("more-to-tell".to_owned(), 1);
        return Ok(Outcome::Later { code, after_s });
    }
    Ok(Outcome::Ended)
}

fn kind_of(note: &Note) -> Option<Kind> {
    receipt::open(note).map(|it| it.kind).ok()
}

/// The statements that the peer has not acknowledged, oldest first.
async fn to_tell<'n>(
    session: &Session,
    exchange: &Exchange,
    held: &'n [Note],
) -> Result<Vec<&'n Note>, Attempt> {
    let mut all = Vec::new();
    for note in held {
        let Some(kind) = kind_of(note) else { continue };
        let is_due = if after::is_notice(kind) {
            let key = store::tell_key(&note.digest());
            let mark = session.station.ledger.meta(&key).await;
            let mark = mark.map_err(|e| store_fault(&e))?;
            mark.is_some_and(|mark| mark == store::DUE)
        } else {
            let own = [
                (Kind::RestrictionChanged, Phase::RestrictionSigned),
                (Kind::Destroyed, Phase::DestructionSigned),
            ];
            own.contains(&(kind, exchange.phase))
        };
        if is_due {
            all.push(note);
        }
    }
    Ok(all)
}

/// Sends one statement on a stream of its own and reads the answer.
async fn ask(session: &Session, note: &Note) -> Result<Frame, Attempt> {
    let cut = |why: String| Attempt::Cut(why);
    let streams = session.link.connection.open_bi().await;
    let (mut send, recv) = streams.map_err(|e| cut(e.to_string()))?;
    let said = Frame::Receipt(note.bytes().to_vec());
    let written = write_frame(&mut send, &said).await;
    written.map_err(|e| cut(e.to_string()))?;
    let mut frames = FrameReader::new(recv);
    let patience = Duration::from_millis(session.station.bounds.hurried(PATIENCE_MS));
    let answer = match tokio::time::timeout(patience, frames.next()).await {
        Ok(Ok(Some(answer))) => answer,
        Ok(Ok(None)) => return Err(cut("the peer closed the stream".to_owned())),
        Ok(Err(e)) => return Err(cut(e.to_string())),
        Err(_) => return Err(cut("the peer did not answer in time".to_owned())),
    };
    session.hears();
    // The answer is all that was to come.
    drop(send.finish());
    Ok(answer)
}

/// What the answer to one statement leads to; `None`: the next may be told.
async fn answered(
    session: &Session,
    exchange: &Exchange,
    held: &[Note],
    answer: (Kind, Frame),
) -> Result<Option<Outcome>, Attempt> {
    let station = &session.station;
    match answer {
        (_, Frame::Later(later)) => {
            let (code, after_s) = (later.code, later.after_s);
            Ok(Some(Outcome::Later { code, after_s }))
        }
        (_, Frame::Fault(fault)) => {
            let fault = Fault::new(&fault.code, fault.text);
            Ok(Some(Outcome::Faulted(fault)))
        }
        (kind, Frame::Done) if kind != Kind::Destroyed => Ok(None),
        (Kind::Destroyed, Frame::Receipt(bytes)) => {
            let both = match after::completed(&station.own, &session.other(), held, &bytes) {
                Ok(both) => both,
                Err(fault) => return Ok(Some(Outcome::Faulted(fault))),
            };
            let ends = [(Phase::DestructionSigned, Phase::Destroyed)];
            let mut ops = step(session, exchange, Kind::Destroyed, &both, &ends);
            ops.push(calm(exchange.xid));
            station.ledger.commit(ops).await?;
            Ok(Some(Outcome::Ended))
        }
        (_, other) => {
            let text = format!("{} is no answer to a statement", other.kind());
            Ok(Some(Outcome::Faulted(Fault::new("unexpected-frame", text))))
        }
    }
}
