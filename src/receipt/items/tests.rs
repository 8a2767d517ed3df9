use super::*;
use crate::base::{Digest, Xid};
use crate::identity::keys::{KeyName, Role, SecretKey};
use crate::policy::{Purpose, Terms};
use crate::receipt::parts::{Party, Pkg};
use serde_json::{Value, json};

fn party(authority: &str, seed: u8) -> Party {
    let name = KeyName::new(authority.parse().unwrap(), Role::Receipts);
    Party::of(1, &SecretKey::from_seed(name, &[seed; 32]).public())
}

fn terms(restrictions: &[Restriction]) -> Terms {
    let purposes = [Purpose::Prosecution, Purpose::Trial];
    let last = "2031-12-31".parse().unwrap();
    let mut terms = Terms::new("EIO".parse().unwrap(), purposes, last);
    terms.restrictions = restrictions.to_vec();
    terms
}

fn one(offset: u64, size: u64, purposes: &[&str]) -> Value {
    json!([{ "offset": offset, "path": "minors", "size": size, "terms": {
        "instrument": "EIO", "onward": "prohibited", "purposes": purposes, "restrictions": ["item-terms"],
        "retain_until": "2031-12-31", "use_report": false,
    } }])
}

fn dispatch(restrictions: &[Restriction], said: &[&Disclosure]) -> Receipt {
    let pkg = Pkg::new(Digest::of(b"body"), Digest::of(b"header"), 10_000);
    let (from, to) = (party("mla.example.ie", 1), party("bfj.example.de", 2));
    let xid = Xid::from_bytes([1; 16]);
    let mut receipt = Receipt::dispatch(xid, from, to, pkg, terms(restrictions));
    receipt.sd = said.iter().map(|it| it.digest()).collect();
    receipt
}

#[test]
fn nobody_leaves_items_out_or_changes_them() {
    let marked = &[Restriction::ItemTerms][..];
    let said = |value: Value| Disclosure::new([7; 16], ITEM_TERMS, value);
    let good = said(one(512, 1_024, &["trial"]));
    let salted = Disclosure::new([8; 16], ITEM_TERMS, good.value.clone());
    let check = |what: &str, restrictions: &[Restriction], disclosed: &[&Disclosure], want| {
        let dispatch = dispatch(restrictions, disclosed);
        let disclosed: Vec<_> = disclosed.iter().map(|it| (*it).clone()).collect();
        let got = item_terms(&dispatch, None, &disclosed);
        let got = got.map(|it| it.len()).map_err(|fault| fault.code());
        assert_eq!(got, want, "{what}");
    };
    check("none", &[], &[], Ok(0));
    check("one", marked, &[&good], Ok(1));
    check("left out", marked, &[], Err("item-terms-missing"));
    check(
        "not said in the terms",
        &[],
        &[&good],
        Err("item-terms-missing"),
    );
    for (what, value, code) in [
        ("no list", json!("x"), "item-terms-malformed"),
        ("a list of none", json!([]), "item-terms-missing"),
        (
            "looser",
            one(512, 1_024, &["civil-claim"]),
            "item-terms-looser",
        ),
        (
            "behind the end",
            one(512, 10_000, &["trial"]),
            "item-terms-order",
        ),
    ] {
        check(what, marked, &[&said(value)], Err(code));
    }
    // Passed on: what counts is what the first sender has signed, salt and all.
    let origin = dispatch(marked, &[&good]);
    let passed_on = |disclosed: &[&Disclosure]| {
        let onward = dispatch(marked, disclosed);
        let disclosed: Vec<_> = disclosed.iter().map(|it| (*it).clone()).collect();
        let got = item_terms(&onward, Some(&origin), &disclosed);
        got.map(|it| it.len()).map_err(|fault| fault.code())
    };
    assert_eq!(passed_on(&[&good]), Ok(1));
    assert_eq!(passed_on(&[]), Err("item-terms-missing"));
    assert_eq!(passed_on(&[&salted]), Err("item-terms-altered"));
    let shifted = said(one(1_024, 1_024, &["trial"]));
    assert_eq!(passed_on(&[&shifted]), Err("item-terms-altered"));
}
