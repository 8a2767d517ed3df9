//! The files that a configuration names: do they exist, who may read them, do they belong together.
