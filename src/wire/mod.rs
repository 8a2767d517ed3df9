//! Frames between two daemons, and the lines between a daemon and its fetcher: encode, decode, nothing else.
//!
//! A frame is one byte that names its kind, a big-endian `u32` with the length of the body, and the body: canonical
//! JSON, a raw signed note, a revocation list in DER with certificates, an age header, or nothing. A data stream starts
//! with a [`DataHead`].

pub mod data;
pub mod fault;
pub mod fetch;
pub mod frame;
pub mod message;

pub use data::DataHead;
pub use fault::WireFault;
pub use frame::{Frame, FrameHead, FrameKind, HEAD_BYTES};
pub use message::{Ack, Announced, FaultMessage, Hello, Later, ListNumber};
