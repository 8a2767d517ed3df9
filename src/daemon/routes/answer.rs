//! The forms of a call and its answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::server::ApiFailure;
use crate::daemon::Daemon;

pub(super) type Shared = State<Arc<Daemon>>;
pub(super) type Answer<T> = Result<Json<T>, ApiFailure>;
