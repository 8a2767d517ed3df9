//! A package that should not have been sent: taken back, destroyed at the receiver, and receipted to the sender.

use serde_json::Value;

use crate::cli::demo::cast::{PATIENCE, PERMITTED, RECEIVER, SENDER, text_of};
use crate::cli::demo::delivery;
use crate::cli::demo::stage::Stage;
use crate::cli::failure::Failure;

/// Sends one file, takes it back, and waits until the receiver's `destroyed` is signed by both.
pub(super) fn destroy(stage: &Stage) -> Result<(), Failure> {
    let id = stage.step("send a file that should not have been sent", || {
        let path = stage.dir().join("wrong-file.txt");
        let unwritten = |e| Failure::failed("no-file", format!("{}: {e}", path.display()));
        std::fs::write(&path, "another person's file\n").map_err(unwritten)?;
        let last_day = delivery::retain_until(stage)?;
        let words = [
            "package",
            "send",
            "--to",
            RECEIVER.alias,
            "--case",
            "IE-2026-17",
            "--instrument",
            "EIO",
            "--purpose",
            PERMITTED,
            "--retain-until",
            &last_day,
            "--wait",
        ];
        let sent = stage.ask(SENDER, &words, &[&path])?;
        let id = text_of(&sent, "id")?;
        let said = format!("package {id} is handed over, and should not have been sent");
        Ok((id, said))
    })?;
    let none: [&str; 0] = [];
    stage.step("take it back", || {
        let why = ["--justification", "the wrong person's file"];
        let words = [&["package", "withdraw", &id][..], &why].concat();
        stage.ask(SENDER, &words, &none)?;
        stage.wait("the receiver does not learn of it", PATIENCE, || {
            let due = stage.block_on(stage.client(RECEIVER).due());
            let is_due = due.is_ok_and(|due| due.iter().any(|it| it.package.id.to_string() == id));
            Ok(is_due.then_some(()))
        })?;
        let said = format!(
            "{} took it back: {} may keep it no longer",
            SENDER.id, RECEIVER.id
        );
        Ok(((), said))
    })?;
    stage.step("destroy it, with a receipt for the sender", || {
        stage.ask(RECEIVER, &["package", "purge", "--due", "--yes"], &none)?;
        let receipt = stage.wait("the sender gets no receipt", PATIENCE, || {
            let words = ["receipt", "list", "--package", &id];
            Ok(signed_by_both(&stage.ask(SENDER, &words, &none)?))
        })?;
        let said = format!(
            "{} destroyed it; {} holds the receipt of that, signed by both: {receipt:.16}…",
            RECEIVER.id, SENDER.id
        );
        Ok(((), said))
    })
}

/// The digest of the completed `destroyed` among these receipts.
fn signed_by_both(receipts: &Value) -> Option<String> {
    let is_destroyed = |it: &&Value| it["kind"] == "destroyed" && it["countersigned"] == true;
    let found = receipts.as_array()?.iter().find(is_destroyed)?;
    found["digest"].as_str().map(str::to_owned)
}
