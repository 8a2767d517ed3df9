//! The attacker: a good certificate and the keys of an accepted peer, and every frame made by hand.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::{ConnectionError, RecvStream, SendStream};
use rogatory::base::{Digest, Timestamp, Xid, limits};
use rogatory::config::KeyFiles;
use rogatory::identity::{Card, HeldList, Note, PublicKey, Trust};
use rogatory::keys::keyring::Keyring;
use rogatory::net::quic::frames::read_frame;
use rogatory::net::{Endpoint, Link, NetLimits, TlsIdentity, clock};
use rogatory::package::{header, segments};
use rogatory::policy::{PolicySet, Purpose, Terms};
use rogatory::receipt::{Disclosure, Party, Pkg, Receipt, Stamp, disclosure};
use rogatory::wire::{DataHead, Frame, Hello};

use crate::victim::IE;

/// How long an answer may take, on a busy machine too.
pub(crate) const ANSWER: Duration = Duration::from_mins(1);

pub(crate) struct Attacker {
    pub(crate) folder: PathBuf,
    pub(crate) keys: Keyring,
    pub(crate) victim: Card,
    endpoint: Endpoint,
    address: SocketAddr,
    drawn: AtomicU64,
}

/// A package as the attacker would send it.
pub(crate) struct Parcel {
    pub(crate) receipt: Receipt,
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Parcel {
    pub(crate) fn xid(&self) -> Xid {
        self.receipt.xid.unwrap()
    }

    pub(crate) fn hashes(&self) -> Vec<u8> {
        let size = usize::try_from(limits::SEGMENT_BYTES).unwrap();
        let hashes = self.payload.chunks(size).map(segments::segment_hash);
        hashes.flat_map(|hash| *hash.as_bytes()).collect()
    }

    pub(crate) fn list(&self) -> Vec<u8> {
        [DataHead::List { xid: self.xid() }.encode(), self.hashes()].concat()
    }

    pub(crate) fn segments(&self, first: u64, bytes: &[u8]) -> Vec<u8> {
        let xid = self.xid();
        [DataHead::Segments { xid, first }.encode(), bytes.to_vec()].concat()
    }
}

pub(crate) fn case() -> Disclosure {
    Disclosure::new([7; 16], disclosure::CASE, "DE/2026/000042")
}

pub(crate) fn disclosures() -> Vec<u8> {
    Frame::Disclosures(texts(&beside())).encode()
}

/// The disclosures of every offer.
pub(crate) fn beside() -> Vec<Disclosure> {
    let digest = |name, of: &str| Disclosure::new([7; 16], name, of.repeat(32));
    vec![
        case(),
        digest(disclosure::MANIFEST, "ab"),
        digest(disclosure::ITEM_ROOT, "cd"),
    ]
}

pub(crate) fn texts(all: &[Disclosure]) -> Vec<String> {
    all.iter().map(Disclosure::encode).collect()
}

/// A frame of any kind and length.
pub(crate) fn raw(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

impl Attacker {
    /// With the keys of this home, whose card the victim has accepted.
    pub(crate) fn new(folder: &Path, alias: &str, id: &str, address: SocketAddr) -> Self {
        let home = folder.join(alias);
        let files = KeyFiles::standard(
            &home.join("keys"),
            home.join(format!("{alias}.card")),
            home.join(format!("{alias}.crl")),
            &home.join("state"),
        );
        let keys = Keyring::load(&files, &id.parse().unwrap()).unwrap();
        let card = std::fs::read(folder.join("ie/ie.card")).unwrap();
        let (victim, _) = Card::open(&card).unwrap();
        let crl = std::fs::read(folder.join("ie/ie.crl")).unwrap();
        let tls = TlsIdentity {
            chain: keys.chain.clone(),
            key: keys.tls_key.clone_key(),
        };
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = id.parse().unwrap();
        let endpoint = Endpoint::bind(socket, own, tls, &keys.reset, NetLimits::default()).unwrap();
        let list = HeldList::of(&victim.cas()[0], &crl.into()).unwrap();
        let peers = vec![victim.trusted(vec![list], false)];
        endpoint.set_trust(Arc::new(Trust::new(id.parse().unwrap(), peers)));
        Self {
            folder: folder.to_owned(),
            keys,
            victim,
            endpoint,
            address,
            drawn: AtomicU64::new(1),
        }
    }

    pub(crate) fn victim_key(&self) -> &PublicKey {
        &self.victim.keys.receipts
    }

    pub(crate) async fn dial(&self) -> Link {
        let victim = IE.parse().unwrap();
        self.endpoint.dial(self.address, &victim).await.unwrap()
    }

    /// A connection that is up, and its control stream.
    pub(crate) async fn up(&self) -> (Link, (SendStream, RecvStream)) {
        let link = self.dial().await;
        let (mut send, mut recv) = link.connection.open_bi().await.unwrap();
        send.write_all(&Frame::Hello(hello()).encode())
            .await
            .unwrap();
        assert!(matches!(
            read_frame(&mut recv).await,
            Ok(Some(Frame::Hello(_)))
        ));
        (link, (send, recv))
    }

    /// An exchange id that nobody has used.
    fn draw(&self, from: &Party) -> Xid {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let digest = Digest::of(format!("{} {number}", from.id).as_bytes());
        let (xid, _) = digest.as_bytes().split_first_chunk().unwrap();
        Xid::from_bytes(*xid)
    }

    pub(crate) fn parcel(&self, header: Vec<u8>, payload: Vec<u8>) -> Parcel {
        let size = usize::try_from(limits::SEGMENT_BYTES).unwrap();
        let body = segments::root_of(payload.chunks(size).map(segments::segment_hash));
        let pkg = Pkg::new(body, Digest::of(&header), payload.len() as u64);
        let terms = Terms::new(
            "EIO".parse().unwrap(),
            [Purpose::Prosecution],
            "2090-12-31".parse().unwrap(),
        );
        let parties = (
            Party::of(1, &self.keys.receipts.public()),
            Party::of(1, self.victim_key()),
        );
        let xid = self.draw(&parties.0);
        let receipt = Receipt::dispatch(xid, parties.0, parties.1, pkg, terms)
            .disclosing(&beside())
            .stamped(&stamp());
        Parcel {
            receipt,
            header,
            payload,
        }
    }

    /// A small age file for the victim.
    pub(crate) fn honest(&self) -> Parcel {
        let (header, payload) = sealed(&self.victim.age[0].parse().unwrap());
        self.parcel(header, payload)
    }

    /// One whose payload goes in segments: two whole ones and five bytes.
    pub(crate) fn large(&self) -> Parcel {
        let size = usize::try_from(limits::SEGMENT_BYTES).unwrap();
        let payload = (0..2 * size + 5).map(|i| u8::try_from(i % 251).unwrap());
        self.parcel(b"age-encryption.org/v1\n".to_vec(), payload.collect())
    }

    pub(crate) fn sign(&self, receipt: &Receipt) -> Note {
        receipt.sign(&self.keys.receipts).unwrap()
    }

    pub(crate) fn offer(&self, receipt: &Receipt) -> Vec<u8> {
        Frame::Offer(self.sign(receipt).bytes().to_vec()).encode()
    }
}

/// Header and payload of a small age file for this recipient.
pub(crate) fn sealed(recipient: &age::x25519::Recipient) -> (Vec<u8>, Vec<u8>) {
    let recipients = std::iter::once(recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).unwrap();
    writer.write_all(b"evidence").unwrap();
    writer.finish().unwrap();
    let at = header::split(&file).unwrap().unwrap();
    let payload = file.split_off(at);
    (file, payload)
}

/// The additions of an issuer, now.
pub(crate) fn stamp() -> Stamp {
    Stamp {
        t: clock::civil(),
        clk: 50,
        pol: PolicySet::new(None).digest(),
        ses: None,
        heads: Vec::new(),
    }
}

pub(crate) fn hello() -> Hello {
    Hello {
        versions: vec![1],
        now: clock::civil(),
        card: 1,
        crls: Vec::new(),
        peer_card: 1,
        peer_crls: Vec::new(),
    }
}

pub(crate) fn minutes(now: Timestamp, minutes: i64) -> Timestamp {
    now.plus_millis(minutes * 60_000)
}

/// The reason for which a connection was closed.
pub(crate) fn closed(lost: &ConnectionError) -> String {
    if let ConnectionError::ApplicationClosed(close) = lost {
        return String::from_utf8_lossy(&close.reason).into_owned();
    }
    lost.to_string()
}

/// The reason for which this connection will be closed.
pub(crate) async fn why_closed(link: &Link) -> String {
    let lost = tokio::time::timeout(ANSWER, link.connection.closed()).await;
    lost.map_or_else(|_| "still open".to_owned(), |lost| closed(&lost))
}
