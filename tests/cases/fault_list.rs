//! Every fault of the list has a test that bears its name, or one in `behaviour::keys_lifecycle`.

use std::collections::HashSet;

use crate::support::{faults_with_a_clock, needs};
use crate::{auth_faults, interruptions, keys_faults, refresh_answers, refresh_faults};
use libtest_mimic::Trial;

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
            played.extend(faults_with_a_clock::NAMES);
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
