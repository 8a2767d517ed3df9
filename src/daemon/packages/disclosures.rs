//! The grounds of a package, told beside its dispatch, which holds salted digests of them alone: case, request,
//! offences, and why the evidence is necessary and proportionate.

use crate::api::server::ApiFailure;
use crate::api::types::{Grounds, SealFinish, SealRequest};
use crate::base::limits;
use crate::package::item_terms::{self, ItemTerms, ItemTermsFault};
use crate::policy::Restriction;
use crate::receipt::{Disclosure, disclosure, particulars};
use crate::seal;
use crate::store::Exchange;

/// Two digests, disclosed, in the frame that they travel in; generously.
const DIGESTS_BYTES: usize = 512;

fn text_ok(what: &str, text: &str, bytes_max: usize) -> Result<(), ApiFailure> {
    if !particulars::is_text(text, bytes_max) {
        let message = format!(
            "{what} must be 1 to {bytes_max} bytes of text without control or invisible characters"
        );
        return Err(ApiFailure::usage("bad-text", message));
    }
    Ok(())
}

/// Free text within its limits, terms as they must be.
pub(crate) fn check_request(request: &SealRequest) -> Result<(), ApiFailure> {
    text_ok("the case reference", &request.case, limits::TEXT_BYTES_MAX)?;
    for (what, text) in [
        ("the request reference", &request.request),
        ("the title", &request.title),
        ("the statement of necessity", &request.necessity),
        ("the statement of proportionality", &request.proportionality),
    ] {
        text.as_ref()
            .map_or(Ok(()), |text| text_ok(what, text, limits::TEXT_BYTES_MAX))?;
    }
    if request.offences.len() > limits::OFFENCES_MAX {
        let message = format!("at most {} offences can be named", limits::OFFENCES_MAX);
        return Err(ApiFailure::usage("too-many-offences", message));
    }
    for offence in &request.offences {
        text_ok("an offence", offence, limits::OFFENCE_BYTES_MAX)?;
    }
    request
        .terms
        .check()
        .map_err(|e| ApiFailure::usage("bad-terms", e.to_string()))?;
    let refused = |fault: ItemTermsFault| ApiFailure::usage(fault.code(), fault.to_string());
    check_items(request).map_err(refused)?;
    let says = request.terms.restrictions.contains(&Restriction::ItemTerms);
    if says == request.item_terms.is_empty() {
        let message = "the restriction item-terms stands in the terms where items are under terms of their own, and only there";
        return Err(ApiFailure::usage("item-terms-missing", message));
    }
    // Now, not when everything is sealed: where they will lie takes no more digits than this.
    let far = limits::JSON_INTEGER_MAX.unsigned_abs();
    let longest = request.item_terms.iter().map(|it| ItemTerms {
        offset: far,
        path: it.path.clone(),
        size: far,
        terms: it.terms.clone(),
    });
    let mut all = of_texts(request);
    all.push(of_items(&longest.collect::<Vec<_>>()));
    check_lengths(&all)
}

/// Checks what can be said of items before it is known where they lie.
fn check_items(request: &SealRequest) -> Result<(), ItemTermsFault> {
    if request.item_terms.len() > limits::ITEM_TERMS_MAX {
        return Err(ItemTermsFault::TooMany(request.item_terms.len()));
    }
    item_terms::check_apart(request.item_terms.iter().map(|it| &it.path))?;
    let mut each = request.item_terms.iter();
    each.try_for_each(|it| item_terms::check_one(&it.path, &it.terms, &request.terms))
}

fn of_items(items: &[ItemTerms]) -> Disclosure {
    // Types of ours are JSON.
    let items = serde_json::to_value(items).unwrap_or_default();
    Disclosure::new(seal::random(), disclosure::ITEM_TERMS, items)
}

