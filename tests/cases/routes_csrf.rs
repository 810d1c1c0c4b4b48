//! Cross-origin requests to the mounted routes, from a list of cases (security requirements 39 and 40).

use crate::support::mounted::{Upstream, bare, builder, layered};
use crate::support::needs;
use axum::body::Body;
use http::Request;
use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use serde_json::Value;
use tower::ServiceExt;

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Clone, Deserialize)]
struct Case {
    name: String,
    method: String,
    headers: serde_json::Map<String, Value>,
    expect: String,
    why: String,
    path: Option<String>,
    #[serde(default)]
    config: Config,
}

#[derive(Clone, Default, Deserialize)]
struct Config {
    #[serde(default)]
    trusted_origins: Vec<String>,
}

/// Where the routes are stricter than the list asks for, and why.
const STRICTER: [(&str, &str); 1] = [(
    "bearer-cross-site",
    "a sign-in sets cookies, whatever token came with it",
)];

pub fn trials() -> Vec<Trial> {
    let found = needs::vectors("csrf-cases.json");
    needs::trials("csrf cases", "vectors", found, |vectors| {
        let list: Cases = serde_json::from_value(vectors).expect("the list of cases");
        list.cases.into_iter().flat_map(pair).collect()
    })
}

fn pair(case: Case) -> [Trial; 2] {
    [false, true].map(|with_layer| {
        let case = case.clone();
        let place = if with_layer { "layered" } else { "bare" };
        Trial::test(format!("{place}/{}", case.name), move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()?;
            runtime.block_on(run(&case, with_layer))
        })
    })
}

async fn run(case: &Case, with_layer: bool) -> Result<(), Failed> {
    let upstream = Upstream::new();
    let mut builder = builder(&upstream);
    for origin in &case.config.trusted_origins {
        builder = builder.allow_origin(origin);
    }
    let descope = builder.build()?;
    let app = match with_layer {
        true => layered(&descope),
        false => bare(&descope),
    };
    let (ds, dsr) = upstream.tokens("U1");

    let path = match case.path.as_deref() {
        Some("/auth/logout") | None => "/auth/v1/auth/logout",
        Some("/me") => "/auth/v1/auth/me",
        // A page of the app; the routes have none.
        Some(_) => return Ok(()),
    };
    let mut request = Request::builder().method(&*case.method).uri(path);
    for (name, value) in &case.headers {
        let value = value.as_str().unwrap_or_default().replace("{GOOD}", &ds);
        request = request.header(name, value.as_bytes());
    }
    let has = |name| case.headers.contains_key(name);
    if case.method != "GET" && !has("Content-Type") {
        request = request.header("content-type", "application/json");
    }
    if !has("Cookie") {
        request = request.header("cookie", format!("DS={ds}; DSR={dsr}"));
    }
    let response = app.oneshot(request.body(Body::empty())?).await?;

    let status = response.status().as_u16();
    let signed_out = upstream.total() > 0 || response.headers().contains_key("set-cookie");
    let stricter = STRICTER.iter().any(|(name, _)| *name == case.name);
    let denied = match (&*case.method, status) {
        // Other methods get as far as the router if their origin is good.
        ("POST", 200) | ("PUT" | "PATCH" | "DELETE", 405) => false,
        ("GET", 200) => false,
        ("GET", 405) | (_, 403 | 415) => true,
        (_, other) => return Err(format!("status {other}").into()),
    };
    if denied != (stricter || case.expect == "deny") {
        return Err(format!("status {status}, expected {}: {}", case.expect, case.why).into());
    }
    if denied && signed_out {
        return Err("denied, but it had an effect".into());
    }
    Ok(())
}
