//! Values at their limits.

use super::*;

#[test]
fn values_at_their_limits() {
    for (section, line, good) in [
        ("limits", "package_max = \"2 TiB\"", true),
        ("limits", "package_max = \"3 TiB\"", false),
        ("limits", "package_max = \"0 B\"", false),
        ("limits", "peer_connections = 0", false),
        ("limits", "peer_connections = 5", false),
        ("limits", "peer_connections = -1", false),
        ("limits", "transfer_retry_for = \"59 s\"", false),
        ("limits", "transfer_retry_for = \"367 days\"", false),
        ("limits", "peer_quota = \"0 B\"", true),
        ("limits", "peer_quota = \"20\"", false),
        ("limits", "peer_unopened = 0", false),
        ("limits", "peer_unopened = 1", true),
        ("limits", "peer_growth = \"1 MiB\"", true),
        ("limits", "peer_growth = \"1 MB\"", false),
        ("limits", "offers_per_second = 1000000001", false),
        ("limits", "control_per_second = -1", false),
        ("limits", "patience = \"4 s\"", false),
        ("limits", "patience = \"121 s\"", false),
        ("limits", "send_bandwidth = \"400 Mbit/s\"", true),
        ("limits", "receive_bandwidth = \"unlimited\"", true),
        ("limits", "peer_send_bandwidth = \"63 kbit/s\"", false),
        ("limits", "peer_receive_bandwidth = \"400\"", false),
        ("serve", "grace = \"0 s\"", true),
        ("serve", "grace = \"11 min\"", false),
        ("identity", "keys = \"\"", false),
        ("identity", "card = \"a\\u0000b\"", false),
    ] {
        let text = format!("{MINIMAL}[{section}]\n{line}\n");
        assert_eq!(load(&text, &[]).is_ok(), good, "{line}");
    }
    let small = format!("{MINIMAL}[limits]\npeer_growth = \"1 MB\"\n");
    let small = load(&small, &[]).unwrap_err();
    assert!(small[0].text.contains("is less than 1 MiB"), "{small:?}");
    for (name, good) in [
        ("x.sock".to_owned(), true),
        ("s".repeat(98), true),
        ("s".repeat(99), false),
    ] {
        let text = MINIMAL.replace("[listen]", &format!("[listen]\napi = \"{name}\""));
        assert_eq!(load(&text, &[]).is_ok(), good, "{} bytes", name.len() + 9);
    }
    for (written, socket) in [
        ("", None),
        ("f.sock", Some("/home/ie/f.sock")),
        ("/run/f.sock", Some("/run/f.sock")),
    ] {
        let text = format!("{MINIMAL}[fetcher]\nsocket = \"{written}\"\n");
        assert_eq!(
            load(&text, &[]).unwrap().fetcher.as_deref(),
            socket.map(Path::new)
        );
    }
    let long = format!("{MINIMAL}[fetcher]\nsocket = \"{}\"\n", "s".repeat(99));
    assert_eq!(faults(&long, &[])[0].1, "fetcher.socket");
    for (own, peer, good) in [
        ("ie", "de", true),
        ("ie", "ie", false),
        ("ie", "D E", false),
    ] {
        let text = format!("{MINIMAL}[[peer]]\nalias = \"{peer}\"\n");
        assert_eq!(load(&text, &[]).is_ok(), good, "{own} {peer}");
    }
}
