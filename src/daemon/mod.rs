//! The daemon: composition of everything above.
