//! Sealing and opening packages with age.
