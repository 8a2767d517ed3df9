//! The daemon's own look at a package of which somebody says that it is not what its sender signed.
//!
//! Nobody's word makes this authority accuse another. A report starts an examination: the daemon decrypts the package
//! under the permit of the opening that found fault with it, judges it with the code that unpacks ([`content::read`]),
//! and lets nothing of it out but the verdict. It states a mismatch only if it found one itself, and the stored bytes
//! are still those that both sides signed for. That code reads a stream and opens nothing; its memory has a limit
//! whatever the package holds.
//!
//! An examination takes as long as opening does. It runs by itself, one at a time; whoever reported may wait for it or
//! not.

use std::io::{self, BufReader, Read, Seek};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::api::server::{ApiFailure, Caller};
use crate::api::types::Examination;
use crate::base::Digest;
use crate::daemon::Daemon;
use crate::daemon::packages::notices::Notice;
use crate::daemon::packages::openings::PermittedOpening;
use crate::daemon::packages::redaction::Blanked;
use crate::package::content::{self, ContentFault, Expect, Halt, Nowhere};
use crate::package::segments;
use crate::policy::{Action, Code};
use crate::receipt::{Kind, Reason};
use crate::seal;
use crate::store::Exchange;

/// How long a report is answered at most; whoever wants to know more reports again.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at whether the package may still be read.
const LOOK_BYTES: u64 = 16 << 20;
/// Reports of one account that are examined or wait for that.
const WAITING_MAX: usize = 4;
const BUFFER_BYTES: usize = 256 << 10;

/// The finding about the stored package.
enum Verdict {
    Good,
    /// The sender's fault.
    Mismatch(ContentFault),
    /// The stored bytes are not those that were signed for.
    Altered,
    /// Nothing can be said: the bytes cannot be read, or may not be any more.
    Unknown(String),
}

/// The package under examination.
struct Stored {
    held: PermittedOpening,
    row: Exchange,
    expect: Expect,
    header: Zeroizing<Vec<u8>>,
}

impl Daemon {
    /// Takes the report that what an opening gave is not what was signed, and answers how far its examination is.
    pub(crate) async fn report_mismatch(
        self: &Arc<Self>,
        caller: &Caller,
        opening: &str,
        code: &str,
    ) -> Result<Examination, ApiFailure> {
        if !Code::is_well_formed(code) {
            let message = "what does not match is named by one word";
            return Err(ApiFailure::usage("bad-code", message));
        }
        let mut state = match self.examinations.of(opening, caller) {
            Some(state) => state,
            None => self.examine(caller, opening, code).await?,
        };
        let over = state.wait_for(|state| !matches!(state, Examination::Running));
        // Not over in time, or the daemon is about to end: still running, as far as anybody knows.
        drop(tokio::time::timeout(ANSWER_WITHIN, over).await);
        let state = state.borrow().clone();
        Ok(state)
    }

    /// Begins an examination, or joins the one that is under way.
    async fn examine(
        self: &Arc<Self>,
        caller: &Caller,
        opening: &str,
        code: &str,
    ) -> Result<watch::Receiver<Examination>, ApiFailure> {
        let (held, row) = self.permitted(caller, opening, Action::Open).await?;
        if self.station.identity.is_none() {
            let message = "this daemon holds no age identity, so it cannot look for itself: nothing is stated on somebody's word alone";
            return Err(ApiFailure::usage("no-age-identity", message));
        }
        if self.examinations.waiting(caller) >= WAITING_MAX {
            let message = format!("{WAITING_MAX} reports of this account are examined already");
            return Err(ApiFailure::temporary("too-many-reports", message)
                .next("report it again when one of them is answered"));
        }
        let xid = row.xid;
        let to = match self.examinations.join(&held, (opening, caller)) {
            Ok(state) => return Ok(state),
            Err(to) => to,
        };
        tracing::warn!(%xid, code, actor = caller.actor(), "a package is reported not to be what its sender signed; it is examined");
        let (state, daemon) = (to.subscribe(), Arc::clone(self));
        let (caller, opening) = (caller.clone(), opening.to_owned());
        tokio::spawn(async move {
            let found = daemon.examined(held, row).await;
            if matches!(found, Examination::Mismatch { .. }) {
                // What has left of it is stated too, now or with the next look at openings.
                drop(daemon.close(&caller, &opening).await);
            }
            // Nobody may be waiting.
            drop(to.send(found));
        });
        Ok(state)
    }

    /// Examines a package and states what was found.
    async fn examined(self: &Arc<Self>, held: PermittedOpening, row: Exchange) -> Examination {
        let xid = row.xid;
        let Ok(_turn) = self.examinations.turn.acquire().await else {
            return unreadable("the daemon is about to end".to_owned());
        };
        let verdict = match self.judge(held, &row).await {
            Ok(verdict) => verdict,
            Err(failure) => Verdict::Unknown(failure.0.message.clone()),
        };
        match verdict {
            Verdict::Good => {
                tracing::warn!(%xid, "nothing is wrong with the package that was reported: nothing is stated");
                Examination::Good
            }
            Verdict::Altered => {
                let text = "what is stored here of the package is not what was received";
                tracing::error!(%xid, "{text}: restore it from a backup, and look at the disk");
                let text = text.to_owned();
                Examination::Altered { text }
            }
            Verdict::Unknown(text) => unreadable(text),
            Verdict::Mismatch(fault) => {
                let notice = Notice {
                    reason: Some(Reason::technical(fault.code())),
                    ..Notice::of(Kind::ContentMismatch)
                };
                match self.notify(&row, notice, Vec::new()).await {
                    Ok(receipt) => {
                        tracing::error!(%xid, code = fault.code(), "a package is not what its sender has signed; the sender is told");
                        Examination::Mismatch {
                            code: fault.code().to_owned(),
                            text: fault.to_string(),
                            receipt,
                        }
                    }
                    Err(failure) => {
                        let why = failure.0.message;
                        unreadable(format!("{fault}; it cannot be stated: {why}"))
                    }
                }
            }
        }
    }

