//! The server's end of the local socket: who calls, how a failure is told, how large a body may be.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::connect_info::Connected;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use crate::api::accounts::Accounts;
use crate::api::types::{ApiError, BODY_BYTES_MAX, DenialView};
use crate::policy::Denial;

/// Who calls, as the kernel says (`SO_PEERCRED`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// User id; `None` where the kernel did not say.
    pub uid: Option<u32>,
    /// The group that the caller acts with.
    pub gid: Option<u32>,
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
        Self {
            uid: credentials.map(|it| it.uid()),
            gid: credentials.map(|it| it.gid()),
        }
    }
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

    /// What to do next.
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
    let routes = routes.layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let service = routes.into_make_service_with_connect_info::<Caller>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stop)
        .await
}
