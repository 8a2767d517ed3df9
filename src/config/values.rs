//! The values of a configuration, each parsed into a type that cannot hold anything else.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::{Alias, AuthorityId};
use crate::config::fault::nearest;
use crate::identity::keys::Role;

/// `[authority]`
#[derive(Debug, Clone)]
pub struct Authority {
    /// The DNS name it owns.
    pub id: AuthorityId,
    /// Its name for people.
    pub name: String,
    /// Its state.
    pub country: Country,
    /// Its short name.
    pub alias: Alias,
}

/// `[listen]`
#[derive(Debug, Clone)]
pub struct Listen {
    /// The UDP address for QUIC.
    pub quic: SocketAddr,
    /// The Unix socket of the local API.
    pub api: PathBuf,
}

/// `[identity]`: each file of the keyring. Private keys are PKCS#8 PEM, certificates PEM, the age identity as
/// `age-keygen` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The authority's own signed card.
    pub card: PathBuf,
    /// The newest revocation list of its TLS CA, DER.
    pub crl: PathBuf,
    /// The TLS CA's certificate.
    pub tls_ca_cert: PathBuf,
    /// The TLS CA's private key. Absent where the CA is kept elsewhere: then leaf and revocation list are renewed by
    /// hand.
    pub tls_ca_key: PathBuf,
    /// The TLS certificate chain, leaf first.
    pub tls_cert: PathBuf,
    /// The leaf's private key.
    pub tls_key: PathBuf,
    /// Signs receipts.
    pub receipts_key: PathBuf,
    /// Signs checkpoints of the own log.
    pub log_key: PathBuf,
    /// Cosigns checkpoints of others' logs.
    pub witness_key: PathBuf,
    /// Signs the card.
    pub card_key: PathBuf,
    /// Opens packages.
    pub age_identity: PathBuf,
    /// Makes QUIC's stateless resets, so that peers of a restarted daemon reconnect at once.
    pub reset_key: PathBuf,
    /// The folder, in that of the state, of what the daemon renews: certificate and revocation list.
    pub renewed: PathBuf,
}

impl KeyFiles {
    /// The standard names in a folder of keys, with what is renewed in the folder of the state.
    pub fn standard(keys: &Path, card: PathBuf, crl: PathBuf, state: &Path) -> Self {
        let key = |name: &str| keys.join(name);
        Self {
            card,
            crl,
            tls_ca_cert: key("tls-ca.pem"),
            tls_ca_key: key("tls-ca.key"),
            tls_cert: key("tls.pem"),
            tls_key: key("tls.key"),
            receipts_key: key("receipts.key"),
            log_key: key("log.key"),
            witness_key: key("witness.key"),
            card_key: key("card.key"),
            age_identity: key("age.key"),
            reset_key: key("reset.key"),
            renewed: state.join("renewed"),
        }
    }

    /// Where a certificate goes that is renewed here.
    pub fn renewed_cert(&self) -> PathBuf {
        self.renewed
            .join(self.tls_cert.file_name().unwrap_or_default())
    }

    /// Where a revocation list goes that is renewed here.
    pub fn renewed_crl(&self) -> PathBuf {
        self.renewed.join(self.crl.file_name().unwrap_or_default())
    }

    /// Every file that is configured, in no order that means anything.
    pub fn files(&self) -> [&Path; 12] {
        [
            &self.card,
            &self.crl,
            &self.tls_ca_cert,
            &self.tls_ca_key,
            &self.tls_cert,
            &self.tls_key,
            &self.receipts_key,
            &self.log_key,
            &self.witness_key,
            &self.card_key,
            &self.age_identity,
            &self.reset_key,
        ]
    }

