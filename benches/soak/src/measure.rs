//! Memory and open files of this process.

use std::fmt;
use std::time::Duration;

const TOLERANCE: f64 = 1.05;
/// Below these a difference is noise of the allocator and of the connection pools.
const LEAST_KB: f64 = 2_048.0;
const LEAST_FILES: f64 = 8.0;

#[derive(Default)]
pub struct Samples(Vec<Sample>);

#[derive(Clone, Copy)]
pub struct Sample {
    at: Duration,
    rss_kb: u64,
    files: u64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, rss_kb, files } = self;
        write!(f, "{:>5} s: {rss_kb} kB, {files} files", at.as_secs())
    }
}

impl Samples {
    pub fn take(&mut self, at: Duration) -> Sample {
        let status = std::fs::read_to_string("/proc/self/status").expect("linux");
        let rss_kb = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse().ok())
            .expect("VmRSS in kB");
        let files = std::fs::read_dir("/proc/self/fd").expect("linux").count() as u64;
        let sample = Sample { at, rss_kb, files };
        self.0.push(sample);
        sample
    }

    /// Compares the first quarter after the warm-up with the last one.
    pub fn verdict(&self) -> (bool, String) {
        let warm = &self.0[self.0.len() / 5..];
        let quarter = warm.len().div_ceil(4);
        if quarter == 0 {
            return (false, "too short to say whether anything grows".to_owned());
        }
        let (first, last) = (&warm[..quarter], &warm[warm.len() - quarter..]);
        let rss = |sample: &Sample| sample.rss_kb;
        let files = |sample: &Sample| sample.files;
        let (rss_first, rss_last) = (median(first, rss), median(last, rss));
        let (files_first, files_last) = (median(first, files), median(last, files));
        let flat =
            |first: f64, last: f64, least: f64| last <= (first * TOLERANCE).max(first + least);
        (
            flat(rss_first, rss_last, LEAST_KB) && flat(files_first, files_last, LEAST_FILES),
            format!(
                "memory {rss_first} -> {rss_last} kB ({:+.1} %), files {files_first} -> {files_last}",
                100.0 * (rss_last / rss_first - 1.0)
            ),
        )
    }
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> f64 {
    let mut values: Vec<u64> = samples.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2] as f64
}
