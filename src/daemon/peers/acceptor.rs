//! Takes in connections: one task that accepts, one for each handshake.

use std::sync::Arc;

use crate::daemon::Daemon;
use crate::net::session;

/// Accepts until the endpoint is closed.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    while let Some(incoming) = daemon.endpoint.accept().await {
        let daemon = Arc::clone(&daemon);
        tokio::spawn(async move {
            let link = match incoming.establish().await {
                Ok(link) => link,
                Err(refused) => {
                    let Some(unsaid) = daemon.station.noise.may_say(daemon.station.micros()) else {
                        return;
                    };
                    if unsaid > 0 {
                        tracing::warn!(
                            unsaid,
                            "connections were refused that are not listed: too many at once"
                        );
                    }
                    tracing::warn!(remote = %refused.remote, code = refused.code(), "connection refused: {}", refused.cause);
                    return;
                }
            };
            let (peer, remote, connection) = (
                link.peer.id().clone(),
                link.remote(),
                link.connection.clone(),
            );
            if daemon.phase().borrow().is_draining() {
                connection.close(session::CLOSE_GOING.into(), b"going away");
                return;
            }
            if let Err(fault) = daemon.greet(link).await {
                tracing::warn!(%peer, %remote, code = fault.code, "connection did not come up: {}", fault.text);
                connection.close(session::CLOSE_FAULT.into(), fault.code.as_bytes());
            }
        });
    }
}
