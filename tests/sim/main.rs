//! Whole exchanges under faults, from one seed.
//!
//! A world has two to four authorities. Each runs the production machines, [`rogatory::transfer::Sender`] and
//! [`rogatory::transfer::Receiver`], with their real notes, keys, policy, frames and log tree. Everything around them
//! is simulated: clocks that are wrong, drift and are set; connections that lose, delay and break at any byte, at each
//! end at another moment; a ledger that commits in groups; files whose unflushed bytes and names a power cut loses or
//! tears; disks without space; threads that go on after whoever asked for them has gone. What drives the machines here
//! follows `net::{outbound, inbound, intake, inbox}`, `daemon::{courier, sweeper}` and `store` line for line, as far as
//! order is concerned; it does not run them, nor SQLite, nor QUIC: the tests that kill the real program do.
//!
//! A run is one seed: faults for 20 simulated minutes, then an hour of peace, in which every exchange must end. After
//! every event the invariants are looked at (`checks.rs`):
//!
//! | | what must hold |
//! | --- | --- |
//! | I1 | what was said is durable: the statement, and behind `consigned` the payload, behind `handover` the header |
//! | I2 | one statement of each kind for each exchange, always the same bytes; the two ends never contradict each other; every chain verifies |
//! | I3 | no package can be read before its handover |
//! | I4 | the log has every head that was ever sent |
//! | I5 | nothing is accepted without a permit, nor what the terms or the configuration forbid |
//! | I7 | a machine asks for a bounded number of things at once |
//! | I8 | once faults stop, every exchange is delivered or ended by a signed reason, and both ends know |
//!
//! Beside them: the header leaves only after the countersigned receipt is durable, the sender's copy is gone once the
//! exchange has ended, and no file operation fails that the program relies on.
//!
//! The same seed gives the same trace, which is hashed. A failure prints its seed; to see it again, with its last
//! events:
//!
//! ```text
//! ROGATORY_SIM_SEED=4711 cargo test --test sim -- replay --nocapture
//! ```
//!
//! `cargo test --test sim` runs 2,000 seeds; `tests/soak sim N [FIRST]` runs as many as one likes.

#![expect(
    clippy::needless_pass_by_value,
    clippy::similar_names,
    clippy::too_many_lines,
    clippy::unnecessary_wraps,
    reason = "a model: its steps have one shape, one arm for each message, and the protocol's words are near each other"
)]

mod chance;
mod checks;
mod disk;
mod figures;
mod inbound;
mod jobs;
mod ledger;
mod links;
mod node;
mod outbound;
mod plant;
mod scene;
mod trace;
mod trouble;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use rogatory::base::Digest;

use crate::figures::Figures;
use crate::plant::Plant;
use crate::world::World;

/// Seeds that every test run goes through.
const SEEDS: u64 = 2_000;
/// Threads that share them.
const THREADS: u64 = 2;

/// The result of a run.
struct Report {
    seed: u64,
    hash: Digest,
    last: String,
    figures: Figures,
    violation: Option<String>,
}

impl Report {
    fn text(&self) -> String {
        format!(
            "seed {}: {}\ntrace {}\n{}to see it again: ROGATORY_SIM_SEED={} cargo test --test sim -- replay --nocapture",
            self.seed,
            self.violation.as_deref().unwrap_or("no violation"),
            self.hash,
            self.last,
            self.seed,
        )
    }
}

fn run(seed: u64, plant: Option<Plant>) -> Report {
    let mut world = World::new(seed, plant);
    // A panic of a machine is a finding like any other; the world is looked at no more after it than to tell of it.
    let panicked = catch_unwind(AssertUnwindSafe(|| world.run())).is_err();
    if panicked {
        world.violated("a machine panicked".to_owned());
    }
    let (violation, figures) = (world.violation.take(), world.figures.clone());
    let (hash, last) = world.trace.end();
    Report {
        seed,
        hash,
        last,
        figures,
        violation,
    }
}

