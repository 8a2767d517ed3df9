//! rogatory: the central authorities of states send each other evidence, encrypted, purpose-bound and receipted.
//!
//! # The ladder
//!
//! A module may use only modules above it in this list; `tests/tidy.rs` checks it. The first part is pure: no files,
//! sockets, clocks or randomness; they come in as arguments.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`base`] | digests, names, time, canonical JSON, limits |
//! | [`identity`] | keys, cards, signed notes, and which certificate is whose |
//! | [`tlog`] | the Merkle log: commitments, leaves, tree heads, checkpoints |
//! | [`policy`] | terms of a package, rules, and the [`policy::Permit`] that a decision yields |
//! | [`package`] | what lies in a package and how: manifest, tar and BagIt, segments, age header |
//! | [`receipt`] | receipts: kinds, who signs which, what each must hold, the chain they form |
//! | [`exchange`] | the life of an exchange: its phases, and what leads from one to the next |
//! | [`wire`] | frames between two daemons; question and answer of the fetcher |
//! | [`transfer`] | the exchange of one package as two machines, [`transfer::Sender`] and [`transfer::Receiver`] |
//! | *shell* | |
//! | [`seal`] | sealing files into packages and opening them, with age |
//! | [`audit`] | offline verification of exported receipts: reads files, nothing else |
//! | [`config`] | what is configured, and what is meant by it |
//! | [`store`] | ledger (statements, exchanges, log), payload files, shreddable keys |
//! | [`net`] | QUIC: endpoint, trust at the handshake, sessions that run the machines; own PKI and keys |
//! | [`api`] | the local API on a Unix socket: types, server, client |
//! | [`daemon`] | composition: couriers, acceptor, sweeper, routes |
//! | [`cli`] | the command line |
//!
//! # The way of a package
//!
//! 1. `cli::package` asks the daemon for a grant ([`policy::decide()`], action send), seals the officer's files with
//!    the officer's rights ([`seal::seal()`]) and streams the ciphertext to the daemon, which spools it
//!    ([`store::Spool`]), signs the `dispatch` and commits both. From here on nothing is lost.
//! 2. The peer's courier in [`daemon`] finds it in the outbox, dials if no [`net::session::Session`] is up, and runs a
//!    [`transfer::Sender`] on a stream of it; at the other end a [`transfer::Receiver`] decides (action admit), asks
//!    for the segments it lacks and makes them durable.
//! 3. The receiver signs `consigned`, the sender countersigns it and only then hands the age header over; the receiver
//!    checks it, signs `handover`, the sender countersigns that too and shreds its own header. Each arrow is: durable,
//!    then logged, then said; each can be repeated with the same bytes.
//! 4. `cli::package` asks to open for one purpose (action open); the daemon states `access` or `access-denied`, then
//!    decrypts byte ranges under the permit, and the command line unpacks them in a sandbox ([`seal::unpack()`]).

// No byte from outside ends the process: a panic aborts it, so what can panic is no way to treat what others wrote. A
// module of which this is not asked says so below, and why.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod base;
pub mod exchange;
pub mod identity;
pub mod package;
pub mod policy;
pub mod receipt;
pub mod tlog;
pub mod transfer;
pub mod wire;

#[cfg(feature = "parsers")]
pub mod api;
#[cfg(feature = "parsers")]
pub mod audit;
#[cfg(feature = "shell")]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "it reads what the officer who called it wrote, and ends for that one alone"
)]
pub mod cli;
#[cfg(feature = "shell")]
pub mod config;
#[cfg(feature = "shell")]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "it composes: what others wrote is read by the modules below"
)]
pub mod daemon;
#[cfg(feature = "shell")]
pub mod keys;
#[cfg(feature = "shell")]
pub mod net;
#[cfg(feature = "shell")]
pub mod seal;
#[cfg(feature = "shell")]
pub mod store;
