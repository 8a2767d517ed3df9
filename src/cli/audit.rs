//! `rogatory-audit`: the auditor's program. It reads the files it is given and nothing else.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

use crate::audit::{
    Anchors, Answered, AuditFault, ComparedPart, Comparison, Finding, FolderFault, Judgement,
    folder,
};
use crate::base::limits;
use crate::cli::failure::Failure;
use crate::cli::terminal::{self, Reader, Talk, Terminal};
use crate::cli::text;

const EXAMPLES: &str = "\
Examples:
  rogatory-audit verify ./bundle --keys keys.txt
  rogatory-audit explain ./bundle/receipts/05-handover-2.note";
const VERIFY_EXAMPLES: &str = "\
Examples:
  rogatory-audit verify ./bundle --keys keys.txt
  rogatory-audit verify ./bundle --keys keys.txt --quorum 1 --json";
const COMPARE_EXAMPLES: &str = "\
Examples:
  rogatory-audit compare ./bundle-ie ./bundle-de --keys keys.txt
  rogatory-audit compare earlier.note later.note --keys keys.txt --json";
const EXPLAIN_EXAMPLES: &str = "\
Examples:
  rogatory-audit explain ./bundle/receipts/05-handover-2.note
  rogatory-audit explain ./bundle/log/05-handover-2.tlog-proof --keys keys.txt";

/// Check exported receipts: offline, without a daemon, by keys that you got another way
#[derive(Debug, Parser)]
#[command(name = "rogatory-audit", version, after_help = EXAMPLES)]
struct Audit {
    /// Print JSON; errors on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(VerifyArgs),
    Compare(CompareArgs),
    Explain(ExplainArgs),
}

/// Judge an exported bundle. Exit code 0 all good, 7 something is wrong, 3 something cannot be judged
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
struct VerifyArgs {
    /// The exported folder
    dir: PathBuf,
    /// The keys that you trust: a file of vkeys of receipts, logs and witnesses, one a line
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// How many witnesses must have cosigned
    #[arg(long, value_name = "K", default_value_t = 0)]
    quorum: usize,
}

/// Find statements of one authority that exclude each other, in several bundles, receipts, checkpoints or cards
/// together, and receipts that one bundle of an exchange lacks. Exit code 0 none exclude each other, 7 some do or are
/// badly signed, 3 something cannot be compared
#[derive(Debug, Args)]
#[command(after_help = COMPARE_EXAMPLES)]
struct CompareArgs {
    /// Exported folders, and files with one receipt, checkpoint or card; two or more
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The keys that you trust: a file of vkeys, one a line; for cards those of cards, too
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
}

/// Say what a receipt, checkpoint, proof or leaf file means, and which openssl and Python commands check it
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
struct ExplainArgs {
    /// The file
    file: PathBuf,
    /// Keys to put into the commands
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    exit_code: u8,
    #[serde(flatten)]
    judgement: &'a Judgement,
}

#[derive(Debug, Serialize)]
struct CompareSummary<'a> {
    r#type: &'static str,
    exit_code: u8,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// Runs one command line and gives the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    let json = args.iter().any(|arg| arg == "--json");
    let reader = if json {
        Reader::Machines
    } else {
        Reader::People
    };
    let terminal = Terminal::new(reader, Talk::Normal, true);
    let parsed = Audit::command()
        .color(ColorChoice::Never)
        .try_get_matches_from(args)
        .and_then(|matches| Audit::from_arg_matches(&matches));
    let result = match parsed {
        Ok(audit) => match audit.command {
            Command::Verify(args) => args.run(terminal),
            Command::Compare(args) => args.run(terminal),
            Command::Explain(args) => args.run(terminal),
        },
        Err(error) => return not_parsed(&error, terminal),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}

fn not_parsed(error: &clap::Error, terminal: Terminal) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if terminal.json() && !asked {
        let text = error.to_string();
        terminal.failure(&Failure::usage(
            "usage",
            text.trim_start_matches("error: ").trim_end(),
        ));
    } else {
        // A closed stream leaves nothing to say.
        drop(error.print());
    }
    ExitCode::from(if asked { 0 } else { 2 })
}

fn anchors(path: &Path) -> Result<Anchors, Failure> {
    let unusable = |why: String| {
        Failure::configuration("keys-unusable", format!("{}: {why}", path.display())).next(
            "one vkey a line: NAME+ID+KEY, as `rogatory log keys` of an authority that you trust prints them",
        )
    };
    let bytes =
        folder::read_file(path, limits::KEY_FILE_BYTES_MAX).map_err(|e| unusable(e.to_string()))?;
    Anchors::parse(&bytes).map_err(|e| unusable(e.to_string()))
}

