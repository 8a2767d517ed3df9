//! A real daemon against peers that hold good certificates and say what they must not.
//!
//! Every case gets its typed fault, as a frame or as the reason for which the connection is closed; nothing is
//! received, no memory is kept, and an honest peer is served meanwhile.

#[cfg(test)]
mod attack;
#[cfg(test)]
mod broken;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod forks;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod script;
#[cfg(test)]
mod victim;