/// Runs seeds on all threads; answers the figures and the reports of those that failed, at most a few.
fn campaign(first: u64, count: u64) -> (Figures, Vec<Report>) {
    let next = AtomicU64::new(first);
    let work = || {
        let (mut figures, mut failed) = (Figures::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || failed.len() >= 20 {
                return (figures, failed);
            }
            let report = run(seed, None);
            figures.add(&report.figures);
            if report.violation.is_some() {
                failed.push(report);
            }
        }
    };
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let parts = threads.into_iter().map(|it| it.join().expect("joins"));
        parts.collect::<Vec<_>>()
    });
    let (mut figures, mut failed) = (Figures::default(), Vec::new());
    for (some, more) in parts {
        figures.add(&some);
        failed.extend(more);
    }
    failed.sort_by_key(|report| report.seed);
    (figures, failed)
}

#[expect(clippy::print_stdout, reason = "this is the report of the test")]
fn show(figures: &Figures) {
    for (what, count) in figures.all() {
        println!("{count:>10} {what}");
    }
    println!("exchanges ended: {:?}", figures.ends);
    println!("attempts ended by faults: {:?}", figures.faults);
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told their seeds by the environment"
)]
fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "this is the report of the test")]
#[expect(
    clippy::disallowed_methods,
    reason = "how long it took is part of the report"
)]
fn check_seeds(first: u64, count: u64) -> Figures {
    let began = std::time::Instant::now();
    let (figures, failed) = campaign(first, count);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{count} seeds from {first} in {seconds:.1} s ({:.0}/s), violations {}",
        f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds,
        failed.len()
    );
    show(&figures);
    for report in &failed {
        println!("{}\n", report.text());
    }
    let seeds: Vec<_> = failed.iter().map(|it| it.seed).collect();
    assert!(failed.is_empty(), "seeds that failed: {seeds:?}");
    figures
}

#[test]
fn two_thousand_seeds_hold_every_invariant() {
    let figures = check_seeds(1, SEEDS);
    // Every kind of fault has really been there.
    for (what, count) in figures.all() {
        assert!(
            count > 0 || what.starts_with("processes ended by"),
            "no {what}"
        );
    }
    for end in ["closed", "rejected", "failed", "expired", "withdrawn"] {
        assert!(figures.ends.contains_key(end), "no exchange is {end}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 1..=30 {
        let (once, again) = (run(seed, None), run(seed, None));
        assert_eq!(once.hash, again.hash, "seed {seed}");
        hashes.insert(once.hash);
    }
    assert_eq!(hashes.len(), 30, "other seeds, other traces");
}

#[test]
fn each_planted_fault_is_found() {
    const MOST: u64 = 1_000;
    for plant in Plant::ALL {
        let first = plant.first_seed();
        let found = (first..first + MOST)
            .map(|seed| run(seed, Some(plant)))
            .find_map(|report| Some((report.seed, report.violation?)));
        let (seed, what) = found.unwrap_or_else(|| panic!("{plant:?} is not found"));
        println!("{plant:?}: seed {seed}: {what}");
    }
}

/// For one seed: `ROGATORY_SIM_SEED=… cargo test --test sim -- replay --nocapture`. Without it, the first.
#[test]
fn replay() {
    let report = run(told("ROGATORY_SIM_SEED").unwrap_or(1), None);
    println!("{}", report.text());
    assert!(report.violation.is_none(), "see above");
}

/// For `tests/soak sim`: `ROGATORY_SIM_SEEDS` seeds from `ROGATORY_SIM_FIRST` on. Without them, none.
#[test]
fn soak() {
    let first = told("ROGATORY_SIM_FIRST").unwrap_or(SEEDS + 1);
    let count = told("ROGATORY_SIM_SEEDS").unwrap_or(10);
    check_seeds(first, count);
}
