//! `receipt export`: the receipts of one package as a folder that openssl, sha256sum and Python can check. Its files
//! are made one after the other while they are read: there may be many.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::api::server::ApiFailure;
use crate::api::types::BundleFile;
use crate::base::{Digest, limits};
use crate::daemon::Daemon;
use crate::identity::keys::PublicKey;
use crate::identity::statement::Note;
use crate::receipt;
use crate::store::{Exchange, Extent, Ledger, StatementRow, StoreFault, fork_key};
use crate::tlog::{self, Checkpoint, ProofFile};

/// Statements read at a time.
const PAGE: u32 = 256;
/// Files on their way to whoever asked.
const FILES_AHEAD: usize = 64;

/// A file as a line of JSON, or why there are no more.
pub(crate) type Line = io::Result<Bytes>;

/// Why an export ends before its end.
enum Stop {
    /// Nobody reads it any more.
    Unread,
    Fault(StoreFault),
}

impl From<StoreFault> for Stop {
    fn from(fault: StoreFault) -> Self {
        Self::Fault(fault)
    }
}

/// One export: what it is of, and where it has come to.
struct Export {
    ledger: Ledger,
    exchange: Exchange,
    extent: Extent,
    keys: Vec<PublicKey>,
    /// The checkpoint under which every leaf is proved, and its size.
    head: (Vec<u8>, u64),
    digests: BTreeMap<String, Digest>,
    to: mpsc::Sender<Line>,
}

impl Daemon {
    /// The files of an export: notes as stored, their texts and raw signatures, the keys, the log's proof material,
    /// what to run, and last the list of them all.
    pub(crate) async fn bundle(
        self: &Arc<Self>,
        exchange: Exchange,
    ) -> Result<mpsc::Receiver<Line>, ApiFailure> {
        let ledger = self.station.ledger.clone();
        let extent = ledger.extent(&exchange.xid).await;
        let extent = extent?.ok_or_else(|| {
            ApiFailure::missing("no-such-package", "there are no statements about it")
        })?;
        if extent.count > limits::BUNDLE_RECEIPTS_MAX {
            let message = format!(
                "the package has {} receipts, more than the {} that one export holds",
                extent.count,
                limits::BUNDLE_RECEIPTS_MAX
            );
            return Err(ApiFailure::usage("too-many-receipts", message)
                .next("rogatory receipt list --package ID --json lists them all"));
        }
        // A full disk leaves the last one: what was logged after it has no proof yet.
        drop(ledger.checkpoint().await);
        let head = ledger.checkpoint_over(extent.leaf.unwrap_or(0)).await;
        let (note, _) = head?;
        let size = Checkpoint::parse(&note).map_or(0, |(head, _)| head.size);
        let (to, lines) = mpsc::channel(FILES_AHEAD);
        let export = Export {
            keys: self.keys_of(&exchange),
            ledger,
            exchange,
            extent,
            head: (note, size),
            digests: BTreeMap::new(),
            to,
        };
        tokio::spawn(export.run());
        Ok(lines)
    }

    fn keys_of(&self, exchange: &Exchange) -> Vec<PublicKey> {
        let own = self.station.own.keys.public().all().into_iter().cloned();
        let mut keys: Vec<_> = own.chain([self.card.keys.log.clone()]).collect();
        if let Some(peer) = self.roster.keys(&exchange.peer) {
            keys.extend(peer.all().into_iter().cloned());
        }
        if let Some(peer) = self.roster.by_id(&exchange.peer) {
            keys.push(peer.card.keys.log.clone());
        }
        keys
    }
}

impl Export {
    async fn run(mut self) {
        if let Err(Stop::Fault(fault)) = self.files().await {
            let xid = self.exchange.xid;
            tracing::error!(%xid, "the export of its receipts breaks off: {fault}");
            // If nobody reads it any more, nobody has to be told.
            drop(self.to.send(Err(io::Error::other(fault))).await);
        }
    }

