//! Statements about packages that were handed over, on streams of their own: hearing them and telling them.

use std::time::Duration;

use crate::base::{Xid, json};
use crate::exchange::{Direction, Phase, Step};
use crate::identity::statement::Note;
use crate::net::quic::frames::write_frame;
use crate::net::quic::reader::FrameReader;
use crate::net::session::{Attempt, Ended, Session, contradiction, countersign, third_party};
use crate::policy::Terms;
use crate::receipt;
use crate::receipt::{Disclosure, Issuer, Kind};
use crate::store::{self, CommitFault, Exchange, Op, StatementRow, StoreFault};
use crate::transfer::letters::{self, After};
use crate::transfer::{Fault, Outcome, PATIENCE_MS};
use crate::wire::{Frame, Later};

/// An answer to the other side: about an exchange, or about its own fault.
type Heard = Result<(Option<Xid>, Frame), Fault>;

/// Hears the one statement of an incoming stream and answers it.
pub(crate) async fn answer(
    session: &Session,
    mut send: quinn::SendStream,
    mut frames: FrameReader,
) -> Ended {
    let ended = |xid, attempt| Ended {
        peer: session.peer_id().clone(),
        xid,
        attempt,
    };
    let (share, now_us) = (&session.share, session.station.micros());
    let heard = if !share.offer(now_us) {
        Ok(Ok((None, put_off("rate", 1))))
    } else if share.growth.take(now_us, 0).is_err() {
        Ok(Ok((None, put_off("quota", 60))))
    } else {
        match said(session, &mut frames).await {
            Ok(Ok(said)) => hear(session, said).await,
            Ok(Err(fault)) => Ok(Err(fault)),
            Err(attempt) => Err(attempt),
        }
    };
    let (xid, frame, outcome) = match heard {
        Ok(Ok((xid, frame))) => (xid, frame, Outcome::Ended),
        Ok(Err(fault)) => {
            let said = crate::wire::FaultMessage::new(&fault.code, &fault.text);
            (None, Frame::Fault(said), Outcome::Faulted(fault))
        }
        Err(attempt) => return ended(None, attempt),
    };
    // The statement is judged, and kept if it is good, whether or not the other end still hears so: it says it again.
    drop(write_frame(&mut send, &frame).await);
    drop(send.finish());
    drop(tokio::time::timeout(Duration::from_secs(2), send.stopped()).await);
    ended(xid, Attempt::Ended(outcome))
}

/// The content of a stream: a statement, and the papers that go with it.
struct Letter {
    note: Note,
    xid: Xid,
    words: Option<Vec<String>>,
}

/// Reads what the peer says, in time.
async fn said(
    session: &Session,
    frames: &mut FrameReader,
) -> Result<Result<Letter, Fault>, Attempt> {
    let unexpected = |text: &str| Ok(Err(Fault::new("unexpected-frame", text)));
    let first = next(session, frames).await?;
    let Some(Frame::Receipt(bytes)) = first else {
        return unexpected("a statement is awaited");
    };
    let (note, xid, kind) = match letters::read(&bytes) {
        Ok(read) => read,
        Err(fault) => return Ok(Err(fault)),
    };
    if letters::goes_along(kind).is_none() {
        let words = None;
        return Ok(Ok(Letter { note, xid, words }));
    }
    let Some(Frame::Disclosures(words)) = next(session, frames).await? else {
        return unexpected("a wish for consent, its answer, and onward go with disclosures");
    };
    Ok(letters::check_words(&note, &words).map(|()| Letter {
        note,
        xid,
        words: Some(words),
    }))
}

