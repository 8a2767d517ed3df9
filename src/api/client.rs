//! The client of the local API: HTTP/1.1 over the daemon's Unix socket.
//!
//! Answers are read whole up to a limit; packages and plaintext stream in both directions through bounded channels,
//! so that a caller needs the same memory for any length.

mod body;
mod bundle;
mod calls;
mod plaintext;
mod stream;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, RANGE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::api::types::ApiError;
use crate::base::Page;

use body::Outgoing;
pub use body::{Download, DownloadReader, StopSign, Upload, UploadWriter, upload};
pub use bundle::BundleFiles;
pub use calls::PackageFilter;
pub use plaintext::RemotePlaintext;
use stream::Hearing;

/// The longest answer that is read whole: a list of tens of thousands of packages.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Connections kept for the next call.
const IDLE_MAX: usize = 8;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallFault {
    /// Nobody listens on the socket.
    #[error("no daemon answers at {}: {error}", .socket.display())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The socket is there, but this user may not use it.
    #[error("the daemon's socket {} may not be used by this user", .socket.display())]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
    },
    /// The daemon answered that it will not or cannot.
    #[error("{}", .0.message)]
    Refused(Box<ApiError>),
    /// The connection ended before the answer was whole: the daemon stopped, or was stopped.
    #[error("the connection to the daemon broke off: {0}")]
    Broken(String),
    /// The answer is not what this version expects.
    #[error("the daemon's answer to {path} cannot be read: {fault}; are both of the same version?")]
    Unreadable {
        /// The call.
        path: String,
        /// The fault.
        fault: String,
    },
}

/// The client. Clones share their idle connections.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    socket: PathBuf,
    idle: Mutex<Vec<SendRequest<Outgoing>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.0.socket.display())
    }
}

/// An answer whose head is here, and the connection that its body comes on.
struct Answer {
    response: Response<Incoming>,
    connection: SendRequest<Outgoing>,
}

