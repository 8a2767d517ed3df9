//! Passing on: what ties a package that is passed on to the dispatch of the authority that sent it first, and what the
//! third authority signs to the story of that first dispatch.

use crate::identity::statement::Note;
use crate::policy::{Onward, Terms};
use crate::receipt::body::Receipt;
use crate::receipt::chain;
use crate::receipt::disclosure::{self, Disclosure};
use crate::receipt::fault::ReceiptFault;
use crate::receipt::kind::Kind;
use crate::receipt::parts::Pkg;

/// Why one statement does not stand for passing on what another is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnwardFault {
    /// The text beside the statement is not a receipt, or does not verify.
    #[error("the receipt that goes along: {0}")]
    Receipt(#[from] ReceiptFault),
    /// It is of another kind than it has to be.
    #[error("a receipt of kind {0} goes along, which says nothing of passing on")]
    Kind(Kind),
    /// It is about other authorities than those that are concerned.
    #[error("the receipt that goes along is not between the authorities concerned")]
    Parties,
    /// It is about another package.
    #[error("the receipt that goes along is about another package")]
    Package,
    /// The terms of the one who passes on permit more than those of the sender.
    #[error("the terms under which it is passed on permit more than those under which it was sent")]
    Looser,
    /// It is not the receipt that the statement names.
    #[error("the receipt that goes along is not the one that the statement names")]
    Subject,
    /// Nothing goes along.
    #[error("no receipt goes along")]
    Missing,
}

impl OnwardFault {
    /// A stable name of the fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Receipt(fault) => fault.code(),
            Self::Kind(_) => "onward-kind",
            Self::Parties => "onward-parties",
            Self::Package => "onward-package",
            Self::Looser => "onward-looser-terms",
            Self::Subject => "onward-subject",
            Self::Missing => "onward-missing",
        }
    }
}

/// The receipt in the disclosure of this name; `None` if there is no such disclosure. Its signatures are not looked at.
///
/// # Errors
/// It is no receipt.
pub fn along(
    disclosures: &[Disclosure],
    name: &str,
) -> Result<Option<(Note, Receipt)>, OnwardFault> {
    let Some(found) = disclosures.iter().find(|it| it.name == name) else {
        return Ok(None);
    };
    let text = found.value.as_str().unwrap_or_default();
    let note = Note::parse(text.as_bytes()).map_err(ReceiptFault::from)?;
    let receipt = chain::open(&note)?;
    Ok(Some((note, receipt)))
}

/// The dispatch of the authority that sent the package first, which travels with the dispatch of the one that passes it
/// on ([`disclosure::ORIGIN`]); `None` if the package comes from whoever sealed it. That the signature on it is right
/// is still to be seen.
///
/// # Errors
/// It is no dispatch, or not one that this dispatch can pass on: to the authority that passes on, of the same payload,
/// under terms within which the new ones are; what was passed on is not passed on again.
pub fn origin(
    dispatch: &Receipt,
    disclosures: &[Disclosure],
) -> Result<Option<(Note, Receipt)>, OnwardFault> {
    let Some((note, origin)) = along(disclosures, disclosure::ORIGIN)? else {
        return Ok(None);
    };
    if origin.kind != Kind::Dispatch {
        return Err(OnwardFault::Kind(origin.kind));
    }
    let id = |party: &Option<crate::receipt::Party>| party.as_ref().map(|it| it.id.clone());
    let concerned = id(&origin.to) == id(&dispatch.from) && id(&origin.from) != id(&dispatch.to);
    if !concerned || origin.xid == dispatch.xid {
        return Err(OnwardFault::Parties);
    }
    same_payload(origin.pkg.as_ref(), dispatch.pkg.as_ref())?;
    match (&origin.terms, &dispatch.terms) {
        (Some(before), Some(after)) => within(before, after)?,
        (None, _) | (_, None) => return Err(OnwardFault::Looser),
    }
    Ok(Some((note, origin)))
}

/// Reads the third authority's receipt that goes with `onward` ([`disclosure::RECEIPT`]): that the package was handed
/// over to it, or that it has destroyed it. `sealed` are the terms of the dispatch. That the signatures on it are right
/// is still to be seen.
///
/// # Errors
/// Nothing goes along, or what does is not about the same payload, between the authority that passed it on and the one
/// that is named, or under looser terms.
pub fn copy(
    onward: &Receipt,
    disclosures: &[Disclosure],
    sealed: &Terms,
) -> Result<(Note, Receipt), OnwardFault> {
    let (note, copy) = along(disclosures, disclosure::RECEIPT)?.ok_or(OnwardFault::Missing)?;
    if !matches!(copy.kind, Kind::Handover | Kind::Destroyed) {
        return Err(OnwardFault::Kind(copy.kind));
    }
    if Some(note.text_digest()) != onward.subject {
        return Err(OnwardFault::Subject);
    }
    let from = copy.from.as_ref().map(|it| &it.id);
    let to = copy.to.as_ref().map(|it| &it.id);
    if from != onward.to.as_ref().map(|it| &it.id) || to != onward.third.as_ref() {
        return Err(OnwardFault::Parties);
    }
    same_payload(onward.pkg.as_ref(), copy.pkg.as_ref())?;
    let terms = copy.terms.as_ref().ok_or(OnwardFault::Looser)?;
    within(sealed, terms)?;
    Ok((note, copy))
}

/// The header is another, for other recipients; the payload is the same to the byte.
fn same_payload(one: Option<&Pkg>, other: Option<&Pkg>) -> Result<(), OnwardFault> {
    match (one, other) {
        (Some(one), Some(other)) if (one.body, one.len) == (other.body, other.len) => Ok(()),
        (None | Some(_), None | Some(_)) => Err(OnwardFault::Package),
    }
}

fn within(before: &Terms, after: &Terms) -> Result<(), OnwardFault> {
    if after.is_within(before) && after.onward == Onward::Prohibited {
        Ok(())
    } else {
        Err(OnwardFault::Looser)
    }
}
