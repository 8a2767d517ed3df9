//! Content under a permit: plaintext by byte range, or the age file.

use std::io::{self, Read, Seek};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::api::server::{ApiFailure, Caller};
use crate::base::Xid;
use crate::daemon::Daemon;
use crate::daemon::blanked::Blanked;
use crate::daemon::openings::Held;
use crate::policy::Action;
use crate::seal;
use crate::store::Exchange;

/// Plaintext read and streamed at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A readable and seekable source of payload bytes.
pub(crate) trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

impl Daemon {
    /// Streams plaintext from `start`, at most `length` bytes, under the opening's permit.
    pub(crate) async fn plaintext(
        self: &Arc<Self>,
        caller: &Caller,
        name: &str,
        range: Range<u64>,
    ) -> Result<mpsc::Receiver<io::Result<Bytes>>, ApiFailure> {
        let (held, exchange) = self.permitted(caller, name, Action::Open).await?;
        let header = self.header(&held.xid).await?;
        let payload = self.payload(&exchange).await?;
        let (to, from) = mpsc::channel(4);
        let (station, (ready_to, ready)) =
            (Arc::clone(&self.station), tokio::sync::oneshot::channel());
        tokio::task::spawn_blocking(move || {
            let Some(identity) = &station.identity else {
                drop(ready_to.send(Err("this daemon holds no age identity".to_owned())));
                return;
            };
            let plaintext = seal::Plaintext::open(&held.permit, header.to_vec(), payload, identity)
                .map_err(|e| e.to_string());
            let plaintext = plaintext.map(|it| Blanked::new(it, held.withheld));
            match plaintext.and_then(|it| begun(it, &range).map_err(|e| e.to_string())) {
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
            Ok(Ok(())) => Ok(from),
            Ok(Err(e)) => Err(ApiFailure::mismatch(
                "cannot-decrypt",
                format!("the package cannot be decrypted: {e}"),
            )),
            Err(_) => Err(ApiFailure::failed(
                "internal",
                "the decrypting thread ended",
            )),
        }
    }

    /// The age file under an opening's permit to export it: its length, and its bytes.
    pub(crate) async fn exported(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<(u64, impl Read + Send + use<>), ApiFailure> {
        let (held, exchange) = self.permitted(caller, name, Action::Export).await?;
        self.age_file(&held.xid, &exchange).await
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
    async fn permitted(
        &self,
        caller: &Caller,
        name: &str,
        action: Action,
    ) -> Result<(Held, Exchange), ApiFailure> {
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

    async fn header(&self, xid: &Xid) -> Result<zeroize::Zeroizing<Vec<u8>>, ApiFailure> {
        let header = self.station.ledger.header(xid).await;
        let header = header.map_err(|e| ApiFailure::storage("store", e.to_string()))?;
        header.ok_or_else(|| ApiFailure::missing("header-gone", "the age header is no longer here"))
    }

    /// The payload's bytes, from the ledger or from its file.
    pub(crate) async fn payload(&self, exchange: &Exchange) -> Result<Box<dyn Source>, ApiFailure> {
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

/// These bytes of the plaintext, of which the first piece was read already: what fails at once is an answer by itself, what
/// fails later breaks one off.
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