impl Client {
    /// A client of the daemon that listens on this socket; connects with the first call.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let shared = Shared {
            socket: socket.into(),
            idle: Mutex::new(Vec::new()),
        };
        Self(Arc::new(shared))
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.0.socket
    }

    /// `GET path`, an answer in JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallFault> {
        self.call(Method::GET, path, Outgoing::empty()).await
    }

    /// `GET path`, a list in JSON: all of it, however many answers it takes.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, CallFault> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        let mut page: Page<T> = self.get(path).await?;
        loop {
            let (items, more) = page.into_parts();
            all.extend(items);
            let Some(after) = more else {
                return Ok(all);
            };
            page = self.get(&format!("{path}{mark}after={after}")).await?;
        }
    }

    /// `POST path` with a body in JSON, an answer in JSON.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, CallFault> {
        let bytes = serde_json::to_vec(body).map_err(|e| CallFault::Unreadable {
            path: path.to_owned(),
            fault: format!("the question is not JSON: {e}"),
        })?;
        self.call(Method::POST, path, Outgoing::once(bytes)).await
    }

    /// `DELETE path`, an answer in JSON.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallFault> {
        self.call(Method::DELETE, path, Outgoing::empty()).await
    }

    /// `PUT path` with a body that another thread writes into the [`UploadWriter`] of this [`Upload`].
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        upload: Upload,
    ) -> Result<T, CallFault> {
        self.call(Method::PUT, path, upload.into_body()).await
    }

    /// `PUT path` with a body of bytes.
    pub async fn put_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<T, CallFault> {
        self.call(Method::PUT, path, Outgoing::once(bytes)).await
    }

    /// `GET path`, an answer in bytes that is read while it comes.
    pub async fn download(&self, path: &str) -> Result<Download, CallFault> {
        let answer = self
            .send(request(Method::GET, path, Outgoing::empty(), None)?)
            .await?;
        if !answer.response.status().is_success() {
            return Err(self.refusal(path, answer).await);
        }
        Ok(Download::new(
            answer.response.into_body(),
            answer.connection,
        ))
    }

    /// `GET path` for the bytes from `first` to `last`, both included; at most `last - first + 1` come.
    pub async fn range(&self, path: &str, first: u64, last: u64) -> Result<Bytes, CallFault> {
        let range = Some((first, last));
        let answer = self
            .send(request(Method::GET, path, Outgoing::empty(), range)?)
            .await?;
        if answer.response.status().is_success()
            && answer.response.status() != StatusCode::PARTIAL_CONTENT
        {
            return Err(unreadable(
                path,
                "it is not the part that was asked for".to_owned(),
            ));
        }
        self.read(path, answer).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Outgoing,
    ) -> Result<T, CallFault> {
        let answer = self.send(request(method, path, body, None)?).await?;
        let bytes = self.read(path, answer).await?;
        serde_json::from_slice(&bytes).map_err(|e| unreadable(path, e.to_string()))
    }

    /// The body of a good answer, or the refusal.
    async fn read(&self, path: &str, answer: Answer) -> Result<Bytes, CallFault> {
        if !answer.response.status().is_success() {
            return Err(self.refusal(path, answer).await);
        }
        let bytes = collect(path, answer.response.into_body()).await?;
        self.keep(answer.connection);
        Ok(bytes)
    }

    async fn refusal(&self, path: &str, answer: Answer) -> CallFault {
        let status = answer.response.status();
        match collect(path, answer.response.into_body()).await {
            Ok(bytes) => match serde_json::from_slice::<ApiError>(&bytes) {
                Ok(error) => CallFault::Refused(Box::new(error)),
                Err(_) => unreadable(path, format!("status {status} without a reason")),
            },
            Err(fault) => fault,
        }
    }

    /// Sends on an idle connection if one still lives, else on a new one.
    async fn send(&self, mut request: Request<Outgoing>) -> Result<Answer, CallFault> {
        while let Some(mut connection) = self.idle() {
            if connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => {
                    return Ok(Answer {
                        response,
                        connection,
                    });
                }
                Err(mut unsent) => match unsent.take_message() {
                    Some(message) => request = message,
                    None => return Err(broken(unsent.error())),
                },
            }
        }
        let mut connection = self.connect().await?;
        let response = connection
            .send_request(request)
            .await
            .map_err(|e| broken(&e))?;
        Ok(Answer {
            response,
            connection,
        })
    }

    async fn connect(&self) -> Result<SendRequest<Outgoing>, CallFault> {
        let socket = self.socket();
        let stream = UnixStream::connect(socket).await.map_err(|error| {
            let socket = socket.to_owned();
            if error.kind() == io::ErrorKind::PermissionDenied {
                CallFault::NotAllowed { socket }
            } else {
                CallFault::NoDaemon { socket, error }
            }
        })?;
        let (sender, connection) = Builder::new()
            .handshake(TokioIo::new(Hearing::new(stream)))
            .await
            .map_err(|e| broken(&e))?;
        tokio::spawn(async move {
            // Its faults reach the caller through the answer or the body.
            drop(connection.await);
        });
        Ok(sender)
    }

    fn idle(&self) -> Option<SendRequest<Outgoing>> {
        self.0
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn keep(&self, connection: SendRequest<Outgoing>) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }
}

fn request(
    method: Method,
    path: &str,
    body: Outgoing,
    range: Option<(u64, u64)>,
) -> Result<Request<Outgoing>, CallFault> {
    let mut builder = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "rogatory")
        .header(CONTENT_TYPE, body.content_type());
    if let Some((first, last)) = range {
        builder = builder.header(RANGE, format!("bytes={first}-{last}"));
    }
    builder
        .body(body)
        .map_err(|e| unreadable(path, format!("the question is not HTTP: {e}")))
}

async fn collect(path: &str, body: Incoming) -> Result<Bytes, CallFault> {
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(unreadable(
            path,
            format!("longer than {ANSWER_BYTES_MAX} bytes"),
        )),
        Err(e) => Err(CallFault::Broken(e.to_string())),
    }
}

fn unreadable(path: &str, fault: String) -> CallFault {
    CallFault::Unreadable {
        path: path.to_owned(),
        fault,
    }
}

fn broken(error: &hyper::Error) -> CallFault {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    CallFault::Broken(text)
}

/// A path parameter or query value, percent-encoded (RFC 3986 §2.3: everything but unreserved characters).
pub fn encode(part: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // A String takes everything.
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
