//! `receipt`: the signed statements, and their export for others to check.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::api::types::{ReceiptDetail, ReceiptView};
use crate::base::Xid;
use crate::cli::call::Call;
use crate::cli::failure::Failure;
use crate::cli::folder;
use crate::cli::text::{self, Cell, Table, Tone};

const EXAMPLES: &str = "\
Examples:
  rogatory receipt list --package 5f0c11aa
  rogatory receipt export 5f0c11aa --out ./bundle";
const LIST_EXAMPLES: &str = "\
Examples:
  rogatory receipt list
  rogatory receipt list --package 5f0c11aa --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  rogatory receipt show 7
  rogatory receipt show 7 --json";
const EXPORT_EXAMPLES: &str = "\
Examples:
  rogatory receipt export 5f0c11aa --out ./bundle
  rogatory receipt export 5f0c11aa --out /media/court/bundle --json";

/// See, and hand on, the receipts that both sides hold
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum ReceiptCommand {
    /// List the receipts, of one package or all
    #[command(after_help = LIST_EXAMPLES)]
    List(ReceiptListArgs),
    /// Show one receipt: the signed note as it is
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ReceiptShowArgs),
    /// Write a package's receipts, keys and VERIFY.txt into a new folder: all that openssl needs to check them
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ReceiptExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReceiptListArgs {
    /// The package: its id, or at least 8 digits of it
    #[arg(long, value_name = "ID")]
    package: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReceiptShowArgs {
    /// The receipt's number in this ledger
    number: i64,
}

#[derive(Debug, Args)]
pub(crate) struct ReceiptExportArgs {
    /// The package: its id, or at least 8 digits of it
    id: String,
    /// The folder to make; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Exported<'a> {
    r#type: &'static str,
    id: Xid,
    out: &'a Path,
    files: Vec<String>,
}

impl ReceiptCommand {
    pub(crate) fn run(&self, call: &Call) -> Result<(), Failure> {
        let client = call.remote.client();
        match self {
            Self::List(args) => {
                let receipts = call.remote.call(client.receipts(args.package.as_deref()))?;
                call.terminal
                    .show(&receipts, |receipts, color| list(receipts).render(color));
            }
            Self::Show(args) => {
                let receipt = call.remote.call(client.receipt(args.number))?;
                call.terminal.show(&receipt, show);
            }
            Self::Export(args) => return args.run(call),
        }
        Ok(())
    }
}

impl ReceiptExportArgs {
    fn run(&self, call: &Call) -> Result<(), Failure> {
        folder::must_not_exist(&self.out)?;
        let package = call.remote.call(call.remote.client().package(&self.id))?;
        let mut files = call.remote.call(call.remote.client().bundle(&self.id))?;
        let files = std::iter::from_fn(|| call.remote.call(files.next()).transpose());
        let exported = Exported {
            r#type: "summary",
            id: package.package.id,
            out: &self.out,
            files: folder::write_new(&self.out, files)?,
        };
        call.terminal.show(&exported, |exported, _| {
            let text = format!(
                "{} in {}",
                text::count(exported.files.len() as u64, "file", "files"),
                exported.out.display()
            );
            format!("{}\n", text::escape(&text))
        });
        let verify = self.out.join("VERIFY.txt");
        call.terminal.note(&format!(
            "how to check them without this program: {}",
            verify.display()
        ));
        Ok(())
    }
}

/// The bytes that have left under an opening: no more than these.
fn at_most(bytes: u64) -> String {
    format!("at most {}", text::size(bytes))
}

/// The timeline of statements.
pub(crate) fn list(receipts: &[ReceiptView]) -> Table {
    let mut table = Table::headed(&[
        "no",
        "time",
        "kind",
        "issuer",
        "signed by",
        "package",
        "leaf",
    ]);
    for receipt in receipts {
        let tone = if receipt.reason.is_some() {
            Tone::Warn
        } else {
            Tone::Strong
        };
        let more = [receipt.reason.clone(), receipt.released.map(at_most)];
        let more = more.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let kind = if more.is_empty() {
            receipt.kind.clone()
        } else {
            format!("{}: {more}", receipt.kind)
        };
        table.row([
            receipt.seq.into(),
            text::time(receipt.t).into(),
            Cell::new(kind, tone),
            receipt.issuer.as_str().into(),
            if receipt.countersigned {
                "both"
            } else {
                "issuer"
            }
            .into(),
            receipt
                .xid
                .map_or_else(|| "-".to_owned(), |xid| xid.to_string())
                .into(),
            receipt
                .leaf
                .map_or_else(|| "-".to_owned(), |leaf| leaf.to_string())
                .into(),
        ]);
    }
    table
}

fn show(detail: &ReceiptDetail, color: bool) -> String {
    let receipt = &detail.receipt;
    let mut table = Table::new();
    table.field(
        "receipt",
        format!("{}, number {}", receipt.kind, receipt.seq),
    );
    table.field_if("package", receipt.xid.map(|xid| xid.to_string()));
    table.field("issuer", receipt.issuer.as_str());
    table.field(
        "signed by",
        if receipt.countersigned {
            "both sides"
        } else {
            "its issuer"
        },
    );
    table.field("time", text::time(receipt.t));
    table.field_if("reason", receipt.reason.as_deref());
    table.field_if("released", receipt.released.map(at_most));
    table.field_if("ETSI event", receipt.event.as_deref());
    table.field("SHA-256", receipt.digest);
    table.field_if("log leaf", receipt.leaf);
    format!(
        "{}\n{}",
        table.render(color),
        text::escape_lines(&detail.note)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_receipt_for_people() {
        let detail: ReceiptDetail = serde_json::from_value(json!({
            "seq": 7, "kind": "handover", "xid": "00112233445566778899aabbccddeeff", "issuer": "bfj.example.de",
            "countersigned": true, "t": "2026-11-23T09:00:00.000Z", "leaf": 3,
            "digest": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "note": "rogatory/receipt/v1\n{}\n\n\u{1b}— x\n",
        }))
        .unwrap();
        let shown = show(&detail, false);
        assert!(
            shown.starts_with("receipt    handover, number 7\n"),
            "{shown}"
        );
        assert!(
            shown.ends_with("\n\nrogatory/receipt/v1\n{}\n\n\\u{1b}— x\n"),
            "{shown}"
        );
        let line = list(&[detail.receipt]).render(false);
        assert!(
            line.ends_with("7   2026-11-23 09:00:00 UTC  handover  bfj.example.de  both       00112233445566778899aabbccddeeff  3\n"),
            "{line}"
        );
    }

    #[test]
    fn the_summary_of_an_export() {
        let exported = Exported {
            r#type: "summary",
            id: "00112233445566778899aabbccddeeff".parse().unwrap(),
            out: Path::new("b"),
            files: vec!["VERIFY.txt".to_owned()],
        };
        assert_eq!(
            serde_json::to_string(&exported).unwrap(),
            r#"{"type":"summary","id":"00112233445566778899aabbccddeeff","out":"b","files":["VERIFY.txt"]}"#
        );
    }
}
