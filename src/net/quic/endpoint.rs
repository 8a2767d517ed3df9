//! The one UDP socket, over which this authority both dials and is dialled.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use std::{fmt, io};

use aws_lc_rs::hmac;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ConnectionId, ConnectionIdGenerator, EndpointConfig, ServerConfig, TransportConfig,
    ValidationTokenConfig,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::{AuthorityId, Digest};
use crate::identity::trust::{Peer, Refusal, Trust};
use crate::net::clock::Clock;
use crate::net::quic::fault::{DialFault, Refused};
use crate::net::quic::handshakes::{Acquainted, Addresses, Seat};
use crate::net::quic::tls;
use crate::net::quic::transport::NetLimits;
use crate::net::quic::verify::HandshakeVerdict;
use crate::net::quic::windows::{WindowShare, Windows};
use crate::seal;

/// Our own TLS certificate with its chain, leaf first, and the leaf's key.
pub struct TlsIdentity {
    /// Leaf first, then what leads to a CA of our card.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key: Ed25519 or ECDSA P-256.
    pub key: PrivateKeyDer<'static>,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsIdentity({} certificates)", self.chain.len())
    }
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum BindFault {
    /// The socket cannot be used.
    #[error(
        "cannot use the UDP socket: {0}; check [listen] quic and that nothing else has the port"
    )]
    Socket(#[from] io::Error),
    /// The certificate and key cannot be used for TLS.
    #[error(
        "cannot use our TLS certificate or key: {0}; check [identity], or issue a new certificate"
    )]
    Identity(#[from] rustls::Error),
    /// The crypto library lacks the cipher that every QUIC connection starts with.
    #[error("no AES-128-GCM for QUIC's first packets")]
    Cipher,
}

/// QUIC version 1 (RFC 9000 §15), the only one that is spoken. The library would also offer drafts of it.
const QUIC_VERSION: u32 = 1;

/// One QUIC endpoint. Clones share it.
#[derive(Clone)]
pub struct Endpoint {
    quinn: quinn::Endpoint,
    shared: Arc<Shared>,
}

struct Shared {
    own: AuthorityId,
    limits: NetLimits,
    key: RwLock<Arc<CertifiedKey>>,
    trust: RwLock<Arc<Trust>>,
    clock: OnceLock<Clock>,
    transport: Arc<TransportConfig>,
    windows: Arc<Windows>,
    accepting: ServerConfig,
    handshakes: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    acquainted: Acquainted,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.shared.own)
    }
}

