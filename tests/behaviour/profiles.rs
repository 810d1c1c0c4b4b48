//! `User::profile`: one call for however many requests ask, nobody else's profile, and none of yesterday.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http::header::COOKIE;
use tower::ServiceExt;
use tower_descope::emulator::{Fault, RefreshRotation};

use crate::support::live::Live;
use crate::support::world::{CookieLine as _, REFRESH, Reply, SignedIn, World};

const ME: &str = "/v1/auth/me";

/// Asks for profiles at the same time; answers the texts.
async fn profiles<'a>(world: &World, asked: impl IntoIterator<Item = &'a SignedIn>) -> Vec<String> {
    let mut requests = tokio::task::JoinSet::new();
    for (n, session) in asked.into_iter().enumerate() {
        let request = Request::get("/profile")
            .header(COOKIE, session.cookies())
            .body(Body::empty())
            .unwrap();
        let app = world.app.clone();
        requests.spawn(async move {
            let reply = Reply::read(app.oneshot(request).await.unwrap()).await;
            (n, reply.body)
        });
    }
    let mut answers = requests.join_all().await;
    answers.sort();
    answers.into_iter().map(|(_, text)| text).collect()
}

/// Slow enough for everybody to meet the call of the first.
async fn slow_world() -> World {
    let world = World::with(|builder| builder.deadline(Duration::from_secs(30))).await;
    world.descope.ready().await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_ask_and_one_call_is_made() {
    let world = slow_world().await;
    let ann = world.sign_in("ann@example.com").await;
    world.emulator.configure(|config| config.latency_ms = 100);
    let answers = profiles(&world, std::iter::repeat_n(&ann, 1_000)).await;
    assert!(answers.iter().all(|email| email == "ann@example.com"));
    assert_eq!(world.emulator.calls(ME), 1);
    profiles(&world, [&ann]).await;
    assert_eq!(world.emulator.calls(ME), 1, "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_somebody_elses() {
    let world = slow_world().await;
    let mut users = Vec::new();
    for n in 0..20 {
        users.push(world.sign_in(&format!("user{n}@example.com")).await);
    }
    world.emulator.configure(|config| config.latency_ms = 50);
    let asked = (0..1_000).map(|n| &users[n % 20]);
    for (n, email) in profiles(&world, asked).await.into_iter().enumerate() {
        assert_eq!(email, format!("user{}@example.com", n % 20));
    }
    assert_eq!(world.emulator.calls(ME), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_shared_and_not_kept() {
    let world = slow_world().await;
    let ann = world.sign_in("ann@example.com").await;
    // Long enough for all to ask before the answer is there, also on a busy machine.
    world.emulator.configure(|config| config.latency_ms = 2_000);
    world.emulator.fault(Fault::status(ME, 500));
    let answers = profiles(&world, std::iter::repeat_n(&ann, 100)).await;
    assert!(
        answers
            .iter()
            .all(|text| text == "the profile could not be loaded")
    );
    assert_eq!(world.emulator.calls(ME), 1);
    world.emulator.configure(|config| config.latency_ms = 0);
    assert_eq!(profiles(&world, [&ann]).await, ["ann@example.com"]);
}

// Whoever asked first may hang up.
#[tokio::test]
async fn a_call_outlives_the_request_that_made_it() {
    let world = slow_world().await;
    let ann = world.sign_in("ann@example.com").await;
    world.emulator.configure(|config| config.latency_ms = 100);
    let cookies = ann.cookie_line();
    let first = world.get("/profile", &cookies);
    let hung_up = tokio::time::timeout(Duration::from_millis(30), first).await;
    assert!(hung_up.is_err());
    assert_eq!(profiles(&world, [&ann]).await, ["ann@example.com"]);
    assert_eq!(world.emulator.calls(ME), 1);
}

#[tokio::test]
async fn a_session_that_is_over_does_not_spoil_another_ones_profile() {
    let world = slow_world().await;
    let over = world.sign_in("ann@example.com").await;
    let good = world.sign_in("ann@example.com").await;
    let token = tower_descope::client::RefreshToken::new(over.refresh_jwt().to_owned()).unwrap();
    // Upstream knows, this app does not.
    let client = world.descope.client();
    client.session().logout(&token).await.unwrap();
    world.emulator.configure(|config| config.latency_ms = 100);
    let (first, second) = tokio::join!(profiles(&world, [&over]), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        profiles(&world, [&good]).await
    });
    assert_eq!(first, ["the profile could not be loaded"]);
    assert_eq!(second, ["ann@example.com"]);
    assert_eq!(world.emulator.calls(ME), 2);
}

// The call is under way while the user changes: its answer is of before.
#[tokio::test]
async fn a_change_during_the_call_is_not_overwritten() {
    let live = Live::start().await;
    live.descope.ready().await.unwrap();
    let mut ann = live.signed_in("ann@example.com").await;
    let line = format!("DS={}; DSR={}", ann.cookie("DS"), ann.cookie("DSR"));
    let user = live.descope.authenticate(&cookies(&line)).await;
    let user = Arc::new(user.unwrap().unwrap());
    live.emulator
        .fault(Fault::slow(ME, Duration::from_millis(200)));
    let before = tokio::spawn({
        let user = user.clone();
        async move { user.profile().await.unwrap().name.clone() }
    });
    while live.emulator.calls(ME) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let change = live.emulator.put_user("ann@example.com", |user| {
        user.name = "Ann Two".to_owned();
    });
    change.unwrap();
    // A sign-in is one of the calls after which a profile is looked at anew.
    ann.otp("signup-in", "email", "ann@example.com").await.ok();
    let code = live.code("ann@example.com");
    ann.verify("email", "ann@example.com", &code).await.ok();
    assert_ne!(before.await.unwrap(), "Ann Two");
    let after = user.profile().await.unwrap();
    assert_eq!(after.name, "Ann Two");
    assert_eq!(live.emulator.calls(ME), 2);
}

// A renewal rotates the refresh JWT away while a call with it is on its way.
#[tokio::test]
async fn a_call_survives_a_renewal_beside_it() {
    let world = World::with(|builder| builder.deadline(Duration::from_secs(30))).await;
    world.rotation(RefreshRotation::SingleUse);
    world.descope.ready().await.unwrap();
    let ann = world.sign_in("ann@example.com").await;
    let user = world
        .descope
        .authenticate(&cookies(&ann.cookie_line()))
        .await;
    let user = user.unwrap().unwrap();
    world.emulator.fault(replaced());
    world.emulator.configure(|config| config.latency_ms = 50);
    let profile = tokio::spawn(async move { user.profile().await });
    while world.emulator.calls(ME) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    world.emulator.configure(|config| config.latency_ms = 0);
    let renewed = world.get("/me", &ann.refresh_cookie()).await;
    assert_eq!(renewed.status(), 200);
    assert_eq!(profile.await.unwrap().unwrap().email, "ann@example.com");
    assert_eq!((world.emulator.calls(ME), world.refreshes()), (2, 1));
}

#[tokio::test]
async fn so_does_a_mounted_route() {
    let live = Live::start().await;
    live.emulator
        .configure(|config| config.refresh_rotation = RefreshRotation::SingleUse);
    let mut ann = live.signed_in("ann@example.com").await;
    live.emulator.fault(replaced());
    live.emulator.configure(|config| config.latency_ms = 50);
    let mut tab = ann.clone();
    let me = tokio::spawn(async move { tab.get("/v1/auth/me").await });
    while live.emulator.calls(ME) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    live.emulator.configure(|config| config.latency_ms = 0);
    ann.post("/v1/auth/refresh", serde_json::json!({}))
        .await
        .ok();
    let me = me.await.unwrap();
    assert_eq!(me.ok()["email"], "ann@example.com");
    assert_eq!(
        (live.emulator.calls(ME), live.emulator.calls(REFRESH)),
        (2, 1)
    );
}

/// What upstream says of a refresh JWT that another call has replaced meanwhile. Here it says so later than it would:
/// the renewal is through when the answer comes.
fn replaced() -> Fault {
    Fault::status(ME, 401).body(serde_json::json!({
        "errorCode": "E064001",
        "errorDescription": "Token expired",
    }))
}

fn cookies(line: &str) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    headers.insert(COOKIE, line.parse().unwrap());
    headers
}
