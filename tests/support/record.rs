//! Verdicts, line by line, for the comparison of two backends (`tests/backends/run`).

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io::Write;

/// Appends to the file that `TOWER_DESCOPE_VERDICTS` names, if it does.
pub fn verdict(name: &str, verdict: impl Debug) {
    let Some(path) = std::env::var_os("TOWER_DESCOPE_VERDICTS") else {
        return;
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    // In one piece, because tests run side by side.
    file.write_all(format!("{name}: {verdict:?}\n").as_bytes())
        .unwrap();
}