impl Endpoint {
    /// Takes the socket over. `reset_key` must outlive the process: with it, the peers of a daemon that was killed
    /// learn at their next packet that their connections are gone. Nobody is trusted until [`Endpoint::set_trust`].
    /// Must be called within a Tokio runtime.
    pub fn bind(
        socket: UdpSocket,
        own: AuthorityId,
        identity: TlsIdentity,
        reset_key: &[u8; 64],
        limits: NetLimits,
    ) -> Result<Self, BindFault> {
        enlarge(&socket, limits.socket_buffer);
        let key = certified(identity)?;
        let trust = Arc::new(Trust::new(own.clone(), Vec::new()));
        let transport = Arc::new(limits.transport());
        let accepting = base_config(&key, &trust, &transport, &limits)?;
        let mut config =
            EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, reset_key)));
        config
            .supported_versions(vec![QUIC_VERSION])
            .cid_generator(|| Box::new(RandomId))
            .min_reset_interval(Duration::from_millis(20))
            .max_udp_payload_size(limits.mtu().max(1472))
            .map_err(io::Error::other)?;
        let quinn = quinn::Endpoint::new(
            config,
            Some(accepting.clone()),
            socket,
            Arc::new(quinn::TokioRuntime),
        )?;
        let shared = Shared {
            own,
            limits,
            key: RwLock::new(key),
            trust: RwLock::new(trust),
            clock: OnceLock::new(),
            transport,
            windows: limits.windows(),
            accepting,
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            reserved: Arc::new(Semaphore::new(limits.handshakes_reserved)),
            addresses: Arc::new(Addresses::default()),
            acquainted: Acquainted::default(),
        };
        Ok(Self {
            quinn,
            shared: Arc::new(shared),
        })
    }

    /// The address that the socket is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quinn.local_addr()
    }

    /// Connections that are open, dialled and accepted.
    pub fn open_connections(&self) -> usize {
        self.quinn.open_connections()
    }

    /// Shows another certificate from the next handshake on; open connections stay.
    pub fn replace_identity(&self, identity: TlsIdentity) -> Result<(), BindFault> {
        let key = certified(identity)?;
        *self
            .shared
            .key
            .write()
            .unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// Judges by this from the next handshake on; whoever revokes a peer also closes its links.
    pub fn set_trust(&self, trust: Arc<Trust>) {
        *self
            .shared
            .trust
            .write()
            .unwrap_or_else(PoisonError::into_inner) = trust;
    }

    /// Judges certificates by this clock from the next handshake on, not by the machine's; set once.
    pub fn set_clock(&self, clock: Clock) {
        // A second one would be the same.
        drop(self.shared.clock.set(clock));
    }

    /// The next newcomer; `None` once the endpoint is closed. What is beyond the limits is turned away here.
    pub async fn accept(&self) -> Option<Incoming> {
        loop {
            let quinn = self.quinn.accept().await?;
            if let Some(incoming) = self.admit(quinn) {
                return Some(incoming);
            }
        }
    }

    fn admit(&self, quinn: quinn::Incoming) -> Option<Incoming> {
        let limits = &self.shared.limits;
        let free = self.shared.handshakes.available_permits();
        if !quinn.remote_address_validated() && free <= limits.handshakes / 2 && quinn.may_retry() {
            // Errs only where a Retry is not allowed, which was just asked.
            drop(quinn.retry());
            return None;
        }
        let remote = quinn.remote_address();
        let place = Arc::clone(&self.shared.handshakes).try_acquire_owned().ok();
        // Strangers who prove their addresses may take all places; where a peer lives, there are others.
        let proven = quinn.remote_address_validated();
        let known = proven && self.shared.acquainted.has(remote.ip());
        let reserved = || Arc::clone(&self.shared.reserved).try_acquire_owned().ok();
        let place = place.or_else(|| if known { reserved() } else { None });
        let seat = self
            .shared
            .addresses
            .take(remote.ip(), limits.handshakes_per_address);
        match (place, seat) {
            (Some(place), Some(seat)) if self.quinn.open_connections() < limits.connections => {
                Some(Incoming {
                    quinn,
                    shared: Arc::clone(&self.shared),
                    _place: place,
                    _seat: seat,
                })
            }
            _ => {
                quinn.refuse();
                None
            }
        }
    }

    /// A peer is to be found at this address: handshakes from it find a place when strangers have taken all others.
    pub fn remember(&self, address: IpAddr) {
        self.shared.acquainted.remember(address);
    }

    /// Connects to this peer at this address, and waits until the peer, too, has accepted us.
    pub async fn dial(&self, address: SocketAddr, peer: &AuthorityId) -> Result<Link, DialFault> {
        let verdict = HandshakeVerdict::default();
        let limit = self.shared.limits.handshake_timeout;
        let trust = self.shared.trust();
        let Some(trusted) = trust.peer(peer) else {
            return Err(DialFault::RefusedByUs(Refusal::UnknownAuthority(
                peer.clone(),
            )));
        };
        let classic = trusted.allow_classic;
        let config = self.shared.dialling(peer, classic, &verdict)?;
        let failed = |e: &quinn::ConnectionError| DialFault::of(e, &verdict, limit);
        let connecting = self
            .quinn
            .connect_with(config, address, peer.as_str())
            .map_err(|e| DialFault::Local(format!("cannot dial {address}: {e}")))?;
        let established = async {
            let connection = connecting.await.map_err(|e| failed(&e))?;
            confirmed(&connection).await.map_err(|e| failed(&e))?;
            Ok(connection)
        };
        let connection = tokio::time::timeout(limit, established)
            .await
            .map_err(|_| DialFault::Unreachable { after: limit })??;
        self.remember(address.ip());
        let post_quantum = (!classic).then_some(true);
        Link::new(connection, &verdict, post_quantum, &self.shared)
    }

    /// Takes no newcomers any more; open connections stay.
    pub fn stop_accepting(&self) {
        self.quinn.set_server_config(None);
    }

    /// Ends every connection at once.
    pub fn close(&self, code: u32, reason: &str) {
        self.quinn.close(code.into(), reason.as_bytes());
    }

    /// Waits until every closed connection is gone from the wire.
    pub async fn wait_idle(&self) {
        self.quinn.wait_idle().await;
    }
}

