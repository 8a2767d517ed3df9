//! The log as others see it: roots and proofs, cosigned checkpoints, tiles as files, and the guard against old states.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use rusqlite::{Connection, params};

use crate::base::{AuthorityId, Digest, len_u64, limits};
use crate::store::durable::DiskFault;
use crate::store::op::{CommitFault, Op};
use crate::store::rows::{AlarmRow, CosignedRow, WitnessedRow};
use crate::store::{Ledger, StoreFault, durable, reader, sql};
use crate::tlog;
use crate::tlog::{
    Checkpoint, Frontier, ProofFault, ProofFile, Subtrees, Tile, TileKind, proof, tile,
};

/// The folder of the published log within the state folder.
const LOG: &str = "log";
/// The ledger's name for the checkpoint that this state is older than.
const RECOVERING: &str = "log/recovering";
/// Leaves read at once when the root is computed anew.
const LEAVES_AT_ONCE: u64 = 10_000;

/// A leaf of the own log with everything that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The proof: index, path, checkpoint with the cosignatures on it.
    pub proof: ProofFile,
    /// How many leaves the checkpoint is over.
    pub size: u64,
    /// Who has cosigned it.
    pub witnesses: Vec<AuthorityId>,
}

/// Hashes of the log's complete subtrees, from the leaves that are committed.
struct Source<'a> {
    db: &'a Connection,
    roots: &'a [Digest],
}

impl Source<'_> {
    fn leaves(&self, first: u64, end: u64) -> Option<Vec<Vec<u8>>> {
        let values = params![first, end];
        let found = reader::rows(self.db, sql::LEAVES, values, |row| reader::digest(row, 0));
        let found = found.ok()?;
        let whole = len_u64(found.len()) == end.saturating_sub(first);
        whole.then(|| found.iter().map(tlog::leaf_entry).collect())
    }

    fn tile(&self, tile: &Tile) -> Result<Vec<u8>, ProofFault> {
        let first = tile.index.saturating_mul(tile::TILE_WIDTH);
        let end = first.saturating_add(tile.width);
        let missing = |level, index| ProofFault::Missing { level, index };
        let leaves = || {
            let leaves = self.leaves(first, end);
            leaves.ok_or_else(|| missing(0, first))
        };
        match tile.kind {
            TileKind::Entries => tile::write_entries(leaves()?.iter().map(Vec::as_slice))
                .map_err(|_| missing(0, first)),
            TileKind::Hashes(0) => {
                let hashes: Vec<_> = leaves()?
                    .iter()
                    .map(|entry| tlog::leaf_hash(entry))
                    .collect();
                Ok(tile::write_hashes(&hashes))
            }
            TileKind::Hashes(level) => {
                let level = level.saturating_mul(tile::TILE_HEIGHT);
                let hash = |index| self.hash(level, index).ok_or_else(|| missing(level, index));
                let hashes: Result<Vec<_>, _> = (first..end).map(hash).collect();
                Ok(tile::write_hashes(&hashes?))
            }
        }
    }
}

impl Subtrees for Source<'_> {
    fn hash(&self, level: u8, index: u64) -> Option<Digest> {
        let mut tree = Frontier::new();
        if let Some(above) = level.checked_sub(tile::TILE_HEIGHT) {
            let first = usize::try_from(index.checked_shl(above.into())?).ok()?;
            let count = 1_usize.checked_shl(above.into())?;
            for root in self.roots.get(first..first.checked_add(count)?)? {
                tree.append(*root);
            }
        } else {
            let (first, count) = (index << level, 1 << level);
            for entry in self.leaves(first, u64::saturating_add(first, count))? {
                tree.append(tlog::leaf_hash(&entry));
            }
        }
        Some(tree.root())
    }
}

/// The same, each computed once: the paths of neighbours share most of theirs.
struct KnownRoots<'a> {
    source: &'a Source<'a>,
    hashes: RefCell<HashMap<(u8, u64), Digest>>,
}

