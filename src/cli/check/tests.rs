use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;
use crate::cli::init::{InitArgs, establish};
use crate::cli::terminal::{Reader, Talk};
use crate::config::KeyFiles;

type Pick = fn(&KeyFiles) -> &PathBuf;

struct Place {
    root: tempfile::TempDir,
    config: Config,
}

fn place(authority: &str) -> Place {
    let root = tempfile::tempdir().unwrap();
    let home = Home::at(root.path());
    let args = InitArgs {
        authority: authority.parse().unwrap(),
        name: "Central Authority".to_owned(),
        country: "IE".parse().unwrap(),
        listen: "127.0.0.1:7443".parse().unwrap(),
        alias: None,
        endpoint: Vec::new(),
        pki: None,
    };
    establish(&args, &home, "2026-11-23T09:00:00.000Z".parse().unwrap()).unwrap();
    let config = judge(&home, std::iter::empty()).unwrap();
    Place { root, config }
}

fn found(place: &Place) -> Vec<(String, String)> {
    let faults = place.config.check_files().unwrap_err();
    faults.into_iter().map(|it| (it.key, it.text)).collect()
}

#[test]
fn all_faulty_files_are_told_at_once() {
    let place = place("mla.example.ie");
    let files = &place.config.identity;
    fs::set_permissions(&files.log_key, fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(&place.config.file, fs::Permissions::from_mode(0o666)).unwrap();
    fs::remove_file(&files.witness_key).unwrap();
    fs::write(&files.age_identity, "# only a comment\n").unwrap();
    fs::write(&files.reset_key, "abcd\n").unwrap();
    fs::write(&files.crl, "no list").unwrap();
    let found = found(&place);
    let configuration = place.config.file.display().to_string();
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    let expected = [
        configuration.as_str(),
        "identity.log_key",
        "identity.witness_key",
        "identity.age_identity",
        "identity.reset_key",
        "identity.crl",
    ];
    assert_eq!(keys, expected, "{found:?}");
    assert!(found[1].1.contains("chmod 600"), "{found:?}");
    assert!(found[2].1.contains("does not exist"), "{found:?}");
}

#[test]
fn files_of_another_authority_are_noticed() {
    let other = place("bfj.example.de");
    let theirs = &other.config.identity;
    let cases: [(Pick, &[&str]); 7] = [
        (|it| &it.tls_key, &["identity.tls_key"]),
        (|it| &it.tls_ca_key, &["identity.tls_ca_key"]),
        (
            |it| &it.tls_cert,
            &["identity.tls_key", "identity.tls_cert", "identity.tls_cert"],
        ),
        (
            |it| &it.tls_ca_cert,
            &[
                "identity.tls_ca_key",
                "identity.tls_cert",
                "identity.tls_ca_cert",
            ],
        ),
        (|it| &it.card, &["identity.card"]),
        (|it| &it.receipts_key, &["identity.receipts_key"]),
        (|it| &it.age_identity, &["identity.age_identity"]),
    ];
    for (pick, expected) in cases {
        let place = place("mla.example.ie");
        fs::copy(pick(theirs), pick(&place.config.identity)).unwrap();
        let found = found(&place);
        let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, expected, "{found:?}");
    }
    drop(other.root);
}

#[test]
fn the_ca_key_may_be_elsewhere() {
    let place = place("mla.example.ie");
    fs::remove_file(&place.config.identity.tls_ca_key).unwrap();
    place.config.check_files().unwrap();
    drop(place.root);
}

#[test]
fn the_command_ends_with_three_where_the_daemon_would_not_start() {
    let place = place("mla.example.ie");
    let home = Home::at(place.root.path());
    let terminal = Terminal::new(Reader::Machines, Talk::Normal, true);
    let run = |env: &[(&str, &str)]| {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        CheckCommand::Config.run(&home, env, terminal)
    };
    run(&[]).unwrap();
    let failure = run(&[
        ("ROGATORY__STAT__DIR", "x"),
        ("ROGATORY__SERVE__GRACE", "1"),
    ])
    .unwrap_err();
    assert_eq!(
        (failure.code, failure.error.as_str()),
        (3, "config-invalid")
    );
    for word in [
        "2 faults",
        "ROGATORY__STAT__DIR",
        "did you mean ROGATORY__STATE__DIR",
        "ROGATORY__SERVE__GRACE",
    ] {
        assert!(failure.message.contains(word), "{}", failure.message);
    }
    fs::set_permissions(
        &place.config.identity.age_identity,
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    assert_eq!(run(&[]).unwrap_err().code, 3);
}

#[test]
fn the_journal_is_a_file_outside_the_folder_of_the_state() {
    let place = place("mla.example.ie");
    let (journal, state) = (&place.config.journal, &place.config.state_dir);
    let folder = journal.parent().unwrap();
    fs::create_dir_all(state).unwrap();
    let check = |says: &str| {
        let found = found(&place);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "retention.journal");
        assert!(found[0].1.contains(says), "{found:?}");
    };
    std::os::unix::fs::symlink(state, folder).unwrap();
    check("in the folder of the state");
    fs::remove_file(folder).unwrap();
    fs::create_dir_all(journal).unwrap();
    check("not a regular file");
}

#[test]
fn the_journal_is_read_without_the_daemon() {
    let place = place("mla.example.ie");
    let (journal, state) = (&place.config.journal, &place.config.state_dir);
    let home = Home::at(place.root.path());
    let terminal = Terminal::new(Reader::Machines, Talk::Normal, true);
    let check = |wanted: Option<&str>| {
        let found = CheckCommand::Storage.run(&home, std::iter::empty(), terminal);
        let code = found.map_err(|failure| (failure.code, failure.error));
        assert_eq!(code.err(), wanted.map(|error| (11, error.to_owned())));
    };
    // Before the first start there is nothing.
    check(None);
    fs::create_dir_all(state).unwrap();
    fs::write(state.join("ledger.db"), "").unwrap();
    check(Some("journal-missing"));
    crate::store::journal::prepare(journal).unwrap();
    check(Some("journal-missing"));
    let first = "rogatory destroyed 1 mla.example.ie\n";
    fs::write(journal, first).unwrap();
    check(None);
    fs::write(journal, format!("{first}0123")).unwrap();
    check(None);
    for damaged in [format!("{first}0123\n"), first.replace("ie", "fr")] {
        fs::write(journal, damaged).unwrap();
        check(Some("journal-unusable"));
    }
}