impl Shared {
    fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.trust.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn side(&self, verdict: &HandshakeVerdict) -> tls::Side {
        tls::Side {
            key: Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)),
            trust: self.trust(),
            clock: self.clock.get().cloned(),
            verdict: verdict.clone(),
        }
    }

    fn dialling(
        &self,
        peer: &AuthorityId,
        classic: bool,
        verdict: &HandshakeVerdict,
    ) -> Result<quinn::ClientConfig, DialFault> {
        let local = |e: &dyn fmt::Display| DialFault::Local(e.to_string());
        let tls = self
            .side(verdict)
            .dialling(peer, classic)
            .map_err(|e| local(&e))?;
        let crypto = QuicClientConfig::try_from(tls).map_err(|e| local(&e))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config
            .transport_config(Arc::clone(&self.transport))
            .token_store(Arc::new(quinn::NoneTokenStore));
        Ok(config)
    }

    fn accepting(&self, verdict: &HandshakeVerdict) -> Result<ServerConfig, DialFault> {
        let local = |e: &dyn fmt::Display| DialFault::Local(e.to_string());
        let side = self.side(verdict);
        let classic = side.trust.peers().any(|peer| peer.allow_classic);
        let tls = side.accepting(classic).map_err(|e| local(&e))?;
        let mut config = self.accepting.clone();
        config.crypto = Arc::new(QuicServerConfig::try_from(tls).map_err(|e| local(&e))?);
        Ok(config)
    }
}

/// Somebody who knocks. Nothing is known of it but its address, which may be false.
pub struct Incoming {
    quinn: quinn::Incoming,
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
    _seat: Seat,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({})", self.remote())
    }
}

impl Incoming {
    /// Where it comes from.
    pub fn remote(&self) -> SocketAddr {
        self.quinn.remote_address()
    }

    /// Does the handshake; only a peer that is trusted comes out of it.
    pub async fn establish(self) -> Result<Link, Refused> {
        let remote = self.remote();
        let refused = |cause| Refused { remote, cause };
        let limit = self.shared.limits.handshake_timeout;
        let verdict = HandshakeVerdict::default();
        let failed = |e: &quinn::ConnectionError| refused(DialFault::of(e, &verdict, limit));
        let config = self.shared.accepting(&verdict).map_err(refused)?;
        let connecting = self
            .quinn
            .accept_with(Arc::new(config))
            .map_err(|e| failed(&e))?;
        let connection = match tokio::time::timeout(limit, connecting).await {
            Ok(connection) => connection.map_err(|e| failed(&e))?,
            Err(_) => return Err(refused(DialFault::Unreachable { after: limit })),
        };
        self.shared.acquainted.remember(remote.ip());
        let post_quantum = Some(!verdict.classic());
        Link::new(connection, &verdict, post_quantum, &self.shared).map_err(refused)
    }
}

/// A connection to a proven peer. It counts as up only after `hello`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Link {
    /// The connection.
    pub connection: quinn::Connection,
    /// Who is at the other end.
    pub peer: Peer,
    /// The session: SHA-256 of the TLS exporter (RFC 8446 §7.5), label `EXPORTER-rogatory-1`, empty context, 32 bytes.
    pub session: Digest,
    /// Whether the peer dialled.
    pub inbound: bool,
    /// Whether the key exchange was X25519MLKEM768. `None` where we dialled a peer that is allowed either: the library
    /// does not tell which it became.
    pub post_quantum: Option<bool>,
    _windows: Arc<WindowShare>,
}

