//! Configuration: what is written, and what is meant by it.
