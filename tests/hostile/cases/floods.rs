//! Much at once, nothing at all, and very slowly.

use std::time::Duration;

use quinn::{RecvStream, SendStream};
use rogatory::base::limits;
use rogatory::net::Link;
use rogatory::wire::{DataHead, Frame};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::attack::{ANSWER, Attacker, closed, disclosures, hello, raw, why_closed};
use crate::script::{Say, Scene, TOO_MANY, Talk, enter};

/// A named flood, and what was wrong with it.
pub(crate) type Result = std::result::Result<(), String>;

/// Whether the connection still serves: an unknown frame gets its fault.
async fn serves(link: &Link) -> Result {
    let mut talk = Talk::open(link).await?;
    talk.say(Say::Bytes(raw(99, b"x"))).await;
    match talk.end().await.as_str() {
        "unknown-frame" => Ok(()),
        other => Err(format!("{other} afterwards")),
    }
}

/// Connections that come and go.
pub(crate) async fn churn(attacker: &Attacker) -> Result {
    for round in 0..150 {
        let link = attacker.dial().await;
        if round % 2 == 0 {
            drop(link.connection.open_bi().await);
        }
        link.close(0, "churn");
    }
    let (link, _control) = attacker.up().await;
    let served = serves(&link).await;
    link.close(0, "over");
    served
}

/// More connections than a peer may have: the surplus is told so.
pub(crate) async fn connections(attacker: &Attacker) -> Result {
    let mut dialled = Vec::new();
    for _ in 0..12 {
        let link = attacker.dial().await;
        let streams = link.connection.open_bi().await;
        let (mut send, recv) = streams.map_err(|lost| closed(&lost))?;
        drop(send.write_all(&Frame::Hello(hello()).encode()).await);
        dialled.push((link, send, recv));
    }
    let is_refused = |(link, ..): &&(Link, SendStream, RecvStream)| {
        link.connection
            .close_reason()
            .is_some_and(|why| closed(&why) == "too-many-connections")
    };
    let until = Instant::now() + ANSWER;
    let mut refused = 0;
    while refused < 8 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        refused = dialled.iter().filter(is_refused).count();
    }
    let ends = dialled
        .iter()
        .map(|(link, ..)| match link.connection.close_reason() {
            Some(why) => closed(&why),
            None => "open".to_owned(),
        });
    let ends = ends.collect::<Vec<_>>();
    for (link, ..) in &dialled {
        link.close(0, "over");
    }
    (refused >= 8)
        .then_some(())
        .ok_or_else(|| format!("{refused} of 12 are refused: {ends:?}"))
}

/// 1,000 exchange streams on which nothing is said.
pub(crate) async fn silent_streams(attacker: &Attacker) -> Result {
    let (link, _control) = attacker.up().await;
    let mut open = Vec::new();
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until && open.len() < 1_000 {
        let one = timeout(Duration::from_millis(200), link.connection.open_bi());
        match one.await {
            Ok(Ok((mut send, recv))) => {
                drop(send.write_all(&[16]).await);
                open.push((send, recv));
            }
            Ok(Err(lost)) => return Err(closed(&lost)),
            Err(_) => break,
        }
    }
    let count = open.len();
    link.close(0, "over");
    (count <= limits::PEER_EXCHANGES_MAX as usize)
        .then_some(())
        .ok_or_else(|| format!("{count} streams are open at once"))
}

/// Offers as fast as they can be said, each on a stream of its own: beyond the rate they are told to come later.
pub(crate) async fn offers(attacker: &Attacker) -> Result {
    let (link, _control) = attacker.up().await;
    let offer = attacker.offer(&attacker.large().receipt);
    let until = Instant::now() + ANSWER;
    let mut late = 0;
    while Instant::now() < until && late < 20 {
        let mut said = Vec::new();
        for _ in 0..60 {
            let mut talk = Talk::open(&link).await?;
            talk.say(Say::Bytes(offer.clone())).await;
            talk.say(Say::Finish).await;
            said.push(talk);
        }
        for mut talk in said {
            late += usize::from(talk.end().await == TOO_MANY);
        }
    }
    let served = serves(&link).await;
    link.close(0, "over");
    (late >= 20)
        .then_some(())
        .ok_or("no offer is told to come later")?;
    served
}

