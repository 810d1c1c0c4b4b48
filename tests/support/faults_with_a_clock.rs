//! Faults of the list that need a clock rather than a socket. `behaviour::keys_lifecycle` has a test for each of them.

/// Their names.
pub const NAMES: [&str; 15] = [
    "jwks/unknown-kty-added",
    "jwks/emptied",
    "jwks/rotate-overlap",
    "jwks/rotate-hard",
    "jwks/flip-flop",
    "jwks/304",
    "jwks/cache-control-0",
    "jwks/cache-control-huge",
    "jwks/random-kid-flood",
    "jwks/random-kid-flood-while-down",
    "jwks/bad-sig-flood",
    "clock/skew+4s",
    "clock/skew+10min",
    "clock/backwards",
    "clock/leap",
];
