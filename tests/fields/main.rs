//! A generated campaign: no byte from outside ends the process.
//!
//! Every field of every document that somebody else writes is put at the ends of its type, one past its limits, and
//! into forms that readers of JSON disagree on. The list of fields comes from the schemas, from the protocol's page,
//! from the daemon's own refusals and from the list of configuration keys; so a new field is tried by itself, and one
//! without an example fails the test. `ROGATORY_FIELDS_WHOLE=1` tries all of what is alike, which takes some minutes
//! more.

#[cfg(test)]
#[path = "../hostile/attack.rs"]
#[expect(dead_code, reason = "other attacks need more of it")]
mod attack;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod control;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod oddities;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod pure;
#[cfg(test)]
#[path = "../../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "the library of the fuzz targets, which are crates of their own"
)]
mod readers;
#[cfg(test)]
mod schema;
#[cfg(test)]
#[path = "../hostile/script.rs"]
#[expect(dead_code, reason = "other attacks need more of it")]
mod script;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod spelling;
#[cfg(test)]
mod table;
#[cfg(test)]
mod values;
#[cfg(test)]
#[path = "../hostile/victim.rs"]
#[expect(dead_code, reason = "other attacks need more of it")]
mod victim;
