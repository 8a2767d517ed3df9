//! An example of every document that has a schema, with every field that it may have.

use rogatory::base::{Digest, Timestamp, Xid};
use rogatory::identity::keys::{KeyName, Role, SecretKey};
use rogatory::policy::{Evaluation, Handling, Onward, Purpose, Restriction, Source, Terms};
use rogatory::receipt::{Head, Kind, Party, Pkg, Reason, Receipt, Stamp, Used};
use serde_json::{Value, json};

pub(crate) fn key(authority: &str, role: Role) -> SecretKey {
    let seed = Digest::of(authority.as_bytes());
    let name = KeyName::new(authority.parse().expect("an authority"), role);
    SecretKey::from_seed(name, seed.as_bytes())
}

pub(crate) fn sender() -> SecretKey {
    key("bfj.example.de", Role::Receipts)
}

pub(crate) fn receiver() -> SecretKey {
    key("mla.example.ie", Role::Receipts)
}

pub(crate) fn plain_terms() -> Terms {
    let date = "2031-12-31".parse().expect("a date");
    let instrument = "EIO".parse().expect("a code");
    Terms::new(instrument, [Purpose::Prosecution], date)
}

pub(crate) fn full_terms() -> Terms {
    Terms {
        legal_basis: Some("http://data.europa.eu/eli/dir/2014/41/oj".to_owned()),
        purposes: Purpose::ALL.to_vec(),
        handling: Some(Handling::H2),
        evaluation: Some(Evaluation {
            source: Source::B,
            information: 2,
        }),
        review: "2028-06-30".parse().ok(),
        sunset: "2030-06-30".parse().ok(),
        onward: Onward::WithConsent,
        restrictions: Restriction::ALL.to_vec(),
        use_report: true,
        ..plain_terms()
    }
}

pub(crate) fn head(authority: &str, size: u64) -> Head {
    Head {
        origin: format!("{authority}/log"),
        size,
        root: Digest::of(if size == 0 { b"" } else { b"root" }),
    }
}

/// The receipt of this kind with every field that the kind may have, or with those alone that it needs.
pub(crate) fn example(kind: Kind, full: bool) -> Receipt {
    let from = Party::of(1, &sender().public());
    let to = Party::of(1, &receiver().public());
    let pkg = Pkg::new(Digest::of(b"body"), Digest::of(b"hdr"), 1 << 30);
    let terms = if full { full_terms() } else { plain_terms() };
    let has_subject = full || !matches!(kind, Kind::ClockStep | Kind::Recovered);
    let subject = (!kind.is_exchange() && has_subject).then(|| Digest::of(b"subject"));
    let mut receipt = if kind.is_exchange() {
        let xid = Xid::from_bytes([7; 16]);
        let dispatch = Receipt::dispatch(xid, from, to, pkg, terms);
        Receipt { kind, ..dispatch }
    } else {
        Receipt::own(kind, from, subject)
    };
    if kind.is_exchange() && !kind.is_first() {
        receipt.step = Some(2);
        receipt.prev = Some(Digest::of(b"prev"));
    }
    let stamp = Stamp {
        t: Timestamp::from_millis(1_795_424_400_000),
        clk: 50,
        pol: Digest::of(b"policy"),
        ses: full.then(|| Digest::of(b"session")),
        heads: Vec::new(),
    };
    receipt = receipt.stamped(&stamp);
    if kind.is_reasoned() {
        receipt = receipt.because(Reason {
            code: "purpose-not-permitted".to_owned(),
            clause: "Directive (EU) 2016/680 art. 4(1)(b)".to_owned(),
        });
    }
    if kind == Kind::Access || kind == Kind::AccessDenied && full {
        receipt.purpose = Some(Purpose::Prosecution);
    }
    if kind == Kind::Access {
        receipt.released = Some(if full { 9_007_199_254_740_991 } else { 1 });
    }
    if kind.is_consent() {
        receipt.purpose = (!full).then_some(Purpose::CivilClaim);
        receipt.third = full.then(|| "bepi.justice.example.fr".parse().expect("an authority"));
    }
    if kind == Kind::ConsentGiven {
        receipt.until = "2027-06-30".parse().ok();
        receipt.conditions = if full {
            Restriction::ALL.to_vec()
        } else {
            Vec::new()
        };
    }
    if kind.is_onward() {
        receipt.third = "bepi.justice.example.fr".parse().ok();
        receipt.subject = (kind == Kind::Onward).then(|| Digest::of(b"handover"));
    }
    if kind == Kind::UseReport && full {
        receipt.uses = vec![Used {
            at: Timestamp::from_millis(1_795_424_300_000),
            kind: Kind::AccessDenied,
            purpose: Some(Purpose::CivilClaim),
            reason: "purpose-not-permitted".parse().ok(),
            receipt: Digest::of(b"denied"),
        }];
    }
    if full {
        receipt.sd = vec![Digest::of(b"a"), Digest::of(b"b")];
        receipt.sd.sort_unstable();
        receipt.heads = vec![head("bfj.example.de", 0), head("mla.example.ie", 12)];
    } else if !kind.is_exchange() {
        receipt.pol = None;
    }
    receipt
}

pub(crate) fn receipts() -> impl Iterator<Item = (Kind, Value)> {
    let all = Kind::ALL
        .iter()
        .flat_map(|kind| [(*kind, false), (*kind, true)]);
    all.map(|(kind, full)| (kind, value(&example(kind, full))))
}

pub(crate) fn value<T: serde::Serialize>(of: &T) -> Value {
    serde_json::to_value(of).expect("our own types are JSON")
}

pub(crate) fn card() -> Value {
    let vkey = |role| key("mla.example.ie", role).public().to_vkey();
    json!({
        "v": 1,
        "number": 3,
        "id": "mla.example.ie",
        "name": "An Roinn Dlí agus Cirt, Central Authority",
        "country": "IE",
        "alias": "ie",
        "endpoints": ["rogatory.example.ie:7443", "[2001:db8::1]:7443", "192.0.2.7:7443"],
        "tls_cas": ["MIIB", "MIIBAA=="],
        "keys": {
            "card": vkey(Role::Card),
            "log": vkey(Role::Log),
            "receipts": vkey(Role::Receipts),
            "witness": vkey(Role::Witness),
        },
        "age": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
        "created": "2026-11-23T09:00:00.000Z",
    })
}

pub(crate) fn manifest() -> Value {
    let event = |action: &str| {
        json!({
            "action": action,
            "instrument": "rogatory 0.1.0",
            "location": "Bonn",
            "performer": "a.becker",
            "time": "2026-11-23T09:00:00.000Z",
        })
    };
    json!({
        "v": 1,
        "from": "bfj.example.de",
        "to": "mla.example.ie",
        "case": "DE/2026/000042",
        "request": "IE/2026/000001",
        "title": "Fernmeldeaufstellung",
        "terms": full_terms(),
        "created": "2026-11-23T09:00:00.000Z",
        "items": [{
            "path": "calls/märz 2026.csv",
            "size": 1234,
            "offset": 1536,
            "sha256": Digest::of(b"item"),
            "salt": "00112233445566778899aabbccddeeff",
            "media_type": "text/csv",
            "title": "Call records",
            "category": "traffic-data",
            "subjects": ["subject-1"],
            "acquisition": {
                "end_time": "2026-11-20T10:00:00.000Z",
                "exhibit_number": "A-1",
                "instrument": "export of the operator",
                "location": "Bonn",
                "performer": "k.weber",
                "start_time": "2026-11-20T09:00:00.000Z",
            },
            "custody": [event("sealed"), event("checked")],
        }],
    })
}
