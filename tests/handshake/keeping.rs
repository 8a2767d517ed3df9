//! The life of a connection: its session, its end, its frames.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use rogatory::base::Xid;
use rogatory::identity::trust::Trust;
use rogatory::net::quic::frames::{
    FrameFault, read_data_head, read_frame, write_data_head, write_frame,
};
use rogatory::net::{DialFault, Endpoint, Link, NetLimits};
use rogatory::wire::{DataHead, FaultMessage, Frame};

use crate::authority::{Bare, Ca, DE, FR, IE, Leaf, endpoint, endpoint_on, id, quick, socket};

/// Two authorities that trust each other.
struct Pair {
    fr: Endpoint,
    ie: Endpoint,
    fr_ca: Ca,
    ie_ca: Ca,
    fr_leaf: Leaf,
}

impl Pair {
    fn new(limits: NetLimits) -> Self {
        let (fr_ca, ie_ca) = (Ca::new("fr"), Ca::new("ie"));
        let fr_leaf = fr_ca.leaf(FR, |_| {});
        Self {
            fr: endpoint(FR, &fr_leaf, vec![ie_ca.trusted(IE)], limits),
            ie: endpoint(IE, &ie_ca.leaf(IE, |_| {}), vec![fr_ca.trusted(FR)], limits),
            fr_ca,
            ie_ca,
            fr_leaf,
        }
    }

    /// Ireland dials France.
    async fn connect(&self) -> (Link, Link) {
        let address = self.fr.local_addr().unwrap();
        let wanted = id(FR);
        let (dialled, accepted) = tokio::join!(self.ie.dial(address, &wanted), async {
            self.fr.accept().await.unwrap().establish().await
        });
        (dialled.unwrap(), accepted.unwrap())
    }
}

#[tokio::test]
async fn both_ends_know_each_other_and_the_session() {
    let pair = Pair::new(quick());
    let (ie, fr) = pair.connect().await;
    assert_eq!((ie.peer.id(), fr.peer.id()), (&id(FR), &id(IE)));
    assert_eq!((ie.inbound, fr.inbound), (false, true));
    assert_eq!((ie.post_quantum, fr.post_quantum), (Some(true), Some(true)));
    assert_eq!(ie.session, fr.session);
    let again = pair.connect().await.0;
    assert_ne!(ie.session, again.session, "two sessions are two");
    assert_eq!(ie.remote(), pair.fr.local_addr().unwrap());
    assert_eq!(
        fr.remote(),
        pair.ie.local_addr().unwrap(),
        "one socket dials and answers"
    );
}