impl VerifyArgs {
    fn run(&self, terminal: Terminal) -> Result<(), Failure> {
        let anchors = anchors(&self.keys)?;
        let files = match folder::read(&self.dir) {
            Ok(files) => files,
            Err(e @ FolderFault::Unreadable { .. }) => {
                return Err(Failure::configuration("bundle-unreadable", e.to_string()));
            }
            Err(FolderFault::Foreign(file, why) | FolderFault::TooMuch(file, why)) => {
                let fault = AuditFault::new(&file, "file-foreign", why);
                told(&[fault], terminal);
                let text = format!("{} is not as it was exported", self.dir.display());
                return Err(Failure::verification("bundle-changed", text));
            }
        };
        let judgement = crate::audit::verify(&files, &anchors, self.quorum);
        let exit_code = judgement.exit_code();
        let summary = Summary {
            r#type: "summary",
            exit_code,
            judgement: &judgement,
        };
        if !terminal.json() {
            told(&judgement.faults, terminal);
        }
        terminal.show(&summary, |summary, _| verdicts(summary.judgement));
        match exit_code {
            0 => Ok(()),
            7 => {
                let count = text::count(judgement.faults.len() as u64, "thing does", "things do");
                let text = format!("{}: {count} not hold", self.dir.display());
                Err(Failure::verification("bundle-refused", text))
            }
            _ => {
                let text = format!(
                    "{} cannot be judged without {}",
                    self.dir.display(),
                    judgement.missing.join(", ")
                );
                Err(Failure::configuration("not-judged", text)
                    .next("get these keys from their owners, compare them, and add them to the file of keys"))
            }
        }
    }
}

fn told(faults: &[AuditFault], terminal: Terminal) {
    for fault in faults {
        if terminal.json() {
            terminal::value(&serde_json::json!({
                "type": "fault", "file": fault.file, "rule": fault.rule, "meaning": fault.meaning,
            }));
        } else {
            terminal.line(&format!(
                "wrong  {}: {}: {}",
                fault.file, fault.rule, fault.meaning
            ));
        }
    }
}

fn verdicts(judgement: &Judgement) -> String {
    let mut table = text::Table::new();
    table.field_if("exchange", judgement.xid.clone());
    for receipt in &judgement.receipts {
        let by = receipt.signed_by.join(" and ");
        table.field(
            &receipt.kind,
            format!("{}, signed by {by}  ({})", receipt.t, receipt.file),
        );
    }
    let cosigned = &judgement.cosigned;
    for (question, outcome, claim) in [
        (
            "files",
            judgement.files,
            "each is the one that the manifest lists",
        ),
        (
            "signatures",
            judgement.signatures,
            "each receipt is signed by whom it must be, by the keys you gave",
        ),
        (
            "steps",
            judgement.steps,
            "each receipt follows one that is here",
        ),
        (
            "included",
            judgement.included,
            "each receipt of the authority that exported them is in its log",
        ),
    ] {
        let answer = match outcome {
            Answered::Good => format!("good  {claim}"),
            Answered::Bad => format!("bad  it does not hold that {claim}"),
            Answered::Unjudged => format!("unjudged  whether {claim}"),
        };
        table.field(question, answer);
    }
    let count = format!(
        "by {} of {} witnesses, {} demanded",
        cosigned.k, cosigned.n, cosigned.quorum
    );
    // Nobody was demanded and nobody cosigned: that is not wrong, but "good" would say too much.
    let nobody = judgement.witnessed == Answered::Good && cosigned.k == 0;
    let word = if nobody {
        "none"
    } else {
        judgement.witnessed.as_str()
    };
    table.field("cosigned", format!("{word}  {count}"));
    table.render(false)
}

