//! One package on its way: drives the machines of [`crate::transfer`] on streams.

mod datastream;
mod header_check;
pub(crate) mod inbound;
mod incoming;
mod intake;
pub(crate) mod outbound;
mod payload;
