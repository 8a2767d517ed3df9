//! `log`: the own Merkle log, and the keys that everything is checked against.

use clap::Subcommand;
use serde::Serialize;

use crate::api::types::{AnchorView, LogStatus, ProofView};
use crate::base::AuthorityId;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::text::{self, Cell, Table, Tone};

const EXAMPLES: &str = "\
Examples:
  rogatory log status
  rogatory log prove 3f9c12ab --out ./proofs";
const STATUS_EXAMPLES: &str = "\
Examples:
  rogatory log status
  rogatory log status --json";
const CHECKPOINT_EXAMPLES: &str = "\
Examples:
  rogatory log checkpoint
  rogatory log checkpoint --json";
const PROVE_EXAMPLES: &str = "\
Examples:
  rogatory log prove 3f9c12ab --out ./proofs
  rogatory log prove 3f9c12ab --json";
const KEYS_EXAMPLES: &str = "\
Examples:
  rogatory log keys
  rogatory log keys --json";

/// See the log of this authority and the keys to check it with
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum LogCommand {
    /// Show how long the log is, and its last checkpoint
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// Sign a checkpoint over all that is committed, and print it
    #[command(after_help = CHECKPOINT_EXAMPLES)]
    Checkpoint,
    /// Prove that the receipts of a package, or one receipt, are in the log of this authority
    #[command(after_help = PROVE_EXAMPLES)]
    Prove {
        /// A package, by its id or its first 8 digits, or a receipt, by the SHA-256 of its note
        #[arg(value_name = "PACKAGE|RECEIPT")]
        name: String,
        /// Write each proof as a file into this folder
        #[arg(long, value_name = "DIR")]
        out: Option<std::path::PathBuf>,
    },
    /// Print the trust anchors of this authority and its peers as verifier keys
    #[command(after_help = KEYS_EXAMPLES)]
    Keys,
}

#[derive(Debug, Serialize)]
struct Checkpoint {
    note: String,
}

impl LogCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        match self {
            Self::Status => {
                let log = call.remote.call(client.log())?;
                call.terminal
                    .show(&log, |log, color| status(log).render(color));
            }
            Self::Checkpoint => {
                let note = call.remote.call(client.checkpoint())?;
                call.terminal.show(&Checkpoint { note }, |made, _| {
                    text::escape_lines(&made.note)
                });
            }
            Self::Prove { name, out } => {
                let proofs = call.remote.call(client.proofs(name))?;
                if let Some(folder) = out {
                    write(folder, &proofs)?;
                }
                let whole = out.is_none();
                call.terminal
                    .show(&proofs, |proofs, color| proved(proofs, whole, color));
            }
            Self::Keys => {
                let anchors = call.remote.call(client.anchors())?;
                call.terminal.show(&anchors, |anchors, _| keys(anchors));
            }
        }
        Ok(())
    }
}

fn status(log: &LogStatus) -> Table {
    let mut table = Table::new();
    table.field("log", Cell::new(&log.origin, Tone::Strong));
    table.field("leaves", log.size);
    table.field(
        "checkpoint",
        format!(
            "over {}",
            text::count(log.checkpoint_size, "leaf", "leaves")
        ),
    );
    table.field("root", log.checkpoint_root);
    if let Some(at) = log.checkpoint_at {
        table.field("signed", text::time(at));
    }
    for cosigned in &log.cosigned {
        let over = text::count(cosigned.size, "leaf", "leaves");
        let when = text::time(cosigned.at);
        table.field(
            "cosigned",
            format!("by {}, over {over}, {when}", cosigned.by),
        );
    }
    if let Some(newer) = &log.recovering {
        let over = text::count(newer.size, "leaf", "leaves");
        let text = format!(
            "nothing: others hold a checkpoint over {over} that is not of this state; stop the daemon and restore the newest state"
        );
        table.field("signs", Cell::new(text, Tone::Bad));
    }
    for alarm in &log.alarms {
        let text = format!(
            "of {}, found {}; both checkpoints are in {}",
            alarm.of,
            text::time(alarm.at),
            alarm.files
        );
        table.field(
            if alarm.kind == "fork" {
                "fork"
            } else {
                "unproved"
            },
            Cell::new(text, Tone::Bad),
        );
    }
    table
}

/// One file a receipt, named by what it states and its digest.
fn write(folder: &std::path::Path, proofs: &[ProofView]) -> Result<(), Failure> {
    let cannot = |path: &std::path::Path, e: &std::io::Error| {
        Failure::failed("cannot-write", format!("{}: {e}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|e| cannot(folder, &e))?;
    for proof in proofs {
        let path = folder.join(file_name(proof));
        std::fs::write(&path, &proof.proof).map_err(|e| cannot(&path, &e))?;
    }
    Ok(())
}

fn file_name(proof: &ProofView) -> String {
    let digest = proof.receipt.to_string();
    format!("{}-{}.tlog-proof", proof.kind, &digest[..16])
}

fn proved(proofs: &[ProofView], whole: bool, color: bool) -> String {
    if let ([only], true) = (proofs, whole) {
        return text::escape_lines(&only.proof);
    }
    let mut table = Table::headed(&["receipt", "leaf", "checkpoint over", "cosigned by", "file"]);
    for proof in proofs {
        let witnesses: Vec<_> = proof.cosigned.iter().map(AuthorityId::as_str).collect();
        table.row([
            (&proof.kind).into(),
            proof.index.to_string().into(),
            proof.size.to_string().into(),
            witnesses.join(", ").into(),
            if whole {
                String::new()
            } else {
                file_name(proof)
            }
            .into(),
        ]);
    }
    table.render(color)
}

/// A file of keys, as `rogatory-audit` reads it: keys of peers that are not accepted are comments.
fn keys(anchors: &[AnchorView]) -> String {
    let mut text = String::new();
    let mut whose = None;
    for anchor in anchors {
        let this = (&anchor.id, &anchor.state);
        if whose != Some(this) {
            text.extend(["# ", anchor.id.as_str(), ", ", &anchor.state, "\n"]);
            whose = Some(this);
        }
        // Nobody has said yet, or says any more, that such a key is that authority's.
        if !matches!(anchor.state.as_str(), "own" | "accepted") {
            text.push_str("# ");
        }
        text.push_str(&anchor.vkey);
        text.push('\n');
    }
    text::escape_lines(&text)
}
