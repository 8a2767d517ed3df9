//! `receipt export`: the receipts of one package as a folder that openssl, sha256sum and Python can check.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::types::{Bundle, BundleFile};
use crate::base::Digest;
use crate::daemon::Daemon;
use crate::identity::keys::PublicKey;
use crate::identity::statement::Note;
use crate::store::Exchange;
use crate::store::Ledger;
use crate::store::StatementRow;
use crate::store::StoreFault;
use crate::tlog;
use crate::tlog::Checkpoint;

/// One signature that VERIFY.txt tells how to check.
struct Check {
    note: String,
    key: String,
    signature: String,
    text: String,
    statement: String,
}

impl Daemon {
    /// The files of an export: notes as stored, their texts and raw signatures, the keys, the log's proof material, and
    /// what to run.
    pub(crate) async fn bundle(&self, exchange: &Exchange) -> Result<Bundle, StoreFault> {
        let rows = self.station.ledger.statements(&exchange.xid).await?;
        let keys = self.keys_of(exchange);
        // A full disk leaves the last one: what was logged after it has no proof yet.
        drop(self.station.ledger.checkpoint().await);
        let last = rows.iter().filter_map(|row| row.leaf).max().unwrap_or(0);
        let (head, _) = self.station.ledger.checkpoint_over(last).await?;
        let head = Some(head).filter(|head| !head.is_empty());
        let proofs = Proofs::read(&self.station.ledger, head.as_deref()).await?;
        let mut files = BTreeMap::new();
        let mut checks = Vec::new();
        for (index, row) in (1..).zip(&rows) {
            let base = format!("{index:02}-{}-{}", row.kind, row.signatures);
            let note = Note::parse(&row.note)
                .map_err(|e| StoreFault::Damaged(format!("statement {}: {e}", row.seq)))?;
            files.insert(format!("receipts/{base}.note"), row.note.clone());
            files.insert(format!("texts/{base}.txt"), note.text().as_bytes().to_vec());
            checks.extend(signatures(&note, &base, &keys, &mut files));
            if let Some(leaf) = leaf_file(row) {
                files.insert(format!("log/{base}.leaf.json"), leaf);
            }
            if let Some(proof) = row.leaf.and_then(|leaf| proofs.file(leaf)) {
                files.insert(format!("log/{base}.tlog-proof"), proof);
            }
        }
        for key in &keys {
            files.insert(
                format!("keys/{}.pem", file_name(key)),
                key.to_spki_pem().into_bytes(),
            );
        }
        files.insert(
            "keys/vkeys.txt".to_owned(),
            keys.iter()
                .fold(String::new(), |all, key| all + &key.to_vkey() + "\n")
                .into_bytes(),
        );
        if let Some(checkpoint) = head {
            files.insert("log/checkpoint".to_owned(), checkpoint);
        }
        let disclosures = exchange.disclosures.join("\n") + "\n";
        files.insert("disclosures.txt".to_owned(), disclosures.into_bytes());
        files.insert(
            "VERIFY.txt".to_owned(),
            instructions(exchange, &checks).into_bytes(),
        );
        let line =
            |(path, content): (&String, &Vec<u8>)| format!("{}  {path}\n", Digest::of(content));
        let manifest: String = files.iter().map(line).collect();
        files.insert("manifest-sha256.txt".to_owned(), manifest.into_bytes());
        Ok(Bundle {
            files: files
                .into_iter()
                .map(|(path, content)| BundleFile { path, content })
                .collect(),
        })
    }

    fn keys_of(&self, exchange: &Exchange) -> Vec<PublicKey> {
        let mut keys = vec![self.card.keys.receipts.clone(), self.card.keys.log.clone()];
        if let Some(peer) = self.roster.by_id(&exchange.peer) {
            keys.push(peer.card.keys.receipts.clone());
            keys.push(peer.card.keys.log.clone());
        }
        keys
    }
}

/// What inclusion proofs under one checkpoint are made from.
struct Proofs {
    checkpoint: Vec<u8>,
    leaves: Vec<Digest>,
    /// Hashes of complete subtrees that were asked for before: neighbours share most of theirs.
    known: RefCell<HashMap<(u8, u64), Digest>>,
}