    async fn files(&mut self) -> Result<(), Stop> {
        self.receipts().await?;
        let keys = std::mem::take(&mut self.keys);
        for key in &keys {
            let path = format!("keys/{}.pem", key.file_name());
            self.file(path, key.to_spki_pem().into_bytes()).await?;
        }
        let vkeys = keys.iter();
        let vkeys = vkeys.fold(String::new(), |all, key| all + &key.to_vkey() + "\n");
        self.file("keys/vkeys.txt".to_owned(), vkeys.into_bytes())
            .await?;
        let checkpoint = std::mem::take(&mut self.head.0);
        if !checkpoint.is_empty() {
            self.file("log/checkpoint".to_owned(), checkpoint).await?;
        }
        let disclosures = self.exchange.disclosures.join("\n") + "\n";
        self.file("disclosures.txt".to_owned(), disclosures.into_bytes())
            .await?;
        let instructions = instructions(&self.exchange);
        self.file("VERIFY.txt".to_owned(), instructions.into_bytes())
            .await?;
        let listed = std::mem::take(&mut self.digests);
        let line = |(path, digest): (&String, &Digest)| format!("{digest}  {path}\n");
        let manifest: String = listed.iter().map(line).collect();
        self.file("manifest-sha256.txt".to_owned(), manifest.into_bytes())
            .await
    }

    /// Writes the receipts that there were when the checkpoint was signed; later ones are for a later export.
    async fn receipts(&mut self) -> Result<(), Stop> {
        let digits = self.extent.count.to_string().len().max(2);
        let mut number = 0_u64;
        let mut next = Some(None);
        while let Some(after) = next {
            let page = self.ledger.statements(&self.exchange.xid, PAGE, after);
            let (mut rows, more) = page.await?.into_parts();
            rows.retain(|row| row.seq <= self.extent.last);
            next = more.filter(|_| !rows.is_empty()).map(Some);
            let leaves = rows.iter().filter_map(|row| row.leaf);
            let proved = leaves.filter(|leaf| *leaf < self.head.1).collect();
            let mut paths = self.ledger.paths(self.head.1, proved).await?.into_iter();
            for row in &rows {
                number += 1;
                let base = format!("{number:0digits$}-{}-{}", row.kind, row.signatures);
                let leaf = row.leaf.filter(|leaf| *leaf < self.head.1);
                let proof = leaf.and_then(|leaf| Some((leaf, paths.next()?)));
                self.receipt(row, &base, proof).await?;
            }
        }
        let fork = self
            .ledger
            .meta(&fork_key(&self.exchange.peer, &self.exchange.xid))
            .await?;
        let Some(fork) = fork else {
            return Ok(());
        };
        // Not taken, but kept as the proof against whoever has signed it.
        let damaged =
            |e: String| StoreFault::Damaged(format!("a statement that excludes another: {e}"));
        let note = Note::parse(&fork).map_err(|e| damaged(e.to_string()))?;
        let kind = receipt::open(&note)
            .map_err(|e| damaged(e.to_string()))?
            .kind;
        let (next, signatures) = (number.saturating_add(1), note.signatures().len());
        self.noted(&fork, &format!("{next:0digits$}-{kind}-{signatures}"))
            .await
    }

    async fn receipt(
        &mut self,
        row: &StatementRow,
        base: &str,
        path: Option<(u64, Vec<Digest>)>,
    ) -> Result<(), Stop> {
        self.noted(&row.note, base).await?;
        if let Some(leaf) = leaf_file(row) {
            self.file(format!("log/{base}.leaf.json"), leaf).await?;
        }
        if let Some((index, proof)) = path {
            let file = ProofFile {
                extra: None,
                index,
                proof,
                checkpoint: self.head.0.clone(),
            };
            self.file(format!("log/{base}.tlog-proof"), file.encode())
                .await?;
        }
        Ok(())
    }

