//! Planted faults, and what must not be taken for one.

use super::*;

/// Checks one file with `body` after its first line; its faults must be those that hold these texts.
fn planted(path: &str, body: &str, wanted: &[&str]) {
    let faults = check(&[(PathBuf::from(path), format!("//! A file.\n{body}"))]);
    let right = faults.len() == wanted.len()
        && faults
            .iter()
            .zip(wanted)
            .all(|(fault, want)| fault.contains(want));
    assert!(
        right,
        "{path}:\n{body}\nexpected {wanted:?}\ngot {faults:#?}"
    );
}

/// The fault of `src/policy/mod.rs` for reaching up to the store in its second line.
const STORE: &[&str] =
    &["src/policy/mod.rs:2: `policy` may not use `store`: it is higher on the ladder"];

/// A file, its text, the faults it must get.
const REACHING: &[(&str, &str, &[&str])] = &[
    ("src/policy/mod.rs", "use crate::store::Ledger;", STORE),
    ("src/policy/mod.rs", "use crate::base::Digest;", &[]),
    (
        "src/policy/mod.rs",
        "use crate::{base::Digest, store};",
        STORE,
    ),
    (
        "src/policy/mod.rs",
        "use crate::{base::{Digest, Xid}, store::{Ledger as L}};",
        STORE,
    ),
    (
        "src/policy/mod.rs",
        "use crate::{\n    base,\n    net,\n};",
        &["mod.rs:4: `policy` may not use `net`"],
    ),
    (
        "src/policy/mod.rs",
        "fn f() -> crate::store::Ledger { g() }",
        STORE,
    ),
    ("src/policy/mod.rs", "use super::store::Ledger;", STORE),
    (
        "src/policy/mod.rs",
        "use self::super::store::Ledger;",
        STORE,
    ),
    ("src/policy/permit.rs", "use super::store::Ledger;", &[]),
    (
        "src/policy/permit.rs",
        "use super::super::store;",
        &["`policy` may not use `store`"],
    ),
    (
        "src/policy/permit.rs",
        "use super::super::{base, store};",
        &["`policy` may not use `store`"],
    ),
    (
        "src/policy/rules/sunset.rs",
        "use super::super::super::api::types;",
        &["may not use `api`"],
    ),
    (
        "src/policy/rules/sunset.rs",
        "use super::super::api::types;",
        &[],
    ),
    (
        "src/policy/mod.rs",
        "mod inner { use super::super::store; }",
        STORE,
    ),
    (
        "src/policy/mod.rs",
        "mod inner { fn f() {} use super::store; }\nuse super::net;",
        &["mod.rs:3: `policy` may not use `net`"],
    ),
    (
        "src/policy/mod.rs",
        "macro_rules! m { () => { $crate::store::x() } }",
        STORE,
    ),
    (
        "src/policy/mod.rs",
        "use crate as root;",
        &["rename the crate"],
    ),
    (
        "src/policy/mod.rs",
        "use crate::{self as root};",
        &["rename the crate"],
    ),
    ("src/policy/mod.rs", "use super::*;", &["whole crate"]),
    (
        "src/policy/mod.rs",
        "// use crate::store;\n/* crate::net /* crate::cli */ */ const A: &str = \"crate::store\";",
        &[],
    ),
    (
        "src/policy/mod.rs",
        "const A: &str = r#\"x\" crate::store\"#; const B: char = '\"'; use crate::net::C;",
        &["`net`"],
    ),
    (
        "src/policy/mod.rs",
        "fn f<'a>(x: &'a str) -> crate::store::Row<'a> { g(x) }",
        STORE,
    ),
    (
        "src/cli/mod.rs",
        "use crate::{store, net, daemon, api};",
        &[],
    ),
    (
        "src/daemon/mod.rs",
        "use crate::cli::init;",
        &["`daemon` may not use `cli`"],
    ),
    ("src/extra/mod.rs", "", &["`extra` is not on the ladder"]),
    (
        "src/lib.rs",
        "pub mod net;",
        &["src/lib.rs: does not deny what can panic"],
    ),
    (
        "src/net/mod.rs",
        "#[expect(clippy::expect_used)]\n#[cfg(unix)]\npub(crate) mod peer;",
        &["src/net/mod.rs:2: no whole module may panic"],
    ),
    (
        "src/net/peer.rs",
        "#![allow(clippy::indexing_slicing)]",
        &["src/net/peer.rs:2: no whole module may panic"],
    ),
    (
        "src/net/peer.rs",
        "#[expect(clippy::expect_used, reason = \"a constant\")]\nfn constant() {}",
        &[],
    ),
    (
        "src/lib.rs",
        "pub mod base;\npub use base::Digest;",
        &[
            "src/lib.rs:3: lib.rs declares modules",
            "src/lib.rs: does not deny what can panic",
        ],
    ),
    (
        "src/bin/rogatory.rs",
        "fn main() { rogatory::cli::main() }",
        &[],
    ),
];

#[test]
fn the_ladder_holds() {
    for (path, body, wanted) in REACHING {
        planted(path, body, wanted);
    }
}