/// Whether all of it can travel beside an offer, where digests go along.
fn check_lengths(all: &[Disclosure]) -> Result<(), ApiFailure> {
    let most = limits::DISCLOSURE_BYTES_MAX;
    let lengths = || all.iter().map(|it| (it.name.as_str(), it.encode().len()));
    let long = lengths().find(|(_, length)| *length > most);
    if let Some((disclosure::ITEM_TERMS, length)) = long {
        let message = format!(
            "what is to be said of items under terms of their own takes {length} bytes, at most {most} are allowed: name folders in place of their files, or send some as a package of their own"
        );
        return Err(ApiFailure::usage("item-terms-too-long", message));
    }
    if let Some((name, length)) = long {
        let message =
            format!("{name} takes {length} bytes as it travels, at most {most} are allowed");
        return Err(ApiFailure::usage("disclosure-too-long", message));
    }
    // Quotes and a comma each.
    let travels: usize = lengths().map(|(_, length)| length + 3).sum();
    if travels + DIGESTS_BYTES > limits::FRAME_BYTES_MAX {
        let message = "what is said of the package beside its offer is too long together: shorten the texts, or name folders in place of files";
        return Err(ApiFailure::usage("disclosures-too-long", message));
    }
    Ok(())
}

/// Whether the items that were sealed under terms of their own are those that were asked for, and stand as they must.
pub(crate) fn check_finish(
    request: &SealRequest,
    finish: &SealFinish,
    plaintext: u64,
) -> Result<(), ApiFailure> {
    let is_asked = |found: &ItemTerms| {
        let wish = request.item_terms.iter().find(|it| it.path == found.path);
        wish.is_some_and(|wish| wish.terms == found.terms)
    };
    let same = finish.item_terms.len() == request.item_terms.len();
    if !same || !finish.item_terms.iter().all(is_asked) {
        let message = "other items are under terms of their own than the permission is for";
        return Err(ApiFailure::usage("other-item-terms", message));
    }
    let checked = item_terms::check(&finish.item_terms, &request.terms, plaintext);
    checked.map_err(|e| ApiFailure::usage(e.code(), e.to_string()))
}

/// Everything of which the dispatch holds a digest.
pub(crate) fn disclosures(request: &SealRequest, finish: &SealFinish) -> Vec<Disclosure> {
    let mut all = of_texts(request);
    for (name, digest) in [
        (disclosure::MANIFEST, finish.manifest),
        (disclosure::ITEM_ROOT, finish.item_root),
    ] {
        all.push(Disclosure::new(seal::random(), name, digest.to_string()));
    }
    if !finish.item_terms.is_empty() {
        all.push(of_items(&finish.item_terms));
    }
    all
}

/// The disclosures that are known before anything is sealed.
fn of_texts(request: &SealRequest) -> Vec<Disclosure> {
    let salted = |name, value: serde_json::Value| Disclosure::new(seal::random(), name, value);
    let mut all = vec![salted(disclosure::CASE, request.case.as_str().into())];
    for (name, text) in [
        (disclosure::REQUEST, &request.request),
        (disclosure::TITLE, &request.title),
        (disclosure::NECESSITY, &request.necessity),
        (disclosure::PROPORTIONALITY, &request.proportionality),
    ] {
        all.extend(text.as_ref().map(|text| salted(name, text.as_str().into())));
    }
    if !request.offences.is_empty() {
        all.push(salted(
            disclosure::OFFENCES,
            request.offences.clone().into(),
        ));
    }
    all
}

/// The grounds that travel beside the offer. The title stays with the sender; the receiver's officer reads it in the
/// manifest.
pub(crate) fn sent(disclosures: &[Disclosure]) -> Vec<String> {
    disclosures
        .iter()
        .filter(|it| it.name != disclosure::TITLE)
        .map(Disclosure::encode)
        .collect()
}

/// The items of a package that its sender has put under terms of their own; none, where that cannot be read.
pub(crate) fn item_terms_of(row: &Exchange) -> Vec<ItemTerms> {
    let read = read(row);
    let found = read.iter().find(|it| it.name == disclosure::ITEM_TERMS);
    let items = found.and_then(|it| serde_json::from_value(it.value.clone()).ok());
    items.unwrap_or_default()
}

fn read(row: &Exchange) -> Vec<Disclosure> {
    let read = row.disclosures.iter();
    read.filter_map(|text| Disclosure::parse(text).ok())
        .collect()
}

/// The grounds that the sender of a package states; none, where they cannot be read.
pub(crate) fn grounds_of(row: &Exchange) -> Grounds {
    let read = read(row);
    let text = |name| disclosure::text(&read, name).map(str::to_owned);
    let offences = read.iter().find(|it| it.name == disclosure::OFFENCES);
    let offences = offences.and_then(|it| serde_json::from_value(it.value.clone()).ok());
    Grounds {
        offences: offences.unwrap_or_default(),
        necessity: text(disclosure::NECESSITY),
        proportionality: text(disclosure::PROPORTIONALITY),
    }
}