/// Takes a statement of the peer and answers it; whatever is promised is committed before.
async fn hear(session: &Session, said: Letter) -> Result<Heard, Attempt> {
    let station = &session.station;
    let Letter { note, xid, words } = said;
    // One at a time: two that follow the same statement must not both be answered.
    let turn = station.take_over(xid).await;
    let exchange = station.ledger.exchange(&xid).await?;
    let Some(exchange) = exchange.filter(|row| row.peer == *session.peer_id()) else {
        return Ok(Err(unknown()));
    };
    let held = notes(session, &exchange).await?;
    let after = match letters::judge(&station.own, &session.other(), &held, note) {
        Ok(after) => after,
        Err(fault) => {
            contradiction::keep(session, Some(xid), &fault).await?;
            return Ok(Err(fault));
        }
    };
    let (note, kind) = match after {
        After::Known(None) => return Ok(Ok((Some(xid), Frame::Done))),
        After::Known(Some(both)) => {
            let again = Frame::Receipt(both.bytes().to_vec());
            return Ok(Ok((Some(xid), again)));
        }
        After::Restricted(note) => (note, Kind::RestrictionChanged),
        After::Noted(note, kind) => {
            let words = words.as_deref().unwrap_or_default();
            if kind == Kind::Onward
                && let Err(fault) = third_party::copied(session, &held, &note, words).await?
            {
                return Ok(Err(fault));
            }
            (note, kind)
        }
        After::Destroyed(both) => {
            if let Err(fault) = countersign::check(session, &both).await? {
                return Ok(Err(fault));
            }
            (both, Kind::Destroyed)
        }
    };
    let other = match exchange.direction {
        Direction::Out => Issuer::Receiver,
        Direction::In => Issuer::Sender,
    };
    let step = Step::of(kind, &note);
    let next = exchange.phase.after(exchange.direction, step);
    if kind.profile().issuer != other || next.is_none() {
        return Ok(Err(unknown()));
    }
    if let Some(lost) = session.link.connection.close_reason() {
        return Err(Attempt::Cut(lost.to_string()));
    }
    let (ops, answer) = taken(session, &exchange, (kind, &note), words);
    match session.commit_holding(ops, turn.held()).await {
        Ok(_) => Ok(Ok((Some(xid), answer))),
        // Something else came in meanwhile: said once more, it is looked at anew.
        Err(CommitFault::Conflict { .. }) => Ok(Ok((None, put_off("conflict", 1)))),
        Err(fault @ (CommitFault::Full | CommitFault::Recovering)) => Ok(Ok((None, later(&fault)))),
        Err(fault) => Err(fault.into()),
    }
}

/// The ledger's operations for a statement that is taken, and the answer to it.
fn taken(
    session: &Session,
    exchange: &Exchange,
    (kind, note): (Kind, &Note),
    words: Option<Vec<String>>,
) -> (Vec<Op>, Frame) {
    if kind == Kind::Destroyed {
        let mut ops = step(session, exchange, kind, note);
        // Stricter terms that were still to be told are of no use any more.
        ops.push(Op::calm(exchange.xid));
        return (ops, Frame::Receipt(note.bytes().to_vec()));
    }
    if letters::is_notice(kind) {
        tracing::info!(xid = %exchange.xid, peer = %exchange.peer, %kind, "the receiver tells of a package of ours");
    }
    let mut ops = step(session, exchange, kind, note);
    let asks = |terms: Option<Terms>| terms.is_some_and(|terms| terms.use_report);
    let asks_anew =
        asks(receipt::open(note).ok().and_then(|it| it.terms)) && !asks(exchange.terms_now());
    if kind == Kind::RestrictionChanged && exchange.phase == Phase::Held && asks_anew {
        // The report that it asks for is made before anything is told, after a kill too.
        ops.push(Op::Retry {
            xid: exchange.xid,
            attempts: 0,
            next_try: Some(session.station.clock()),
            fault: None,
        });
    }
    ops.extend(words.map(|words| Op::Meta {
        key: store::disclosures_key(&note.digest()),
        value: json::canonical(&words),
    }));
    (ops, Frame::Done)
}

fn put_off(code: &str, after_s: u64) -> Frame {
    let code = code.to_owned();
    Frame::Later(Later { code, after_s })
}

fn later(fault: &CommitFault) -> Frame {
    let code = match fault {
        CommitFault::Recovering => "recovering",
        CommitFault::Full
        | CommitFault::Conflict { .. }
        | CommitFault::Unfit(_)
        | CommitFault::Broken(_) => store::durable::STORAGE_FULL,
    };
    put_off(code, 60)
}

fn unknown() -> Fault {
    Fault::new(
        "not-handed-over",
        "no package of this exchange was handed over",
    )
}

/// The kinds of statement of a handed-over package that both sides may follow: so much, and no more, may come after it.
const SHARED: &[Kind] = &[
    Kind::Dispatch,
    Kind::Handover,
    Kind::RestrictionChanged,
    Kind::ConsentAsked,
    Kind::ConsentGiven,
    Kind::ConsentRefused,
    Kind::Destroyed,
];