impl CompareArgs {
    fn run(&self, terminal: Terminal) -> Result<(), Failure> {
        let anchors = anchors(&self.keys)?;
        let places = self.paths.iter().map(|path| path.canonicalize());
        let places: BTreeSet<_> = places.filter_map(Result::ok).collect();
        let sources: Vec<_> = self
            .paths
            .iter()
            .map(|path| source(path))
            .collect::<Result<_, _>>()?;
        if places.len() < 2 {
            let name = self.paths.first().map(|path| path.display().to_string());
            let text = format!(
                "{} alone: there is nothing to compare it with",
                name.unwrap_or_default()
            );
            return Err(Failure::configuration("nothing-to-compare", text).next(
                "name two folders or files, or more; `rogatory-audit verify` judges one folder",
            ));
        }
        let comparison = crate::audit::compare(&sources, &anchors);
        let summary = CompareSummary {
            r#type: "summary",
            exit_code: comparison.exit_code(),
            comparison: &comparison,
        };
        if terminal.json() {
            terminal::value(&summary);
        } else {
            told(&comparison.faults, terminal);
            for line in compared(&comparison) {
                terminal.line(&line);
            }
        }
        not_one_story(&comparison)
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    text::count(number as u64, one, many)
}

/// The comparison, in lines for people.
fn compared(comparison: &Comparison) -> Vec<String> {
    let remarks = comparison.remarks.iter();
    let remarks = remarks.map(|it| format!("remark  {}: {}", it.rule, it.meaning));
    // Where nothing is graver, the error names the keys.
    let is_graver = !comparison.faults.is_empty();
    let missing = comparison.missing.iter().filter(|_| is_graver);
    let missing = missing.map(|key| format!("missing  {key}"));
    let counts = format!(
        "{} of {}, {}, {}",
        count(comparison.receipts, "receipt", "receipts"),
        count(comparison.exchanges, "exchange", "exchanges"),
        count(comparison.checkpoints, "checkpoint", "checkpoints"),
        count(comparison.cards, "card", "cards"),
    );
    let verdict = match comparison.finding() {
        Finding::Nothing => "none of them exclude each other",
        Finding::Excluding(_) => "compared",
        Finding::NotSigned(_) | Finding::Unreadable(_) | Finding::Missing => {
            "not all was compared; of what was, none exclude each other"
        }
    };
    let verdict = format!("{verdict}: {counts}");
    remarks.chain(missing).chain([verdict]).collect()
}

/// The failure that the gravest finding is, if it is one.
fn not_one_story(comparison: &Comparison) -> Result<(), Failure> {
    match comparison.finding() {
        Finding::Nothing => Ok(()),
        Finding::Excluding(pairs) => {
            let pairs = count(
                pairs,
                "pair of statements excludes",
                "pairs of statements exclude",
            );
            let text = format!("{pairs} each other");
            Err(Failure::verification("not-one-story", text)
                .next("keep both of each pair: they prove that their signer has said both"))
        }
        Finding::NotSigned(number) => {
            let number = count(number, "statement has", "statements have");
            let text = format!(
                "{number} a signature that is not good: changed or forged, no proof against anybody"
            );
            Err(Failure::verification("badly-signed", text))
        }
        Finding::Unreadable(number) => {
            let number = count(number, "file or folder has", "files or folders have");
            let text = format!("{number} no receipt, checkpoint or card that can be read");
            Err(Failure::configuration("source-unreadable", text))
        }
        Finding::Missing => {
            let keys = comparison.missing.join(", ");
            let text = format!("not all can be compared without {keys}");
            Err(Failure::configuration("not-judged", text).next(
                "get these keys from their owners, compare them, and add them to the file of keys",
            ))
        }
    }
}

/// A bundle, or a file with one statement, by the name it was given.
fn source(path: &Path) -> Result<(String, ComparedPart), Failure> {
    let name = path.display().to_string();
    let unreadable =
        |why: String| Failure::configuration("source-unreadable", format!("{name}: {why}"));
    if path.is_dir() {
        let files = folder::read(path).map_err(|e| unreadable(e.to_string()))?;
        return Ok((name, ComparedPart::Bundle(files)));
    }
    let content = folder::read_file(path, limits::STATEMENT_BYTES_MAX as u64);
    let content = content.map_err(|e| unreadable(e.to_string()))?;
    Ok((name, ComparedPart::Note(content)))
}

impl ExplainArgs {
    fn run(&self, terminal: Terminal) -> Result<(), Failure> {
        let keys = match &self.keys {
            Some(path) => anchors(path)?,
            None => Anchors::default(),
        };
        let content =
            folder::read_file(&self.file, limits::BUNDLE_FILE_BYTES_MAX).map_err(|e| {
                Failure::configuration(
                    "document-unreadable",
                    format!("{}: {e}", self.file.display()),
                )
            })?;
        let explained =
            crate::audit::explain::explain(&self.file, &content, &keys).map_err(|e| {
                Failure::verification("not-explained", format!("{}: {e}", self.file.display()))
            })?;
        if terminal.json() {
            terminal::value(&explained);
            return Ok(());
        }
        for sentence in &explained.words {
            terminal.line(sentence);
        }
        terminal.line("");
        terminal.line("The same without this program (POSIX shell, openssl 3, python3):");
        terminal.line("");
        terminal::raw(&explained.commands);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_help_has_two_examples() {
        Audit::command().debug_assert();
        let mut command = Audit::command();
        command.build();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            if command.get_name() == "help" {
                continue;
            }
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let examples: Vec<_> = help.lines().skip(1).collect();
            assert_eq!(examples.len(), 2, "{}", command.get_name());
            for example in examples {
                Audit::try_parse_from(example.split_whitespace()).unwrap();
            }
        }
    }
}
