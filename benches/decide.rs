//! Decisions a second on one core: every case of the decision table in turn, its facts put together anew each time; by
//! the core alone, and with 200 national rules.
//!
//!   cargo bench --bench decide
//!   cargo bench --bench decide -- --exchange     both decisions of an exchange in µs, for benches/compare

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures time and prints figures"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rogatory::policy::table::{Case, DecisionTable, Outcome};
use rogatory::policy::{Action, PolicySet, national};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);

fn main() {
    let table: DecisionTable = toml::from_str(include_str!("../tests/policy/decisions.toml"))
        .expect("the decision table is TOML");
    let only = |is_asked: &dyn Fn(&Case) -> bool| DecisionTable {
        terms: table.terms.clone(),
        cases: table
            .cases
            .iter()
            .filter(|case| is_asked(case))
            .cloned()
            .collect(),
    };
    let permitted = |case: &Case| case.decision == Outcome::Permit;
    // Rules are asked of what the core permits: these are the dearest cases.
    let opened = only(&|case| permitted(case) && case.action == Action::Open);
    // Both decisions of an exchange: the sender's and the receiver's.
    let exchanged =
        only(&|case| permitted(case) && matches!(case.action, Action::Send | Action::Admit));
    let core = PolicySet::new(None);
    let national = restricted(guarded);
    if std::env::args().any(|it| it == "--exchange") {
        let us = |set| 2.0 * 1e6 / median(&exchanged, set).0;
        println!(
            "{{\"core_us\":{:.2},\"national_us\":{:.2}}}",
            us(&core),
            us(&national)
        );
        return;
    }
    measure("the core", &table, &core);
    measure("with 200 national rules", &table, &national);
    measure("openings, the core", &opened, &core);
    measure("openings, with 200 national rules", &opened, &national);
    measure(
        "send and admit, with 200 national rules",
        &exchanged,
        &national,
    );
    measure(
        "openings, with 200 rules that begin with nothing to tell them apart",
        &opened,
        &restricted(unguarded),
    );
}

/// Typical rules of an authority: about an instrument, a partner, a purpose or a restriction, each with more to ask
/// once that is met. Of the 200, those about its instrument are met by a question; none forbids what the table has
/// permitted.
fn guarded(n: u32) -> String {
    let instrument = ["EIO", "MLA-2000", "UNTOC", "UNCAC", "Budapest", "EPOC"][n as usize % 6];
    match n % 5 {
        0 => format!(
            "context.instrument == \"{instrument}\" && context.to == \"partner-{n}.example\""
        ),
        1 => format!(
            "[\"partner-{n}.example\", \"other-{n}.example\"].contains(context.from) && context.today > 0"
        ),
        2 => format!(
            "context has purpose && context.purpose == \"civil-claim\" && context.roles.contains(\"officer\") && context.today > {}",
            1_000_000 + n
        ),
        3 => format!(
            "context.restrictions.contains(\"special-categories\") && context.retain_until - context.today > {n}"
        ),
        _ => format!(
            "context.instrument == \"{instrument}\" && context.today > {}",
            1_000_000 + n
        ),
    }
}

/// Conditions of which nothing can be told without evaluating them.
fn unguarded(n: u32) -> String {
    format!("context.today > {} && context.use_report", 1_000_000 + n)
}

/// 200 rules with these conditions.
fn restricted(condition: impl Fn(u32) -> String) -> PolicySet {
    let rule = |n: u32| {
        format!(
            "@id(\"r{n}\")@reason(\"x\")@clause(\"y\")\nforbid(principal, action, resource)\nwhen {{ {} }};",
            condition(n)
        )
    };
    let rules: Vec<_> = (0..200).map(rule).collect();
    let files = [("rules.cedar".to_owned(), rules.join("\n"))];
    let national = national::load(&files).expect("they are well written");
    PolicySet::new(None).restricted_by(Some(Arc::new(national)))
}

/// Decisions a second: the median of the rounds, and the slowest and the fastest of them.
fn median(table: &DecisionTable, set: &PolicySet) -> (f64, f64, f64) {
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| round(table, set)).collect();
    rates.sort_by(f64::total_cmp);
    (rates[ROUNDS / 2], rates[0], rates[ROUNDS - 1])
}

fn measure(what: &str, table: &DecisionTable, set: &PolicySet) {
    let (median, slowest, fastest) = median(table, set);
    println!(
        "{what}: {} cases, {ROUNDS} rounds: median {median:.0} decisions/s ({:.0} to {:.0}), {:.2} µs each",
        table.cases.len(),
        slowest,
        fastest,
        1e6 / median
    );
}

/// Decisions a second in one round.
fn round(table: &DecisionTable, set: &PolicySet) -> f64 {
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