/// The same exchange on 40 streams at once: the newest works on it, the others are given up.
pub(crate) async fn same_exchange(attacker: &Attacker) -> Result {
    let (link, _control) = attacker.up().await;
    let parcel = attacker.honest();
    let mut talks = Vec::new();
    // What came before has spent the offers of this second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for _ in 0..40 {
        let mut talk = Talk::open(&link).await?;
        talk.say(Say::Bytes(attacker.offer(&parcel.receipt))).await;
        talk.say(Say::Bytes(disclosures())).await;
        talks.push(talk);
    }
    let mut ending = JoinSet::new();
    for mut talk in talks {
        ending.spawn(async move { talk.end().await });
    }
    let mut ends = Vec::new();
    while ends.len() < 39 {
        ends.extend(ending.join_next().await.ok_or("no stream")?);
    }
    // Which one was the newest is the other end's affair; the data belong to the exchange.
    let mut data = Talk::open(&link).await?;
    data.say(Say::Data(parcel.list())).await;
    data.say(Say::Data(parcel.segments(0, &parcel.payload)))
        .await;
    ends.extend(ending.join_all().await);
    link.close(0, "over");
    let of = |word: &str| ends.iter().filter(|end| *end == word).count();
    let counts = (of("consigned"), of("finished"));
    (counts == (1, 39))
        .then_some(())
        .ok_or_else(|| format!("{ends:?}"))
}

/// Data streams without an offer: their heads are read, nothing else; others are served.
pub(crate) async fn strangers_data(attacker: &Attacker) -> Result {
    let (link, _control) = attacker.up().await;
    let mut held = Vec::new();
    for number in 0..120_u8 {
        let xid = rogatory::base::Xid::from_bytes([number; 16]);
        let begin = DataHead::Segments { xid, first: 0 }.encode();
        let bytes = [begin, vec![number; 60 << 10]].concat();
        held.extend(unfinished(&link, &bytes).await);
    }
    let served = serves(&link).await;
    link.close(0, "over");
    served
}

/// A data stream of no kind ends the connection.
pub(crate) async fn unknown_data(attacker: &Attacker) -> Result {
    for (bytes, want) in [
        (vec![9; 17], "unknown-data"),
        (vec![0; 25], "unknown-data"),
        (vec![255; 40], "unknown-data"),
    ] {
        let (link, _control) = attacker.up().await;
        let mut stream = link.connection.open_uni().await.unwrap();
        drop(stream.write_all(&bytes).await);
        let why = why_closed(&link).await;
        if why != want {
            return Err(format!("closed for {why}, not for {want}"));
        }
    }
    Ok(())
}

/// Puts bytes on a data stream of its own that is never finished.
async fn unfinished(link: &Link, bytes: &[u8]) -> Option<SendStream> {
    let open = timeout(Duration::from_millis(100), link.connection.open_uni());
    let mut stream = open.await.ok()?.ok()?;
    drop(timeout(Duration::from_millis(50), stream.write_all(bytes)).await);
    Some(stream)
}

/// Payload on as many streams as QUIC allows, none finished, for many exchanges.
pub(crate) async fn unfinished_payloads(attacker: &Attacker) -> Result {
    let (link, _control) = attacker.up().await;
    let (mut talks, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let parcel = attacker.large();
        let mut talk = Talk::open(&link).await?;
        let offer = [attacker.offer(&parcel.receipt), disclosures()].concat();
        // Once the connection's window is full, nothing more is taken.
        for say in [Say::Bytes(offer), Say::Data(parcel.list())] {
            drop(timeout(Duration::from_millis(500), talk.say(say)).await);
        }
        for _ in 0..16 {
            streams
                .extend(unfinished(&link, &parcel.segments(0, &parcel.payload[..1_000_000])).await);
        }
        talks.push(talk);
    }
    link.close(0, "over");
    let (link, _control) = attacker.up().await;
    let served = serves(&link).await;
    link.close(0, "over");
    served
}

/// Small payloads of the largest size, never finished, in as many exchanges as may be open.
pub(crate) async fn unfinished_small(attacker: &Attacker) -> Result {
    let (link, _control) = attacker.up().await;
    let (mut talks, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let parcel = attacker.parcel(b"age-encryption.org/v1\n".to_vec(), vec![7; 256 << 10]);
        let Ok(Ok(mut talk)) = timeout(Duration::from_secs(1), Talk::open(&link)).await else {
            break;
        };
        let offer = [attacker.offer(&parcel.receipt), disclosures()].concat();
        drop(timeout(Duration::from_millis(100), talk.say(Say::Bytes(offer))).await);
        talks.push(talk);
        for _ in 0..2 {
            let most = parcel.segments(0, &parcel.payload[..(256 << 10) - 1]);
            streams.extend(unfinished(&link, &most).await);
        }
    }
    link.close(0, "over");
    let (link, _control) = attacker.up().await;
    let served = serves(&link).await;
    link.close(0, "over");
    served
}

