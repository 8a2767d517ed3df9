//! The control stream after hello: newest papers out, newest papers in; then what is to be said about logs.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::base::bucket::Bucket;
use crate::base::{AuthorityId, len_u64, limits};
use crate::net::quic::frames::{FrameFault, write_frame};
use crate::net::quic::reader::FrameReader;
use crate::net::session::Session;
use crate::net::witness::conversation::{AboutLogs, Watching};
use crate::receipt::PartyKeys;
use crate::transfer::Fault;
use crate::wire::{Ack, Announced, Frame, FrameKind, Hello, ListNumber};

/// Own revocation lists, the newest of each CA, ascending by CA.
pub type OwnLists = Vec<(ListNumber, Vec<u8>)>;

/// The newest papers of both sides, as this side has them.
#[derive(Debug, Clone)]
pub struct Papers {
    /// Own cards with their numbers, oldest first.
    pub cards: Vec<(u64, Vec<u8>)>,
    /// Own revocation lists; a renewed one is said on the connections that are up.
    pub crls: watch::Receiver<OwnLists>,
    /// Number of the peer's card that is held here.
    pub peer_card: u64,
    /// The peer's revocation lists that are held here, ascending by CA.
    pub peer_crls: Vec<ListNumber>,
    /// The peer's receipts keys.
    pub peer_keys: Arc<PartyKeys>,
}

impl Papers {
    /// The number of the newest own card.
    pub fn card_number(&self) -> u64 {
        self.cards.last().map_or(0, |(number, _)| *number)
    }

    /// The numbers of the own revocation lists.
    pub(crate) fn list_numbers(&self) -> Vec<ListNumber> {
        self.crls.borrow().iter().map(|(list, _)| *list).collect()
    }

    /// Own revocation lists that are not among these. The other side judges which of two is newer.
    fn other_lists(&self, held: &[ListNumber]) -> Vec<Frame> {
        let lists = self.crls.borrow();
        let others = lists.iter().filter(|(own, _)| !held.contains(own));
        others.map(|(_, list)| Frame::Crl(list.clone())).collect()
    }
}

/// A newer paper of the peer has come; it is acknowledged once the reply says it is committed.
#[derive(Debug)]
pub struct News {
    /// Who sent it.
    pub peer: AuthorityId,
    /// Card or revocation list.
    pub what: Announced,
    /// Its bytes, not yet looked at.
    pub bytes: Vec<u8>,
    /// The paper that is adopted now, or why it was not.
    pub reply: oneshot::Sender<Result<Ack, Fault>>,
}

/// A control stream after hello.
#[derive(Debug)]
pub struct Control {
    pub(crate) send: quinn::SendStream,
    pub(crate) frames: FrameReader,
    pub(crate) papers: Papers,
    pub(crate) theirs: Hello,
}

/// A frame of the control stream, by who answers it.
enum ControlMessage {
    /// A paper of theirs; for the daemon.
    Paper(Announced, Vec<u8>),
    /// A paper of ours is committed there.
    Ack(Ack),
    /// About logs.
    Logs(AboutLogs),
    /// Something that we said does not go.
    Fault(crate::wire::FaultMessage),
    /// It belongs elsewhere.
    Misplaced(FrameKind),
}

fn sorted(frame: Frame) -> ControlMessage {
    match frame {
        Frame::Card(bytes) => ControlMessage::Paper(Announced::Card, bytes),
        Frame::Crl(bytes) => ControlMessage::Paper(Announced::Crl, bytes),
        Frame::Ack(ack) => ControlMessage::Ack(ack),
        Frame::Held(note) => ControlMessage::Logs(AboutLogs::Held(note)),
        Frame::AddCheckpoint(bytes) => ControlMessage::Logs(AboutLogs::AddCheckpoint(bytes)),
        Frame::Cosignature(bytes) => ControlMessage::Logs(AboutLogs::Cosignature(bytes)),
        Frame::Knows(tags) => ControlMessage::Logs(AboutLogs::Knows(tags)),
        Frame::Gossip(note) => ControlMessage::Logs(AboutLogs::Gossip(note)),
        Frame::Fault(fault) => ControlMessage::Fault(fault),
        elsewhere @ (Frame::Hello(_)
        | Frame::Offer(_)
        | Frame::Disclosures(_)
        | Frame::Accept { .. }
        | Frame::Receipt(_)
        | Frame::Header(_)
        | Frame::Later(_)
        | Frame::Done) => ControlMessage::Misplaced(elsewhere.kind()),
    }
}

