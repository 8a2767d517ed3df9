//! Why a connection did not come about.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{ConnectionError, TransportErrorCode};

use crate::identity::trust::Refusal;
use crate::net::quic::verify::HandshakeVerdict;

/// Why a connection was not established, or why it ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialFault {
    /// Nobody answered, or the answer stopped coming.
    #[error(
        "no answer within {} s: check the address, that the other daemon runs, and that UDP passes every firewall in both directions (the first message takes two datagrams)",
        after.as_secs()
    )]
    Unreachable {
        /// How long was waited.
        after: Duration,
    },
    /// The other end is not, or cannot be shown to be, who it must be.
    #[error(transparent)]
    RefusedByUs(Refusal),
    /// The other end refused us. It tells no more than the class; its own log has the cause.
    #[error("refused by the other side: {text}")]
    RefusedByPeer {
        /// The TLS alert (RFC 8446 §6), where it was one.
        alert: Option<u8>,
        /// Its words, and the next step.
        text: String,
    },
    /// The other end restarted and no longer knows the connection (a stateless reset, RFC 9000 §10.3).
    #[error("the other side restarted and no longer knows the connection; dial again")]
    Restarted,
    /// Our own side could not do it, or the other broke the rules of QUIC or TLS.
    #[error("connection failed: {0}")]
    Local(String),
}

impl DialFault {
    /// The cause as a stable kebab-case word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::RefusedByUs(refusal) => refusal.code(),
            Self::RefusedByPeer { alert, .. } => {
                alert.map_or("refused-by-peer", |a| alert_words(a).0)
            }
            Self::Restarted => "peer-restarted",
            Self::Local(_) => "connection-failed",
        }
    }

    /// The exact cause, where we refused the other end.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::RefusedByUs(refusal) => Some(refusal),
            Self::Unreachable { .. }
            | Self::RefusedByPeer { .. }
            | Self::Restarted
            | Self::Local(_) => None,
        }
    }

    /// Why an established connection ended, in the same words.
    pub fn of_lost(error: &ConnectionError, idle: Duration) -> Self {
        Self::of(error, &HandshakeVerdict::default(), idle)
    }

    pub(crate) fn of(
        error: &ConnectionError,
        verdict: &HandshakeVerdict,
        waited: Duration,
    ) -> Self {
        if let Some(refusal) = verdict.refusal() {
            return Self::RefusedByUs(refusal);
        }
        match error {
            ConnectionError::TimedOut => Self::Unreachable { after: waited },
            ConnectionError::Reset => Self::Restarted,
            ConnectionError::TransportError(ours) => match alert_of(ours.code).and_then(refusal_of)
            {
                Some(refusal) => Self::RefusedByUs(refusal),
                None => Self::Local(ours.to_string()),
            },
            ConnectionError::ConnectionClosed(close) => {
                let alert = alert_of(close.error_code);
                let busy = close.error_code == TransportErrorCode::CONNECTION_REFUSED;
                let text = match alert {
                    Some(alert) => alert_words(alert).1.to_owned(),
                    None if busy => "it takes no more connections now; try again later".to_owned(),
                    None => printable(&close.to_string()),
                };
                Self::RefusedByPeer { alert, text }
            }
            ConnectionError::ApplicationClosed(close) => Self::RefusedByPeer {
                alert: None,
                text: printable(&close.to_string()),
            },
            ConnectionError::VersionMismatch => Self::RefusedByPeer {
                alert: None,
                text: "it speaks no QUIC version 1; check that the address is a rogatory daemon"
                    .to_owned(),
            },
            ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
                Self::Local(error.to_string())
            }
        }
    }
}

/// An accepted connection that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("connection from {remote}: {cause}")]
pub struct Refused {
    /// Where it came from.
    pub remote: SocketAddr,
    /// Why: [`DialFault::RefusedByUs`] where the peer was not acceptable.
    pub cause: DialFault,
}

