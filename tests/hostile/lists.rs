//! Two lists of segment hashes for one exchange, at once.

use std::time::Duration;

use rogatory::receipt::{self, Kind};
use rogatory::wire::Frame;

use crate::attack::{Attacker, Talk, disclosures};
use crate::victim::Victim;

/// Both are being taken when the second ends: each is written under the same name, and the daemon must neither take one
/// for the other nor fail over a file that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lists_at_once_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let victim = Victim::start(folder.path());
    let attacker = Attacker::new(folder.path(), victim.address);
    let parcel = attacker.large();
    let mut talk = Talk::open(&attacker).await;
    talk.say(&attacker.offer(&parcel.receipt)).await;
    talk.say(&disclosures()).await;
    let list = parcel.list();
    let (begin, rest) = list.split_at(list.len() - 32);
    let mut first = talk.link.connection.open_uni().await.unwrap();
    first.write_all(begin).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    talk.data(&list).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    first.write_all(rest).await.unwrap();
    first.finish().unwrap();
    // Whichever of them was taken, the exchange goes on.
    let accepted = talk.answer().await;
    assert!(
        matches!(accepted, Ok(Some(Frame::Accept { .. }))),
        "{accepted:?}"
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    talk.data(&parcel.segments(0, &parcel.payload)).await;
    let consigned = talk.receipt().await;
    assert_eq!(receipt::open(&consigned).unwrap().kind, Kind::Consigned);
    assert_eq!(victim.received(), ["consigned"], "{}", victim.log());
}
