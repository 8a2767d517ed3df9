//! The steps, in order; each must hold.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::api::types::ReceiptView;
use crate::cli::demo::cast::{PATIENCE, PERMITTED, RECEIVER, SENDER, text_of};
use crate::cli::demo::lines::say_under;
use crate::cli::demo::stage::{self, Actor, Authority, Stage};
use crate::cli::demo::{check, delivery, ending};
use crate::cli::failure::Failure;
use crate::cli::{dossier, text};

const DISK_IMAGE_BYTES: u64 = 64 << 20;
/// Any seed does; with this one every demo sends the same bytes.
const DOSSIER_SEED: u64 = 20_261_123;
const REFUSED: &str = "civil-claim";

/// The two daemons, up as long as this is held.
pub(super) struct Daemons<'a> {
    /// The package that was exchanged.
    pub(super) package: String,
    _sender: Actor<'a>,
    _receiver: Actor<'a>,
}

/// Tells it all.
pub(super) fn tell<'a>(stage: &'a Stage, paths: &[PathBuf]) -> Result<Daemons<'a>, Failure> {
    let paths = dossier(stage, paths)?;
    let sender_daemon = found(stage, SENDER)?;
    let receiver_daemon = found(stage, RECEIVER)?;
    pair(stage, SENDER, RECEIVER)?;
    pair(stage, RECEIVER, SENDER)?;
    ping(stage)?;
    let (id, receiver_daemon) = delivery::deliver(stage, &paths, receiver_daemon)?;
    timeline(stage, &id)?;
    open_permitted(stage, &id, &paths)?;
    open_refused(stage, &id)?;
    for authority in [SENDER, RECEIVER] {
        export(stage, authority, &id)?;
    }
    ending::destroy(stage)?;
    Ok(Daemons {
        package: id,
        _sender: sender_daemon,
        _receiver: receiver_daemon,
    })
}

