//! The server's end of the local socket: who calls, how a failure is told, how large a body may be.

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use axum::{Json, Router, body};
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};

use crate::api::accounts::{self, Accounts};
use crate::api::types::{ApiError, BODY_BYTES_MAX, DenialView};
use crate::base::limits;
use crate::policy::Denial;

/// Who calls, as the kernel says of the moment when the connection was made (`SO_PEERCRED`, `SO_PEERGROUPS`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// User id; `None` where the kernel did not say.
    pub uid: Option<u32>,
    /// The group that the caller acts with.
    pub gid: Option<u32>,
    /// The other groups that the caller acts with, whether `/etc/group` lists them or a directory service.
    pub groups: Vec<u32>,
}

impl Caller {
    /// The caller's name for statements of this authority: the login name, or `uid:N`.
    pub fn actor(&self) -> String {
        let Some(uid) = self.uid else {
            return "unknown".to_owned();
        };
        let login = Accounts::remembered().login(uid);
        login.map_or_else(|| format!("uid:{uid}"), str::to_owned)
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred().ok();
        let groups = peer_groups(stream.io()).unwrap_or_else(|e| {
            tracing::warn!(
                "the kernel does not tell the groups of a caller, who gets no role by them: {e}"
            );
            Vec::new()
        });
        Self {
            uid: credentials.map(|it| it.uid()),
            gid: credentials.map(|it| it.gid()),
            groups,
        }
    }
}

/// The supplementary groups of the process at the other end.
fn peer_groups(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let asked = |room: usize| {
        let mut groups = vec![0_u32; room];
        let (socket, level) = (stream.as_raw_fd(), libc::SOL_SOCKET);
        let bytes = uapi::getsockopt(socket, level, libc::SO_PEERGROUPS, groups.as_mut_slice())?;
        // Four bytes each.
        groups.truncate(bytes / 4);
        Ok(groups)
    };
    match asked(USUAL_GROUPS) {
        Err(uapi::Errno(libc::ERANGE)) => asked(limits::PROCESS_GROUPS_MAX),
        groups => groups,
    }
    .map_err(|e: uapi::Errno| io::Error::from_raw_os_error(e.0))
}

/// Room for the groups that nearly everybody has.
const USUAL_GROUPS: usize = 64;

/// Turns away whoever has no number here: all such callers look alike, so none of them is a person that can be held to
/// anything.
async fn numbered(
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    match unnumbered(&caller) {
        None => next.run(request).await,
        Some(refusal) => {
            tracing::warn!(
                uid = caller.uid,
                "a caller was turned away: it has no user id where the daemon runs"
            );
            refusal.into_response()
        }
    }
}

fn unnumbered(caller: &Caller) -> Option<ApiFailure> {
    let nobody = accounts::unnumbered();
    let text = || {
        format!(
            "the daemon sees you as uid {nobody}, like everybody who has no user id where it runs, and cannot tell you from others"
        )
    };
    (caller.uid == Some(nobody)).then(|| {
        ApiFailure::configuration("caller-unnumbered", text()).next(
            "its unit must not have PrivateUsers=yes, and its container must know your account; as the account nobody, take another one",
        )
    })
}

/// The most of a refusal in words that is passed on.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// Gives the refusals of the HTTP library the form of all others: it writes plain text where it cannot read a body, a
/// query or a part of the path.
async fn typed(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| kind.as_bytes() == b"application/json");
    if !response.status().is_client_error() || is_json {
        return response;
    }
    let status = response.status();
    let text = body::to_bytes(response.into_body(), REFUSAL_BYTES_MAX).await;
    let text = text.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let message = match text.trim() {
        "" => format!("the call is not understood: {status}"),
        text => format!("the call is not understood: {text}"),
    };
    let next = "use a command line of the same version as the daemon";
    ApiFailure::usage("bad-call", message)
        .next(next)
        .into_response()
}

/// A call that failed; turns into a response.
#[derive(Debug, Clone)]
pub struct ApiFailure(pub Box<ApiError>);

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(error: &str, message: impl Into<String>) -> Self {
            Self(Box::new(ApiError { code: $code, error: error.to_owned(), message: message.into(), next: None, denial: None }))
        }
    )*};
}

impl ApiFailure {
    failures! {
        /// Not classified.
        failed = 1;
        /// The call itself is wrong.
        usage = 2;
        /// The configuration is wrong.
        configuration = 3;
        /// It may not be done, though no rule was asked.
        refused = 4;
        /// Another attempt may succeed.
        temporary = 5;
        /// Somebody is not trusted.
        trust = 6;
        /// Something was tampered with.
        mismatch = 7;
        /// There is no such thing.
        missing = 8;
        /// There is nothing to do.
        nothing = 9;
        /// Storage or log cannot be written.
        storage = 11;
    }

    /// The next step.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.0.next = Some(next.into());
        self
    }

    /// Refused by a rule.
    pub fn denied(denial: &Denial) -> Self {
        let view = DenialView {
            rule: denial.rule.to_string(),
            term: denial.term.clone(),
            reason: denial.code(),
            clause: denial.clause.clone(),
        };
        let error = view.reason.clone();
        Self(Box::new(ApiError {
            code: 4,
            error,
            message: denial.text.clone(),
            next: None,
            denial: Some(view),
        }))
    }
}

impl IntoResponse for ApiFailure {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            2 => StatusCode::BAD_REQUEST,
            4 => StatusCode::FORBIDDEN,
            5 => StatusCode::SERVICE_UNAVAILABLE,
            6 => StatusCode::UNAUTHORIZED,
            3 | 7 => StatusCode::UNPROCESSABLE_ENTITY,
            8 => StatusCode::NOT_FOUND,
            9 => StatusCode::CONFLICT,
            11 => StatusCode::INSUFFICIENT_STORAGE,
            _other => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(*self.0)).into_response()
    }
}

/// Binds the socket: readable and writable for owner and group, replacing what a killed daemon left behind.
///
/// # Errors
/// When another daemon answers on it, or the folder cannot be written.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another daemon answers on this socket",
        ));
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Serves until `stop` resolves, then finishes the calls under way.
pub async fn serve(
    listener: UnixListener,
    routes: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = routes
        .layer(middleware::from_fn(typed))
        .layer(middleware::from_fn(numbered))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let service = routes.into_make_service_with_connect_info::<Caller>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stop)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn groups_come_from_the_kernel() {
        let (here, _there) = UnixStream::pair().unwrap();
        let own = rustix::process::getgroups().unwrap();
        let mut own: Vec<_> = own.into_iter().map(rustix::process::Gid::as_raw).collect();
        let mut found = peer_groups(&here).unwrap();
        own.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, own);
    }

    #[test]
    fn whoever_has_no_number_is_turned_away() {
        let nobody = accounts::unnumbered();
        for (uid, refused) in [(Some(nobody), true), (Some(1_000), false), (None, false)] {
            let caller = Caller {
                uid,
                gid: None,
                groups: Vec::new(),
            };
            let refusal = unnumbered(&caller).map(|it| (it.0.code, it.0.error));
            let expected = refused.then(|| (3, "caller-unnumbered".to_owned()));
            assert_eq!(refusal, expected, "{uid:?}");
        }
    }
}
