//! A real daemon against a peer that holds a good certificate and says what it must not.
//!
//! Every case gets its typed fault, as a frame or as the reason for which the connection is closed; nothing is received,
//! no memory is kept, and the daemon answers as before.

#[cfg(test)]
mod attack;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod victim;
