//! Handshakes over real UDP on loopback: who gets in, who does not, and the exact cause on each side.

#[cfg(test)]
mod authority;
#[cfg(test)]
mod keeping;
#[cfg(test)]
mod refusing;