impl Refused {
    /// The exact cause, where we refused the other end.
    pub const fn refusal(&self) -> Option<&Refusal> {
        self.cause.refusal()
    }

    /// The cause as a stable kebab-case word.
    pub fn code(&self) -> &'static str {
        self.cause.code()
    }
}

/// The TLS alert in a QUIC error code (RFC 9001 §4.8).
fn alert_of(code: TransportErrorCode) -> Option<u8> {
    let alert = u64::from(code).checked_sub(0x100)?;
    u8::try_from(alert).ok()
}

/// Refusals that TLS itself makes, before any check of ours runs.
const fn refusal_of(alert: u8) -> Option<Refusal> {
    match alert {
        70 => Some(Refusal::TlsVersion),
        116 => Some(Refusal::NoCertificate),
        120 => Some(Refusal::WrongAlpn),
        _ => None,
    }
}

/// An alert that the other end sent us: a code, and what it means here.
const fn alert_words(alert: u8) -> (&'static str, &'static str) {
    match alert {
        40 => (
            "peer-refused-key-exchange",
            "no key exchange that both allow, or a certificate with a key that it does not take: X25519MLKEM768 is required unless both allow classic ones, and keys are ECDSA P-256 or Ed25519",
        ),
        42 => (
            "peer-refused-certificate",
            "it cannot read our certificate; see its log",
        ),
        43 => (
            "peer-refused-use",
            "our certificate is not made for this use, or its key is not ECDSA P-256 or Ed25519; see its log",
        ),
        44 => (
            "peer-refused-revoked",
            "our certificate is revoked; renew it",
        ),
        45 => (
            "peer-refused-expired",
            "our certificate is expired or not yet valid by its clock; renew it, and compare both clocks",
        ),
        48 => (
            "peer-refused-ca",
            "our CA is not one in the card it holds of us, or a revocation list of it or of a CA below it is missing or old; send it the newest card and revocation lists",
        ),
        49 => (
            "peer-refused-authority",
            "it does not know us, did not expect us, or has paused or revoked us; have it add and accept our card, or ask it why",
        ),
        70 => (
            "peer-refused-tls-version",
            "it wants another version of TLS",
        ),
        71 => (
            "peer-refused-key-exchange",
            "it demands a stronger key exchange",
        ),
        116 => (
            "peer-refused-no-certificate",
            "it got no certificate from us",
        ),
        120 => (
            "peer-refused-protocol",
            "it does not speak rogatory/1; check the address and both versions",
        ),
        _ => (
            "peer-refused-tls",
            "the handshake failed there; see its log",
        ),
    }
}

/// A peer's words, fit for a terminal and a log line.
fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(200).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_read_from_quic_codes() {
        assert_eq!(alert_of(TransportErrorCode::crypto(116)), Some(116));
        assert_eq!(alert_of(TransportErrorCode::crypto(0)), Some(0));
        assert_eq!(alert_of(TransportErrorCode::CONNECTION_REFUSED), None);
        assert_eq!(refusal_of(116), Some(Refusal::NoCertificate));
        assert_eq!(refusal_of(40), None);
    }

    #[test]
    fn the_end_of_a_connection_has_a_cause() {
        let idle = Duration::from_secs(15);
        let close = |code, reason: &'static [u8]| {
            ConnectionError::ApplicationClosed(quinn::ApplicationClose {
                error_code: quinn::VarInt::from_u32(code),
                reason: reason.into(),
            })
        };
        for (error, code) in [
            (ConnectionError::TimedOut, "unreachable"),
            (ConnectionError::Reset, "peer-restarted"),
            (ConnectionError::LocallyClosed, "connection-failed"),
            (ConnectionError::VersionMismatch, "refused-by-peer"),
            (close(1, b"bye\x1b[31m"), "refused-by-peer"),
        ] {
            let fault = DialFault::of_lost(&error, idle);
            assert_eq!(fault.code(), code);
            assert!(!fault.to_string().contains('\u{1b}'), "{fault}");
        }
    }
}
