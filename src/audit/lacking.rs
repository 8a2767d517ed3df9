//! Receipts that one export of an exchange lacks and another source holds. That proves nothing against anybody: exports
//! may be of different days, and what one side has signed may not have arrived.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::steps::Read;
use crate::audit::verdict::AuditFault;
use crate::base::{AuthorityId, Digest, Xid};
use crate::receipt::Kind;

/// The receipts that an export holds in its own folder of them.
pub(crate) struct Export {
    name: String,
    /// Whose export it is, by the log that is in it.
    owner: Option<AuthorityId>,
    /// The files of its receipts.
    paths: BTreeSet<String>,
    /// Its exchanges; of each receipt the digest of its text, with how many signatures it is there.
    held: BTreeMap<Xid, BTreeMap<Digest, usize>>,
}

/// A receipt as one source holds it.
#[derive(Clone, Copy)]
struct ReceiptCopy<'a> {
    read: &'a Read,
    holder: Option<&'a Export>,
}

/// Why an export should hold a receipt, ordered as it is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Both sides have signed it.
    Both,
    /// It holds the receipt, without the signature that the other side added.
    Half,
    /// The authority that made the export has signed it.
    Own,
    /// The holder has it from the other side, which alone signs it.
    Received,
    /// One side has signed it, for the other to have.
    Alone,
}

impl Export {
    /// An export of this name with these receipts.
    pub(crate) fn new(name: &str, owner: Option<AuthorityId>, receipts: &[Read]) -> Self {
        let mut held: BTreeMap<Xid, BTreeMap<Digest, usize>> = BTreeMap::new();
        for read in receipts {
            if let Some(xid) = read.receipt.xid {
                let texts = held.entry(xid).or_default();
                let signatures = texts.entry(read.note.text_digest()).or_default();
                *signatures = read.note.signatures().len().max(*signatures);
            }
        }
        Self {
            name: name.to_owned(),
            owner,
            paths: receipts.iter().map(|read| read.path.clone()).collect(),
            held,
        }
    }

    /// Why it should hold this receipt, if it should and does not.
    fn lacks(&self, it: ReceiptCopy<'_>) -> Option<Why> {
        let (read, kind) = (it.read, it.read.receipt.kind);
        let here = self.held.get(&read.receipt.xid?)?;
        let signatures = read.note.signatures().len();
        let issuer = read.note.issuer().name.authority();
        match here.get(&read.note.text_digest()) {
            Some(known) => (*known < signatures).then_some(Why::Half),
            None if signatures > 1 => Some(Why::Both),
            None if self.owner.as_ref() == Some(issuer) => Some(Why::Own),
            None => {
                let received = it.holder.and_then(|holder| holder.owner.as_ref());
                let received = received.is_some() && received != Some(issuer);
                if received {
                    Some(Why::Received)
                } else {
                    (!is_local(kind)).then_some(Why::Alone)
                }
            }
        }
    }
}

/// Whether the receiver keeps it to itself.
const fn is_local(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Access | Kind::AccessDenied | Kind::OnwardRefused
    )
}

/// One remark for each export, exchange and kind of receipt in it, on what this export lacks of the receipts with good
/// signatures.
pub(crate) fn remarks(exports: &[Export], signed: &[&Read], remarks: &mut Vec<AuditFault>) {
    let mut holders = BTreeMap::new();
    for export in exports {
        holders.extend(export.paths.iter().map(|path| (path.as_str(), export)));
    }
    // Each receipt once, as it is signed most.
    let mut all: BTreeMap<Digest, ReceiptCopy<'_>> = BTreeMap::new();
    for read in signed.iter().copied() {
        let holder = holders.get(read.path.as_str()).copied();
        let it = ReceiptCopy { read, holder };
        let best = all.entry(read.note.text_digest()).or_insert(it);
        if best.read.note.signatures().len() < read.note.signatures().len() {
            *best = it;
        }
    }
    for export in exports {
        let mut lacking: BTreeMap<_, Vec<ReceiptCopy<'_>>> = BTreeMap::new();
        for it in all.values().copied() {
            let (receipt, path) = (&it.read.receipt, &it.read.path);
            if let Some(why) = export.lacks(it) {
                let holder = it.holder.map_or(path, |holder| &holder.name);
                let place = (receipt.xid, receipt.kind, why, holder);
                lacking.entry(place).or_default().push(it);
            }
        }
        let told = lacking
            .into_iter()
            .filter_map(|((_, _, why, holder), all)| remark(export, holder, why, &all));
        remarks.extend(told);
    }
}

fn remark(export: &Export, holder: &str, why: Why, all: &[ReceiptCopy<'_>]) -> Option<AuditFault> {
    let first = all.iter().min_by_key(|it| it.read.receipt.t)?.read;
    let (kind, t, xid) = (first.receipt.kind, first.receipt.t, first.receipt.xid?);
    let what = match all.len() {
        1 => format!("{kind} of {t}"),
        many => format!("{many} receipts {kind}, the first of {t},"),
    };
    let what = match why {
        Why::Half => format!("the second signature under {what}"),
        Why::Both | Why::Own | Why::Received | Why::Alone => what,
    };
    let issuer = first.note.issuer().name.authority();
    let signed = match why {
        Why::Both | Why::Half => "signed by both".to_owned(),
        Why::Own => format!("signed by {issuer}, which made {}", export.name),
        Why::Received => format!("signed by {issuer}"),
        Why::Alone => format!("signed by {issuer} alone: the other side may not have it yet"),
    };
    let within = first.path.strip_prefix(holder);
    let within = within.and_then(|path| path.strip_prefix('/'));
    let place = within.map_or_else(String::new, |path| format!(" ({path})"));
    let meaning = format!(
        "{} lacks {what} of exchange {xid} that {holder} holds{place}, {signed}",
        export.name
    );
    Some(AuditFault::new(&export.name, "receipt-lacking", meaning))
}
