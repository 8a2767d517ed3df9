//! Carries exchanges and letters in both directions, once a connection is up.

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

use crate::net::connection::control::{self, Control, News};
use crate::net::delivery::{inbound, outbound};
use crate::net::letters::statements;
use crate::net::quic::frames::{FrameFault, read_data_head};
use crate::net::quic::reader::FrameReader;
use crate::net::session::inbox::{Arrival, WAIT};
use crate::net::session::{Attempt, Ended, Session};
use crate::store::{Ahead, Exchange};
use crate::transfer::Fault;
use crate::wire::Frame;

/// An exchange's place and streams.
type Begun = (
    Option<OwnedSemaphorePermit>,
    quinn::SendStream,
    quinn::RecvStream,
);

/// One attempt at sending a package, or at telling what was said of it since; what was read `ahead` of it need not be
/// read again.
pub async fn send(session: &Session, exchange: &Exchange, ahead: Option<Ahead>) -> Attempt {
    session.settled().await;
    let phase = exchange.phase;
    let outcome = if phase.is_to_tell() || phase.was_held() {
        statements::tell(session, exchange).await
    } else {
        outbound::send(session, exchange, ahead).await
    };
    outcome.map_or_else(|attempt| attempt, Attempt::Ended)
}

/// Hears what the peer has begun on a stream: a letter, or an exchange.
async fn hear(session: &Session, send: quinn::SendStream, recv: quinn::RecvStream) -> Ended {
    let mut frames = FrameReader::new(recv);
    if let Ok(Some(Frame::Receipt(_))) = frames.peek().await {
        return statements::answer(session, send, frames).await;
    }
    inbound::receive(session, send, frames).await
}

/// Serves what the peer opens until the connection ends; every finished incoming attempt is reported.
pub async fn serve(
    session: Session,
    control: Control,
    news: mpsc::Sender<News>,
    ended: mpsc::Sender<Ended>,
) -> quinn::ConnectionError {
    let mut tasks = JoinSet::new();
    tasks.spawn(control::run(session.clone(), control, news));
    tasks.spawn(data_loop(session.clone()));
    let lost = exchange_loop(&session, &ended).await;
    tasks.abort_all();
    lost
}

async fn exchange_loop(session: &Session, ended: &mpsc::Sender<Ended>) -> quinn::ConnectionError {
    let mut exchanges = JoinSet::new();
    session.settled().await;
    loop {
        tokio::select! {
            begun = begun(session) => match begun {
                Ok((place, send, recv)) => {
                    let (session, ended) = (session.clone(), ended.clone());
                    // In a box, so that the large future is not moved again.
                    exchanges.spawn(Box::pin(async move {
                        let end = hear(&session, send, recv).await;
                        drop(place);
                        // The daemon that wants to know may be gone already.
                        drop(ended.send(end).await);
                    }));
                }
                Err(lost) => {
                    // The daemon hears also of what was committed as the connection ended; all else ends by itself.
                    exchanges.detach_all();
                    return lost;
                }
            },
            Some(_) = exchanges.join_next() => {}
        }
    }
}

/// The next exchange that the peer begins, once there is a place for it: until then it waits unread, in QUIC's
/// windows.
async fn begun(session: &Session) -> Result<Begun, quinn::ConnectionError> {
    let connection = &session.link.connection;
    let place = tokio::select! {
        place = session.share.exchange() => place,
        lost = connection.closed() => return Err(lost),
    };
    let (send, recv) = connection.accept_bi().await?;
    Ok((place, send, recv))
}

/// Data streams: read their heads, sort them to their exchanges.
async fn data_loop(session: Session) {
    let mut heads = JoinSet::new();
    let mut stale = tokio::time::interval(WAIT.checked_div(2).unwrap_or(WAIT));
    loop {
        tokio::select! {
            _ = stale.tick() => session.inbox.drop_stale(),
            stream = session.link.connection.accept_uni() => {
                let Ok(mut stream) = stream else { return };
                let session = session.clone();
                heads.spawn(async move {
                    match read_data_head(&mut stream).await {
                        Ok(head) => session.inbox.deliver(Arrival { head, stream }),
                Err(FrameFault::Wire(e)) => session.refuse(&Fault::new(e.code(), e.to_string())),
                // Given up before its head was said: an exchange that ended meanwhile, or a probe.
                Err(_) => {}
                    }
                });
            }
            Some(_) = heads.join_next() => {}
        }
    }
}