impl Subtrees for KnownRoots<'_> {
    fn hash(&self, level: u8, index: u64) -> Option<Digest> {
        if let Some(known) = self.hashes.borrow().get(&(level, index)) {
            return Some(*known);
        }
        let hash = self.source.hash(level, index)?;
        self.hashes.borrow_mut().insert((level, index), hash);
        Some(hash)
    }
}

/// Computes the roots of full tiles that are missing.
fn fill(db: &Connection, roots: &mut Vec<Digest>, size: u64) -> rusqlite::Result<()> {
    loop {
        let first = len_u64(roots.len()).saturating_mul(tile::TILE_WIDTH);
        let end = first.saturating_add(tile::TILE_WIDTH);
        if end > size {
            break;
        }
        let values = params![first, end];
        let leaves = reader::rows(db, sql::LEAVES, values, |row| reader::digest(row, 0))?;
        let mut tree = Frontier::new();
        for commitment in &leaves {
            tree.append(tlog::leaf_hash(&tlog::leaf_entry(commitment)));
        }
        if tree.size() < tile::TILE_WIDTH {
            break;
        }
        roots.push(tree.root());
    }
    Ok(())
}

/// A file that can be made again: written only if it is missing or different, and not flushed.
fn write_derived(path: &Path, bytes: &[u8]) -> Result<(), DiskFault> {
    if std::fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| DiskFault::of("create", folder, &e))?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, bytes).map_err(|e| DiskFault::of("write", &beside, &e))?;
    durable::rename(&beside, path)
}

