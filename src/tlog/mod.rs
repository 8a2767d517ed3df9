//! The Merkle log (RFC 6962, C2SP tlog-tiles): commitments, leaves, tree heads, checkpoints.
