//! Runs the trials of several files as one program.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

pub struct Suite {
    name: &'static str,
    trials: fn() -> Vec<Trial>,
    alone: bool,
}

impl Suite {
    /// Its trials may run beside others.
    pub fn parallel(name: &'static str, trials: fn() -> Vec<Trial>) -> Self {
        Self {
            name,
            trials,
            alone: false,
        }
    }

    /// One trial at a time: they share a counter, or measure time.
    pub fn alone(name: &'static str, trials: fn() -> Vec<Trial>) -> Self {
        Self {
            alone: true,
            ..Self::parallel(name, trials)
        }
    }
}

pub fn run(suites: &[Suite]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // To list the trials of a file may mean to start an emulator or to install a package: not for one that is not asked.
    let other = |suite: &Suite| {
        let filter = arguments.filter.as_deref().unwrap_or_default();
        !filter.starts_with(suite.name) && suites.iter().any(|named| filter.starts_with(named.name))
    };
    let trials = |alone| -> Vec<Trial> {
        suites
            .iter()
            .filter(|suite| suite.alone == alone && !other(suite))
            .flat_map(|suite| {
                let named = |trial: Trial| trial.with_kind(suite.name);
                (suite.trials)().into_iter().map(named)
            })
            .collect()
    };
    let (together, alone) = (trials(false), trials(true));
    let failed = libtest_mimic::run(&arguments, together).has_failed();
    arguments.test_threads = Some(1);
    if libtest_mimic::run(&arguments, alone).has_failed() || failed {
        return ExitCode::from(101);
    }
    ExitCode::SUCCESS
}