impl Link {
    fn new(
        connection: quinn::Connection,
        verdict: &HandshakeVerdict,
        post_quantum: Option<bool>,
        shared: &Shared,
    ) -> Result<Self, DialFault> {
        let local = |what: &str| DialFault::Local(what.to_owned());
        let peer = verdict
            .peer()
            .ok_or_else(|| local("handshake without a peer"))?;
        let mut secret = [0; 32];
        connection
            .export_keying_material(&mut secret, b"EXPORTER-rogatory-1", b"")
            .map_err(|_| local("no exporter secret"))?;
        Ok(Self {
            inbound: connection.side() == quinn::Side::Server,
            session: Digest::of(&secret),
            _windows: Arc::new(shared.limits.enlarge(&connection, &shared.windows)),
            connection,
            peer,
            post_quantum,
        })
    }

    /// Where the peer is.
    pub fn remote(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// Ends the connection; the peer sees the code and the reason.
    pub fn close(&self, code: u32, reason: &str) {
        self.connection.close(code.into(), reason.as_bytes());
    }
}

/// Waits until the accepting side confirms the handshake (RFC 9001 §4.1.2): it has then checked our certificate, which
/// it sees only after we count the handshake as complete. The library raises no event for it, so the count of received
/// `HANDSHAKE_DONE` frames is looked at.
async fn confirmed(connection: &quinn::Connection) -> Result<(), quinn::ConnectionError> {
    while connection.stats().frame_rx.handshake_done == 0 {
        tokio::select! {
            lost = connection.closed() => return Err(lost),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
    Ok(())
}

fn certified(identity: TlsIdentity) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let provider = tls::provider(false);
    CertifiedKey::from_der(identity.chain, identity.key, &provider).map(Arc::new)
}

/// The settings that every accepted connection starts from; their TLS part is replaced for each.
fn base_config(
    key: &Arc<CertifiedKey>,
    trust: &Arc<Trust>,
    transport: &Arc<TransportConfig>,
    limits: &NetLimits,
) -> Result<ServerConfig, BindFault> {
    let side = tls::Side {
        key: Arc::clone(key),
        trust: Arc::clone(trust),
        clock: None,
        verdict: HandshakeVerdict::default(),
    };
    let crypto =
        QuicServerConfig::try_from(side.accepting(false)?).map_err(|_| BindFault::Cipher)?;
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0).log(Arc::new(quinn::NoneTokenLog));
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::clone(transport))
        .validation_token_config(tokens)
        .retry_token_lifetime(Duration::from_secs(15))
        .migration(false)
        .max_incoming(limits.incoming)
        .incoming_buffer_size(limits.incoming_buffer)
        .incoming_buffer_size_total(limits.incoming_buffer_total);
    Ok(config)
}

/// Asks for large kernel buffers: without them a burst is lost before it is read. More than the system's limit needs
/// a privilege; what is granted is enough to work.
fn enlarge(socket: &UdpSocket, bytes: usize) {
    use rustix::net::sockopt;
    let received = sockopt::set_socket_recv_buffer_size_force(socket, bytes)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, bytes));
    let sent = sockopt::set_socket_send_buffer_size_force(socket, bytes)
        .or_else(|_| sockopt::set_socket_send_buffer_size(socket, bytes));
    if let Err(fault) = received.and(sent) {
        tracing::debug!(%fault, bytes, "the UDP socket keeps its small buffers");
    }
}

/// Random connection ids. The library's own default marks them with a key that dies with the process, and then ignores
/// packets for connections of the process before, instead of answering that they are gone.
struct RandomId;

const ID_BYTES: usize = 8;

impl ConnectionIdGenerator for RandomId {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&seal::random::<ID_BYTES>())
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
