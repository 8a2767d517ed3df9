//! Whether an age header opens the payload it came for: stanzas, file key, MAC, first chunk.

use std::io::Read;
use std::sync::Arc;

use crate::base::Xid;
use crate::net::session::Attempt;
use crate::net::session::station::Station;
use crate::package::header;
use crate::seal;
use crate::seal::SealError;
use crate::transfer::Fault;

/// A payload's nonce and its first whole chunk (age-encryption.org/v1, STREAM).
const FIRST_CHUNK_BYTES: u64 = 16 + (64 << 10) + 16;

/// Unwraps the file key, checks the header's MAC and the first chunk, where the identity is here; a small payload is at
/// hand.
pub(crate) async fn opens(
    station: &Arc<Station>,
    xid: Xid,
    inline: Option<Vec<u8>>,
    header: Vec<u8>,
) -> Result<Result<(), String>, Attempt> {
    let station = Arc::clone(station);
    let judge = move |first: &[u8], station: &Station| match &station.identity {
        Some(identity) => check_header(&header, first, identity, station.recipients),
        None => Ok(()),
    };
    if let Some(first) = inline {
        // Some tens of microseconds: less than another thread would cost.
        return Ok(judge(&first, &station));
    }
    let first = first_chunk(&station, xid).await?;
    let checked = tokio::task::spawn_blocking(move || judge(&first, &station));
    checked.await.map_err(|e| Attempt::Cut(e.to_string()))
}

/// Why a header does not open its payload, as a reason code.
fn check_header(
    header: &[u8],
    first: &[u8],
    identity: &seal::Identity,
    recipients: usize,
) -> Result<(), String> {
    header::check(header, recipients).map_err(|e| e.code().to_owned())?;
    seal::check_header(header, first, identity).map_err(|e| {
        let known = [
            (matches!(e, SealError::NotForUs), "not-for-us"),
            (matches!(e, SealError::Mac), "header-mac"),
            (matches!(e, SealError::Payload(_)), "payload-undecryptable"),
        ];
        let code = known
            .iter()
            .find(|(is, _)| *is)
            .map_or("header-unusable", |(_, code)| code);
        code.to_owned()
    })
}

/// The payload's nonce and first chunk: enough to check a header against.
async fn first_chunk(station: &Arc<Station>, xid: Xid) -> Result<Vec<u8>, Attempt> {
    if let Some(payload) = station.ledger.payload(&xid).await? {
        return Ok(payload);
    }
    let station = Arc::clone(station);
    let read = tokio::task::spawn_blocking(move || -> std::io::Result<Vec<u8>> {
        let mut first = Vec::new();
        let file = station.blobs.payload(&xid)?;
        Read::read_to_end(&mut Read::take(file, FIRST_CHUNK_BYTES), &mut first)?;
        Ok(first)
    });
    let read = read.await.map_err(|e| Attempt::Cut(e.to_string()))?;
    read.map_err(|e| Attempt::Local(Fault::new("payload-unreadable", e.to_string())))
}
