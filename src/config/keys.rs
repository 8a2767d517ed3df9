//! Every key that a configuration may have. Whatever is not in this list is a fault.

/// How a key is written in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text in quotes.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A list of texts without commas; with commas between them in the environment.
    List,
}

/// The value where a key is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// It must be written.
    Required,
    /// This value, as it would be written.
    Value(&'static str),
    /// A value that follows from others; the text says which.
    Derived(&'static str),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// `section.key`.
    pub path: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// The value that holds without it.
    pub default: Default,
}

const fn key(path: &'static str, kind: Kind, default: Default) -> Key {
    Key {
        path,
        kind,
        default,
    }
}

const fn text(path: &'static str, default: &'static str) -> Key {
    key(path, Kind::Text, Default::Value(default))
}

const fn derived(path: &'static str, from: &'static str) -> Key {
    key(path, Kind::Text, Default::Derived(from))
}

const fn role(path: &'static str) -> Key {
    key(
        path,
        Kind::List,
        Default::Derived("nobody, or everybody where no role is given to anybody"),
    )
}

const fn required(path: &'static str) -> Key {
    key(path, Kind::Text, Default::Required)
}

/// The keys outside `[[peer]]`, in the order of the sample.
pub const KEYS: &[Key] = &[
    key("version", Kind::Number, Default::Value("1")),
    required("authority.id"),
    required("authority.name"),
    required("authority.country"),
    derived("authority.alias", "the country in lower case"),
    required("listen.quic"),
    derived("listen.api", "api.sock, or /run/rogatory/api.sock"),
    text("identity.keys", "keys"),
    derived("identity.card", "<alias>.card"),
    derived("identity.crl", "<alias>.crl"),
    derived("identity.tls_ca_cert", "<keys>/tls-ca.pem"),
    derived("identity.tls_ca_key", "<keys>/tls-ca.key"),
    derived("identity.tls_cert", "<keys>/tls.pem"),
    derived("identity.tls_key", "<keys>/tls.key"),
    derived("identity.receipts_key", "<keys>/receipts.key"),
    derived("identity.log_key", "<keys>/log.key"),
    derived("identity.witness_key", "<keys>/witness.key"),
    derived("identity.card_key", "<keys>/card.key"),
    derived("identity.age_identity", "<keys>/age.key"),
    derived("identity.reset_key", "<keys>/reset.key"),
    derived("state.dir", "state, or /var/lib/rogatory"),
    text("limits.package_max", "2 TiB"),
    key("limits.peer_connections", Kind::Number, Default::Value("4")),
    text("limits.transfer_retry_for", "7 days"),
    text("limits.reserve", "1 GiB"),
    text("limits.peer_quota", "4 TiB"),
    key(
        "limits.peer_unopened",
        Kind::Number,
        Default::Value("100000"),
    ),
    text("limits.peer_growth", "1 GiB"),
    key(
        "limits.offers_per_second",
        Kind::Number,
        Default::Value("5000"),
    ),
    key(
        "limits.control_per_second",
        Kind::Number,
        Default::Value("50"),
    ),
    text("limits.patience", "2 min"),
    text("limits.send_bandwidth", "unlimited"),
    text("limits.receive_bandwidth", "unlimited"),
    text("limits.peer_send_bandwidth", "unlimited"),
    text("limits.peer_receive_bandwidth", "unlimited"),
    key(
        "trust.require_post_quantum",
        Kind::Flag,
        Default::Value("true"),
    ),
    text("policy.handling_max", "H3"),
    key("policy.need_to_know", Kind::Flag, Default::Value("false")),
    key("policy.dual_control", Kind::List, Default::Value("")),
    text("policy.cedar", ""),
    text("retention.destroy", "propose"),
    key(
        "retention.keep_after_sunset",
        Kind::Flag,
        Default::Value("false"),
    ),
    derived("retention.journal", "<state.dir>-destroyed/journal"),
    role("roles.officer"),
    role("roles.supervisor"),
    role("roles.operator"),
    role("roles.auditor"),
    text("telemetry.log", "text"),
    text("telemetry.level", "info"),
    text("serve.grace", "20 s"),
    text("net.congestion", "model"),
    text("fetcher.socket", ""),
];

/// The keys of one `[[peer]]`.
pub const PEER_KEYS: &[Key] = &[
    key("alias", Kind::Text, Default::Required),
    key("allow_classic", Kind::Flag, Default::Value("false")),
];

/// The section of overrides for one peer each.
pub const PEER: &str = "peer";

impl Key {
    /// The section, empty for a key before the first section.
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }

    /// The key within its section.
    pub fn name(&self) -> &'static str {
        self.path
            .split_once('.')
            .map_or(self.path, |(_, name)| name)
    }

    /// The environment variable that overrides it.
    pub fn env(&self) -> String {
        format!(
            "{ENV_PREFIX}{}",
            self.path.replace('.', "__").to_uppercase()
        )
    }
}

/// The prefix of the names of our environment variables.
pub const ENV_PREFIX: &str = "ROGATORY__";

/// The key at this path.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The keys of a section.
pub fn of_section(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section() == section)
}
