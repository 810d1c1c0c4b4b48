//! Whole requests in process: 1,000 known sessions, and the same app without sign-in.

use axum::body::Body;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_executor::block_on;
use http::{HeaderValue, Request};
use tower::{Layer, Service, ServiceExt};
use tower_descope::TokenCache;
use tower_descope_benches::fixture::{
    LIVE, app, cookies, descope, floor, request_with, sign, unix_now,
};
use tower_descope_benches::signer::Signer;

fn request(c: &mut Criterion) {
    let signer = Signer::new("SK1");
    let cookies = cookies(&sign(&signer, 0..LIVE, unix_now()));
    let descope = descope(&signer, TokenCache::new());
    let layered = app().layer(descope.session_layer());
    let outside = descope.session_layer().layer(app());

    bench(c, "no sign-in", &floor(), "/plain", &cookies);
    bench(c, "layer around the router", &outside, "/plain", &cookies);
    bench(c, "Router::layer", &layered, "/plain", &cookies);
    bench(c, "Router::layer and User", &layered, "/user", &cookies);
}

fn bench<S>(c: &mut Criterion, name: &str, app: &S, path: &'static str, cookies: &[HeaderValue])
where
    S: Service<Request<Body>> + Clone,
{
    let mut n = 0;
    c.benchmark_group("request").bench_function(name, |b| {
        b.iter(|| {
            n = (n + 1) % LIVE;
            block_on(app.clone().oneshot(request_with(path, &cookies[n]))).ok()
        })
    });
}

criterion_group!(benches, request);
criterion_main!(benches);
