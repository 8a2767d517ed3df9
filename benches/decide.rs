//! Decisions a second on one core: every case of the decision table in turn, its facts put together anew each time; by the core
//! alone, and with 200 national rules.
//!
//!   cargo bench --bench decide

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures time and prints figures"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rogatory::policy::table::{Case, Outcome, Table};
use rogatory::policy::{Action, PolicySet, national};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);

fn main() {
    let table: Table = toml::from_str(include_str!("../tests/policy/decisions.toml"))
        .expect("the decision table is TOML");
    // Rules are asked of what the core permits: these are the dearest cases.
    let is_asked = |case: &&Case| case.action == Action::Open && case.decision == Outcome::Permit;
    let opened = Table {
        terms: table.terms.clone(),
        cases: table.cases.iter().filter(is_asked).cloned().collect(),
    };
    let core = PolicySet::new(None);
    let national = restricted();
    measure("the core", &table, &core);
    measure("with 200 national rules", &table, &national);
    measure("openings, the core", &opened, &core);
    measure("openings, with 200 national rules", &opened, &national);
}

/// 200 rules about openings, none of which forbids what the table has permitted.
fn restricted() -> PolicySet {
    let rule = |n: u32| {
        format!(
            "@id(\"r{n}\")@reason(\"x\")@clause(\"y\")\nforbid(principal, action == Action::\"open\", resource)\n\
             when {{ context.instrument == \"none-{n}\" && context.roles.contains(\"officer\") }};"
        )
    };
    let rules: Vec<_> = (0..200).map(rule).collect();
    let files = [("rules.cedar".to_owned(), rules.join("\n"))];
    let national = national::load(&files).expect("they are well written");
    PolicySet::new(None).restricted_by(Some(Arc::new(national)))
}

fn measure(what: &str, table: &Table, set: &PolicySet) {
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| round(table, set)).collect();
    rates.sort_by(f64::total_cmp);
    let median = rates[ROUNDS / 2];
    println!(
        "{what}: {} cases, {ROUNDS} rounds: median {median:.0} decisions/s ({:.0} to {:.0}), {:.2} µs each",
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
