//! Every fault of the list has a test that bears its name, or one that is named here.

use std::collections::HashSet;

use crate::support::needs;
use crate::{auth_faults, interruptions, keys_faults, refresh_answers, refresh_faults};
use libtest_mimic::Trial;

/// Where faults are played that need a clock rather than a socket.
const LIFECYCLE: &str = include_str!("../behaviour/keys_lifecycle.rs");
/// Those faults, and their tests.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "jwks/unknown-kty-added",
        "other_keys_in_the_set_change_nothing",
    ),
    ("jwks/emptied", "a_useless_answer_never_replaces_keys"),
    ("jwks/rotate-overlap", "rotate_overlap"),
    ("jwks/rotate-hard", "rotate_hard"),
    ("jwks/flip-flop", "flip_flop"),
    ("jwks/304", "not_modified_keeps_the_set_and_resets_its_age"),
    ("jwks/cache-control-0", "cache_control_is_clamped"),
    ("jwks/cache-control-huge", "cache_control_is_clamped"),
    ("jwks/random-kid-flood", "random_kid_flood"),
    (
        "jwks/random-kid-flood-while-down",
        "random_kid_flood_while_down",
    ),
    ("jwks/bad-sig-flood", "bad_signatures_cause_no_fetch"),
    ("clock/skew+4s", "skew_within_the_leeway"),
    ("clock/skew+10min", "skew_within_the_leeway"),
    ("clock/backwards", "the_wall_clock_may_jump"),
    ("clock/leap", "a_clock_that_stands_still"),
];

pub fn trials() -> Vec<Trial> {
    let list = needs::vectors("upstream-faults.json");
    needs::trials("the list of faults", "vectors", list, |list| {
        vec![Trial::test("every fault has a test", move || {
            let trials = [
                keys_faults::trials(),
                refresh_faults::trials(),
                refresh_answers::trials(),
                auth_faults::trials(),
                interruptions::trials(),
            ];
            let trials = trials.iter().flatten();
            let mut played: HashSet<&str> = trials.map(Trial::name).collect();
            let has_test = |test: &str| LIFECYCLE.contains(&format!("async fn {test}("));
            let elsewhere = ELSEWHERE.iter().filter(|(_, test)| has_test(test));
            played.extend(elsewhere.map(|(fault, _)| fault));
            let cases = list["cases"].as_array().ok_or("no cases")?;
            let names = cases.iter().filter_map(|case| case["name"].as_str());
            let missing: Vec<_> = names
                .clone()
                .filter(|name| !played.contains(name))
                .collect();
            if names.count() < cases.len() || !missing.is_empty() {
                return Err(format!("no test for {missing:?}").into());
            }
            Ok(())
        })]
    })
}
