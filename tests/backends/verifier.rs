//! The verifier's cases of `tests/cases`, for a package that has one signature backend.

#[path = "../cases/attack_tokens.rs"]
mod attack_tokens;
#[path = "../cases/wycheproof.rs"]
mod wycheproof;

#[path = "../support"]
mod support {
    pub mod fake;
    pub mod needs;
    pub mod record;
    pub mod suites;
    pub mod verdict;
}

use std::process::ExitCode;

use support::suites::{Suite, run};

fn main() -> ExitCode {
    run(&[
        Suite::parallel("attack_tokens", attack_tokens::trials),
        Suite::parallel("wycheproof", wycheproof::trials),
    ])
}
