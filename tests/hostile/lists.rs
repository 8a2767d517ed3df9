//! Two lists of segment hashes for one exchange, at once.

use std::time::Duration;

use rogatory::receipt::{self, Kind};

use crate::attack::Attacker;
use crate::script::{Say, Scene, enter};
use crate::victim::{HOSTILE, Victim};

/// Both are being taken when the second ends: each is written under the same name, and the daemon must neither take one
/// for the other nor fail over a file that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lists_at_once_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let victim = Victim::start(folder.path(), &[]);
    let (alias, id) = HOSTILE[0];
    let attacker = Attacker::new(folder.path(), alias, id, victim.address);
    let (link, _control) = attacker.up().await;
    let parcel = attacker.large();
    let talk = enter(&attacker, &link, Scene::Large, &parcel).await;
    let mut talk = talk.unwrap();
    let list = parcel.list();
    let (begin, rest) = list.split_at(list.len() - 32);
    let mut first = link.connection.open_uni().await.unwrap();
    first.write_all(begin).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    talk.say(Say::Data(list.clone())).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    first.write_all(rest).await.unwrap();
    first.finish().unwrap();
    // Whichever of them was taken, the exchange goes on.
    talk.accepted().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let segments = parcel.segments(0, &parcel.payload);
    talk.say(Say::Data(segments)).await;
    let consigned = talk.receipt(&attacker).await.unwrap();
    assert_eq!(receipt::open(&consigned).unwrap().kind, Kind::Consigned);
    let received = victim.received().into_iter().map(|(_, state)| state);
    let states: Vec<_> = received.collect();
    assert_eq!(states, ["consigned"], "{}", victim.log());
}