impl Ledger {
    async fn with_tree<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Source<'_>) -> T + Send + 'static,
    ) -> Result<T, StoreFault> {
        let (subtrees, size) = (Arc::clone(&self.subtrees), self.size());
        self.read(move |db| {
            let mut roots = subtrees.0.lock().unwrap_or_else(PoisonError::into_inner);
            fill(db, &mut roots, size)?;
            let roots = &roots;
            Ok(ask(&Source { db, roots }))
        })
        .await
    }

    /// The proof that the log of `old` leaves is the beginning of that of `new` leaves.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, StoreFault> {
        let proof = self.with_tree(move |tree| proof::consistency(old, new, tree));
        proof.await?.map_err(|fault| damaged(&fault))
    }

    /// The log computed anew from its first `size` leaves, for comparison with what is stored and signed.
    pub async fn recompute(&self, size: u64) -> Result<Frontier, StoreFault> {
        self.read(move |db| {
            let mut tree = Frontier::new();
            while tree.size() < size {
                let first = tree.size();
                let values = params![first, size.min(first.saturating_add(LEAVES_AT_ONCE))];
                let leaves = reader::rows(db, sql::LEAVES, values, |row| reader::digest(row, 0))?;
                if leaves.is_empty() {
                    break;
                }
                for commitment in leaves {
                    tree.append(tlog::leaf_hash(&tlog::leaf_entry(&commitment)));
                }
            }
            Ok(tree)
        })
        .await
    }

    /// The paths from these leaves to the root over the first `size` leaves.
    pub async fn paths(&self, size: u64, leaves: Vec<u64>) -> Result<Vec<Vec<Digest>>, StoreFault> {
        let paths = self.with_tree(move |tree| {
            let known = KnownRoots {
                source: tree,
                hashes: RefCell::default(),
            };
            let path = |leaf: &u64| proof::inclusion(size, *leaf, &known);
            leaves.iter().map(path).collect::<Result<_, _>>()
        });
        paths.await?.map_err(|fault| damaged(&fault))
    }

    /// The root over the first `size` leaves; none if there are fewer.
    pub async fn root_at(&self, size: u64) -> Result<Option<Digest>, StoreFault> {
        if size > self.size() {
            return Ok(None);
        }
        let root = self.with_tree(move |tree| proof::root(size, tree)).await?;
        root.map(Some).map_err(|fault| damaged(&fault))
    }

    /// Everything that proves the leaf at this index: under the newest checkpoint that a witness has cosigned and that
    /// covers it, else under the newest, which is signed now if none covers it.
    pub async fn prove(&self, index: u64) -> Result<Logged, StoreFault> {
        if self.head().is_none_or(|head| head.size <= index) {
            let signed = self.checkpoint().await;
            signed.map_err(|e| {
                StoreFault::Damaged(format!("no checkpoint covers leaf {index}: {e}"))
            })?;
        }
        let (note, witnesses) = self.checkpoint_over(index).await?;
        let size = Checkpoint::parse(&note).map_err(|e| StoreFault::Damaged(e.to_string()))?;
        let size = size.0.size;
        let path = self.with_tree(move |tree| proof::inclusion(size, index, tree));
        let path = path.await?.map_err(|fault| damaged(&fault))?;
        let proof = ProofFile {
            extra: None,
            index,
            proof: path,
            checkpoint: note,
        };
        Ok(Logged {
            proof,
            size,
            witnesses,
        })
    }

    /// The newest checkpoint that a witness has cosigned and that covers this leaf, else the newest, with the
    /// cosignatures on it, and who made them.
    pub async fn checkpoint_over(
        &self,
        index: u64,
    ) -> Result<(Vec<u8>, Vec<AuthorityId>), StoreFault> {
        let rows = self.cosigned().await?;
        let newest = self.last_checkpoint().unwrap_or_default().to_vec();
        let covering = rows.iter().find(|row| row.size > index);
        let note = covering.map_or(newest, |row| row.note.clone());
        Ok(with_cosignatures(&note, &rows))
    }

    /// The newest checkpoint with the cosignatures on it; none before the first.
    pub async fn cosigned_checkpoint(&self) -> Result<Option<Vec<u8>>, StoreFault> {
        let rows = self.cosigned().await?;
        let newest = self.last_checkpoint();
        Ok(newest.map(|note| with_cosignatures(&note, &rows).0))
    }

    /// Writes the log as files below `log/` in this state folder (C2SP tlog-tiles), as far as they are missing or
    /// different: all tiles, or only those that a log of `from` leaves does not have. Answers the size they are of.
    pub async fn publish(&self, folder: &Path, from: u64) -> Result<u64, PublishFault> {
        let Some(note) = self.cosigned_checkpoint().await? else {
            return Ok(0);
        };
        let (head, _) = Checkpoint::parse(&note).map_err(|e| StoreFault::Damaged(e.to_string()))?;
        let (folder, size) = (folder.join(LOG), head.size);
        let written = self.with_tree(move |tree| {
            for tile in tile::tiles(from.min(size), size) {
                let bytes = tree.tile(&tile).map_err(|fault| damaged(&fault))?;
                write_derived(&folder.join(tile.path()), &bytes)?;
            }
            let path = folder.join("checkpoint");
            if !std::fs::read(&path).is_ok_and(|found| found == note) {
                durable::create_dir(&folder)?;
                durable::write_new(&path, &note)?;
            }
            Ok::<_, PublishFault>(())
        });
        written.await??;
        Ok(size)
    }

    /// Whether the log of this checkpoint is the beginning of the own one, or all of it.
    pub async fn contains(&self, head: &Checkpoint) -> Result<bool, StoreFault> {
        Ok(self.root_at(head.size).await? == Some(head.root))
    }

    /// The checkpoint of the own log that the state here is older than, or contradicts; none when all is well.
    pub fn recovering(&self) -> Option<Checkpoint> {
        self.recovering.borrow().clone()
    }

    /// From now on nothing is signed: this checkpoint, which our own key signed, is not of the log that is here.
    pub async fn recover(&self, head: Checkpoint, note: &[u8]) -> Result<(), CommitFault> {
        let known = self.recovering();
        if known.is_some_and(|known| known.size >= head.size) {
            return Ok(());
        }
        self.recovering.send_replace(Some(head));
        let key = RECOVERING.to_owned();
        let value = note.to_vec();
        self.commit(vec![Op::Meta { key, value }]).await.map(|_| ())
    }

    /// At start: looks whether a checkpoint that our own key signed, kept from before or in the published log of this
    /// folder, is not of the log that is here. What cannot be read as one says nothing.
    pub async fn check_recovery(&self, folder: &Path) -> Result<(), StoreFault> {
        let kept = self.meta(RECOVERING).await?.unwrap_or_default();
        let published = std::fs::read(folder.join(LOG).join("checkpoint")).unwrap_or_default();
        let mut over = !kept.is_empty();
        for note in [kept, published] {
            let Ok(head) = Checkpoint::open(&note, &self.log_key) else {
                continue;
            };
            if !self.contains(&head).await? {
                over = false;
                let kept = self.recover(head, &note).await;
                kept.map_err(|e| StoreFault::Damaged(e.to_string()))?;
            }
        }
        if over {
            let (key, value) = (RECOVERING.to_owned(), Vec::new());
            let cleared = self.commit(vec![Op::Meta { key, value }]).await;
            cleared.map_err(|e| StoreFault::Damaged(e.to_string()))?;
        }
        Ok(())
    }

    /// The newest checkpoint of this authority's log that was cosigned here.
    pub async fn witnessed(&self, of: &AuthorityId) -> Result<Option<WitnessedRow>, StoreFault> {
        let of = of.clone();
        self.read(move |db| reader::row(db, sql::WITNESSED, [of.as_str()], reader::witnessed))
            .await
    }

    /// The newest checkpoints of all logs that were cosigned here.
    pub async fn witnessed_all(&self) -> Result<Vec<WitnessedRow>, StoreFault> {
        self.read(|db| reader::rows(db, sql::WITNESSED_ALL, [], reader::witnessed))
            .await
    }

    /// A checkpoint of this authority's log that was heard of and waits for a proof.
    pub async fn heard(&self, of: &AuthorityId) -> Result<Option<Vec<u8>>, StoreFault> {
        let of = of.clone();
        self.read(move |db| reader::row(db, sql::HEARD, [of.as_str()], |row| row.get(0)))
            .await
    }

    /// The faults of this authority's log.
    pub async fn alarm(&self, of: &AuthorityId) -> Result<Option<AlarmRow>, StoreFault> {
        let of = of.clone();
        self.read(move |db| reader::row(db, sql::ALARM, [of.as_str()], reader::alarm))
            .await
    }

    /// The faults of others' logs.
    pub async fn alarms(&self) -> Result<Vec<AlarmRow>, StoreFault> {
        self.read(|db| reader::rows(db, sql::ALARMS, [], reader::alarm))
            .await
    }

    /// The newest cosignature of each witness on the own log, those on the largest checkpoint first.
    pub async fn cosigned(&self) -> Result<Vec<CosignedRow>, StoreFault> {
        self.read(|db| reader::rows(db, sql::COSIGNED, [], reader::cosigned))
            .await
    }
}

/// Why the files of the log could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PublishFault {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskFault),
}

fn damaged(fault: &ProofFault) -> StoreFault {
    StoreFault::Damaged(format!("its log: {fault}"))
}

/// This note with the cosignatures that are on it, as many as a note may have, and who made them.
fn with_cosignatures(note: &[u8], rows: &[CosignedRow]) -> (Vec<u8>, Vec<AuthorityId>) {
    let mut whole = note.to_vec();
    let mut witnesses = Vec::new();
    for row in rows.iter().filter(|row| row.note == note) {
        let length = whole.len().saturating_add(row.line.len());
        let fits = length <= limits::STATEMENT_BYTES_MAX;
        if fits && witnesses.len().saturating_add(1) < limits::CHECKPOINT_SIGNATURES_MAX {
            whole.extend_from_slice(row.line.as_bytes());
            witnesses.push(row.by.clone());
        }
    }
    (whole, witnesses)
}