    async fn judge(
        self: &Arc<Self>,
        held: PermittedOpening,
        row: &Exchange,
    ) -> Result<Verdict, ApiFailure> {
        let stored = Stored {
            held,
            row: row.clone(),
            expect: self.chain_of(row).await?.expect(),
            header: self.header(&row.xid).await?,
        };
        let (payload, again) = (self.payload(row).await?, self.payload(row).await?);
        let (daemon, handle) = (Arc::clone(self), Handle::current());
        let judging = tokio::task::spawn_blocking(move || {
            let may = |stored: &Stored| daemon.may_go_on(&handle, stored);
            let verdict = stored.content(daemon.station.identity.as_ref(), payload, &may);
            match verdict {
                // Whose fault it is depends on whether these are the bytes that the sender sent.
                Verdict::Mismatch(fault) => stored.is_as_signed(fault, again, &may),
                Verdict::Good | Verdict::Altered | Verdict::Unknown(_) => verdict,
            }
        });
        let judged = judging.await;
        judged.map_err(|e| ApiFailure::failed("internal", e.to_string()))
    }

    /// Whether the package is still held here, and the permit still holds; if not, why.
    fn may_go_on(&self, handle: &Handle, stored: &Stored) -> io::Result<()> {
        let stop = |why: &str| Err(io::Error::other(why.to_owned()));
        if self.phase().borrow().is_draining() {
            return stop("the daemon is about to end");
        }
        let (permit, row, now) = (&stored.held.permit, &stored.row, self.station.clock());
        if !permit.covers(Action::Open, &row.body, now) {
            return stop("the permission to open the package has ended");
        }
        match handle.block_on(self.held(row.xid)) {
            Ok(_) => Ok(()),
            Err(failure) => stop(&failure.0.message),
        }
    }
}

fn unreadable(text: String) -> Examination {
    Examination::Unreadable { text }
}

impl Stored {
    /// Judges the content by what its sender has signed and disclosed.
    fn content(
        &self,
        identity: Option<&seal::Identity>,
        payload: impl Read + Seek,
        may: &dyn Fn(&Self) -> io::Result<()>,
    ) -> Verdict {
        let Some(identity) = identity else {
            return Verdict::Unknown("this daemon holds no age identity".to_owned());
        };
        let header = self.header.to_vec();
        let plaintext = match seal::Plaintext::open(&self.held.permit, header, payload, identity) {
            Ok(plaintext) => plaintext,
            Err(e) if e.is_undecryptable() => {
                return Verdict::Mismatch(ContentFault::Undecryptable);
            }
            Err(e) => return Verdict::Unknown(e.to_string()),
        };
        let withheld = Arc::clone(&self.held.withheld);
        let watched = Watched {
            from: Blanked::new(plaintext, Arc::clone(&withheld)),
            left: 0,
            look: || may(self),
        };
        judged(
            BufReader::with_capacity(BUFFER_BYTES, watched),
            &self.expect,
            &withheld,
        )
    }

    /// Whether the stored bytes are those that were signed for; only then is what is wrong with them the sender's
    /// fault.
    fn is_as_signed(
        &self,
        fault: ContentFault,
        payload: impl Read,
        may: &dyn Fn(&Self) -> io::Result<()>,
    ) -> Verdict {
        let watched = Watched {
            from: payload,
            left: 0,
            look: || may(self),
        };
        let payload = BufReader::with_capacity(BUFFER_BYTES, watched);
        match segments::read_root(payload) {
            Err(e) => Verdict::Unknown(e.to_string()),
            Ok(found) => {
                let (row, hdr) = (&self.row, Digest::of(&self.header));
                if (found, hdr) == ((row.body, row.len), row.hdr) {
                    Verdict::Mismatch(fault)
                } else {
                    Verdict::Altered
                }
            }
        }
    }
}

fn judged(plaintext: impl Read, expect: &Expect, withheld: &[Range<u64>]) -> Verdict {
    match content::read(plaintext, expect, withheld, &mut Nowhere) {
        Ok(_) => Verdict::Good,
        Err(Halt::Content(fault)) => Verdict::Mismatch(fault),
        Err(Halt::Source(e)) if seal::is_undecryptable(&e) => {
            Verdict::Mismatch(ContentFault::Undecryptable)
        }
        Err(Halt::Source(e)) => Verdict::Unknown(e.to_string()),
        Err(Halt::Sink(never)) => match never {},
    }
}

/// Looks now and then whether reading may go on.
struct Watched<R, F> {
    from: R,
    /// Bytes until the next look.
    left: u64,
    look: F,
}

impl<R: Read, F: Fn() -> io::Result<()>> Read for Watched<R, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            (self.look)()?;
            self.left = LOOK_BYTES;
        }
        let read = self.from.read(into)?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}
