//! The meaning of one file of a bundle, in words, and how to check it with openssl and Python alone.

use std::path::Path;

use crate::audit::anchors::Anchors;
use crate::audit::inclusion::LeafTie;
use crate::audit::recipes;
use crate::identity::note::SignatureLine;
use crate::identity::statement::Note;
use crate::policy::Terms;
use crate::receipt;
use crate::receipt::{Kind, Receipt};
use crate::tlog::{Checkpoint, ProofFile};

/// The meaning of a file, and the commands that check it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explained {
    /// `receipt`, `checkpoint`, `tlog-proof` or `leaf`.
    pub kind: &'static str,
    /// Its meaning, sentence by sentence.
    pub words: Vec<String>,
    /// A POSIX shell script that needs openssl and python3 and nothing of ours; it ends with 0 only if all holds.
    pub commands: String,
}

/// Why a file cannot be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no receipt, checkpoint, proof or leaf: {0}")]
pub struct Unknown(String);

/// Explains the content of this file. Keys that are given stand in the commands; others are left to be filled in.
pub fn explain(path: &Path, content: &[u8], keys: &Anchors) -> Result<Explained, Unknown> {
    let path = path.display().to_string();
    if content.starts_with(b"c2sp.org/tlog-proof@v1\n") {
        let file = ProofFile::parse(content).map_err(|e| Unknown(e.to_string()))?;
        let (head, lines) =
            Checkpoint::parse(&file.checkpoint).map_err(|e| Unknown(e.to_string()))?;
        return Ok(proof(&path, &file, &head, &lines, keys));
    }
    if content.starts_with(b"{") {
        let leaf = LeafTie::parse(content).map_err(Unknown)?;
        return Ok(self::leaf(&path, &leaf));
    }
    if content.starts_with(b"rogatory/") {
        let note = Note::parse(content).map_err(|e| Unknown(e.to_string()))?;
        let receipt = receipt::open(&note).map_err(|e| Unknown(e.to_string()))?;
        return Ok(statement(&path, &note, &receipt, keys));
    }
    let (head, lines) = Checkpoint::parse(content).map_err(|e| Unknown(e.to_string()))?;
    Ok(checkpoint(&path, &head, &lines, keys))
}

fn statement(path: &str, note: &Note, receipt: &Receipt, keys: &Anchors) -> Explained {
    let mut words = vec![stated(receipt)];
    if let (Some(from), Some(to)) = (&receipt.from, &receipt.to) {
        words.push(format!(
            "It is about a package from {} to {}.",
            from.id, to.id
        ));
    }
    if let (Some(xid), Some(step)) = (receipt.xid, receipt.step) {
        words.push(format!(
            "The exchange has the id {xid}; this is its step {step}."
        ));
    }
    words.push(format!(
        "The issuer's clock said {} (give or take {} ms); nothing here proves that the clock was right.",
        receipt.t, receipt.clk
    ));
    if let Some(pkg) = &receipt.pkg {
        words.push(format!(
            "The encrypted payload has {} bytes and the Merkle root {}; the header that opens it has the SHA-256 {}.",
            pkg.len, pkg.body, pkg.hdr
        ));
    }
    words.extend(receipt.terms.as_ref().map(terms));
    let purpose = receipt.purpose.as_ref();
    words.extend(purpose.map(|purpose| format!("The purpose was {purpose}.")));
    let released = receipt.released;
    words.extend(released.map(|bytes| format!("No more than {bytes} bytes have left.")));
    words.extend(consent(receipt));
    words.extend(receipt.reason.as_ref().map(|reason| {
        let clause = if reason.clause.is_empty() {
            String::new()
        } else {
            format!(" ({})", reason.clause)
        };
        format!("The reason was {}{clause}.", reason.code)
    }));
    match &receipt.prev {
        Some(prev) => words.push(format!(
            "It follows the statement whose text has the SHA-256 {prev}."
        )),
        None => words.push("It follows no other statement.".to_owned()),
    }
    if !receipt.sd.is_empty() {
        words.push(format!(
            "It holds the digests of {} values that are not in it.",
            receipt.sd.len()
        ));
    }
    for head in &receipt.heads {
        words.push(format!(
            "Its issuer knew {} at {} leaves with the root {}.",
            head.origin, head.size, head.root
        ));
    }
    let signers: Vec<_> = note
        .signatures()
        .iter()
        .map(|line| format!("{}+{}", line.name, line.id))
        .collect();
    words.push(format!(
        "It claims to be signed by {}; the commands below check that.",
        signers.join(" and ")
    ));
    Explained {
        kind: "receipt",
        words,
        commands: recipes::note(path, note, keys),
    }
}

/// The sentences about a statement of consent beyond its purpose.
fn consent(receipt: &Receipt) -> Vec<String> {
    let third = receipt.third.as_ref();
    let third = third.map(|third| format!("It is about passing the package on to {third}."));
    let until = receipt.until;
    let until = until.map(|until| format!("It holds until the end of {until}, UTC."));
    let conditions = receipt.conditions.iter().map(|it| it.as_str());
    let conditions: Vec<_> = conditions.collect();
    let conditions = (!conditions.is_empty()).then(|| {
        format!(
            "It is given on these conditions: {}.",
            conditions.join(", ")
        )
    });
    [third, until, conditions].into_iter().flatten().collect()
}

