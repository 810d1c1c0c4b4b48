//! What the crate promises, from outside, a file for each subject. Needs nothing but this repository.
//!
//! One program rather than one for each file: thirty of them would link everything thirty times.

mod access_key_layer;
mod allocations;
mod client_calls;
mod client_faults;
mod client_of_app;
mod client_traces;
mod cookie_names;
mod cookie_store;
mod current_user;
mod emulator;
mod endpoints;
mod events;
mod example_html_forms;
mod example_multi_tenant;
mod example_testing;
mod example_users_table;
mod example_websocket;
mod hooks;
mod keys_lifecycle;
mod keys_missing;
mod long_lived;
mod long_lived_renewals;
mod names;
mod openapi;
mod own_handlers;
mod policies;
mod profiles;
mod properties;
mod refusals;
mod rejections;
mod rejections_nested;
mod renewal_delivery;
mod renewal_faults;
mod replicas;
mod routes_bodies;
mod routes_native;
mod routes_races;
mod routes_requests;
mod routes_sdk;
mod routes_session;
mod routes_upstream;
mod same_user;
mod security_page;
mod session_jwt;
mod session_layer;
mod sign_out;
mod stacks;
mod test_kit;
mod token_smoke;
mod tossed_cookies;
mod tower_contract;
mod traces;
mod two_projects;
mod walkthrough;

#[path = "../support"]
mod support {
    pub mod browser_without_script;
    pub mod fake;
    pub mod faults_with_a_clock;
    pub mod fuzz_targets;
    pub mod live;
    pub mod log;
    pub mod memory_store;
    pub mod mounted;
    pub mod project;
    pub mod signer;
    pub mod upstream;
    pub mod verdict;
    pub mod world;
}
