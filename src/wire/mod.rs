//! Frames between two daemons: encode, decode, nothing else.