/// The same, and what the receiver has told: that is counted.
const TOLD: &[Kind] = &[
    Kind::Dispatch,
    Kind::Handover,
    Kind::RestrictionChanged,
    Kind::Access,
    Kind::ContentMismatch,
    Kind::UseReport,
    Kind::Onward,
    Kind::ConsentAsked,
    Kind::ConsentGiven,
    Kind::ConsentRefused,
    Kind::Destroyed,
];

/// The notes of an exchange that matter for what the other side may say, as they are kept. What a receiver has stated
/// for itself alone, which has no limit, is not among them.
async fn notes(session: &Session, exchange: &Exchange) -> Result<Vec<Note>, Attempt> {
    let kinds = match exchange.direction {
        Direction::In => SHARED,
        Direction::Out => TOLD,
    };
    let rows = session.station.ledger.statements_of(&exchange.xid, kinds);
    read(exchange, rows.await)
}

fn read(
    exchange: &Exchange,
    rows: Result<Vec<StatementRow>, StoreFault>,
) -> Result<Vec<Note>, Attempt> {
    let damaged = |e: crate::identity::statement::StatementFault| {
        Attempt::Local(Fault::new(
            "ledger-altered",
            format!("a statement of {}: {e}", exchange.xid),
        ))
    };
    let rows = rows?;
    let notes = rows.iter().map(|row| Note::parse(&row.note));
    notes.collect::<Result<_, _>>().map_err(damaged)
}

/// The ledger's operations for a statement of an exchange. What the other side alone has signed is no leaf of our log.
fn step(session: &Session, exchange: &Exchange, kind: Kind, note: &Note) -> Vec<Op> {
    let (station, xid, steps) = (&session.station, exchange.xid, exchange.steps);
    let logged = note.signatures().len() > 1;
    let crossed = crosses(exchange, note);
    let newest = if crossed {
        exchange.last_note.clone()
    } else {
        note.bytes().to_vec()
    };
    let mut ops = vec![
        station.statement(kind, note, Some(xid), logged),
        Op::Advance {
            xid,
            step: Step::of(kind, note),
            last_note: Some(newest),
            at: station.clock(),
        },
    ];
    // The terms in force may have been changed here meanwhile, or what is the newest under them.
    if crossed || exchange.direction == Direction::Out {
        ops.insert(0, Op::Unmoved { xid, steps });
    }
    ops
}

/// Whether what came crossed a change of terms on its way, and names the terms before it: then the newest statement
/// under the terms in force is the one that was the newest before.
fn crosses(exchange: &Exchange, came: &Note) -> bool {
    let open = |note: &Note| receipt::open(note).ok();
    let before = Note::parse(&exchange.last_note).ok();
    let (Some(before), Some(came)) = (before.as_ref().and_then(open), open(came)) else {
        return false;
    };
    came.kind != Kind::RestrictionChanged && came.terms != before.terms
}

/// Tells the peer what this authority has said of a package after its handover, until it has acknowledged it.
pub(crate) async fn tell(session: &Session, exchange: &Exchange) -> Result<Outcome, Attempt> {
    // A committed destruction can be read before its key is overwritten and its journal has it: not told before both
    // are.
    session.station.ledger.settled().await?;
    for (kind, note) in to_tell(session, exchange).await? {
        let answer = ask(session, kind, &note).await?;
        if let Some(outcome) = answered(session, exchange, (kind, answer)).await? {
            return Ok(outcome);
        }
        if letters::is_marked(kind) {
            let told = Op::Meta {
                key: store::tell_key(&note.digest()),
                value: store::TOLD.to_vec(),
            };
            session.commit(vec![told]).await?;
        }
    }
    // Something new may have been said meanwhile: then its mark is not taken away with the others.
    let (xid, steps) = (exchange.xid, exchange.steps);
    let mut ops = vec![Op::Unmoved { xid, steps }, Op::calm(xid)];
    if exchange.phase == Phase::RestrictionSigned {
        ops.push(Op::Advance {
            xid,
            step: Step::Acknowledged(Kind::RestrictionChanged),
            last_note: None,
            at: session.station.clock(),
        });
    }
    match session.commit(ops).await {
        Ok(_) => Ok(Outcome::Ended),
        Err(CommitFault::Conflict { .. }) => {
            let (code, after_s) = ("more-to-tell".to_owned(), 1);
            Ok(Outcome::Later { code, after_s })
        }
        Err(fault) => Err(fault.into()),
    }
}

