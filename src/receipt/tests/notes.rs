//! The texts of receipts: those that are none, and the largest.

use super::*;

#[test]
fn notes_that_are_no_receipts() {
    let read = |context, change: &dyn Fn(&mut serde_json::Value)| {
        let mut body = serde_json::to_value(dispatch()).unwrap();
        change(&mut body);
        let note = Note::issue(context, &body, &sender()).unwrap();
        open(&note).map_err(|fault| fault.code())
    };
    assert_eq!(read(Context::Receipt, &|_| ()), Ok(dispatch()));
    assert_eq!(read(Context::Card, &|_| ()), Err("statement-wrong-context"));
    for (field, value, code) in [
        ("wish", serde_json::json!(1), "statement-json-content"),
        (
            "kind",
            serde_json::json!("forwarded"),
            "statement-json-content",
        ),
        (
            "ses",
            serde_json::Value::Null,
            "statement-json-not-canonical",
        ),
        (
            "heads",
            serde_json::json!([]),
            "statement-json-not-canonical",
        ),
        ("v", serde_json::json!(2), "receipt-version"),
    ] {
        let got = read(Context::Receipt, &|body| body[field] = value.clone());
        assert_eq!(got, Err(code), "{field}");
    }
}

#[test]
fn the_largest_receipt_fits_a_statement() {
    let long = |first: &str| {
        let label = "a".repeat(63);
        format!("{first}{}.{label}.{label}.{label}", "a".repeat(57))
    };
    let (from, to) = (long("b"), long("c"));
    assert!(from.parse::<AuthorityId>().is_ok(), "{}", from.len());
    let (from, to) = (key(&from, Role::Receipts, 1), key(&to, Role::Receipts, 2));
    let mut first = dispatch();
    first.from = Some(Party::of(1, &from.public()));
    first.to = Some(Party::of(1, &to.public()));
    let head_of = |key: &SecretKey| head(key.name().authority().as_str());
    first.heads = vec![head_of(&from), head_of(&to)];
    let many = (0..limits::DISCLOSURES_MAX).map(|n| Digest::of(&n.to_be_bytes()));
    first.sd = many.collect();
    first.sd.sort_unstable();
    let terms = first.terms.as_mut().unwrap();
    terms.purposes = Purpose::ALL.to_vec();
    terms.legal_basis = Some(format!("https://{}", "a".repeat(248)));
    let note = first.sign(&from).unwrap();
    let second = first.follow(&note, Kind::HandoverFailed).because(reason());
    let second = second.stamped(&Stamp {
        heads: first.heads.clone(),
        ..stamp()
    });
    let note = second.sign(&to).unwrap();
    let whole = second.countersign(&note, &from).unwrap();
    assert!(whole.bytes().len() < limits::STATEMENT_BYTES_MAX);
}

proptest! {
    #[test]
    fn times_and_digests_come_back_as_they_were(millis in -1_i64<<50..1_i64<<50, clk in 0_u64..1 << 53, seed: [u8; 32]) {
        let mut receipt = dispatch();
        receipt.t = Timestamp::from_millis(millis);
        receipt.clk = clk;
        receipt.pol = Some(Digest::from_bytes(seed));
        let note = receipt.sign(&sender()).unwrap();
        prop_assert_eq!(open(&Note::parse(note.bytes()).unwrap()), Ok(receipt));
    }
}
