//! Why bytes from a peer are no frame.

use crate::base::json::JsonFault;
use crate::wire::frame::FrameKind;

/// Why bytes from a peer are no frame or data head. Every one is the peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireFault {
    /// No frame kind has this number.
    #[error(
        "frame of unknown kind {0}: the peer speaks another version; ask it to update, or update here"
    )]
    UnknownKind(u8),
    /// The body is longer than its kind allows; nothing of it was read.
    #[error("{kind} frame of {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// The kind that was announced.
        kind: FrameKind,
        /// Its length in bytes.
        length: usize,
        /// The limit of the kind, in bytes.
        limit: usize,
    },
    /// A kind that always has a body came without one.
    #[error("{0} frame without a body")]
    Empty(FrameKind),
    /// The body is not canonical JSON of the expected content.
    #[error("{kind} frame: {fault}")]
    Json {
        /// The kind that was announced.
        kind: FrameKind,
        /// The fault in its JSON.
        fault: JsonFault,
    },
    /// The body can be read but breaks a limit or rule of its kind.
    #[error("{kind} frame: {why}")]
    Content {
        /// The kind that was announced.
        kind: FrameKind,
        /// The rule.
        why: &'static str,
    },
    /// No data stream has this number as its type.
    #[error(
        "data stream of unknown type {0}: the peer speaks another version; ask it to update, or update here"
    )]
    UnknownData(u8),
    /// The head of a data stream has another length than its type demands.
    #[error("head of a data stream with {length} bytes where {wanted} are needed")]
    DataHeadLength {
        /// The length that came, in bytes.
        length: usize,
        /// The length that its type needs, in bytes.
        wanted: usize,
    },
}

impl WireFault {
    /// The cause as a stable kebab-case word, for the other side and for counting.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownKind(_) => "unknown-frame",
            Self::TooLong { .. } => "frame-too-long",
            Self::Empty(_) => "frame-empty",
            Self::Json { .. } => "frame-malformed",
            Self::Content { .. } => "frame-content",
            Self::UnknownData(_) => "unknown-data",
            Self::DataHeadLength { .. } => "data-head-length",
        }
    }
}