impl Proofs {
    async fn read(ledger: &Ledger, note: Option<&[u8]>) -> Result<Self, StoreFault> {
        let head = note.and_then(|note| Checkpoint::parse(note).ok());
        let size = head.map_or(0, |(head, _)| head.size);
        Ok(Self {
            checkpoint: note.unwrap_or_default().to_vec(),
            leaves: ledger.leaf_hashes(size).await?,
            known: RefCell::default(),
        })
    }

    fn subtree(&self, level: u8, index: u64) -> Option<Digest> {
        if let Some(known) = self.known.borrow().get(&(level, index)) {
            return Some(*known);
        }
        let first = usize::try_from(index.checked_shl(level.into())?).ok()?;
        let end = first.checked_add(1_usize.checked_shl(level.into())?)?;
        let mut tree = tlog::Frontier::new();
        for leaf in self.leaves.get(first..end)? {
            tree.append(*leaf);
        }
        let root = tree.root();
        self.known.borrow_mut().insert((level, index), root);
        Some(root)
    }

    /// The proof file of a leaf; none if the checkpoint does not cover it.
    fn file(&self, leaf: u64) -> Option<Vec<u8>> {
        let size = self.leaves.len() as u64;
        let subtrees = |level, index| self.subtree(level, index);
        let file = tlog::ProofFile {
            extra: None,
            index: leaf,
            proof: tlog::proof::inclusion(size, leaf, &subtrees).ok()?,
            checkpoint: self.checkpoint.clone(),
        };
        Some(file.encode())
    }
}

fn file_name(key: &PublicKey) -> String {
    key.name().to_string().replace('/', "_")
}

fn signatures(
    note: &Note,
    base: &str,
    keys: &[PublicKey],
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for line in note.signatures() {
        let Some(key) = keys
            .iter()
            .find(|key| *key.name() == line.name && key.id() == line.id)
        else {
            continue;
        };
        let signature = format!("signatures/{base}.{}.sig", file_name(key));
        files.insert(signature.clone(), line.signature.to_vec());
        checks.push(Check {
            note: format!("receipts/{base}.note"),
            key: format!("keys/{}.pem", file_name(key)),
            signature,
            text: format!("texts/{base}.txt"),
            statement: base.to_owned(),
        });
    }
    checks
}

/// What ties a note to this authority's log: its random value and its leaf.
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

fn instructions(exchange: &Exchange, checks: &[Check]) -> String {
    let mut parts = vec![format!(
        "Receipts of exchange {}.\n\n\
         Everything here can be checked without the program that wrote it. Run these commands in this folder.\n\n\
         1. The files are complete and unchanged since the export:\n\n   sha256sum -c manifest-sha256.txt\n\n\
         2. The keys are the right ones. The files in keys/ are copies: compare them with the keys that the authorities\n   \
         publish or that you were given by another way. Nothing below proves anything without this step.\n\n\
         3. Each signature is good (OpenSSL 3.0 or later; each command must print \"Signature Verified Successfully\"):\n\n",
        exchange.xid
    )];
    for check in checks {
        parts.push(format!(
            "   openssl pkeyutl -verify -pubin -inkey {} -rawin -in {} -sigfile {}\n",
            check.key, check.text, check.signature
        ));
    }
    parts.push(
        "\n4. Each text and signature above is what stands in its note. A note is its text, an empty line, and one line a\n   \
         signature: \"— NAME BASE64\", where the decoded base64 is 4 bytes of key id and the 64 bytes of the signature:\n\n".to_owned(),
    );
    for check in checks {
        parts.push(format!(
            "   python3 -c \"import base64,sys;n,t,s=[open(p,'rb').read() for p in sys.argv[1:4]];\
             assert n.startswith(t+b'\\n');l=[base64.b64decode(x.split(b' ')[2])[4:] for x in n[len(t)+1:].splitlines()];\
             assert s in l;print('{} ok')\" {} {} {}\n",
            check.statement, check.note, check.text, check.signature
        ));
    }
    parts.push(
        "\n5. The chain: \"prev\" in each text is the SHA-256 of the text one step before (sha256sum texts/*).\n\n\
         A note with two signatures was signed by both authorities. These are technically strong signatures over what both\n\
         sides stated; they are not a qualified electronic registered delivery service.\n".to_owned(),
    );
    parts.concat()
}
