//! Doors: no call is answered to somebody who has none of the roles that it takes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;

use crate::api::server::{ApiFailure, Caller};
use crate::daemon::Daemon;
pub(super) use crate::daemon::people::roles::{
    ANY, EVIDENCE, OPERATION, POLICY, RECORDS, SUPERVISION, WORK,
};
use crate::policy::{Roles, lacking};

/// The calls of the API. Each is added with the roles that it takes, or as one that policy itself decides on.
pub(super) struct Doors {
    daemon: Arc<Daemon>,
    router: Router<Arc<Daemon>>,
}

#[derive(Clone)]
struct Door {
    daemon: Arc<Daemon>,
    roles: Roles,
}

impl Doors {
    pub(super) fn new(daemon: &Arc<Daemon>) -> Self {
        Self {
            daemon: Arc::clone(daemon),
            router: Router::new(),
        }
    }

    /// A call for people of these roles, which has no query: one that it does not know is refused, as in a call that
    /// has some.
    pub(super) fn door(self, path: &str, roles: Roles, to: MethodRouter<Arc<Daemon>>) -> Self {
        self.queried(path, roles, to.route_layer(middleware::from_fn(no_query)))
    }

    /// A call for people of these roles, which reads its query.
    pub(super) fn queried(self, path: &str, roles: Roles, to: MethodRouter<Arc<Daemon>>) -> Self {
        let door = Door {
            daemon: Arc::clone(&self.daemon),
            roles,
        };
        self.add(
            path,
            to.route_layer(middleware::from_fn_with_state(door, guard)),
        )
    }

    /// A call that asks the policy itself, which knows the roles: its refusals are more than those of a door.
    pub(super) fn decided(self, path: &str, to: MethodRouter<Arc<Daemon>>) -> Self {
        self.add(path, to.route_layer(middleware::from_fn(no_query)))
    }

    fn add(mut self, path: &str, to: MethodRouter<Arc<Daemon>>) -> Self {
        let to = to.route_layer(middleware::from_fn(to_the_end));
        self.router = self.router.route(path, to);
        self
    }

    pub(super) fn into_router(self) -> Router<Arc<Daemon>> {
        self.router
    }
}

/// Carries a call to its end, also when the caller has gone: otherwise it could stop between a commit and what has to
/// follow in memory.
async fn to_the_end(request: Request, next: Next) -> Response {
    // Nobody waits for somebody who has gone.
    if request.uri().path().ends_with("/wait") {
        return next.run(request).await;
    }
    let answer = tokio::spawn(next.run(request)).await;
    answer.unwrap_or_else(|e| ApiFailure::failed("internal", e.to_string()).into_response())
}

async fn no_query(request: Request, next: Next) -> Response {
    match request.uri().query() {
        None | Some("") => next.run(request).await,
        Some(query) => {
            let message = format!("this call has no query: {query:?} is not understood");
            ApiFailure::usage("bad-query", message).into_response()
        }
    }
}

async fn guard(
    State(door): State<Door>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let roles = door.daemon.roles_of(&caller);
    if roles.meets(door.roles) {
        return next.run(request).await;
    }
    let denial = lacking("this", &caller.actor(), roles, door.roles);
    ApiFailure::denied(&denial).into_response()
}