    /// A note, its text and its raw signatures.
    async fn noted(&mut self, note: &[u8], base: &str) -> Result<(), Stop> {
        let bytes = note.to_vec();
        let note = Note::parse(note).map_err(|e| StoreFault::Damaged(format!("{base}: {e}")))?;
        let text = note.text().as_bytes().to_vec();
        self.file(format!("receipts/{base}.note"), bytes).await?;
        self.file(format!("texts/{base}.txt"), text).await?;
        for line in note.signatures() {
            let is_it = |key: &&PublicKey| *key.name() == line.name && key.id() == line.id;
            if let Some(key) = self.keys.iter().find(is_it) {
                let path = format!("signatures/{base}.{}.sig", key.file_name());
                self.file(path, line.signature.to_vec()).await?;
            }
        }
        Ok(())
    }

    async fn file(&mut self, path: String, content: Vec<u8>) -> Result<(), Stop> {
        self.digests.insert(path.clone(), Digest::of(&content));
        let file = BundleFile { path, content };
        let mut line = serde_json::to_vec(&file)
            .map_err(|e| StoreFault::Damaged(format!("{} is no JSON: {e}", file.path)))?;
        line.push(b'\n');
        let sent = self.to.send(Ok(line.into())).await;
        sent.map_err(|_| Stop::Unread)
    }
}

/// Ties a note to this authority's log: its random value and its leaf.
fn leaf_file(row: &StatementRow) -> Option<Vec<u8>> {
    let (leaf, r) = (row.leaf?, row.r?);
    let entry = tlog::leaf_entry(&tlog::commitment(&r, &row.digest));
    let leaf = serde_json::json!({
        "index": leaf,
        "r": hex::encode(r),
        "note_sha256": row.digest,
        "entry": STANDARD.encode(&entry),
        "leaf_hash": tlog::leaf_hash(&entry),
    });
    Some(crate::base::json::canonical(&leaf))
}

/// The commands that check everything, whatever is in the folder.
fn instructions(exchange: &Exchange) -> String {
    format!(
        "Receipts of exchange {}.\n\n\
         Everything here can be checked without the program that wrote it. Run these commands in this folder.\n\n\
         1. The files are complete and unchanged since the export:\n\n   sha256sum -c manifest-sha256.txt\n\n\
         2. The keys are the right ones. The files in keys/ are copies: compare them with the keys that the authorities\n   \
         publish or that you were given by another way. Nothing below proves anything without this step.\n\n\
         3. Each signature is good (OpenSSL 3.0 or later): the name of each must be followed by \"Signature Verified\n   \
         Successfully\". The first that is not good ends the command:\n\n   \
         {SIGNATURES}\n\n\
         4. Each text and signature above is what stands in its note. A note is its text, an empty line, and one line a\n   \
         signature: \"— NAME BASE64\", where the decoded base64 is 4 bytes of key id and the 64 bytes of the signature:\n\n   \
         {NOTES}\n\n\
         5. The chain: \"prev\" in each text is the SHA-256 of the text one step before (sha256sum texts/*).\n\n\
         A note with two signatures was signed by both authorities. These are technically strong signatures over what both\n\
         sides stated; they are not a qualified electronic registered delivery service.\n",
        exchange.xid
    )
}

/// A signature file is called as its text, then as its key.
const SIGNATURES: &str = r#"(set -e; for s in signatures/*.sig; do n=${s#signatures/}; k=${n#*.}; echo "$n"; openssl pkeyutl -verify -pubin -inkey "keys/${k%.sig}.pem" -rawin -in "texts/${n%%.*}.txt" -sigfile "$s"; done)"#;

const NOTES: &str = r#"python3 -c "import base64,os;r=lambda *p:open(os.path.join(*p),'rb').read();s={};[s.setdefault(f.split('.')[0],[]).append(r('signatures',f)) for f in os.listdir('signatures')];l=lambda n,t:[base64.b64decode(x.split(b' ')[2])[4:] for x in n[len(t)+1:].splitlines()];ok=lambda b,n,t:n.startswith(t+b'\n') and all(x in l(n,t) for x in s[b]);bad=[f for f in sorted(os.listdir('receipts')) if not ok(f[:-5],r('receipts',f),r('texts',f[:-5]+'.txt'))];print('NOT GOOD: %s'%bad if bad else 'ok: %d notes'%len(os.listdir('receipts')));raise SystemExit(bool(bad))""#;
