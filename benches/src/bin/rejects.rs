//! What refusing an attack token costs, for every token of the test vectors, against one verification of a good one.
//!
//! ```sh
//! cd benches && cargo run --release --bin rejects
//! ```
//!
//! Needs the test vectors: `TOWER_DESCOPE_VECTORS`, by default the directory that the tests use.

use std::path::PathBuf;
use std::time::Instant;

use futures_executor::block_on;
use serde_json::Value;
use tower_descope::{Descope, TokenCache};

fn main() {
    let directory = std::env::var_os("TOWER_DESCOPE_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(directory.join("attack-tokens-public.json"))
        .expect("the test vectors; set TOWER_DESCOPE_VECTORS");
    let vectors: Value = serde_json::from_str(&text).expect("JSON");
    let descope = Descope::builder(vectors["config"]["project_id"].as_str().expect("a project"))
        .public_key(vectors["jwks"].to_string())
        .token_cache(TokenCache::disabled())
        .build()
        .expect("a configuration");
    let cost = |token: &str| {
        let mut figures: Vec<f64> = (0..41)
            .map(|_| {
                let began = Instant::now();
                let _ = block_on(descope.validate_session(token));
                began.elapsed().as_nanos() as f64
            })
            .collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let cases = vectors["cases"].as_array().expect("cases");
    let good = cases
        .iter()
        .find(|case| case["name"] == "ok/baseline")
        .expect("a good token");
    let good = good["token"].as_str().expect("a token");
    let mut rows: Vec<(f64, f64, &str)> = cases
        .iter()
        .filter(|case| case["expect"] == "reject")
        .map(|case| {
            let token = match case["token"].as_str() {
                Some(token) => token.to_owned(),
                None => generated(&case["token_gen"]),
            };
            let each = cost(&token);
            (
                each / cost(good),
                each,
                case["name"].as_str().expect("a name"),
            )
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{} tokens; the dearest:", rows.len());
    for (ratio, each, name) in rows.iter().take(8) {
        println!(
            "{ratio:>6.2} x a verification, {:>8.1} µs  {name}",
            each / 1000.0
        );
    }
    println!("refused by size or shape:");
    for (ratio, each, name) in rows.iter().filter(|row| row.2.starts_with("structure/")) {
        println!("{ratio:>6.2} x, {:>8.2} µs  {name}", each / 1000.0);
    }
}

fn generated(recipe: &Value) -> String {
    let text = |name: &str| recipe[name].as_str().unwrap_or_default();
    let count = recipe["count"].as_u64().unwrap_or(0) as usize;
    format!(
        "{}{}{}",
        text("prefix"),
        text("repeat").repeat(count),
        text("suffix")
    )
}
