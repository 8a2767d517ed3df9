//! Random bytes: salts, names, ids, file keys.

/// Fresh random bytes, from the kernel's generator and nothing else (getrandom(2)). The generator of aws-lc is seeded
/// from the kernel too, and first measures the jitter of the processor for 30 ms: more than all the rest of a small
/// package takes.
///
/// # Panics
/// When the system has no randomness, which does not happen once a process has started.
#[expect(
    clippy::expect_used,
    reason = "nothing from outside has part in it, and there is no going on without randomness"
)]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random source answers");
    bytes
}
