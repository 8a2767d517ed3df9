//! The head of a unidirectional stream.

use crate::base::Xid;
use crate::wire::fault::WireFault;

/// The content of a unidirectional stream, as its first bytes announce it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataHead {
    /// All segment hashes of the exchange's payload, 32 bytes each, in order.
    List {
        /// The exchange.
        xid: Xid,
    },
    /// Payload bytes from the start of a segment on.
    Segments {
        /// The exchange.
        xid: Xid,
        /// The segment whose first byte comes first.
        first: u64,
    },
}

const LIST: u8 = 1;
const SEGMENTS: u8 = 2;
const XID_BYTES: usize = 16;

impl DataHead {
    /// The longest head, in bytes.
    pub const BYTES_MAX: usize = 1 + XID_BYTES + 8;

    /// How long a head is whose first byte is this, in bytes with that byte.
    pub const fn length(first: u8) -> Result<usize, WireFault> {
        match first {
            LIST => Ok(1 + XID_BYTES),
            SEGMENTS => Ok(Self::BYTES_MAX),
            unknown => Err(WireFault::UnknownData(unknown)),
        }
    }

    /// The exchange whose bytes these are.
    pub const fn xid(&self) -> Xid {
        match self {
            Self::List { xid } | Self::Segments { xid, .. } => *xid,
        }
    }

    /// The head as it stands on the stream.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES_MAX);
        match self {
            Self::List { xid } => {
                bytes.push(LIST);
                bytes.extend_from_slice(xid.as_bytes());
            }
            Self::Segments { xid, first } => {
                bytes.push(SEGMENTS);
                bytes.extend_from_slice(xid.as_bytes());
                bytes.extend_from_slice(&first.to_be_bytes());
            }
        }
        bytes
    }

    /// Reads a head from exactly its bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireFault> {
        let length = |wanted| WireFault::DataHeadLength {
            length: bytes.len(),
            wanted,
        };
        let (&kind, rest) = bytes.split_first().ok_or_else(|| length(1))?;
        let wanted = Self::length(kind)?;
        if bytes.len() != wanted {
            return Err(length(wanted));
        }
        let (xid, number) = rest.split_first_chunk().ok_or_else(|| length(wanted))?;
        let xid = Xid::from_bytes(*xid);
        if kind == LIST {
            return Ok(Self::List { xid });
        }
        let number = number.try_into().map_err(|_| length(wanted))?;
        Ok(Self::Segments {
            xid,
            first: u64::from_be_bytes(number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_are_written() {
        let xid = Xid::from_bytes(*b"0123456789abcdef");
        for (head, bytes) in [
            (DataHead::List { xid }, b"\x010123456789abcdef".to_vec()),
            (
                DataHead::Segments { xid, first: 258 },
                b"\x020123456789abcdef\0\0\0\0\0\0\x01\x02".to_vec(),
            ),
        ] {
            assert_eq!(head.encode(), bytes);
            assert_eq!(DataHead::length(bytes[0]), Ok(bytes.len()));
            assert_eq!(DataHead::decode(&bytes), Ok(head));
            assert_eq!(head.xid(), xid);
            for end in 0..bytes.len() {
                let fault = DataHead::decode(&bytes[..end]).unwrap_err();
                assert_eq!(fault.code(), "data-head-length", "{end} bytes");
            }
            let longer = [&bytes[..], b"x"].concat();
            assert_eq!(
                DataHead::decode(&longer).unwrap_err().code(),
                "data-head-length"
            );
        }
        assert_eq!(DataHead::decode(&[3; 17]), Err(WireFault::UnknownData(3)));
        assert_eq!(DataHead::length(0), Err(WireFault::UnknownData(0)));
    }
}
