//! The result of a judgement.

use serde::Serialize;

/// How one question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answered {
    /// Everything that was asked holds.
    Good,
    /// Something does not hold.
    Bad,
    /// It cannot be judged: a key is missing, or there is nothing to judge.
    Unjudged,
}

impl Answered {
    /// The word it is shown as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unjudged => "unjudged",
        }
    }
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditFault {
    /// Which file of the bundle.
    pub file: String,
    /// Which rule, a stable kebab-case word.
    pub rule: String,
    /// Its meaning, for a person.
    pub meaning: String,
}

impl AuditFault {
    /// A fault of this file.
    pub fn new(file: &str, rule: &str, meaning: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            rule: rule.to_owned(),
            meaning: meaning.into(),
        }
    }
}

/// How many witnesses cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cosigned {
    /// Witnesses that cosigned every checkpoint that a proof ends in.
    pub k: usize,
    /// Witnesses whose keys were given; that of the log's own authority does not count.
    pub n: usize,
    /// How many were demanded.
    pub quorum: usize,
}

/// A receipt of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleReceipt {
    /// Which file.
    pub file: String,
    /// Its kind.
    pub kind: String,
    /// When it was issued, by its issuer's clock.
    pub t: String,
    /// Who signed it.
    pub signed_by: Vec<String>,
}

/// All verdicts on one bundle, kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The exchange that it is about.
    pub xid: Option<String>,
    /// Every file is the one that was exported, none is missing, none is added.
    pub files: Answered,
    /// Every receipt is signed by whom it has to be signed by.
    pub signatures: Answered,
    /// The receipts follow each other, about the same package and terms; disclosures are those that were signed.
    pub steps: Answered,
    /// Every receipt that the exporting authority signed is in its log.
    pub included: Answered,
    /// So many witnesses cosigned as were demanded.
    pub witnessed: Answered,
    /// How many did.
    pub cosigned: Cosigned,
    /// The receipts, in their order.
    pub receipts: Vec<BundleReceipt>,
    /// The rules that do not hold.
    pub faults: Vec<AuditFault>,
    /// The keys and files that would be needed to judge the rest.
    pub missing: Vec<String>,
}

impl Judgement {
    /// 0 all good, 7 something is wrong, 3 something cannot be judged.
    pub const fn exit_code(&self) -> u8 {
        if !self.faults.is_empty() {
            7
        } else if self.missing.is_empty() {
            0
        } else {
            3
        }
    }
}