/// Waits for the end of a connection while using it; it must come before silence would have ended it.
async fn end_of(link: &Link) -> DialFault {
    let mut stream = link.connection.open_uni().await.unwrap();
    let using = async {
        while stream.write_all(&[0; 1000]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ending = async { tokio::join!(link.connection.closed(), using).0 };
    let lost = tokio::time::timeout(Duration::from_secs(10), ending)
        .await
        .unwrap();
    DialFault::of_lost(&lost, Duration::from_secs(15))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_tells_its_peers_when_it_is_back() {
    let pair = Pair::new(quick());
    // The killed daemon: a runtime of its own, which dies without a word with its socket.
    let dying = tokio::runtime::Runtime::new().unwrap();
    let socket = socket();
    let dead_address = socket.local_addr().unwrap();
    let (leaf, trusted) = (pair.fr_leaf.clone(), pair.ie_ca.trusted(IE));
    let (said, heard) = tokio::sync::oneshot::channel();
    dying.spawn(async move {
        let killed = endpoint_on(socket, FR, &leaf, vec![trusted], quick());
        let link = killed.accept().await.unwrap().establish().await.unwrap();
        said.send(()).unwrap();
        link.connection.closed().await;
    });
    let link = pair.ie.dial(dead_address, &id(FR)).await.unwrap();
    heard.await.unwrap();
    tokio::task::spawn_blocking(move || dying.shutdown_timeout(Duration::ZERO))
        .await
        .unwrap();
    let socket = rebind(dead_address).await;
    let _back = endpoint_on(
        socket,
        FR,
        &pair.fr_leaf,
        vec![pair.ie_ca.trusted(IE)],
        quick(),
    );
    assert_eq!(end_of(&link).await, DialFault::Restarted);
}

async fn rebind(address: std::net::SocketAddr) -> UdpSocket {
    for _ in 0..3_000 {
        if let Ok(socket) = UdpSocket::bind(address) {
            return socket;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the dead daemon keeps its socket");
}

#[tokio::test]
async fn silence_is_not_an_answer() {
    let limits = NetLimits {
        handshake_timeout: Duration::from_millis(300),
        ..NetLimits::default()
    };
    let pair = Pair::new(limits);
    let silent = socket();
    let fault = pair
        .ie
        .dial(silent.local_addr().unwrap(), &id(FR))
        .await
        .unwrap_err();
    assert_eq!(fault.code(), "unreachable");
    assert!(fault.to_string().contains("firewall"), "{fault}");
}

#[tokio::test]
async fn certificate_and_trust_change_without_a_restart() {
    let pair = Pair::new(quick());
    let (kept, _fr) = pair.connect().await;
    let revoked = rogatory::identity::trust::TrustedPeer {
        lists: vec![pair.ie_ca.list(&pair.ie_ca.crl(true, 2090))],
        ..pair.ie_ca.trusted(IE)
    };
    pair.fr
        .set_trust(Arc::new(Trust::new(id(FR), vec![revoked])));
    let address = pair.fr.local_addr().unwrap();
    let wanted = id(FR);
    let (dialled, accepted) = tokio::join!(pair.ie.dial(address, &wanted), async {
        pair.fr.accept().await.unwrap().establish().await
    });
    assert_eq!(dialled.unwrap_err().code(), "peer-refused-revoked");
    assert_eq!(accepted.unwrap_err().code(), "revoked");
    assert!(
        kept.connection.close_reason().is_none(),
        "open links are closed by whoever revokes"
    );
    pair.fr
        .set_trust(Arc::new(Trust::new(id(FR), vec![pair.ie_ca.trusted(IE)])));
    let other = pair.fr_ca.leaf(DE, |_| {});
    pair.fr.replace_identity(other.identity()).unwrap();
    let (dialled, _) = tokio::join!(pair.ie.dial(address, &wanted), async {
        pair.fr.accept().await.unwrap().establish().await
    });
    assert_eq!(dialled.unwrap_err().code(), "not-expected");
}

#[tokio::test]
async fn more_connections_than_allowed_are_turned_away() {
    let limits = NetLimits {
        connections: 1,
        ..quick()
    };
    let pair = Pair::new(limits);
    let _first = pair.connect().await;
    let third = Bare::with(&pair.ie_ca.leaf(IE, |_| {}));
    let address = pair.fr.local_addr().unwrap();
    tokio::select! {
        _ = pair.fr.accept() => panic!("a connection too many"),
        refused = third.dial(address) => {
            let fault = DialFault::of_lost(&refused.unwrap_err(), Duration::ZERO);
            assert!(fault.to_string().contains("no more connections"), "{fault}");
        }
    }
}

/// Carries datagrams to an endpoint and back; tells the first byte of the first answer. One that is cut carries nothing
/// from then on.
async fn relay(
    to: std::net::SocketAddr,
    is_cut: bool,
) -> (std::net::SocketAddr, tokio::sync::oneshot::Receiver<u8>) {
    let bound = || tokio::net::UdpSocket::bind("127.0.0.1:0");
    let (near, far) = (bound().await.unwrap(), bound().await.unwrap());
    far.connect(to).await.unwrap();
    let address = near.local_addr().unwrap();
    let (tell, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut there, mut back) = ([0; 2_000], [0; 2_000]);
        let (mut dialler, mut tell) = (None, Some(tell));
        loop {
            tokio::select! {
                Ok((length, from)) = near.recv_from(&mut there) => {
                    dialler = Some(from);
                    if !is_cut || tell.is_some() {
                        far.send(&there[..length]).await.unwrap();
                    }
                }
                Ok(length) = far.recv(&mut back) => {
                    if let Some(tell) = tell.take() {
                        tell.send(back[0]).ok();
                    }
                    if let Some(dialler) = dialler.filter(|_| !is_cut) {
                        near.send_to(&back[..length], dialler).await.unwrap();
                    }
                }
            }
        }
    });
    (address, told)
}

/// With every other place taken, a newcomer proves its address first and still gets in.
#[tokio::test]
async fn a_crowded_endpoint_asks_for_proof_of_address() {
    // The form and the type of a packet, Initial and Retry (RFC 9000 §17.2); the bit between them is either (RFC 9287).
    const KIND: u8 = 0xb0;
    const INITIAL: u8 = 0x80;
    const RETRY: u8 = 0xb0;
    let limits = NetLimits {
        handshakes: 2,
        ..quick()
    };
    let pair = Pair::new(limits);
    let address = pair.fr.local_addr().unwrap();
    let idle = Bare::with(&pair.ie_ca.leaf(IE, |_| {}));
    let mut crowd = None;
    for answer in [INITIAL, RETRY] {
        let (relayed, told) = relay(address, false).await;
        let wanted = id(FR);
        let (dialled, accepted) = tokio::join!(pair.ie.dial(relayed, &wanted), async {
            pair.fr.accept().await.unwrap().establish().await
        });
        assert_eq!(dialled.unwrap().session, accepted.unwrap().session);
        assert_eq!(told.await.unwrap() & KIND, answer);
        if crowd.is_none() {
            let idle = idle.clone();
            let waiting = tokio::spawn(async move { idle.dial(address).await });
            crowd = Some((waiting, pair.fr.accept().await.unwrap()));
        }
    }
    let (waiting, held) = crowd.unwrap();
    drop(held);
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn a_handshake_that_stops_half_way_is_given_up() {
    let limits = NetLimits {
        handshake_timeout: Duration::from_millis(300),
        ..NetLimits::default()
    };
    let pair = Pair::new(limits);
    let (address, _) = relay(pair.fr.local_addr().unwrap(), true).await;
    let wanted = id(FR);
    let both = async {
        tokio::join!(pair.ie.dial(address, &wanted), async {
            pair.fr.accept().await.unwrap().establish().await
        })
    };
    // Long before silence ends a connection.
    let both = tokio::time::timeout(Duration::from_secs(8), both).await;
    let (dialled, accepted) = both.expect("it is given up");
    assert_eq!(dialled.unwrap_err().code(), "unreachable");
    assert_eq!(accepted.unwrap_err().code(), "unreachable");
}

#[tokio::test]
async fn handshakes_have_places_in_all_and_for_each_address() {
    for limits in [
        NetLimits {
            handshakes: 1,
            ..quick()
        },
        NetLimits {
            handshakes_per_address: 1,
            ..quick()
        },
    ] {
        let pair = Pair::new(limits);
        let address = pair.fr.local_addr().unwrap();
        let bare = Bare::with(&pair.ie_ca.leaf(IE, |_| {}));
        let first = bare.clone();
        let first = tokio::spawn(async move { first.dial(address).await });
        let held = pair.fr.accept().await.unwrap();
        tokio::select! {
            _ = pair.fr.accept() => panic!("a handshake too many: {limits:?}"),
            refused = bare.dial(address) => assert!(refused.is_err()),
        }
        drop(held);
        assert!(first.await.unwrap().is_err());
    }
}

/// A dialler that would resume a session, or say something before the handshake is over, gets no ticket for it.
#[tokio::test]
async fn nothing_is_resumed() {
    let pair = Pair::new(quick());
    let address = pair.fr.local_addr().unwrap();
    let bare = Bare::with(&pair.ie_ca.leaf(IE, |_| {}));
    let (dialled, accepted) = tokio::join!(bare.dial(address), async {
        pair.fr.accept().await.unwrap().establish().await
    });
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    // What ends a handshake comes before this.
    let mut to = accepted.connection.open_uni().await.unwrap();
    to.write_all(b"x").await.unwrap();
    to.finish().unwrap();
    let mut from = dialled.accept_uni().await.unwrap();
    assert_eq!(from.read_to_end(9).await.unwrap(), b"x");
    assert_eq!(bare.tickets.count(), 0);
}

/// The versions in the answer to a first packet of this one (RFC 8999 §6), but for those reserved to be ignored
/// (RFC 9000 §15).
async fn versions_offered_to(address: std::net::SocketAddr, version: u32) -> Vec<u32> {
    let (to, from) = ([7; 8], [9; 8]);
    let mut packet = vec![0xc0];
    packet.extend(version.to_be_bytes());
    for id in [to, from] {
        packet.push(8);
        packet.extend(id);
    }
    packet.resize(1200, 0);
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&packet, address).await.unwrap();
    let mut answer = [0; 1500];
    let waiting = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut answer));
    let length = waiting.await.unwrap().unwrap();
    let head: Vec<u8> = [&[0; 4][..], &[8], &from, &[8], &to].concat();
    assert_eq!(answer[1..=head.len()], head, "a negotiation of versions");
    let offered = answer[head.len() + 1..length].chunks(4);
    let offered = offered.map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
    offered
        .filter(|it| it & 0x0f0f_0f0f != 0x0a0a_0a0a)
        .collect()
}

#[tokio::test]
async fn no_draft_of_quic_is_offered() {
    let pair = Pair::new(quick());
    let address = pair.fr.local_addr().unwrap();
    for unknown in [0x1a2a_3a4a, 0xff00_001d, 0xff00_0022, 0x6b33_43cf] {
        assert_eq!(
            versions_offered_to(address, unknown).await,
            [1],
            "{unknown:x}"
        );
    }
}

#[tokio::test]
async fn frames_cross_and_what_is_none_does_not() {
    let pair = Pair::new(quick());
    let (ie, fr) = pair.connect().await;
    let (mut to, _) = ie.connection.open_bi().await.unwrap();
    let sent = [
        Frame::Receipt(vec![7; 16 << 10]),
        Frame::Done,
        Frame::Fault(FaultMessage::new("x", "y")),
    ];
    for frame in &sent {
        write_frame(&mut to, frame).await.unwrap();
    }
    to.finish().unwrap();
    let (_, mut from) = fr.connection.accept_bi().await.unwrap();
    for frame in sent {
        assert_eq!(read_frame(&mut from).await.unwrap(), Some(frame));
    }
    assert_eq!(read_frame(&mut from).await.unwrap(), None);
    for (bytes, code) in [
        (&[19, 0, 0, 0x40, 1][..], "frame-too-long"),
        (&[200, 0, 0, 0, 1], "unknown-frame"),
        (&[19, 0, 0, 0, 9, b'x'], "frame-truncated"),
        (&[19, 0], "frame-truncated"),
    ] {
        let mut to = ie.connection.open_uni().await.unwrap();
        to.write_all(bytes).await.unwrap();
        to.finish().unwrap();
        let mut from = fr.connection.accept_uni().await.unwrap();
        let fault = read_frame(&mut from).await.unwrap_err();
        assert_eq!((fault.code(), fault.is_peers_fault()), (code, true));
    }
    let mut to = ie.connection.open_uni().await.unwrap();
    let fault = write_frame(&mut to, &Frame::Receipt(vec![0; (16 << 10) + 1]))
        .await
        .unwrap_err();
    assert_eq!(fault.code(), "frame-too-long");
    let head = DataHead::Segments {
        xid: Xid::from_bytes([5; 16]),
        first: 9,
    };
    write_data_head(&mut to, &head).await.unwrap();
    let mut from = fr.connection.accept_uni().await.unwrap();
    assert_eq!(read_data_head(&mut from).await.unwrap(), head);
    ie.close(0, "done");
    let fault = read_frame(&mut from).await.unwrap_err();
    assert!(matches!(fault, FrameFault::Lost(_)), "{fault:?}");
}
