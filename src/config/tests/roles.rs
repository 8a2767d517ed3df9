//! Who has which role.

use super::*;
use crate::base::limits;
use crate::policy::Role;

#[test]
fn roles_are_lists_of_accounts_and_groups() {
    let with = |roles: &str| load(&format!("{MINIMAL}[roles]\n{roles}"), &[]);
    let officer = |text: &str| (Role::Officer, text.parse::<Holder>().unwrap());
    for (roles, want) in [
        ("", None),
        ("officer = []", Some(vec![])),
        (
            "officer = [\"group:rogatory-officers\", \"user:a.murphy\"]",
            Some(vec![
                officer("group:rogatory-officers"),
                officer("user:a.murphy"),
            ]),
        ),
        (
            "auditor = [\"gid:7\"]\nofficer = [\"uid:1000\"]",
            Some(vec![officer("uid:1000"), (Role::Auditor, Holder::Gid(7))]),
        ),
    ] {
        assert_eq!(with(roles).unwrap().roles, want, "{roles}");
    }
    let everybody = load(MINIMAL, &[]).unwrap();
    let written = with("officer = [\"uid:1000\", \"user:x\"]").unwrap();
    let env = [("ROGATORY__ROLES__AUDITOR", "gid:7,user:b")];
    let env = load(MINIMAL, &env).unwrap();
    for (config, key, value) in [
        (&everybody, "roles.officer", "everybody"),
        (&written, "roles.officer", "uid:1000, user:x"),
        (&written, "roles.auditor", "nobody"),
        (&env, "roles.auditor", "gid:7,user:b"),
        (&env, "roles.officer", "nobody"),
    ] {
        let row = config.origin().iter().find(|row| row.key == key).unwrap();
        assert_eq!(row.value, value, "{key}");
    }
    let auditors = [Holder::Gid(7), Holder::User("b".to_owned())];
    assert_eq!(
        env.roles,
        Some(auditors.map(|it| (Role::Auditor, it)).to_vec())
    );
    let many = ["\"uid:1\""; limits::ROLE_HOLDERS_MAX + 1].join(",");
    let wrong = [
        "officer = \"group:x\"".to_owned(),
        "officer = [7]".to_owned(),
        "officer = [\"user:a,user:b\"]".to_owned(),
        "officer = [\"\"]".to_owned(),
        "officer = [\"a.murphy\"]".to_owned(),
        "officer = [\"gid:-1\"]".to_owned(),
        format!("officer = [{many}]"),
    ];
    for roles in wrong {
        let faults = with(&roles).unwrap_err();
        let keys: Vec<_> = faults.iter().map(|it| (it.line, it.key.as_str())).collect();
        assert_eq!(keys, [(Some(9), "roles.officer")], "{roles}: {faults:?}");
    }
    let need = format!("{MINIMAL}[policy]\nneed_to_know = true\n");
    assert_eq!(load(&need, &[]).unwrap_err()[0].key, "policy.need_to_know");
    let config = load(&format!("{need}[roles]\nofficer = [\"uid:7\"]"), &[]);
    assert!(config.unwrap().need_to_know);
    let faults = with("officer = [\"usr:a\", \"uid:b\"]\nauditr = []").unwrap_err();
    let [both, unknown] = faults.as_slice() else {
        panic!("{faults:?}")
    };
    assert!(both.text.contains("\"user:a\"") && both.text.contains("\"b\""));
    assert_eq!(unknown.suggestion.as_deref(), Some("auditor"));
}
