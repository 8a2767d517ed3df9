//! Receipts: statements about an exchange, who signs them, and what they must hold.
