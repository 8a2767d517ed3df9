//! Packages by name and state.

use crate::api::server::ApiFailure;
use crate::base::Xid;
use crate::daemon::Daemon;
use crate::exchange::{Direction, Phase};
use crate::store::Exchange;

impl Daemon {
    /// The package with this id, or with the only id that starts so.
    pub(crate) async fn find(&self, name: &str) -> Result<Xid, ApiFailure> {
        if let Ok(xid) = name.parse() {
            return Ok(xid);
        }
        if name.len() < 8
            || !name
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            let message =
                "a package is named by its id, or by at least 8 hex digits that it starts with";
            return Err(ApiFailure::usage("bad-id", message));
        }
        let found = self.station.ledger.find(name).await?;
        match found.as_slice() {
            [only] => Ok(*only),
            [] => Err(no_such_package(name)),
            [_, _, ..] => Err(ApiFailure::usage(
                "ambiguous-id",
                format!("more than one package starts with {name}: name more of its digits"),
            )),
        }
    }

    /// The row of a package.
    pub(crate) async fn exchange(&self, xid: &Xid) -> Result<Exchange, ApiFailure> {
        let row = self.station.ledger.exchange(xid).await?;
        row.ok_or_else(|| no_such_package(&xid.to_string()))
    }

    /// The exchange of a package that is held here; what is `only` done with such a package is said to whoever asks for
    /// another.
    pub(crate) async fn held_here(&self, xid: &Xid, only: &str) -> Result<Exchange, ApiFailure> {
        let row = self.exchange(xid).await?;
        if row.phase == Phase::Held {
            return Ok(row);
        }
        if row.direction == Direction::Out {
            let message = format!("{only}; this one was sent from here");
            return Err(ApiFailure::usage("not-recipient", message));
        }
        let message = format!("{only}; this one is {}", row.phase);
        let is_destroyed = matches!(row.phase, Phase::DestructionSigned | Phase::Destroyed);
        Err(if is_destroyed {
            ApiFailure::missing("destroyed", message)
        } else if row.phase.is_over_without_handover() {
            ApiFailure::missing("not-here", message)
        } else {
            ApiFailure::temporary("not-held", message)
        })
    }
}

fn no_such_package(name: &str) -> ApiFailure {
    ApiFailure::missing("no-such-package", format!("no package is called {name}"))
        .next("rogatory package list")
}
