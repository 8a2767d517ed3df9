//! Checks without a daemon of what real daemons left: the state with `fsck`, an exported bundle with
//! `rogatory-audit`.

mod audit;
mod fsck;
mod stage;
