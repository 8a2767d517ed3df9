//! `rogatory`: for operators, officers and machines; `rogatory serve` is the daemon.

fn main() {}