    /// The Ed25519 keys: name in `[identity]`, file, role.
    pub fn signing(&self) -> [(&'static str, &Path, Role); 4] {
        [
            ("receipts_key", &self.receipts_key, Role::Receipts),
            ("log_key", &self.log_key, Role::Log),
            ("witness_key", &self.witness_key, Role::Witness),
            ("card_key", &self.card_key, Role::Card),
        ]
    }
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest payload that is sent or admitted, in bytes.
    pub package_max: u64,
    /// Connections from one peer at once.
    pub peer_connections: usize,
    /// How long an exchange is retried before it expires.
    pub transfer_retry_for: Duration,
    /// Disk space that no offer may take, in bytes.
    pub reserve: u64,
    /// Bytes that one peer may have stored here in packages that nobody has opened yet.
    pub peer_quota: u64,
    /// Packages of one peer that nobody has opened yet.
    pub peer_unopened: u64,
    /// Bytes by which one peer may make ledger and log grow in a day.
    pub peer_growth: u64,
    /// Offers that one peer may make in a second.
    pub offers_per_second: u64,
    /// Frames that are read from one peer's control streams in a second.
    pub control_per_second: u64,
    /// Silence after which an exchange is given up for this time.
    pub patience: Duration,
    /// Payload sent to all peers together, in bytes a second.
    pub send: Option<u64>,
    /// Payload received from all peers together, in bytes a second.
    pub receive: Option<u64>,
    /// Payload sent to one peer, in bytes a second.
    pub peer_send: Option<u64>,
    /// Payload received from one peer, in bytes a second.
    pub peer_receive: Option<u64>,
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// The form of the log.
    pub log: LogFormat,
    /// The least important level that is logged.
    pub level: LogLevel,
}

/// A state: two upper-case letters (ISO 3166-1 alpha-2, or EU's EL and UK).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// The two letters.
    pub fn as_str(&self) -> &str {
        // It is made from ASCII letters only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(format!(
                "{text:?} is not two upper-case letters such as \"IE\""
            )),
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every word, in order.
            pub const WORDS: &[&str] = &[$($word),*];

            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => {
                        let near = nearest(other, Self::WORDS.iter().copied());
                        let near = near.map(|near| format!("; did you mean {near:?}?"));
                        let words = Self::WORDS.join(", ");
                        Err(format!("{other:?} is not one of {words}{}", near.unwrap_or_default()))
                    }
                }
            }
        }
    };
}

words! {
    /// The form of the log.
    LogFormat {
        /// Lines for people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
        /// The systemd journal, with fields.
        Journald = "journald",
    }
}

words! {
    /// The congestion controller of every connection.
    Congestion {
        /// A model of the path: delivery rate and shortest round trip. Losses at random do not slow it down.
        Model = "model",
        /// Cubic (RFC 9438): each loss is taken as congestion.
        Cubic = "cubic",
    }
}

words! {
    /// The fate of packages that may no longer be kept.
    Destroy {
        /// They are shown, and a supervisor orders their destruction.
        Propose = "propose",
        /// They are destroyed by themselves.
        Automatic = "automatic",
    }
}

words! {
    /// The acts that can be made to need two persons.
    Verb {
        /// Destroy a package that is held here.
        PackagePurge = "package.purge",
        /// Keep a package from being destroyed.
        PackageHold = "package.hold",
        /// End a hold.
        PackageRelease = "package.release",
        /// Bind a package by stricter terms.
        PackageRestrict = "package.restrict",
        /// Take a package back.
        PackageWithdraw = "package.withdraw",
        /// Pass a package on to a third authority.
        PackageForward = "package.forward",
        /// Open under a declared exception; it always does.
        PackageException = "package.exception",
        /// Trust a peer.
        PeerAccept = "peer.accept",
        /// Let another policy come into force.
        PolicyAdopt = "policy.adopt",
    }
}

impl Verb {
    /// Verbs between commas.
    ///
    /// # Errors
    /// The word that the first unknown one was probably meant to be.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        let words = text.split(',').map(str::trim);
        words
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Verb {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Verb {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

words! {
    /// How important a line of the log is, most important first.
    LogLevel {
        /// Something failed and stays so.
        Error = "error",
        /// Something is wrong or soon will be.
        Warn = "warn",
        /// The event.
        Info = "info",
        /// The act that followed.
        Debug = "debug",
        /// Every step.
        Trace = "trace",
    }
}
