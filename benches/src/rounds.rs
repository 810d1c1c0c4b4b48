//! Interleaved rounds: what else the machine does hits every probe of a round alike and cancels out in its ratios.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A named piece of work and how often it runs in one round.
pub struct Probe<'a> {
    name: String,
    times: usize,
    batch: Box<dyn FnMut(usize) -> Duration + 'a>,
}

impl<'a> Probe<'a> {
    /// Work that gets its own number, which never comes twice.
    pub fn each(name: impl Into<String>, times: usize, mut work: impl FnMut(usize) + 'a) -> Self {
        let mut next = 0;
        Self::batch(name, times, move |times| {
            let began = thread_time();
            for n in next..next + times {
                work(n);
            }
            next += times;
            thread_time() - began
        })
    }

    /// Work that is done so many times at once and says how long it took.
    pub fn batch(
        name: impl Into<String>,
        times: usize,
        batch: impl FnMut(usize) -> Duration + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            times,
            batch: Box::new(batch),
        }
    }
}

/// Nanoseconds by probe and round.
pub struct Figures(Vec<(String, Vec<f64>)>);

/// What this thread has had of a core. A neighbour that takes the core away for a while does not count.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How many rounds are wanted: `ROUNDS`, or `default`.
pub fn rounds(default: usize) -> usize {
    let wanted = std::env::var("ROUNDS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How often a probe's work is done altogether, for those that need something new each time.
pub fn calls(times: usize, rounds: usize) -> usize {
    (warm_up(times) + times) * (rounds + 1)
}

fn warm_up(times: usize) -> usize {
    times.div_ceil(10)
}

/// Runs one round more than asked for: the first warms up and does not count.
pub fn interleave(rounds: usize, mut probes: Vec<Probe<'_>>) -> Figures {
    let mut figures: Vec<_> = probes
        .iter()
        .map(|probe| (probe.name.clone(), Vec::with_capacity(rounds)))
        .collect();
    for round in 0..=rounds {
        for (probe, (_, row)) in probes.iter_mut().zip(&mut figures) {
            // Caches, branch predictors and the clock of the core are as the probe before has left them.
            (probe.batch)(warm_up(probe.times));
            let took = (probe.batch)(probe.times);
            if round > 0 {
                row.push(took.as_nanos() as f64 / probe.times as f64);
            }
        }
    }
    Figures(figures)
}

impl Figures {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The median over the rounds.
    pub fn ns(&self, name: &str) -> f64 {
        median(self.row(name).to_vec())
    }

    /// The median of the ratios within a round.
    pub fn ratio(&self, name: &str, base: &str) -> f64 {
        median(self.pairs(name, base, |a, b| a / b))
    }

    /// The median of the differences within a round.
    pub fn added(&self, name: &str, base: &str) -> f64 {
        median(self.pairs(name, base, |a, b| a - b))
    }

    fn pairs(&self, name: &str, base: &str, with: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let base = self.row(base);
        self.row(name)
            .iter()
            .zip(base)
            .map(|(a, b)| with(*a, *b))
            .collect()
    }

    fn row(&self, name: &str) -> &[f64] {
        let found = self.0.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("no probe {name}")).1
    }
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
