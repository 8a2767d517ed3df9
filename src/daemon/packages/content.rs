//! Content under a permit: plaintext by byte range, or the age file.

use std::io::{self, Read, Seek};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::api::server::{ApiFailure, Caller};
use crate::base::{Digest, Xid};
use crate::daemon::Daemon;
use crate::daemon::packages::openings::PermittedOpening;
use crate::daemon::packages::pieces::Pieces;
use crate::daemon::packages::redaction::Blanked;
use crate::net::session::station::Station;
use crate::package::segments;
use crate::policy::{Action, Permit};
use crate::seal;
use crate::store::Exchange;

/// Plaintext read and streamed at a time.
const PIECE_BYTES: usize = 256 << 10;
/// In such steps it is said how much an opening of items is for.
const ITEMS_STEP_BYTES: u64 = 1 << 20;

/// A readable and seekable source of payload bytes.
pub(crate) trait PackageSource: Read + Seek + Send {}

impl<T: Read + Seek + Send> PackageSource for T {}

impl Daemon {
    /// Whether an opening can be done at all: header and payload are here and, for plaintext, the first chunk decrypts
    /// and the items that are named are there. Returns the bytes that it is for, at most; nothing leaves.
    pub(crate) async fn feasible(
        &self,
        held: &PermittedOpening,
        exchange: &Exchange,
        manifest: &Digest,
    ) -> Result<u64, ApiFailure> {
        let header = self.header(&held.xid).await?;
        let payload = self.payload(exchange).await?;
        if held.permit.action() == Action::Export {
            return Ok(exchange.len);
        }
        let _one_at_a_time = self.openings.look.lock().await;
        let (station, permit) = (Arc::clone(&self.station), Arc::clone(&held.permit));
        let (release, manifest) = (Arc::clone(&held.release), *manifest);
        let wanted = segments::plaintext_bytes(exchange.len);
        let looked = tokio::task::spawn_blocking(move || {
            let identity = station.identity.as_ref();
            let identity =
                identity.ok_or_else(|| undecryptable(&"this daemon holds no age identity"))?;
            let opened = seal::Plaintext::open(&permit, header.to_vec(), payload, identity);
            let mut plaintext = match opened {
                Ok(plaintext) => plaintext,
                // Its length is none that age makes: whoever opens it reports that, and it is examined.
                Err(e) if e.is_undecryptable() => return Ok(wanted),
                Err(e) => return Err(undecryptable(&e)),
            };
            let bytes = plaintext.len();
            if bytes != wanted {
                return Err(undecryptable(&"the payload is not as long as it was"));
            }
            let read = plaintext.read(&mut [0]);
            read.map_err(|e| undecryptable(&e))?;
            let names = &release.record.items;
            if names.is_empty() {
                return Ok(bytes);
            }
            match seal::find_items(&mut plaintext, names, &manifest) {
                // How long an item is to the byte, nobody learns before what has left is counted.
                Ok(found) => Ok(found
                    .checked_next_multiple_of(ITEMS_STEP_BYTES)
                    .map_or(bytes, |most| most.min(bytes))),
                Err(e @ seal::UnpackError::NoSuchItem(_)) => {
                    Err(ApiFailure::missing("no-such-item", e.to_string())
                        .next("name an item as its sender named it; opened whole, the package has all of them"))
                }
                // Whoever unpacks it finds the same, and says what it is.
                Err(_) => Ok(bytes),
            }
        });
        looked
            .await
            .map_err(|e| ApiFailure::failed("internal", e.to_string()))?
    }

    /// Streams this part of the plaintext under the opening's permit.
    pub(crate) async fn plaintext(
        self: &Arc<Self>,
        caller: &Caller,
        name: &str,
        range: Range<u64>,
    ) -> Result<Pieces, ApiFailure> {
        let (held, exchange) = self.permitted(caller, name, Action::Open).await?;
        if range.start > 0 && range.start >= held.release.total {
            let message = format!("the plaintext ends at {}", held.release.total);
            return Err(ApiFailure::usage("bad-range", message));
        }
        let header = self.header(&held.xid).await?;
        let payload = self.payload(&exchange).await?;
        let (to, from) = mpsc::channel(4);
        let (station, (ready_to, ready)) =
            (Arc::clone(&self.station), tokio::sync::oneshot::channel());
        let (opening, part) = (held.clone(), range.clone());
        tokio::task::spawn_blocking(move || {
            let plaintext = decrypted(&station, &opening.permit, header.to_vec(), payload);
            let plaintext = plaintext.map(|it| Blanked::new(it, opening.withheld));
            match plaintext.and_then(|it| begun(it, &part).map_err(|e| undecryptable(&e))) {
                Ok(plaintext) => {
                    if ready_to.send(Ok(())).is_ok() {
                        stream(plaintext, &to);
                    }
                }
                // The caller has gone: nobody to tell.
                Err(e) => drop(ready_to.send(Err(e))),
            }
        });
        match ready.await {
            Ok(ready) => ready?,
            Err(_) => {
                return Err(ApiFailure::failed(
                    "internal",
                    "the decrypting thread ended",
                ));
            }
        }
        self.begin(&held).await?;
        Ok(Pieces::new(self, held, range, from))
    }

