//! Random bytes for salts, names and ids; secret keys are drawn where they are kept.

/// Fresh random bytes.
///
/// # Panics
/// When the system has no randomness, which does not happen once a process has started.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source answers");
    bytes
}
