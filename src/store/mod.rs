//! What is durable: ledger, blobs, slots.