    /// The age file under an opening's permit to export it: its length, and its bytes.
    pub(crate) async fn exported(
        self: &Arc<Self>,
        caller: &Caller,
        name: &str,
    ) -> Result<(u64, Pieces), ApiFailure> {
        let (held, exchange) = self.permitted(caller, name, Action::Export).await?;
        let (length, file) = self.age_file(&held.xid, &exchange).await?;
        let (to, from) = mpsc::channel(4);
        self.begin(&held).await?;
        tokio::task::spawn_blocking(move || stream(file, &to));
        Ok((length, Pieces::new(self, held, 0..length, from)))
    }

    /// Header and payload, one after the other.
    pub(crate) async fn age_file(
        &self,
        xid: &Xid,
        exchange: &Exchange,
    ) -> Result<(u64, impl Read + Send + use<>), ApiFailure> {
        let header = self.header(xid).await?.to_vec();
        let length = header.len() as u64 + exchange.len;
        let payload = self.payload(exchange).await?;
        Ok((length, io::Cursor::new(header).chain(payload)))
    }

    /// The opening, and the package that it is for, if its permit covers this now.
    pub(crate) async fn permitted(
        &self,
        caller: &Caller,
        name: &str,
        action: Action,
    ) -> Result<(PermittedOpening, Exchange), ApiFailure> {
        let held = self.openings.find(name, caller, self.station.clock())?;
        let exchange = self.held(held.xid).await?;
        if held
            .permit
            .covers(action, &exchange.body, self.station.clock())
        {
            return Ok((held, exchange));
        }
        Err(ApiFailure::mismatch(
            "other-permission",
            format!("the permission is not to {action} this package, or has ended"),
        ))
    }

    /// The age header of a held package.
    pub(crate) async fn header(
        &self,
        xid: &Xid,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, ApiFailure> {
        let header = self.station.ledger.header(xid).await;
        if let Some(header) = header? {
            return Ok(header);
        }
        // It may have been destroyed meanwhile, and then it is not lost.
        self.held(*xid).await?;
        let message = "the age header of this package is lost: its key is not in the state folder's file of slots";
        Err(ApiFailure::missing("header-gone", message)
            .next("stop the daemon and restore the whole state folder of one moment; rogatory fsck names each header that has no key"))
    }

    /// The payload's bytes, from the ledger or from its file.
    pub(crate) async fn payload(
        &self,
        exchange: &Exchange,
    ) -> Result<Box<dyn PackageSource>, ApiFailure> {
        if exchange.inline {
            let bytes = self
                .station
                .ledger
                .payload(&exchange.xid)
                .await
                .map_err(|e| ApiFailure::storage("store", e.to_string()))?;
            let bytes = bytes.ok_or_else(|| {
                ApiFailure::missing("payload-gone", "the payload is no longer here")
            })?;
            return Ok(Box::new(io::Cursor::new(bytes)));
        }
        match self.station.blobs.payload(&exchange.xid) {
            Ok(file) => Ok(Box::new(file)),
            Err(e) => Err(ApiFailure::missing(
                "payload-gone",
                format!("the payload cannot be read: {e}"),
            )),
        }
    }
}

fn undecryptable(e: &dyn std::fmt::Display) -> ApiFailure {
    let message = format!("the package cannot be decrypted: {e}");
    ApiFailure::mismatch("cannot-decrypt", message).next(
        "nothing has left, and nothing was stated; is the age identity of this daemon the one on its card, and the payload whole? rogatory check config, rogatory package verify ID",
    )
}

fn decrypted<S: PackageSource>(
    station: &Station,
    permit: &Permit,
    header: Vec<u8>,
    payload: S,
) -> Result<seal::Plaintext<S>, ApiFailure> {
    let identity = station.identity.as_ref();
    let identity = identity.ok_or_else(|| undecryptable(&"this daemon holds no age identity"))?;
    let plaintext = seal::Plaintext::open(permit, header, payload, identity);
    plaintext.map_err(|e| undecryptable(&e))
}

/// These bytes of the plaintext, of which the first piece was read already: what fails at once is an answer by itself,
/// what fails later breaks one off.
fn begun(mut plaintext: impl Read + Seek, range: &Range<u64>) -> io::Result<impl Read> {
    plaintext.seek(io::SeekFrom::Start(range.start))?;
    let length = range.end.saturating_sub(range.start);
    let mut first = Vec::new();
    let piece = length.min(PIECE_BYTES as u64);
    let read = plaintext.by_ref().take(piece).read_to_end(&mut first)?;
    let rest = plaintext.take(length - read as u64);
    Ok(io::Cursor::new(first).chain(rest))
}

/// Reads to the end and sends it in pieces; blocks.
pub(crate) fn stream(mut from: impl Read, to: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let read = match from.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => {
                piece.truncate(read);
                Ok(piece.into())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
        let failed = read.is_err();
        if to.blocking_send(read).is_err() || failed {
            return;
        }
    }
}
