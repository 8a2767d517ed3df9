//! Small packages: sealed in memory, each handed over in one call, with grants that come many at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::api::types::{GRANTS_AT_ONCE, SealFinish, SealGrant, SealMany, SealRequest};
use crate::cli::failure::Failure;
use crate::cli::package::send::{Sent, plan, seal_failure};
use crate::cli::progress::Stopwatch;
use crate::cli::remote::Remote;
use crate::seal;

/// Whether a path is a file that is worth sealing in memory.
pub(super) fn is_small(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|about| about.is_file() && about.len() <= seal::SMALL_BYTES_MAX)
}

/// Grants for packages with the same terms, asked for when the last is gone.
pub(super) struct Grants<'a> {
    request: &'a SealRequest,
    held: Mutex<Backlog>,
}

struct Backlog {
    grants: Vec<SealGrant>,
    /// How many will still be taken, at most.
    wanted: usize,
}

impl<'a> Grants<'a> {
    /// For at most so many packages.
    pub(super) fn new(request: &'a SealRequest, wanted: usize) -> Self {
        let held = Mutex::new(Backlog {
            grants: Vec::new(),
            wanted,
        });
        Self { request, held }
    }

    fn take(&self, remote: &Remote) -> Result<SealGrant, Failure> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.grants.is_empty() {
            let many = SealMany {
                request: self.request.clone(),
                count: held.wanted.clamp(1, GRANTS_AT_ONCE),
            };
            held.grants = remote.call(remote.client().request_seals(&many))?;
        }
        held.wanted = held.wanted.saturating_sub(1);
        held.grants.pop().ok_or_else(|| {
            Failure::failed("no-grant", "the daemon granted nothing and did not say why")
        })
    }

    /// Gives back what nobody used.
    pub(super) fn give_back(self, remote: &Remote) {
        let held = self
            .held
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for grant in held.grants {
            // Best effort: an unused grant ends by itself.
            drop(remote.call(remote.client().cancel_seal(&grant.grant)));
        }
    }
}

/// Seals one small file and hands it over.
pub(super) fn send(remote: &Remote, grants: &Grants<'_>, path: &PathBuf) -> Result<Sent, Failure> {
    let watch = Stopwatch::start();
    let client = remote.client();
    let grant = grants.take(remote)?;
    let mut age_file = Vec::with_capacity(64 << 10);
    let plan = plan(&grant, grants.request);
    let sealed = seal::seal_small(path, plan, &mut age_file).map_err(|fault| {
        drop(remote.call(client.cancel_seal(&grant.grant)));
        seal_failure(&fault)
    })?;
    let finish = SealFinish {
        manifest: sealed.manifest_digest,
        item_root: sealed.item_root,
        items: sealed.items,
        item_terms: sealed.item_terms,
    };
    let sending = client.send_whole(&grant.grant, age_file, &finish);
    let package = remote.call_unlimited(sending)?;
    Ok(Sent {
        package,
        items: sealed.items,
        plaintext_bytes: sealed.plaintext_bytes,
        manifest: sealed.manifest_digest,
        seal_ms: watch.millis(),
    })
}
