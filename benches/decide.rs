//! Decisions a second on one core: every case of the decision table in turn, its facts put together anew each time.
//!
//!   cargo bench --bench decide

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures time and prints figures"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rogatory::policy::PolicySet;
use rogatory::policy::table::Table;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);

fn main() {
    let table: Table = toml::from_str(include_str!("../tests/policy/decisions.toml"))
        .expect("the decision table is TOML");
    let set = PolicySet::new(None);
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| round(&table, &set)).collect();
    rates.sort_by(f64::total_cmp);
    let median = rates[ROUNDS / 2];
    println!(
        "{} cases, {ROUNDS} rounds: median {median:.0} decisions/s ({:.0} to {:.0}), {:.2} µs each",
        table.cases.len(),
        rates[0],
        rates[ROUNDS - 1],
        1e6 / median
    );
}

/// Decisions a second in one round.
fn round(table: &Table, set: &PolicySet) -> f64 {
    let began = Instant::now();
    let mut decisions = 0_u32;
    while began.elapsed() < ROUND {
        for case in &table.cases {
            let judged = black_box(case).judge(table, set).expect("a case");
            assert!(case.is_met(&judged));
            decisions += 1;
        }
    }
    f64::from(decisions) / began.elapsed().as_secs_f64()
}
