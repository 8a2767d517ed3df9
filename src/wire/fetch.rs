//! Requests of a daemon without a network to the fetcher, and the answers: one line of JSON each
//! (docs/protocol/fetcher.md).

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::base::limits;

/// The version of question and answer.
pub const VERSION: u8 = 1;
/// Characters of a sentence that an answer may hold.
const TEXT_MAX: usize = 512;

/// A request to the fetcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchQuestion {
    v: u8,
    resolve: String,
}

/// Its answer: addresses, or a code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchAnswer {
    v: u8,
    /// None where there is a code.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub addresses: Vec<SocketAddr>,
    /// A code instead of addresses.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    text: Option<String>,
}

/// Why an answer has no addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The name has none, or nobody knows: why.
    Unresolved(String),
    /// The fetcher refuses, or what it says is no answer: why.
    Refused(String),
}

impl FetchQuestion {
    /// Asks for the addresses of this endpoint, `host:port`.
    pub fn new(endpoint: &str) -> Self {
        Self {
            v: VERSION,
            resolve: endpoint.to_owned(),
        }
    }

    /// The endpoint that a line without its newline asks for, which may be any text; what is wrong with the line
    /// otherwise.
    pub fn read(line: &[u8]) -> Result<String, String> {
        let question: Self = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        if question.v == VERSION {
            Ok(question.resolve)
        } else {
            Err(format!("version {} is not known", question.v))
        }
    }
}

impl FetchAnswer {
    /// These addresses.
    pub const fn found(addresses: Vec<SocketAddr>) -> Self {
        Self {
            v: VERSION,
            addresses,
            error: None,
            text: None,
        }
    }

    /// None, for this reason; of the sentence at most 512 characters are told.
    pub fn refused(code: &str, text: &str) -> Self {
        Self {
            v: VERSION,
            addresses: Vec::new(),
            error: Some(code.to_owned()),
            text: Some(text.chars().take(TEXT_MAX).collect()),
        }
    }

    /// The addresses that a line without its newline gives for this endpoint.
    pub fn read(line: &[u8], endpoint: &str) -> Result<Vec<SocketAddr>, Unanswered> {
        let refused = |why: String| Err(Unanswered::Refused(why));
        let answer: Self = match serde_json::from_slice(line) {
            Ok(answer) => answer,
            Err(e) => return refused(format!("its answer is not understood: {e}")),
        };
        if answer.v != VERSION {
            return refused(format!("it answers in version {}", answer.v));
        }
        let text = answer.text.unwrap_or_default();
        match answer.error.as_deref() {
            None => of_endpoint(endpoint, answer.addresses),
            Some("unresolved") => Err(Unanswered::Unresolved(text)),
            Some(code) => refused(format!("{code}: {text}")),
        }
    }
}

/// At least one and at most [`limits::FETCH_ADDRESSES_MAX`] of these addresses, with the endpoint's port: a resolver
/// names hosts, the port is the card's.
pub fn of_endpoint(
    endpoint: &str,
    addresses: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Unanswered> {
    let port = endpoint.rsplit(':').next().and_then(|it| it.parse().ok());
    let addresses: Vec<_> = addresses
        .into_iter()
        .filter(|address| Some(address.port()) == port)
        .take(limits::FETCH_ADDRESSES_MAX)
        .collect();
    if addresses.is_empty() {
        let why = "the name has no address".to_owned();
        return Err(Unanswered::Unresolved(why));
    }
    Ok(addresses)
}
