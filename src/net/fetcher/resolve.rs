//! From a peer's endpoint, `host:port`, to addresses: by the system, or by the fetcher where this process has no
//! network.
//!
//! A question and an answer are one line of JSON each (docs/protocol/fetcher.md), one of each on a connection.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::base::{len_u64, limits};
use crate::wire::fetch;
use crate::wire::fetch::{FetchAnswer, FetchQuestion, Unanswered};

/// Who resolves names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolver {
    /// The C library of this process.
    System,
    /// `rogatory fetcher` behind this Unix socket.
    Fetcher(PathBuf),
}

/// Why there are no addresses. This says nothing about the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveFault {
    /// The name has none, or nobody knows.
    #[error("name resolution failed: {endpoint}: {why}")]
    Unresolved {
        /// The name that was asked for.
        endpoint: String,
        /// The resolver's words.
        why: String,
    },
    /// The fetcher cannot be asked, refuses, or answers nonsense.
    #[error(
        "name resolution failed: the fetcher at {socket}: {why}; see `systemctl status rogatory-fetcher`"
    )]
    Fetcher {
        /// Its socket.
        socket: String,
        /// The fault.
        why: String,
    },
}

impl ResolveFault {
    /// The cause as a stable kebab-case word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } => "unresolved",
            Self::Fetcher { .. } => "fetcher-failed",
        }
    }
}

impl Resolver {
    /// The fetcher where one is configured, else the system.
    pub fn new(fetcher: Option<&Path>) -> Self {
        fetcher.map_or(Self::System, |socket| Self::Fetcher(socket.to_owned()))
    }

    /// The addresses of `host:port`, at least one and at most [`limits::FETCH_ADDRESSES_MAX`], in the resolver's order.
    /// An endpoint that is an address is answered without asking anybody.
    pub async fn resolve(&self, endpoint: &str) -> Result<Vec<SocketAddr>, ResolveFault> {
        if let Ok(address) = endpoint.parse() {
            return Ok(vec![address]);
        }
        let unresolved = |why: String| ResolveFault::Unresolved {
            endpoint: endpoint.to_owned(),
            why,
        };
        let socket = match self {
            Self::System => {
                let found = look_up(endpoint).await.map_err(unresolved)?;
                let found = fetch::of_endpoint(endpoint, found);
                return found.map_err(|fault| fault_of(fault, endpoint, Path::new("")));
            }
            Self::Fetcher(socket) => socket,
        };
        let limit = Duration::from_millis(limits::FETCH_RESOLVE_MS_MAX + 2_000);
        let asked = tokio::time::timeout(limit, ask(socket, endpoint)).await;
        let late = |_| Err(format!("no answer within {} s", limit.as_secs()));
        let line = asked.unwrap_or_else(late).map_err(Unanswered::Refused);
        let found = line.and_then(|line| FetchAnswer::read(&line, endpoint));
        found.map_err(|fault| fault_of(fault, endpoint, socket))
    }
}

fn fault_of(fault: Unanswered, endpoint: &str, socket: &Path) -> ResolveFault {
    match fault {
        Unanswered::Unresolved(why) => ResolveFault::Unresolved {
            endpoint: endpoint.to_owned(),
            why,
        },
        Unanswered::Refused(why) => ResolveFault::Fetcher {
            socket: socket.display().to_string(),
            why,
        },
    }
}

/// Asks the system's resolver, within [`limits::FETCH_RESOLVE_MS_MAX`].
pub(crate) async fn look_up(endpoint: &str) -> Result<Vec<SocketAddr>, String> {
    let limit = Duration::from_millis(limits::FETCH_RESOLVE_MS_MAX);
    match tokio::time::timeout(limit, tokio::net::lookup_host(endpoint)).await {
        Ok(Ok(found)) => Ok(found.take(limits::FETCH_ADDRESSES_MAX).collect()),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
    }
}

async fn ask(socket: &Path, endpoint: &str) -> Result<Vec<u8>, String> {
    let mut stream = UnixStream::connect(socket)
        .await
        .map_err(|e| format!("cannot be reached: {e}"))?;
    put(&mut stream, endpoint).await
}

/// Puts the question and reads the answer. A fetcher that turns its caller away reads no question, and may be gone when
/// it is put: its answer is there all the same, and says why.
async fn put(stream: &mut UnixStream, endpoint: &str) -> Result<Vec<u8>, String> {
    let sent = send(stream, &FetchQuestion::new(endpoint)).await;
    let answer = line(stream, limits::FETCH_ANSWER_BYTES_MAX).await;
    answer.map_err(|unread| sent.err().unwrap_or(unread))
}

