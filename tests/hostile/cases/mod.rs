//! All cases, and the run of them.

mod after;
mod checkpoints;
mod control;
mod data;
mod floods;
mod frames;
mod headers;
mod logs;
mod offers;
mod onward;
mod receipts;
mod receiving;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rogatory::net::Link;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::attack::Attacker;
use crate::script::{Case, HANDED_OVER, Scene, check, enter};
use crate::victim::{HOSTILE, Victim, deliver};

/// Memory may grow by so much over all cases, in KiB, once the heaviest floods have been there. The first of them take
/// about 35 MiB that stay: the allocator keeps what they freed for the next, and the ledger's caches fill.
const GROWTH_KIB_MAX: u64 = 16 << 10;
/// And by so much at any time, from before the first of them: the windows of four connections of one peer, and what
/// else it can make grow.
const PEAK_KIB_MAX: u64 = (4 * 16 + 32) << 10;
/// Cases at once on one connection.
const AT_ONCE: usize = 6;
/// The victim's configuration: it gives up sooner than by default, and takes fewer
/// offers than anybody can say on a busy machine.
const LIMITS: &[(&str, &str)] = &[
    ("ROGATORY__LIMITS__PATIENCE", "15 s"),
    ("ROGATORY__LIMITS__OFFERS_PER_SECOND", "60"),
];

