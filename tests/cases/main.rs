//! Cases from outside this repository: test vectors, and what needs a browser, a Redis server or a package from npm.
//!
//! Each has its name, `[file] case`; what is missing on this machine shows as ignored, see `support/needs.rs`.
//! `cargo test --test cases -- browser` runs those of one file.

mod attack_tokens;
mod auth_faults;
mod browser;
mod cookie_cases;
mod csrf_cases;
mod fault_list;
mod interruptions;
mod keys_faults;
mod next_urls;
mod races;
mod refresh_answers;
mod refresh_faults;
mod replicas_redis;
mod routes_csrf;
mod websocket_redis;
mod wycheproof;

#[path = "../support"]
mod support {
    pub mod endpoint;
    pub mod fake;
    pub mod faults_with_a_clock;
    pub mod log;
    pub mod mounted;
    pub mod needs;
    pub mod project;
    pub mod record;
    pub mod redis_server;
    pub mod renewal;
    pub mod replica_process;
    pub mod signer;
    pub mod socket_faults;
    pub mod suites;
    pub mod tls;
    pub mod upstream;
    pub mod verdict;
    pub mod webdriver;
    pub mod world;
}

use std::process::ExitCode;

use support::suites::{Suite, run};

fn main() -> ExitCode {
    if let Some(code) = replicas_redis::replica() {
        return code;
    }
    if let Some(code) = websocket_redis::replica() {
        return code;
    }
    replicas_redis::allow_many_files();
    run(&[
        Suite::parallel("attack_tokens", attack_tokens::trials),
        Suite::parallel("wycheproof", wycheproof::trials),
        Suite::parallel("keys_faults", keys_faults::trials),
        Suite::parallel("refresh_faults", refresh_faults::trials),
        Suite::parallel("refresh_answers", refresh_answers::trials),
        Suite::parallel("auth_faults", auth_faults::trials),
        Suite::parallel("interruptions", interruptions::trials),
        Suite::parallel("fault_list", fault_list::trials),
        Suite::parallel("next_urls", next_urls::trials),
        Suite::parallel("routes_csrf", routes_csrf::trials),
        Suite::alone("cookie_cases", cookie_cases::trials),
        Suite::alone("csrf_cases", csrf_cases::trials),
        Suite::alone("races", races::trials),
        Suite::alone("replicas_redis", replicas_redis::trials),
        Suite::alone("websocket_redis", websocket_redis::trials),
        Suite::alone("browser", browser::trials),
    ])
}
