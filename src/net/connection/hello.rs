//! Hello: both sides say which versions they speak, what time it is, and which cards and lists they hold.

use std::sync::Arc;

use tokio::time::timeout;

use crate::base::limits;
use crate::net::Link;
use crate::net::connection::control::{Control, Papers};
use crate::net::quic::frames::write_frame;
use crate::net::quic::reader::FrameReader;
use crate::net::session::station::Station;
use crate::net::session::{CLOSE_FAULT, HELLO_GRACE, HELLO_WAIT, Session, Unsettled};
use crate::store;
use crate::wire::{Frame, Hello};

/// The one version of the protocol that is spoken.
pub const VERSION: u64 = 1;

/// Why a connection did not come up, after the handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct HelloFault {
    /// Stable kebab-case word.
    pub code: &'static str,
    /// The fault.
    pub text: String,
}

/// Says hello in both directions; the connection counts as up when this returns.
pub async fn open(
    station: Arc<Station>,
    link: Link,
    papers: Papers,
) -> Result<(Session, Control), HelloFault> {
    let fault = |code: &'static str, text: String| HelloFault { code, text };
    let hello = timeout(HELLO_WAIT, greet(&station, &link, &papers));
    let (send, frames, theirs) = match hello.await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(e)) => return Err(fault("no-hello", e)),
        Err(_) => {
            return Err(fault(
                "no-hello",
                format!("no hello within {} s", HELLO_WAIT.as_secs()),
            ));
        }
    };
    if !theirs.versions.contains(&VERSION) {
        link.close(CLOSE_FAULT, "no-common-version");
        return Err(fault(
            "no-common-version",
            format!(
                "the peer speaks versions {:?}, not {VERSION}",
                theirs.versions
            ),
        ));
    }
    station.clock.compare(theirs.now, link.peer.id());
    let now = station.clock();
    if now.distance_ms(theirs.now) > limits::CLOCK_SKEW_MS_MAX {
        // Our hello gets there first: it may tell the peer that its clock is wrong.
        tokio::time::sleep(HELLO_GRACE).await;
        link.close(CLOSE_FAULT, "clock-skew");
        let text = format!(
            "its clock says {}, ours {now}: more than 5 minutes apart; set the clock that is wrong",
            theirs.now
        );
        return Err(fault("clock-skew", text));
    }
    let (ledger, known) = (&station.ledger, &station.sessions);
    known.remember(ledger, link.peer.id(), link.session).await;
    let growth = &station.share(link.peer.id()).growth;
    let used = ledger.meta(&store::growth_key(link.peer.id())).await;
    let used = used.map_err(|e| fault("storage", e.to_string()))?;
    growth.resume(station.micros(), now, used.as_deref());
    let unsettled = Unsettled {
        theirs: Some(theirs.card).filter(|card| *card > papers.peer_card),
        ours: Some(papers.card_number()).filter(|card| *card > theirs.peer_card),
    };
    let clock_ms = theirs.now.millis().saturating_sub(now.millis());
    let keys = Arc::clone(&papers.peer_keys);
    let session = Session::new(station, link, keys, clock_ms, unsettled);
    Ok((
        session,
        Control {
            send,
            frames,
            papers,
            theirs,
        },
    ))
}

async fn greet(
    station: &Station,
    link: &Link,
    papers: &Papers,
) -> Result<(quinn::SendStream, FrameReader, Hello), String> {
    let streams = if link.inbound {
        link.connection.accept_bi().await
    } else {
        link.connection.open_bi().await
    };
    let (mut send, recv) = streams.map_err(|e| e.to_string())?;
    let hello = Frame::Hello(Hello {
        versions: vec![VERSION],
        now: station.clock(),
        card: papers.card_number(),
        crls: papers.list_numbers(),
        peer_card: papers.peer_card,
        peer_crls: papers.peer_crls.clone(),
    });
    write_frame(&mut send, &hello)
        .await
        .map_err(|e| e.to_string())?;
    let mut frames = FrameReader::new(recv);
    match frames.next().await {
        Ok(Some(Frame::Hello(theirs))) => Ok((send, frames, theirs)),
        Ok(Some(other)) => Err(format!("{} came in place of hello", other.kind())),
        Ok(None) => Err("the control stream was closed".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}
