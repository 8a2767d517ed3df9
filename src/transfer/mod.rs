//! The exchange of one package as two machines without input or output: [`Sender`] and [`Receiver`].
//!
//! A machine is fed with what happened ([`Machine::handle`]) and asked what to do next ([`Machine::poll_output`]) until
//! it has nothing more to say. It never sees payload bytes, a socket, a disk or a clock, so the same code runs on QUIC
//! and in a simulation. Order is its business: **durable, then logged, then said**. A frame that promises something is
//! put out only after the shell has answered [`Committed`](ReceiverInput::Committed) to the commit that holds the
//! promise.
//!
//! Every step can be repeated: after any cut the sender offers again, the receiver answers with the statement it has
//! stored, byte for byte, and both go on from there.

mod checks;
pub mod consignment;
pub mod letters;
pub mod receiver;
pub mod reception;
pub mod sender;
mod stage;

pub use checks::Fault;
pub use consignment::{Progress, SenderCommit, SenderInput, SenderOutput};
pub use receiver::Receiver;
pub use reception::{KnownOffer, ReceiverCommit, ReceiverInput, ReceiverOutput, Standing};
pub use sender::Sender;

use std::fmt;
use std::sync::Arc;

use crate::base::{AuthorityId, Digest, Instant, Timestamp};
use crate::policy::PolicySet;
use crate::receipt::{Head, OwnKeys, PartyKeys};

/// How long a machine waits for the other end before it gives the attempt up, in milliseconds. Bytes that move count as
/// life.
pub const PATIENCE_MS: u64 = 120_000;

/// When something happens, and what is known then: everything a machine may not find out by itself.
#[derive(Debug, Clone)]
pub struct Moment {
    /// For timers.
    pub instant: Instant,
    /// For statements.
    pub clock: Timestamp,
    /// Own last checkpoint and the peer's last seen.
    pub heads: Vec<Head>,
}

/// The authority that runs the machine.
pub struct Own {
    /// Its id.
    pub id: AuthorityId,
    /// Signs receipts.
    pub keys: OwnKeys,
    /// The policy set in force.
    pub policy: PolicySet,
    /// Declared uncertainty of its clock, in milliseconds.
    pub clock_uncertainty_ms: u64,
    /// The longest payload it takes, in bytes.
    pub package_max: u64,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Own({})", self.id)
    }
}

/// The other authority, as the handshake has proved it.
#[derive(Debug, Clone)]
pub struct Other {
    /// Its id.
    pub id: AuthorityId,
    /// Its receipts keys, from its cards.
    pub keys: Arc<PartyKeys>,
    /// Digest of the TLS exporter of the connection, where there is one.
    pub session: Option<Digest>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides hold the handover receipt, signed by both.
    Delivered,
    /// The exchange has ended without delivery, and both know it: rejected, failed, expired, withdrawn.
    Ended,
    /// The receiver asks for another attempt later.
    Later {
        /// Why.
        code: String,
        /// After so many seconds.
        after_s: u64,
    },
    /// The other end broke the protocol, or says that we did.
    Faulted(Fault),
    /// The other end fell silent.
    TimedOut,
}

/// One side of one exchange.
pub trait Machine {
    /// The events that it handles.
    type Input;
    /// The requests that it makes.
    type Output;

    /// Takes what happened. Cannot fail: a failure is an output.
    fn handle(&mut self, now: &Moment, input: Self::Input);

    /// The next thing to do; to be called until it is `None`, after every [`Machine::handle`].
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When to call [`Machine::handle`] with the timeout, if nothing else happens.
    fn poll_timeout(&self) -> Option<Instant>;
}

#[cfg(test)]
mod tests;
