//! Tests that need something from outside: test vectors, a browser.
//!
//! What is not there shows as an *ignored* test with the reason, never as a silent success. On a machine that must
//! have it, `TOWER_DESCOPE_REQUIRE=vectors,chromium` (comma-separated) turns its absence into a failure.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Trial};
use serde_json::Value;

/// The trials that `build` makes of what was found; else one trial, named `suite`, that says what is missing.
pub fn trials<T>(
    suite: &str,
    what: &'static str,
    found: Result<T, String>,
    build: impl FnOnce(T) -> Vec<Trial>,
) -> Vec<Trial> {
    match found {
        Ok(found) => build(found),
        Err(why) => {
            let must = is_required(what);
            vec![Trial::ignorable_test(suite, move || {
                let reason = format!("needs {what}: {why}");
                if must {
                    Err(reason.into())
                } else {
                    Ok(Completion::ignored_with(reason))
                }
            })]
        }
    }
}

/// A file of the test vectors, as JSON.
pub fn vectors(file: &str) -> Result<Value, String> {
    let path = vectors_dir().join(file);
    let text = std::fs::read_to_string(&path).map_err(|_| {
        format!("no {file} in the directory of test vectors, set TOWER_DESCOPE_VECTORS")
    })?;
    serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))
}

fn vectors_dir() -> PathBuf {
    std::env::var_os("TOWER_DESCOPE_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"),
        PathBuf::from,
    )
}

fn is_required(what: &str) -> bool {
    std::env::var("TOWER_DESCOPE_REQUIRE")
        .unwrap_or_default()
        .split(',')
        .any(|required| required.trim() == what)
}