/// Writes one line of JSON.
pub(crate) async fn send<T: Serialize>(stream: &mut UnixStream, value: &T) -> Result<(), String> {
    let mut bytes = serde_json::to_vec(value).map_err(|e| e.to_string())?;
    bytes.push(b'\n');
    stream.write_all(&bytes).await.map_err(|e| e.to_string())
}

/// Reads one line of at most `most` bytes with its end, which is cut off.
pub(crate) async fn line(stream: &mut UnixStream, most: usize) -> Result<Vec<u8>, String> {
    let mut read = Vec::with_capacity(most);
    loop {
        let before = read.len();
        let mut room = (&mut *stream).take(len_u64(most.saturating_sub(before)));
        let count = room
            .read_buf(&mut read)
            .await
            .map_err(|e| format!("cannot be read: {e}"))?;
        if let Some(end) = read.iter().skip(before).position(|byte| *byte == b'\n') {
            read.truncate(before.saturating_add(end));
            return Ok(read);
        }
        if count == 0 && read.len() < most {
            return Err("the connection ended in the middle of a line".to_owned());
        }
        if read.len() >= most {
            return Err(format!("a line is longer than {most} bytes"));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// The client's reading of a fetcher that answers with these bytes.
    async fn answered(bytes: &'static [u8]) -> Result<Vec<SocketAddr>, ResolveFault> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let fetcher = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = line(&mut stream, limits::FETCH_QUESTION_BYTES_MAX).await;
            // The client may have gone already, having read enough.
            drop(stream.write_all(bytes).await);
            asked.unwrap()
        });
        let found = Resolver::new(Some(&path)).resolve("a.example:7443").await;
        let asked = fetcher.await.unwrap();
        assert_eq!(asked, br#"{"v":1,"resolve":"a.example:7443"}"#);
        found
    }

    #[tokio::test]
    async fn a_fetcher_that_is_gone_before_it_was_asked_has_said_why() {
        for answer in [&b"no\n"[..], b""] {
            let (mut here, mut there) = UnixStream::pair().unwrap();
            there.write_all(answer).await.unwrap();
            drop(there);
            let read = put(&mut here, "a.example:7443").await;
            let broken = |e: String| assert!(e.contains("Broken pipe"), "{e}");
            let want = (!answer.is_empty()).then(|| b"no".to_vec());
            assert_eq!(read.map_err(broken).ok(), want);
        }
    }

    #[tokio::test]
    async fn an_answer_is_addresses_or_a_named_fault() {
        let found =
            answered(b"{\"v\":1,\"addresses\":[\"192.0.2.1:7443\",\"[2001:db8::1]:7443\"]}\n");
        assert_eq!(found.await.unwrap().len(), 2);
        for (bytes, code) in [
            (
                &b"{\"v\":1,\"error\":\"unresolved\",\"text\":\"no such host\"}\n"[..],
                "unresolved",
            ),
            (
                b"{\"v\":1,\"addresses\":[\"192.0.2.1:22\"]}\n",
                "unresolved",
            ),
            (b"{\"v\":1}\n", "unresolved"),
            (
                b"{\"v\":1,\"error\":\"name-refused\",\"text\":\"x\"}\n",
                "fetcher-failed",
            ),
            (b"{\"v\":2,\"addresses\":[]}\n", "fetcher-failed"),
            (b"{\"v\":1,\"more\":true}\n", "fetcher-failed"),
            (b"{\"v\":1", "fetcher-failed"),
            (b"", "fetcher-failed"),
            (&[b' '; 5_000], "fetcher-failed"),
        ] {
            let fault = answered(bytes).await.unwrap_err();
            assert_eq!(fault.code(), code, "{}", bytes.escape_ascii());
            assert!(fault.to_string().starts_with("name resolution failed: "));
        }
    }

    #[tokio::test]
    async fn nobody_is_asked_for_an_address() {
        let nobody = Resolver::new(Some(Path::new("/nonexistent")));
        for address in ["192.0.2.1:7", "[2001:db8::1]:7"] {
            assert_eq!(
                nobody.resolve(address).await.unwrap(),
                [address.parse().unwrap()]
            );
        }
        let fault = nobody.resolve("a.example:7").await.unwrap_err();
        assert_eq!(fault.code(), "fetcher-failed");
        assert!(Resolver::System.resolve("localhost:7").await.is_ok());
        let fault = Resolver::System.resolve("does-not-exist.invalid:7").await;
        assert_eq!(fault.unwrap_err().code(), "unresolved");
    }
}
