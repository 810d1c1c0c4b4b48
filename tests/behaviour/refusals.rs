//! What follows from upstream's refusal of a refresh JWT, and from answers that only look like one.

use std::time::Duration;

use crate::support::memory_store::MemoryStore;
use crate::support::world::{self, REFRESH, Reply, SignedIn, World};
use axum::Router;
use axum::body::Body;
use http::Request;
use serde_json::json;
use tower::ServiceExt;
use tower_descope::client::RefreshToken;
use tower_descope::emulator::Fault;

/// Codes that do not speak of the refresh JWT, with the statuses that they come with.
const OTHERS: [(u16, &str); 7] = [
    // A feature of a larger plan, a blocked address, a disabled project: whatever it is, it is not this token.
    (403, "E999001"),
    // The one-time code was tried too often.
    (403, "E061103"),
    // Whoever calls may not do this.
    (403, "E111119"),
    (401, "E111119"),
    // The access key is missing.
    (401, "E062802"),
    // A magic link has expired.
    (401, "E062504"),
    // Not known at all.
    (401, "E999002"),
];

async fn sign_out_upstream(world: &World, session: &SignedIn) {
    let token = RefreshToken::new(session.refresh_jwt().to_owned()).unwrap();
    let sessions = world.descope.client().session();
    sessions.logout(&token).await.unwrap();
}

/// The two cookies that a response deletes, or none.
fn deletes(reply: &Reply) -> bool {
    let deleted = ["DS", "DSR"].map(|name| reply.cookie(name).as_deref() == Some(""));
    assert_eq!(deleted[0], deleted[1]);
    assert_eq!(reply.set_cookies().is_empty(), !deleted[0]);
    deleted[0]
}

// Security requirement 25.
#[tokio::test]
async fn a_refused_refresh_jwt_costs_two_calls_and_then_none() {
    let world = World::new().await;
    let ann = world.sign_in_long_ago("ann@example.com").await;
    sign_out_upstream(&world, &ann).await;
    let seconds = (0..3600).step_by(11);
    for (presentation, second) in seconds.enumerate() {
        let reply = world.browse("/me", &ann).await;
        assert_eq!(reply.status(), 401, "after {second} s");
        assert_eq!(reply.json()["code"], "session_ended");
        assert_eq!(deletes(&reply), presentation > 0, "after {second} s");
        world.clock.advance(Duration::from_secs(11));
    }
    assert_eq!(world.refreshes(), 2);
    // Others are asked for as ever, and so is the next session of the same user.
    let again = world.sign_in_long_ago("ann@example.com").await;
    assert_eq!(world.browse("/me", &again).await.status(), 200);
    assert_eq!(world.refreshes(), 3);
}

#[tokio::test]
async fn an_answer_that_does_not_speak_of_the_token_signs_nobody_out() {
    for (status, code) in OTHERS {
        let world = World::new().await;
        let ann = world.sign_in_long_ago("ann@example.com").await;
        let error = json!({"errorCode": code, "errorDescription": "described"});
        let fault = Fault::status(REFRESH, status).body(error);
        world.emulator.fault(fault.times(100));
        for _ in 0..3 {
            let reply = world.browse("/me", &ann).await;
            assert_eq!(reply.status(), 503, "{status} {code}");
            assert!(reply.header("retry-after").is_some());
            assert!(reply.set_cookies().is_empty(), "{status} {code}");
            world.clock.advance(Duration::from_secs(61));
        }
        // When it is over, the session lives on.
        world.emulator.fault(Fault::status(REFRESH, 500).times(0));
        while world.browse("/me", &ann).await.status() != 200 {
            world.clock.advance(Duration::from_secs(61));
            assert!(world.refreshes() < 200, "{status} {code}");
        }
    }
}

#[tokio::test]
async fn by_the_mounted_routes_such_an_answer_signs_nobody_out_either() {
    for (status, code) in OTHERS {
        let world = World::new().await;
        let app = Router::new().nest("/auth", world.descope.routes());
        let ann = world.sign_in("ann@example.com").await;
        let error = json!({"errorCode": code, "errorDescription": "described"});
        for path in [REFRESH, "/v1/auth/me"] {
            let fault = Fault::status(path, status).body(error.clone());
            world.emulator.fault(fault);
            let method = if path == REFRESH { "POST" } else { "GET" };
            let request = Request::builder()
                .method(method)
                .uri(format!("/auth{path}"))
                .header("cookie", ann.cookies())
                .header("content-type", "application/json")
                .body(Body::from(if path == REFRESH { "{}" } else { "" }));
            let answer = app.clone().oneshot(request.unwrap()).await.unwrap();
            let reply = Reply::read(answer).await;
            // Descope's browser SDK takes every 4xx of these for "signed out".
            assert_eq!(reply.status(), 503, "{path} {status} {code}");
            assert!(reply.set_cookies().is_empty(), "{path} {status} {code}");
        }
    }
}

// A disabled user gets nothing new, and has its cookies when it is enabled again.
#[tokio::test]
async fn a_user_who_is_disabled_for_a_while_keeps_its_cookies() {
    let world = World::new().await;
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let set_status = |status: &str| {
        let status = status.to_owned();
        let changed = world
            .emulator
            .put_user("ann@example.com", |user| user.status = status);
        changed.unwrap();
    };
    set_status("disabled");
    for _ in 0..3 {
        let reply = world.browse("/me", &ann).await;
        assert_eq!((reply.status(), reply.set_cookies().len()), (503, 0));
        world.clock.advance(Duration::from_secs(61));
    }
    set_status("enabled");
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.browse("/me", &ann).await.status(), 200);
}

#[tokio::test]
async fn replicas_that_share_a_store_make_two_calls_together() {
    let world = World::new().await;
    let store = MemoryStore::new(world.clock.clone());
    let replica = async || {
        let handle = world::handle(&world.emulator, world.clock.clone(), |builder| {
            builder.shared_store(store.clone())
        });
        handle.ready().await.unwrap();
        world::app(&handle)
    };
    let apps = [replica().await, replica().await];
    let ann = world.sign_in_long_ago("ann@example.com").await;
    sign_out_upstream(&world, &ann).await;
    let present = async |app: &Router| {
        let request = Request::get("/me").header("cookie", ann.cookies());
        let request = request.body(Body::empty()).unwrap();
        Reply::read(app.clone().oneshot(request).await.unwrap()).await
    };
    for presentation in 0..60 {
        let reply = present(&apps[presentation % 2]).await;
        assert_eq!(reply.status(), 401);
        assert_eq!(deletes(&reply), presentation > 0);
        world.clock.advance(Duration::from_secs(11));
    }
    assert_eq!(world.refreshes(), 2);
    // One that starts two days later finds it in the store.
    world.clock.advance(Duration::from_secs(2 * 24 * 3600));
    let reply = present(&replica().await).await;
    assert!(reply.status() == 401 && deletes(&reply));
    assert_eq!(world.refreshes(), 2);
}