fn stated(receipt: &Receipt) -> String {
    let what = match receipt.kind {
        Kind::Dispatch => "the sender sealed this package for the receiver, on the terms it names",
        Kind::Rejected => "the receiver does not take the package",
        Kind::Consigned => {
            "the receiver holds the whole encrypted payload, and not yet the header: it cannot read it"
        }
        Kind::Handover => {
            "the receiver holds payload and header: it can read the package from now on"
        }
        Kind::HandoverFailed => "the header that came does not open the payload that came",
        Kind::Expired => "the sender gave up: a term ended before the receiver held the payload",
        Kind::Withdrawn => "the sender took the package back before the receiver held the payload",
        Kind::Access => {
            "somebody at the receiver opened the package, or items of it, and bytes have left"
        }
        Kind::AccessDenied => "opening the package was refused to somebody at the receiver",
        Kind::ContentMismatch => "what was in the package is not what its manifest says",
        Kind::Destroyed => {
            "the receiver has destroyed its copies of the package; this attests the copies of its daemon, no others"
        }
        Kind::RestrictionChanged => {
            "the sender binds the package, which the receiver holds, by stricter terms than before"
        }
        Kind::Onward => {
            "the receiver has passed the package on to a third authority, whose signed receipt goes along with this"
        }
        Kind::OnwardRefused => "the receiver's policy refused to pass the package on",
        Kind::UseReport => {
            "the receiver reports what was done with the package, as its log has it, without content"
        }
        Kind::ConsentAsked => {
            "the receiver asks the sender to permit a use, or passing on, beyond the terms"
        }
        Kind::ConsentGiven => "the sender permits what it was asked for, until the end of a day",
        Kind::ConsentRefused => "the sender does not permit what it was asked for",
        Kind::Approval => "a second person approved or rejected what takes two",
        Kind::Order => "a person ordered a hold, its end, a review, or the team of a case",
        Kind::CardAdopted => "an authority accepted the card of another",
        Kind::ClockStep => {
            "an authority no longer goes by its machine's clock, or goes by it again"
        }
        Kind::KeyAnnounce => "an authority's keys came into use",
        Kind::PolicyAdopted => "a policy came into force",
        Kind::Recovered => "an authority works again on a restored ledger",
    };
    format!("A signed statement of kind {}: {what}.", receipt.kind)
}

fn terms(terms: &Terms) -> String {
    let text = String::from_utf8(crate::base::json::canonical(terms)).unwrap_or_default();
    format!("It may be used on these terms only: {text}.")
}

fn heads(head: &Checkpoint) -> String {
    format!(
        "{} says: my log has {} leaves, and the root over them is {}.",
        head.origin, head.size, head.root
    )
}

fn signers(lines: &[SignatureLine]) -> String {
    let names: Vec<_> = lines
        .iter()
        .map(|line| format!("{}+{}", line.name, line.id))
        .collect();
    format!(
        "Signature lines: {}. The first kind is of the log itself, others are of witnesses.",
        names.join(", ")
    )
}

fn checkpoint(path: &str, head: &Checkpoint, lines: &[SignatureLine], keys: &Anchors) -> Explained {
    let words = vec![
        "A checkpoint: the signed head of an authority's append-only log.".to_owned(),
        heads(head),
        signers(lines),
        "Whoever signs two of one size with two roots has forked its log, and both notes prove it."
            .to_owned(),
    ];
    Explained {
        kind: "checkpoint",
        words,
        commands: recipes::checkpoint(path, head, keys),
    }
}

fn proof(
    path: &str,
    file: &ProofFile,
    head: &Checkpoint,
    lines: &[SignatureLine],
    keys: &Anchors,
) -> Explained {
    let words = vec![
        format!(
            "A proof that leaf {} is in the log that the checkpoint below it heads.",
            file.index
        ),
        heads(head),
        signers(lines),
        format!(
            "{} hashes lead from the leaf to the root.",
            file.proof.len()
        ),
        "Which receipt the leaf belongs to, the .leaf.json file of the same name says.".to_owned(),
    ];
    Explained {
        kind: "tlog-proof",
        words,
        commands: recipes::proof(path, head, keys),
    }
}

fn leaf(path: &str, leaf: &LeafTie) -> Explained {
    let words = vec![
        format!("What ties a receipt to leaf {} of the log.", leaf.index),
        format!("The receipt's note has the SHA-256 {}.", leaf.note_sha256),
        format!(
            "With the random value {} it gives the leaf, whose hash is {}.",
            leaf.r, leaf.hash
        ),
        "Without that value the leaf shows nothing of the receipt.".to_owned(),
    ];
    Explained {
        kind: "leaf",
        words,
        commands: recipes::leaf(path),
    }
}