/// Revocation lists of 1 MiB, one after the other: each is judged and answered, and nothing else waits for it.
pub(crate) async fn papers(attacker: &Attacker) -> Result {
    let (link, mut control) = attacker.up().await;
    let list = raw(3, &vec![0x30; 1 << 20]);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        let write = control.0.write_all(&list);
        match timeout(Duration::from_millis(500), write).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => break,
        }
    }
    let served = serves(&link).await;
    link.close(0, "over");
    served
}

/// Bytes of a frame, one a second: the frame is given up after its time.
pub(crate) async fn slow_frame(attacker: &Attacker) -> Result {
    let (link, _control) = attacker.up().await;
    let (mut send, mut recv) = link.connection.open_bi().await.map_err(|e| e.to_string())?;
    let offer = attacker.offer(&attacker.honest().receipt);
    let began = Instant::now();
    for byte in offer.chunks(1) {
        if send.write_all(byte).await.is_err() || began.elapsed() > Duration::from_mins(1) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let took = began.elapsed();
    let mut rest = vec![0; 100];
    drop(recv.read(&mut rest).await);
    link.close(0, "over");
    (took < Duration::from_secs(50))
        .then_some(())
        .ok_or_else(|| format!("still open after {took:?}"))
}

/// At each step, nothing more comes: the stream is given up after the configured patience.
async fn stalled(attacker: &Attacker, link: &Link, scene: Scene) -> Result {
    let parcel = if matches!(scene, Scene::Large | Scene::Collecting) {
        attacker.large()
    } else {
        attacker.honest()
    };
    let mut talk = enter(attacker, link, scene, &parcel).await?;
    let began = Instant::now();
    let end = talk.end().await;
    (end == "finished")
        .then_some(())
        .ok_or_else(|| format!("{end} after {:?}", began.elapsed()))
}

/// Answers are never read, while the same is offered again and again.
async fn unread(attacker: &Attacker, link: &Link) -> Result {
    let parcel = attacker.honest();
    enter(attacker, link, Scene::Settled, &parcel).await?;
    let mut talks = Vec::new();
    for _ in 0..40 {
        let mut talk = timeout(Duration::from_secs(20), Talk::open(link))
            .await
            .map_err(|e| e.to_string())??;
        talk.say(Say::Bytes(attacker.offer(&parcel.receipt))).await;
        talk.say(Say::Bytes(disclosures())).await;
        talk.say(Say::Stop).await;
        talks.push(talk);
    }
    serves(link).await
}

/// Slowly, or not at all: all at once, on two connections.
pub(crate) async fn idle(attacker: &Attacker) -> Vec<(String, Result)> {
    let Ok((link, _control)) = timeout(ANSWER, attacker.up()).await else {
        return vec![("idle".to_owned(), Err("no connection".to_owned()))];
    };
    let on = &link;
    let stalls = Scene::EXCHANGE.map(|scene| async move {
        let name = format!("stalled at {scene:?}");
        (name, stalled(attacker, on, scene).await)
    });
    let [
        fresh,
        offered,
        small,
        large,
        collecting,
        consigned,
        countersigned,
        answered,
    ] = stalls;
    let stalls = async {
        // Where nothing was said, nothing is given up.
        let ended = tokio::join!(offered, small, large, collecting, fresh);
        let (offered, small, large, collecting, _silent) = ended;
        [offered, small, large, collecting]
    };
    let later = async { tokio::join!(consigned, countersigned, answered) };
    let slow = slow_frame(attacker);
    let unread = unread(attacker, &link);
    let (early, later, slow, unread) = tokio::join!(stalls, later, slow, unread);
    link.close(0, "over");
    let slow = ("a byte a second".to_owned(), slow);
    let unread = ("answers that nobody reads".to_owned(), unread);
    let (consigned, countersigned, answered) = later;
    let later = [consigned, countersigned, answered, slow, unread];
    early.into_iter().chain(later).collect()
}
