//! Who an authority is: keys, card, trust, and the signed statements it makes.
