//! Sockets that the supervisor opened before it started this process, `sd_listen_fds(3)`: with them the process needs
//! no network of its own.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use rustix::net::sockopt;

use crate::base::limits;

/// The name of the UDP socket for QUIC in a socket unit: `FileDescriptorName=quic`.
pub const QUIC: &str = "quic";
/// The name of the Unix socket of the local API: `FileDescriptorName=api`.
pub const API: &str = "api";
/// The name of the fetcher's Unix socket: `FileDescriptorName=fetcher`.
pub const FETCHER: &str = "fetcher";

/// Why what was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HandedFault {
    /// Not a socket that this program takes.
    #[error(
        "descriptor {number} ({name}) was handed over and is not {wanted}: {why}; correct the socket unit"
    )]
    Kind {
        /// The number of the descriptor.
        number: usize,
        /// Its name, `-` without one.
        name: String,
        /// The kind of socket that is needed.
        wanted: &'static str,
        /// The kind of socket that it is, or the system's words.
        why: String,
    },
    /// A second one of the same kind.
    #[error("{0} were handed over twice; the socket unit must open one only")]
    Twice(&'static str),
    /// More than this program has use for.
    #[error("{0} descriptors were handed over, at most {max} are expected", max = limits::HANDED_SOCKETS_MAX)]
    TooMany(usize),
    /// The socket is bound elsewhere than the configuration says.
    #[error(
        "the UDP socket that was handed over is bound to {is}, [listen] quic says {configured}: make ListenDatagram= of the socket unit and the configuration agree"
    )]
    Elsewhere {
        /// Where it is bound.
        is: SocketAddr,
        /// The configured address.
        configured: SocketAddr,
    },
    /// The system refuses something that every socket allows.
    #[error("the socket that was handed over cannot be used: {0}")]
    System(#[from] io::Error),
}

/// The sockets, each at most once. They do not block and are closed in programs that this one starts.
#[derive(Debug, Default)]
pub struct Handed {
    /// A bound UDP socket.
    pub quic: Option<UdpSocket>,
    /// A listening Unix stream socket.
    pub unix: Option<UnixListener>,
}

impl Handed {
    /// Takes them out of the environment; none is fine. `names` is `LISTEN_FDNAMES`. Call it before the first thread.
    pub fn take(names: Option<&str>) -> Result<Self, HandedFault> {
        let mut listening = ListenFd::from_env();
        let names: Vec<_> = names.unwrap_or_default().split(':').collect();
        let count = listening.len();
        if count > limits::HANDED_SOCKETS_MAX {
            return Err(HandedFault::TooMany(count));
        }
        let mut handed = Self::default();
        for at in 0..count {
            let name = names.get(at).copied().unwrap_or_default();
            handed.add(&mut listening, at, name)?;
        }
        Ok(handed)
    }

    /// By name where it is one of ours, else by kind.
    fn add(&mut self, listening: &mut ListenFd, at: usize, name: &str) -> Result<(), HandedFault> {
        let fault = |wanted, why: String| HandedFault::Kind {
            number: at.saturating_add(FIRST),
            name: if name.is_empty() { "-" } else { name }.to_owned(),
            wanted,
            why,
        };
        let udp = listening.take_udp_socket(at);
        if let Ok(Some(socket)) = udp {
            if name == API || name == FETCHER {
                return Err(fault(UNIX, "it is a UDP socket".to_owned()));
            }
            socket.set_nonblocking(true)?;
            return once(&mut self.quic, socket, "UDP sockets");
        }
        if name == QUIC {
            let why = udp.err().map_or_else(String::new, |e| e.to_string());
            return Err(fault(UDP, why));
        }
        let wanted = if name == API || name == FETCHER {
            UNIX
        } else {
            EITHER
        };
        let socket = listening
            .take_unix_listener(at)
            .map_err(|e| fault(wanted, e.to_string()))?
            .ok_or_else(|| fault(wanted, "it was taken already".to_owned()))?;
        if !sockopt::socket_acceptconn(&socket).map_err(io::Error::from)? {
            return Err(fault(UNIX, "it does not listen".to_owned()));
        }
        socket.set_nonblocking(true)?;
        once(&mut self.unix, socket, "Unix sockets")
    }
}

/// The first descriptor that is handed over, `SD_LISTEN_FDS_START`.
const FIRST: usize = 3;
const UDP: &str = "a UDP socket (ListenDatagram=)";
const UNIX: &str = "a listening Unix stream socket (ListenStream=)";
const EITHER: &str =
    "a UDP socket (ListenDatagram=) or a listening Unix stream socket (ListenStream=)";

fn once<T>(place: &mut Option<T>, socket: T, what: &'static str) -> Result<(), HandedFault> {
    match place.replace(socket) {
        Some(_) => Err(HandedFault::Twice(what)),
        None => Ok(()),
    }
}

/// Whether this UDP socket serves what `[listen] quic` says: the same port, and the same address unless one of both is
/// the address for all.
///
/// # Errors
/// [`HandedFault::Elsewhere`] otherwise.
pub fn check_bound(socket: &UdpSocket, configured: SocketAddr) -> Result<(), HandedFault> {
    let is = socket.local_addr()?;
    let (there, here) = (is.ip().to_canonical(), configured.ip().to_canonical());
    let address = there == here || there.is_unspecified() || here.is_unspecified();
    if address && is.port() == configured.port() {
        Ok(())
    } else {
        Err(HandedFault::Elsewhere { is, configured })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_must_be_the_configured_one() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        for (host, port, good) in [
            ("127.0.0.1", port, true),
            ("0.0.0.0", port, true),
            ("[::]", port, true),
            ("[::ffff:127.0.0.1]", port, true),
            ("127.0.0.2", port, false),
            ("[::1]", port, false),
            ("127.0.0.1", port.wrapping_add(1).max(1), false),
        ] {
            let configured = format!("{host}:{port}").parse().unwrap();
            let found = check_bound(&socket, configured);
            assert_eq!(found.is_ok(), good, "{configured}: {found:?}");
        }
    }

    #[test]
    fn nothing_handed_over_is_fine() {
        let handed = Handed::take(None).unwrap();
        assert!(handed.quic.is_none() && handed.unix.is_none());
    }
}
