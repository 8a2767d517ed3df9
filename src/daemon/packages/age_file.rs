//! The bytes that an officer's sealing brings: an age file, split into header and payload.

use bytes::Bytes;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::api::server::ApiFailure;
use crate::base::{Digest, Xid, limits};
use crate::package::header;
use crate::store::{Blobs, Spool};

/// The longest age file that is taken whole: a payload that lives in the ledger, and its header.
pub(crate) const WHOLE_BYTES_MAX: usize = limits::HEADER_BYTES_MAX + (256 << 10);
const _: () = assert!(
    WHOLE_BYTES_MAX as u64 == limits::HEADER_BYTES_MAX as u64 + limits::INLINE_PAYLOAD_BYTES_MAX
);

/// The bytes of a sealed package, durable.
pub(crate) struct SpooledAgeFile {
    pub(crate) header: Zeroizing<Vec<u8>>,
    pub(crate) body: Digest,
    pub(crate) len: u64,
    pub(crate) segments: u64,
    pub(crate) inline: Option<Vec<u8>>,
}

/// Splits a small age file into header and payload.
pub(crate) fn whole(
    blobs: &Blobs,
    xid: Xid,
    recipients: usize,
    most: u64,
    age_file: &[u8],
) -> Result<SpooledAgeFile, ApiFailure> {
    let cut = || ApiFailure::failed("cut", "the sealed bytes stopped coming");
    let split = header::split(age_file).map_err(|e| bad(&e))?;
    let (header, payload) = age_file.split_at(split.ok_or_else(cut)?);
    header::check(header, recipients).map_err(|e| bad(&e))?;
    let length = payload.len() as u64;
    if length > most.min(limits::INLINE_PAYLOAD_BYTES_MAX) {
        let message = "the package is too long to be taken whole";
        return Err(ApiFailure::usage("too-large", message));
    }
    let mut spool: Spool = blobs.spool();
    spool.write(payload)?;
    let done = spool.finish(&xid)?;
    Ok(SpooledAgeFile {
        header: Zeroizing::new(header.to_vec()),
        body: done.body,
        len: done.len,
        segments: done.segments,
        inline: done.inline,
    })
}

fn bad(e: &header::HeaderFault) -> ApiFailure {
    ApiFailure::usage(e.code(), format!("not a sealed package for this peer: {e}"))
}

/// Splits header from payload and spools the payload. An empty piece marks the end; without it the bytes were cut.
pub(crate) fn write_sealed(
    blobs: &Blobs,
    xid: Xid,
    recipients: usize,
    most: u64,
    mut from: mpsc::Receiver<Bytes>,
) -> Result<SpooledAgeFile, ApiFailure> {
    let cut = || ApiFailure::failed("cut", "the sealed bytes stopped coming");
    let mut start = Vec::new();
    let split = loop {
        if let Some(at) = header::split(&start).map_err(|e| bad(&e))? {
            break at;
        }
        let piece = from
            .blocking_recv()
            .filter(|piece| !piece.is_empty())
            .ok_or_else(cut)?;
        start.extend_from_slice(&piece);
    };
    let payload = start.split_off(split);
    header::check(&start, recipients).map_err(|e| bad(&e))?;
    let mut spool: Spool = blobs.spool();
    spool.write(&payload)?;
    let mut length = payload.len() as u64;
    loop {
        let piece = from.blocking_recv().ok_or_else(cut)?;
        if piece.is_empty() {
            break;
        }
        length += piece.len() as u64;
        if length > most {
            let message = format!(
                "the package is longer than the {most} bytes that limits.package_max allows"
            );
            return Err(ApiFailure::usage("too-large", message));
        }
        spool.write(&piece)?;
    }
    let done = spool.finish(&xid)?;
    Ok(SpooledAgeFile {
        header: Zeroizing::new(start),
        body: done.body,
        len: done.len,
        segments: done.segments,
        inline: done.inline,
    })
}
