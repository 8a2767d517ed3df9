//! The speed of the endpoint without packages: a file over one bare connection into nothing, and handshakes.
//!
//! `yardstick quic FILE` and `yardstick handshakes SECONDS` print one line of JSON. Both ends are in this process, with
//! the limits, the TLS and the trust of the daemon; `benches/compare` measures time and CPU from outside.

#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own reads the clock"
)]

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rogatory::base::{AuthorityId, Timestamp};
use rogatory::identity::HeldList;
use rogatory::identity::trust::{Trust, TrustedPeer};
use rogatory::keys::pki;
use rogatory::net::{Endpoint, NetLimits, TlsIdentity};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// As much as the daemon reads and writes at a time.
const PIECE_BYTES: usize = 256 << 10;
/// Handshakes under way at once.
const AT_ONCE: usize = 8;
const DIALLING: &str = "mla.example.ie";
const ANSWERING: &str = "bfj.example.de";

#[expect(clippy::print_stdout, reason = "its answer")]
fn main() -> Outcome<()> {
    let mut words = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let line = match (words.next().as_deref(), words.next()) {
        (Some("quic"), Some(path)) => runtime.block_on(file(&path))?,
        (Some("handshakes"), Some(seconds)) => runtime.block_on(handshakes(seconds.parse()?))?,
        // As `cargo bench` calls it: there is nothing to measure without a file.
        (Some(_) | None, _) => "usage: yardstick quic FILE | yardstick handshakes SECONDS".into(),
    };
    println!("{line}");
    Ok(())
}

/// Two endpoints that trust each other; the second answers.
fn pair() -> Outcome<(Endpoint, Endpoint)> {
    let (one, one_trusted) = party(DIALLING, "ie")?;
    let (two, two_trusted) = party(ANSWERING, "de")?;
    one.set_trust(Arc::new(Trust::new(DIALLING.parse()?, vec![two_trusted])));
    two.set_trust(Arc::new(Trust::new(ANSWERING.parse()?, vec![one_trusted])));
    Ok((one, two))
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn party(name: &str, alias: &str) -> Outcome<(Endpoint, TrustedPeer)> {
    let (id, now): (AuthorityId, _) = (name.parse()?, now());
    let ca = pki::make_ca(&id, now)?;
    let leaf = pki::issue_leaf(&ca, &id, now, 30)?;
    let identity = TlsIdentity {
        chain: vec![leaf.certificate],
        key: PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).map_err(|e| e.to_string())?,
    };
    // Many handshakes from one address are the point here.
    let limits = NetLimits {
        handshakes_per_address: 128,
        ..NetLimits::default()
    };
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let endpoint = Endpoint::bind(socket, id.clone(), identity, &[42; 64], limits)?;
    let trusted = TrustedPeer {
        id,
        alias: alias.parse()?,
        cas: vec![ca.certificate().clone()],
        lists: HeldList::of(ca.certificate(), &pki::make_crl(&ca, 1, now, &[])?)
            .into_iter()
            .collect(),
        others: Vec::new(),
        allow_classic: false,
    };
    Ok((endpoint, trusted))
}

/// Sends a file on one stream; the other end reads it and keeps nothing.
async fn file(path: &str) -> Outcome<String> {
    let (one, two) = pair()?;
    let to = two.local_addr()?;
    let sink = tokio::spawn(async move {
        let incoming = two.accept().await.ok_or("nobody came")?;
        let link = incoming.establish().await.map_err(|e| e.to_string())?;
        let mut stream = link.connection.accept_uni().await?;
        let mut bytes = 0;
        while let Some(chunk) = stream.read_chunk(PIECE_BYTES, true).await? {
            bytes += chunk.bytes.len() as u64;
        }
        link.close(0, "all there");
        two.wait_idle().await;
        Outcome::Ok(bytes)
    });
    let link = one.dial(to, &ANSWERING.parse()?).await?;
    let began = Instant::now();
    let mut stream = link.connection.open_uni().await?;
    let (give, mut take) = mpsc::channel::<Bytes>(2);
    let mut from = File::open(path)?;
    let reading = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = (&mut from)
                .take(PIECE_BYTES as u64)
                .read_to_end(&mut piece)?;
            if read == 0 || give.blocking_send(piece.into()).is_err() {
                return Ok(());
            }
        }
    });
    while let Some(piece) = take.recv().await {
        stream.write_chunk(piece).await?;
    }
    stream.finish()?;
    reading.await??;
    // The other end closes once it has read everything.
    link.connection.closed().await;
    let took = began.elapsed();
    let bytes = sink.await??;
    Ok(format!(
        r#"{{"bytes":{bytes},"seconds":{:.4}}}"#,
        took.as_secs_f64()
    ))
}

/// Connects, is accepted by the other end, and closes; again and again.
async fn handshakes(seconds: u64) -> Outcome<String> {
    let (one, two) = pair()?;
    let to = two.local_addr()?;
    tokio::spawn(async move {
        while let Some(incoming) = two.accept().await {
            tokio::spawn(async move {
                if let Ok(link) = incoming.establish().await {
                    link.connection.closed().await;
                }
            });
        }
    });
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let mut dialling = JoinSet::new();
    for _ in 0..AT_ONCE {
        let one = one.clone();
        dialling.spawn(async move {
            let mut done = 0_u64;
            while Instant::now() < until {
                let link = one.dial(to, &ANSWERING.parse()?).await?;
                link.close(0, "enough");
                done += 1;
            }
            Outcome::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(ended) = dialling.join_next().await {
        done += ended??;
    }
    let took = began.elapsed().as_secs_f64();
    Ok(format!(r#"{{"handshakes":{done},"seconds":{took:.4}}}"#))
}
