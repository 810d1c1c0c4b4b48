//! Which requests may use cookies: every case of the vectors against the session layer. Security requirements 39, 40
//! and 45. What concerns the mounted endpoints alone, content types and methods, is tested with them.

use std::sync::{Arc, LazyLock};

use crate::support::needs;
use crate::support::world::{self, Reply, SignedIn, World};
use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::{HeaderValue, Request};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use tower::ServiceExt;
use tower_descope::User;

pub fn trials() -> Vec<Trial> {
    let found = needs::vectors("csrf-cases.json");
    needs::trials("csrf cases", "vectors", found, |vectors| {
        // Set when the first case begins: its sessions do not wait for the trials of other files.
        let stage = Arc::new(LazyLock::new(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let set = runtime.block_on(async {
                let world = World::new().await;
                let good = world.sign_in_long_ago("good@example.com").await;
                let fresh = world.sign_in("fresh@example.com").await;
                (world, good, fresh)
            });
            (runtime, set)
        }));
        let cases = vectors["cases"].as_array().cloned().unwrap_or_default();
        assert!(cases.len() >= 55, "the vectors lost their shape");
        cases
            .into_iter()
            // Endpoint rules: the layer has no say in content types.
            .filter(|case| case["path"] != "/auth/logout" && case["name"] != "form-login")
            .map(|case| {
                let name = case["name"].as_str().unwrap_or_default().to_owned();
                let stage = stage.clone();
                Trial::test(name, move || {
                    let (runtime, (world, expired, fresh)) = &**stage;
                    runtime.block_on(play(world, expired, fresh, &case))
                })
            })
            .collect()
    })
}

/// With a fresh session, and with one that would have to be renewed: a refused request does neither.
async fn play(
    world: &World,
    expired: &SignedIn,
    fresh: &SignedIn,
    case: &Value,
) -> Result<(), Failed> {
    let allowed = case["expect"] == "allow";
    for session in [fresh, expired] {
        let descope = world::handle(&world.emulator, world.clock.clone(), |mut builder| {
            for origin in case["config"]["trusted_origins"]
                .as_array()
                .into_iter()
                .flatten()
            {
                builder = builder.allow_origin(origin.as_str().unwrap_or_default());
            }
            builder
        });
        let app = Router::new()
            .fallback(any(async |user: User| user.id().to_owned()))
            .layer(descope.session_layer());
        let calls = world.refreshes();
        let mut request = Request::builder()
            .method(case["method"].as_str().ok_or("no method")?)
            .uri("/x");
        let mut has_bearer = false;
        for (name, value) in case["headers"].as_object().ok_or("no headers")? {
            let value = value.as_str().unwrap_or_default();
            has_bearer |= name == "Authorization";
            let value = value.replace("{GOOD}", session.session_jwt());
            if name != "Cookie" {
                request = request.header(name, HeaderValue::from_bytes(value.as_bytes())?);
            }
        }
        if has_bearer && allowed && std::ptr::eq(session, expired) {
            // An expired bearer is refused whatever its origin.
            continue;
        }
        let request = request
            .header("cookie", session.cookies())
            .body(Body::empty())?;
        let reply = Reply::read(app.oneshot(request).await?).await;
        let renewed = world.refreshes() - calls;
        if allowed {
            if reply.status() != 200 || reply.body != session.user_id() {
                return Err(format!("{}: {}", reply.status(), reply.body).into());
            }
        } else {
            let want = if has_bearer { 401 } else { 403 };
            if reply.status() != want || renewed != 0 || !reply.set_cookies().is_empty() {
                return Err(
                    format!("{}: {}, {renewed} renewals", reply.status(), reply.body).into(),
                );
            }
        }
    }
    Ok(())
}