#[test]
fn tests_are_left_out_and_code_after_them_is_not() {
    let after = "#[cfg(test)]\nmod tests {\n    use crate::store;\n    fn f() { g(\"}\") }\n}\nuse crate::net::X;";
    for (body, wanted) in [
        (
            "#[cfg(test)]\nmod tests { use crate::store; use std::fs; }",
            &[][..],
        ),
        (after, &["mod.rs:7: `wire` may not use `net`"]),
        (
            "#[cfg(test)]\nuse crate::{store, net};\nuse crate::seal::X;",
            &["mod.rs:4: `wire` may not use `seal`"],
        ),
        (
            "#[cfg(test)]\n#[derive(Debug)]\nstruct S { x: crate::store::X }\nuse crate::seal::X;",
            &["mod.rs:5: `wire` may not use `seal`"],
        ),
        (
            "#[cfg(not(test))]\nuse crate::store::X;",
            &["`wire` may not use `store`"],
        ),
        (
            "struct S { #[cfg(test)] a: u8, b: crate::store::X }",
            &["`wire` may not use `store`"],
        ),
    ] {
        planted("src/wire/mod.rs", body, wanted);
    }
    let declaring = "//! A.\n#[cfg(test)]\nmod tests;\n".to_owned();
    let testing = "use crate::store;\n".to_owned();
    let tests = |path: &str| {
        check(&[
            ("src/wire/mod.rs".into(), declaring.clone()),
            (path.into(), testing.clone()),
        ])
    };
    assert_eq!(tests("src/wire/tests.rs"), Vec::<String>::new());
    assert_eq!(tests("src/wire/tests/mod.rs"), Vec::<String>::new());
    assert_eq!(
        tests("src/wire/other.rs").len(),
        2,
        "not declared as a test: its first line and its import are faults"
    );
}

#[test]
fn pure_modules_stay_pure() {
    let fault = &["src/transfer/mod.rs:2: `transfer` is pure and may not use `"][..];
    for (body, wanted) in [
        ("use std::fs;", fault),
        ("use std::{collections::BTreeMap, fs::File};", fault),
        ("use std::{self as s, fmt};", &["rename `std`"]),
        ("use std::*;", fault),
        ("fn f() { std::env::args(); }", fault),
        ("use tokio::sync::mpsc;", fault),
        ("use tokio;", fault),
        ("use ::tokio::sync::mpsc;", fault),
        ("fn f() { let t = SystemTime::now(); }", fault),
        ("fn f() { let t = jiff::Timestamp::now(); }", fault),
        ("fn f() { let t = time::OffsetDateTime::now_utc(); }", fault),
        ("use std::time::{Duration, Instant};", fault),
        ("use rand_core::OsRng;", fault),
        ("use std::net::SocketAddr;", fault),
        ("use std::time::Duration;", &[]),
        (
            "fn f(now: Timestamp, rand: u8) -> u8 { rand + g(now) }",
            &[],
        ),
        ("use std::{collections::BTreeMap, fmt};", &[]),
    ] {
        planted("src/transfer/mod.rs", body, wanted);
    }
    planted(
        "src/net/mod.rs",
        "use std::net::SocketAddr;\nuse tokio::sync::mpsc;",
        &[],
    );
    planted(
        "src/daemon/mod.rs",
        "use rusqlite::Connection;",
        &["only `store` knows it"],
    );
    planted("src/store/mod.rs", "use rusqlite::Connection;", &[]);
}

#[test]
fn what_a_peer_makes_grow_is_counted() {
    let body = "async fn f(s: &Session) { s.station.ledger.commit(ops).await; }";
    let wanted = &["src/net/letters/statements.rs:2: commits past the account"][..];
    planted("src/net/letters/statements.rs", body, wanted);
    planted("src/net/session/mod.rs", body, &[]);
    planted("src/daemon/people/orders.rs", body, &[]);
}

#[test]
fn names_and_lengths() {
    let code = "const A: u8 = 1;\n";
    for (path, body, wanted) in [
        (
            "src/net/mod.rs",
            "struct LinkManager;",
            &["`LinkManager` is a name"][..],
        ),
        (
            "src/net/mod.rs",
            "struct Info;\nfn process() {}",
            &["`Info`", "`process`"],
        ),
        (
            "src/net/mod.rs",
            "fn f() { tracing::info!(\"x\"); }\nfn process_id() {}",
            &[],
        ),
        ("src/net/util.rs", "", &["`util` says nothing"]),
    ] {
        planted(path, body, wanted);
    }
    planted(
        "src/net/mod.rs",
        &code.repeat(LINES_MAX),
        &["501 lines without tests"],
    );
    let tested = format!(
        "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
        code.repeat(LINES_MAX - 1),
        code.repeat(LINES_MAX)
    );
    planted("src/net/mod.rs", &tested, &[]);
    let undocumented = check(&[("src/net/mod.rs".into(), "mod x;\n".to_owned())]);
    assert!(
        undocumented[0].contains("start with //!"),
        "{undocumented:?}"
    );
}