/// Serves the stream until it ends, which ends the connection too.
pub(crate) async fn run(session: Session, mut control: Control, news: mpsc::Sender<News>) {
    control.papers.crls.mark_unchanged();
    let papers = &control.papers;
    let mut shown = papers.list_numbers();
    let mut lists = Bucket::new(limits::CRL_RATE, limits::CRL_BURST);
    let mut watching = Watching::new(
        Arc::clone(&session.station.watch),
        session.peer_id().clone(),
        session.link.session,
    );
    let mut send = Vec::new();
    // Each of them: what was signed under one of them is judged by its key.
    let newer = papers.cards.iter();
    let newer = newer.filter(|(number, _)| *number > control.theirs.peer_card);
    send.extend(newer.map(|(_, card)| Frame::Card(card.clone())));
    send.extend(papers.other_lists(&control.theirs.peer_crls));
    send.extend(watching.first().await);
    let mut due = tokio::time::interval(session.station.watch.every());
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    due.reset();
    loop {
        for frame in send.drain(..) {
            if write_frame(&mut control.send, &frame).await.is_err() {
                return;
            }
        }
        let frame = tokio::select! {
            frame = control.frames.next() => frame,
            _ = due.tick() => {
                send = watching.due(session.station.instant()).await;
                continue;
            }
            Ok(()) = control.papers.crls.changed() => {
                send = control.papers.other_lists(&shown);
                shown = control.papers.list_numbers();
                continue;
            }
        };
        let frame = match frame {
            Ok(Some(frame)) => frame,
            Err(e) if e.is_peers_fault() => {
                return session.refuse(&Fault::new(e.code(), e.to_string()));
            }
            Ok(None) | Err(FrameFault::Abandoned(_)) => {
                let text = "the peer has ended the control stream";
                return session.refuse(&Fault::new("control-closed", text));
            }
            Err(_) => return,
        };
        session.hears();
        session.share.control(|| session.station.micros()).await;
        let said = sorted(frame);
        // By connection: whoever has stolen one certificate does not use up what is read of the lists that revoke it.
        if let ControlMessage::Paper(Announced::Crl, bytes) = &said
            && lists
                .take(session.station.micros(), len_u64(bytes.len()))
                .is_err()
        {
            let text = "revocation lists come too fast: this one is read on a later connection";
            send = vec![Frame::Fault(crate::wire::FaultMessage::new("rate", text))];
            continue;
        }
        send = match answers(&session, &news, &mut watching, said).await {
            Ok(answers) => answers,
            Err(fault) => return session.refuse(&fault),
        };
    }
}

/// Answers a message; a fault ends the connection.
async fn answers(
    session: &Session,
    news: &mpsc::Sender<News>,
    watching: &mut Watching,
    said: ControlMessage,
) -> Result<Vec<Frame>, Fault> {
    let peer = session.peer_id();
    match said {
        ControlMessage::Paper(what, bytes) => Ok(vec![adopt(session, news, what, bytes).await]),
        ControlMessage::Logs(about) => Ok(watching.answers(about, session.station.instant()).await),
        ControlMessage::Ack(ack) => {
            if ack.what == Announced::Card {
                session.settle_ours(ack.number);
            }
            tracing::info!(%peer, what = ?ack.what, number = ack.number, "the peer holds our newest");
            Ok(Vec::new())
        }
        ControlMessage::Fault(fault) => {
            tracing::warn!(%peer, code = %fault.code, "the peer refused what we said: {}", fault.text.escape_debug());
            // Whatever it was, our card will not be adopted on this connection any more.
            session.settle_ours(u64::MAX);
            watching.refused(&fault).await;
            Ok(Vec::new())
        }
        ControlMessage::Misplaced(kind) => Err(Fault::new(
            "unexpected-frame",
            format!("{kind} on the control stream"),
        )),
    }
}

async fn adopt(
    session: &Session,
    news: &mpsc::Sender<News>,
    what: Announced,
    bytes: Vec<u8>,
) -> Frame {
    let (reply, answer) = oneshot::channel();
    let peer = session.peer_id().clone();
    let asked = news
        .send(News {
            peer,
            what,
            bytes,
            reply,
        })
        .await;
    let gone = || Fault::new("shutting-down", "this daemon is shutting down");
    let adopted = if asked.is_ok() {
        answer.await.unwrap_or_else(|_| Err(gone()))
    } else {
        Err(gone())
    };
    if what == Announced::Card {
        let number = adopted.as_ref().map_or(u64::MAX, |ack| ack.number);
        session.settle_theirs(number);
    }
    match adopted {
        Ok(ack) => Frame::Ack(ack),
        Err(fault) => Frame::Fault(crate::wire::FaultMessage::new(&fault.code, &fault.text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;
    use crate::identity::keys::{KeyName, Role, SecretKey};

    fn list(ca: u8, number: u64) -> ListNumber {
        let ca = Digest::of(&[ca]);
        ListNumber { ca, number }
    }

    #[test]
    fn a_list_is_sent_unless_one_of_its_ca_with_its_number_is_held() {
        let id = "mla.example.ie".parse().unwrap();
        let key = SecretKey::from_seed(KeyName::new(id, Role::Receipts), &[1; 32]);
        let papers = Papers {
            cards: Vec::new(),
            crls: watch::channel(vec![(list(1, 41), vec![1]), (list(2, 1), vec![2])]).1,
            peer_card: 1,
            peer_crls: Vec::new(),
            peer_keys: Arc::new(PartyKeys::new(1, key.public())),
        };
        for (held, sent) in [
            (vec![], vec![1, 2]),
            (vec![list(1, 41)], vec![2]),
            (vec![list(1, 40)], vec![1, 2]),
            (vec![list(1, 41), list(2, 1)], vec![]),
            (vec![list(1, 42), list(2, 1)], vec![1]),
            (vec![list(3, 99)], vec![1, 2]),
        ] {
            let frames = papers.other_lists(&held).into_iter();
            let bodies = frames.map(|frame| frame.encode().split_off(5));
            let got: Vec<_> = bodies.flatten().collect();
            assert_eq!(got, sent, "{held:?}");
        }
    }
}