fn every(attacker: &Attacker) -> Vec<Case> {
    [
        control::greetings(attacker),
        control::papers(attacker),
        frames::order(attacker),
        frames::lengths(),
        frames::bodies(),
        offers::fields(attacker),
        offers::values(attacker),
        offers::notes(attacker),
        offers::disclosed(attacker),
        offers::particulars(attacker),
        offers::refused(attacker),
        onward::offered(attacker),
        onward::items(attacker),
        data::small(),
        data::lists(),
        data::segments(),
        data::odd(),
        receipts::countersignatures(),
        receipts::endings(),
        after::all(),
        onward::told(),
        receipts::headers_and_after(),
        headers::all(attacker),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Plays all of them, those that need no connection of their own on one.
async fn play(attacker: Arc<Attacker>, cases: Vec<Case>) -> Vec<String> {
    let (link, _control) = attacker.up().await;
    let (shared, alone) = (
        Arc::new(Semaphore::new(AT_ONCE)),
        Arc::new(Semaphore::new(2)),
    );
    let mut playing = JoinSet::new();
    for case in cases {
        let places = if case.scene.alone() { &alone } else { &shared };
        let place = Arc::clone(places).acquire_owned().await.unwrap();
        let (attacker, link) = (Arc::clone(&attacker), link.clone());
        playing.spawn(async move {
            let wrong = check(&attacker, &link, &case).await;
            drop(place);
            wrong
        });
    }
    let mut wrong: Vec<_> = playing.join_all().await.into_iter().flatten().collect();
    wrong.extend(
        link.connection
            .close_reason()
            .map(|why| format!("the connection ended: {why}")),
    );
    link.close(0, "over");
    wrong
}

/// A named flood, what was wrong with it, and the memory of the victim after it.
type Flood = (String, floods::Result);

async fn flooded(attacker: &Attacker, victim: &Victim) -> Vec<Flood> {
    let mut done = Vec::new();
    macro_rules! flood {
        ($name:literal, $flood:ident) => {
            let began = tokio::time::Instant::now();
            done.push(($name.to_owned(), floods::$flood(attacker).await));
            println!(
                "{}: {:?}, then {} KiB resident",
                $name,
                began.elapsed(),
                victim.resident()
            );
        };
    }
    flood!("connections that come and go", churn);
    flood!("too many connections", connections);
    flood!("streams on which nothing is said", silent_streams);
    flood!("offers that are given up", offers);
    flood!("one exchange on 40 streams", same_exchange);
    flood!("data of exchanges that nobody offered", strangers_data);
    flood!("data streams of no kind", unknown_data);
    flood!("large payloads that never end", unfinished_payloads);
    flood!("small payloads that never end", unfinished_small);
    flood!("papers without end", papers);
    done
}

/// The floods that take most memory, once before the others.
async fn heavy(attacker: &Attacker) -> Vec<(String, floods::Result)> {
    vec![
        (
            "large payloads, first".to_owned(),
            floods::unfinished_payloads(attacker).await,
        ),
        (
            "small payloads, first".to_owned(),
            floods::unfinished_small(attacker).await,
        ),
        ("papers, first".to_owned(), floods::papers(attacker).await),
    ]
}

/// Honest deliveries in both directions until told to stop; how many, and what went wrong.
fn honest(
    victim: &Victim,
    over: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<(usize, Vec<String>)> {
    let (folder, over) = (victim.folder().to_owned(), Arc::clone(over));
    std::thread::spawn(move || {
        let (mut done, mut wrong) = (0, Vec::new());
        while !over.load(Ordering::Relaxed) {
            for (from, to) in [("at", "ie"), ("ie", "at")] {
                match deliver(&folder, from, to) {
                    Ok(_) => done += 1,
                    Err(why) => wrong.push(why),
                }
                // What they leave in the ledger and its caches is not what is measured.
                std::thread::sleep(Duration::from_millis(250));
            }
        }
        (done, wrong)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_stands_all_that_a_peer_can_say() {
    let folder = tempfile::tempdir().unwrap();
    let mut victim = Victim::start(folder.path(), LIMITS);
    let attacker = |at: usize| {
        let (alias, id) = HOSTILE[at];
        Arc::new(Attacker::new(folder.path(), alias, id, victim.address))
    };
    let (speaker, flooder) = (attacker(0), attacker(1));
    let (receiver, idler) = (attacker(2), attacker(3));
    victim.send("nl", &[100; 30]);
    warmed(&speaker).await;
    deliver(folder.path(), "at", "ie").unwrap();
    let cold = victim.resident();
    let heavy = heavy(&flooder).await;
    let before = victim.resident();

    let over = Arc::new(AtomicBool::new(false));
    let served = honest(&victim, &over);
    let cases = every(&speaker);
    named_once(&cases);
    let said = cases.len();
    let spoken = tokio::spawn(play(Arc::clone(&speaker), cases));
    let receiving = tokio::spawn(async move { receiving::play(&receiver).await });
    let (home, address) = (folder.path().to_owned(), victim.address);
    let watched = tokio::spawn(async move { Box::pin(logs::play(&home, address)).await });
    let idle = tokio::spawn(async move { Box::pin(floods::idle(&idler)).await });
    let floods = flooded(&flooder, &victim).await;
    println!("floods over");
    let mut wrong = spoken.await.unwrap();
    println!("cases over, {} KiB resident", victim.resident());
    let mut answered = 0;
    for others in [receiving, watched] {
        let (count, badly) = others.await.unwrap();
        answered += count;
        wrong.extend(badly);
    }
    wrong.extend(logs::alarmed(&victim));
    let floods = [heavy, floods, idle.await.unwrap()].concat();
    let tried = floods.len();
    let failed = floods
        .into_iter()
        .filter_map(|(name, outcome)| Some((name, outcome.err()?)));
    wrong.extend(failed.map(|(name, why)| format!("{name}: {why}")));
    over.store(true, Ordering::Relaxed);
    let (delivered, failed) = served.join().unwrap();
    wrong.extend(failed);

    let cases = said + answered + tried;
    let (grown, peak) = (
        settled(&victim, before).await,
        victim.peak().saturating_sub(cold),
    );
    println!(
        "cases {cases}, violations {}, RSS grown by {grown} KiB from {before} KiB (at most by {peak} KiB from {cold} KiB), honest exchanges done {delivered}",
        wrong.len()
    );
    for why in &wrong {
        println!("violation: {why}");
    }
    assert!(
        cases >= 300 && delivered >= 2,
        "{cases} cases, {delivered} honest"
    );
    assert!(peak < PEAK_KIB_MAX, "up by {peak} KiB from {cold} KiB");
    assert!(
        grown < GROWTH_KIB_MAX,
        "grown by {grown} KiB from {before} KiB"
    );
    unharmed(&mut victim, &wrong);
}

/// Nothing went wrong, the daemon runs, and it holds no more than was really handed over.
fn unharmed(victim: &mut Victim, wrong: &[String]) {
    let log = tail(&victim.log());
    assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n"));
    assert!(victim.alive(), "{log}");
    let handed_over = HANDED_OVER.lock().unwrap();
    let received = victim.received();
    let mut held = received.iter().filter(|(_, state)| state == "held");
    let unexpected = held.find(|(id, _)| !handed_over.contains(&id.parse().unwrap()));
    assert_eq!(unexpected, None);
    assert!(received.iter().any(|(_, state)| state == "held"));
    assert!(!victim.log().contains("panicked"), "{log}");
}

/// How much memory has grown, in KiB, once connections that were closed are forgotten.
async fn settled(victim: &Victim, before: u64) -> u64 {
    let grown = || victim.resident().saturating_sub(before);
    for _ in 0..10 {
        if grown() < GROWTH_KIB_MAX / 2 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    grown()
}

fn named_once(cases: &[Case]) {
    let mut names = BTreeSet::new();
    for case in cases {
        assert!(names.insert(&case.name), "{} stands twice", case.name);
    }
}

/// One honest delivery of the attacker, which is a peer like any other.
async fn warmed(attacker: &Attacker) {
    let (link, _control): (Link, _) = attacker.up().await;
    let parcel = attacker.honest();
    enter(attacker, &link, Scene::Settled, &parcel)
        .await
        .unwrap();
    link.close(0, "over");
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