fn dossier(stage: &Stage, paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if !paths.is_empty() {
        return paths.iter().map(|path| absolute(path)).collect();
    }
    stage.step("make a dossier", || {
        let dir = stage.dir().join("dossier");
        let written = dossier::write(&dir, DOSSIER_SEED, DISK_IMAGE_BYTES).map_err(|e| {
            Failure::failed(
                "no-dossier",
                format!("{} cannot be written: {e}", dir.display()),
            )
        })?;
        let names: Vec<_> = written
            .iter()
            .filter_map(|path| path.file_name()?.to_str())
            .collect();
        let said = format!("made a dossier: {}", names.join(", "));
        Ok((vec![dir], said))
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::fs::canonicalize(path).map_err(|e| {
        Failure::usage(
            "input-refused",
            format!("{} cannot be read: {e}", path.display()),
        )
    })
}

/// Makes an authority and starts its daemon.
fn found(stage: &Stage, authority: Authority) -> Result<Actor<'_>, Failure> {
    let what = format!("make {} and start its daemon", authority.id);
    stage.step(&what, || {
        let listen = format!("127.0.0.1:{}", stage::free_port()?);
        let options = [
            "--authority",
            authority.id,
            "--name",
            authority.name,
            "--country",
            authority.country,
            "--listen",
            &listen,
            "--alias",
            authority.alias,
        ];
        stage.ask(authority, &["init"], &options)?;
        let daemon = stage.serve(authority)?;
        let said = format!(
            "{} ({}) serves on {listen}, process {}",
            authority.id,
            authority.alias,
            daemon.pid()
        );
        Ok((daemon, said))
    })
}

/// `own` takes in the card of `other` and accepts it after the words were compared.
fn pair(stage: &Stage, own: Authority, other: Authority) -> Result<(), Failure> {
    stage.step(&format!("{} accepts {}", own.id, other.id), || {
        let none: [&str; 0] = [];
        let read_out = text_of(&stage.ask(other, &["peer", "card"], &none)?, "fingerprint")?;
        let card = stage.home(other).join(format!("{}.card", other.alias));
        let added = stage.ask(own, &["peer", "add"], &[card])?;
        let shown = text_of(&added, "fingerprint")?;
        if shown != read_out {
            let text = format!(
                "{} shows {shown}, {} reads out {read_out}",
                own.id, other.id
            );
            return Err(Failure::trust("fingerprints-differ", text));
        }
        stage.ask(
            own,
            &["peer", "accept", other.alias, "--fingerprint", &read_out],
            &none,
        )?;
        Ok(((), format!("{} accepted {}: {read_out}", own.id, other.id)))
    })
}

fn ping(stage: &Stage) -> Result<(), Failure> {
    stage.step("the sender reaches the receiver", || {
        let none: [&str; 0] = [];
        let mut last = None;
        let answer = stage.wait("no ping is answered", PATIENCE, || {
            match stage.ask(SENDER, &["peer", "ping", RECEIVER.alias], &none) {
                Ok(answer) => Ok(Some(answer)),
                Err(failure) => {
                    last = Some(failure);
                    Ok(None)
                }
            }
        });
        let answer = answer.map_err(|timed_out| last.unwrap_or(timed_out))?;
        let micros = answer
            .get("rtt_us")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        Ok((
            (),
            format!(
                "{} reaches {} over QUIC, round trip {micros} µs",
                SENDER.id, RECEIVER.id
            ),
        ))
    })
}

fn timeline(stage: &Stage, id: &str) -> Result<(), Failure> {
    let rows = stage.step("both sides hold receipts", || {
        let mut rows = Vec::new();
        for authority in [SENDER, RECEIVER] {
            let listed = stage.ask(
                authority,
                &["receipt", "list", "--package", id],
                &[] as &[&str],
            )?;
            let listed: Vec<ReceiptView> = serde_json::from_value(listed).map_err(|e| {
                Failure::failed(
                    "no-json",
                    format!("the list of receipts cannot be read: {e}"),
                )
            })?;
            let handover = listed
                .iter()
                .any(|row| row.kind == "handover" && row.countersigned);
            if !handover {
                let text = format!(
                    "{} holds no handover receipt with both signatures",
                    authority.id
                );
                return Err(Failure::verification("no-handover", text));
            }
            rows.extend(listed.into_iter().map(|row| (authority.alias, row)));
        }
        rows.sort_by_key(|(alias, row)| (row.t, row.countersigned, *alias));
        let said = format!("{} statements about it, in both ledgers:", rows.len());
        Ok((rows, said))
    })?;
    say_under(stage.terminal(), &timeline_text(&rows));
    Ok(())
}

fn timeline_text(rows: &[(&str, ReceiptView)]) -> String {
    let mut table =
        text::Table::headed(&["time", "held by", "kind", "issuer", "signed by", "leaf"]);
    for (alias, row) in rows {
        let signed = if row.countersigned { "both" } else { "issuer" };
        let leaf = row
            .leaf
            .map_or_else(|| "-".to_owned(), |leaf| leaf.to_string());
        table.row([
            row.t.into(),
            (*alias).into(),
            (&row.kind).into(),
            row.issuer.as_str().into(),
            signed.into(),
            leaf.into(),
        ]);
    }
    table.render(false)
}

fn open_permitted(stage: &Stage, id: &str, paths: &[PathBuf]) -> Result<(), Failure> {
    stage.step("open it for the permitted purpose", || {
        let out = stage.dir().join("opened");
        let words = [
            "package",
            "open",
            id,
            "--purpose",
            PERMITTED,
            "--justification",
            "main hearing",
            "--out",
        ];
        stage.ask(RECEIVER, &words, &[&out])?;
        let compared = check::same_files(paths, &out.join("data"))?;
        let said = format!(
            "opened for {PERMITTED}: {} byte for byte as sent ({})",
            text::count(compared.files, "file is", "files are"),
            text::size(compared.bytes)
        );
        Ok(((), said))
    })
}

fn open_refused(stage: &Stage, id: &str) -> Result<(), Failure> {
    stage.step("refuse to open it for another purpose", || {
        let out = stage.dir().join("not-opened");
        let words = [
            "package",
            "open",
            id,
            "--purpose",
            REFUSED,
            "--justification",
            "claim of the victim",
            "--out",
        ];
        let mut command = stage.rogatory(RECEIVER, &words, &[&out]);
        let output = stage.output(&mut command)?;
        if output.status.code() != Some(4) || out.exists() {
            let text = format!(
                "opening for {REFUSED} ended with {} instead of exit code 4",
                output.status
            );
            return Err(Failure::verification("not-refused", text));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Value = serde_json::from_str(said.trim_end().lines().last().unwrap_or_default())
            .map_err(|e| Failure::failed("no-json", format!("the refusal is no JSON: {e}")))?;
        let denial = last.get("denial").cloned().unwrap_or_default();
        let said = format!(
            "refused for {REFUSED} (exit code 4): rule {}, {}, {}",
            text_of(&denial, "rule")?,
            text_of(&denial, "term")?,
            text_of(&denial, "clause")?
        );
        Ok(((), said))
    })
}

fn export(stage: &Stage, authority: Authority, id: &str) -> Result<(), Failure> {
    stage.step(
        &format!("check the receipts of {} with openssl", authority.id),
        || {
            let out = stage.dir().join(format!("bundle-{}", authority.alias));
            stage.ask(authority, &["receipt", "export", id, "--out"], &[&out])?;
            let checked = check::follow_instructions(stage, &out)?;
            let said = format!(
                "receipts of {} exported; VERIFY.txt followed: {} good by openssl",
                authority.id,
                text::count(checked, "signature", "signatures")
            );
            Ok(((), said))
        },
    )
}

/// Commands to try.
pub(super) fn invite(stage: &Stage, package: &str) {
    let terminal = stage.terminal();
    let (program, dir) = (stage.program().display(), stage.dir().display());
    terminal.line("");
    terminal.line("Both daemons stay up until Ctrl-C. Try in another terminal:");
    for words in [
        format!("status --home {dir}/ie"),
        format!("package show {package} --home {dir}/de"),
        format!(
            "package open {package} --purpose {PERMITTED} --justification 'to try' --out {dir}/again --home {dir}/de"
        ),
        format!("receipt list --home {dir}/ie"),
        format!("transfer list --home {dir}/ie"),
        format!("log keys --home {dir}/de"),
    ] {
        terminal.line(&format!("  {program} {words}"));
    }
}