/// The statements that the peer has not acknowledged, oldest first.
async fn to_tell(session: &Session, exchange: &Exchange) -> Result<Vec<(Kind, Note)>, Attempt> {
    let all: &[Kind] = if exchange.phase == Phase::RestrictionSigned {
        &[Kind::RestrictionChanged]
    } else if exchange.phase == Phase::DestructionSigned {
        &[Kind::Destroyed]
    } else {
        &[]
    };
    let ledger = &session.station.ledger;
    let rows = ledger.to_tell(&exchange.xid, letters::MARKED, all).await;
    let notes = read(exchange, rows)?.into_iter();
    let known = notes.filter_map(|note| Some((receipt::open(&note).ok()?.kind, note)));
    Ok(known.collect())
}

/// The part of the statement's disclosures that goes along with it.
async fn words(session: &Session, note: &Note, along: &str) -> Result<Vec<String>, Attempt> {
    let key = store::disclosures_key(&note.digest());
    let kept = session.station.ledger.meta(&key).await;
    let kept = kept?.unwrap_or_default();
    let kept: Vec<String> = serde_json::from_slice(&kept).unwrap_or_default();
    let goes = |text: &String| {
        let read = Disclosure::parse(text);
        read.is_ok_and(|it| it.name == along)
    };
    Ok(kept.into_iter().filter(goes).collect())
}

/// Sends one statement on a stream of its own and reads the answer.
async fn ask(session: &Session, kind: Kind, note: &Note) -> Result<Frame, Attempt> {
    let cut = |why: String| Attempt::Cut(why);
    let streams = session.link.connection.open_bi().await;
    let (mut send, recv) = streams.map_err(|e| cut(e.to_string()))?;
    let mut said = vec![Frame::Receipt(note.bytes().to_vec())];
    if let Some(along) = letters::goes_along(kind) {
        said.push(Frame::Disclosures(words(session, note, along).await?));
    }
    for frame in said {
        let written = write_frame(&mut send, &frame).await;
        written.map_err(|e| cut(e.to_string()))?;
    }
    let answer = next(session, &mut FrameReader::new(recv)).await?;
    // The answer is all that was to come.
    drop(send.finish());
    answer.ok_or_else(|| cut("the peer closed the stream".to_owned()))
}

/// The next frame of the peer, in time.
async fn next(session: &Session, frames: &mut FrameReader) -> Result<Option<Frame>, Attempt> {
    let patience = Duration::from_millis(session.station.bounds.hurried(PATIENCE_MS));
    match tokio::time::timeout(patience, frames.next()).await {
        Ok(Ok(frame)) => {
            session.hears();
            Ok(frame)
        }
        Ok(Err(e)) => Err(Attempt::Cut(e.to_string())),
        Err(_) => Err(Attempt::Cut("the peer did not answer in time".to_owned())),
    }
}

/// Acts on the answer to one statement; `None`: the next may be told.
async fn answered(
    session: &Session,
    exchange: &Exchange,
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
            // Stricter terms may have come while the answer was on its way: what was read before does not know them.
            let turn = station.take_over(exchange.xid).await;
            let now = station.ledger.exchange(&exchange.xid).await?;
            let exchange = &now.ok_or_else(|| Attempt::Local(unknown()))?;
            let held = notes(session, exchange).await?;
            let both = match letters::completed(&station.own, &session.other(), &held, &bytes) {
                Ok(both) => both,
                Err(fault) => return Ok(Some(Outcome::Faulted(fault))),
            };
            let mut ops = step(session, exchange, Kind::Destroyed, &both);
            ops.push(Op::calm(exchange.xid));
            session.commit_holding(ops, turn.held()).await?;
            Ok(Some(Outcome::Ended))
        }
        (_, other) => {
            let text = format!("{} is no answer to a statement", other.kind());
            Ok(Some(Outcome::Faulted(Fault::new("unexpected-frame", text))))
        }
    }
}
