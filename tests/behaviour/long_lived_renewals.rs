//! Connections that go on after their session JWT has expired, and those that cannot.

use std::pin::pin;
use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, Request};
use serde_json::json;
use tower_descope::client::RefreshToken;
use tower_descope::clock::Clock;
use tower_descope::emulator::{Fault, RefreshRotation};
use tower_descope::{AuthErrorKind, SessionEnd, SignOut, User};

use super::long_lived::{LEEWAY, LOGOUT, SESSION_LIFE, cookies, goes_on, soon, user};
use crate::support::live::Live;
use crate::support::memory_store::MemoryStore;
use crate::support::world::{self, CookieLine as _, World};

/// Whether the session JWT of this user has not expired.
fn is_fresh(world: &World, user: &User) -> bool {
    user.expires_at() > std::time::UNIX_EPOCH + world.clock.unix()
}

#[tokio::test]
async fn fifty_connections_are_renewed_by_one_call_and_the_browser_gets_the_cookies() {
    for rotation in [RefreshRotation::None, RefreshRotation::SingleUse] {
        let world = World::new().await;
        world.rotation(rotation);
        let ann = world.sign_in("ann@example.com").await;
        let mut users = Vec::new();
        for _ in 0..50 {
            users.push(user(&world.descope, &ann.cookie_line()).await);
        }
        let still = users[0].renewed().await.unwrap();
        assert_eq!(
            (still.expires_at(), world.refreshes()),
            (users[0].expires_at(), 0)
        );
        for round in 1..=3 {
            world.clock.advance(SESSION_LIFE + LEEWAY);
            let renewing: Vec<_> = users
                .drain(..)
                .map(|user| tokio::spawn(async move { user.renewed().await }))
                .collect();
            for renewed in renewing {
                let renewed = renewed.await.unwrap().unwrap();
                assert_eq!(renewed.id(), ann.user_id());
                assert!(renewed.expires_at() > std::time::SystemTime::UNIX_EPOCH);
                users.push(renewed);
            }
            assert_eq!(world.refreshes(), round, "{rotation:?}");
        }
        // The browser comes back with what it had.
        let reply = world.browse("/me", &ann).await;
        assert_eq!(
            (reply.status(), world.refreshes()),
            (200, 3),
            "{rotation:?}"
        );
        assert!(reply.cookie("DS").is_some());
        let has_refresh = reply.cookie("DSR").is_some();
        assert_eq!(has_refresh, rotation == RefreshRotation::SingleUse);
    }
}

#[tokio::test]
async fn a_renewed_user_is_renewed_with_the_refresh_jwt_that_came_last() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in("ann@example.com").await;
    let user = user(&world.descope, &ann.cookie_line()).await;
    world.clock.advance(SESSION_LIFE + LEEWAY);
    let renewed = user.renewed().await.unwrap();
    let reply = world.browse("/me", &ann).await;
    assert!(reply.cookie("DSR").is_some(), "the browser has the new one");
    world.clock.advance(SESSION_LIFE + LEEWAY);
    assert!(is_fresh(&world, &renewed.renewed().await.unwrap()));
    assert_eq!(world.refreshes(), 2);
}

#[tokio::test]
async fn connections_at_two_replicas_are_renewed_by_one_call() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let store = MemoryStore::new(world.clock.clone());
    let ann = world.sign_in("ann@example.com").await;
    let mut users = Vec::new();
    for _ in 0..2 {
        let replica = world::handle(&world.emulator, world.clock.clone(), |builder| {
            builder.shared_store(store.clone())
        });
        replica.ready().await.unwrap();
        users.push(user(&replica, &ann.cookie_line()).await);
    }
    for round in 1..=2 {
        world.clock.advance(SESSION_LIFE + LEEWAY);
        let (here, there) = tokio::join!(users[0].renewed(), users[1].renewed());
        users = vec![here.unwrap(), there.unwrap()];
        assert!(users.iter().all(|user| is_fresh(&world, user)));
        assert_eq!(world.refreshes(), round);
    }
}

#[tokio::test]
async fn after_a_sign_out_nothing_is_renewed() {
    let live = Live::start().await;
    let mut ann = live.signed_in("ann@example.com").await;
    let user = user(&live.descope, &cookies(&ann)).await;
    live.advance(700);
    let renewed = user.renewed().await.unwrap();
    ann.post(LOGOUT, json!({})).await.ok();
    let refreshes = live.emulator.calls(world::REFRESH);
    for user in [&user, &renewed] {
        let error = user.renewed().await.unwrap_err();
        assert_eq!(*error.kind(), AuthErrorKind::InvalidToken, "{user:?}");
        assert_eq!(soon(user.ended()).await, SessionEnd::SignedOut);
    }
    live.advance(700);
    let error = renewed.renewed().await.unwrap_err();
    assert_eq!(*error.kind(), AuthErrorKind::InvalidToken);
    assert_eq!(live.emulator.calls(world::REFRESH), refreshes);
}

#[tokio::test]
async fn what_descope_has_ended_is_not_renewed() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let user = user(&world.descope, &ann.cookie_line()).await;
    let mut watch = user.watch();
    let token = RefreshToken::new(ann.refresh_jwt()).unwrap();
    // At Descope alone: this handle has no part in it.
    let other = world::handle(&world.emulator, world.clock.clone(), |builder| builder);
    other.client().session().logout(&token).await.unwrap();
    world.clock.advance(SESSION_LIFE + LEEWAY);
    let error = user.renewed().await.unwrap_err();
    assert_eq!(*error.kind(), AuthErrorKind::SessionEnded);
    assert_eq!(soon(watch.over()).await, SessionEnd::SignedOut);
    assert_eq!(soon(watch.over()).await, SessionEnd::SignedOut);
}

#[tokio::test]
async fn a_bearer_is_not_renewed() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, ann.cookies());
    let bearer = format!("Bearer {}", ann.session_jwt()).parse().unwrap();
    headers.insert("authorization", bearer);
    let user = world.descope.authenticate(&headers).await.unwrap().unwrap();
    let mut watch = user.watch();
    assert_eq!(user.renewed().await.unwrap().id(), ann.user_id());
    world.clock.advance(SESSION_LIFE + LEEWAY);
    let error = user.renewed().await.unwrap_err();
    assert_eq!(*error.kind(), AuthErrorKind::ExpiredToken);
    assert_eq!(soon(watch.over()).await, SessionEnd::Expired);
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn an_outage_closes_a_connection_whose_session_has_run_out_and_no_other() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let user = user(&world.descope, &ann.cookie_line()).await;
    let mut watch = user.watch();
    world.emulator.fault(Fault::status(world::REFRESH, 503));
    assert!(goes_on(pin!(watch.over())).await);
    world.clock.advance(SESSION_LIFE + LEEWAY);
    let end = soon(watch.over()).await;
    assert!(matches!(end, SessionEnd::Unavailable { .. }), "{end:?}");
    assert_eq!(end.close_code(), 1013);
    // Whoever would rather stay asks again.
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(user.renewed().await.unwrap().id(), ann.user_id());
}

#[tokio::test]
async fn a_watch_goes_on_until_the_sign_out() {
    for rotation in [RefreshRotation::None, RefreshRotation::SingleUse] {
        let world = World::new().await;
        world.rotation(rotation);
        let ann = world.sign_in("ann@example.com").await;
        let mut watch = user(&world.descope, &ann.cookie_line()).await.watch();
        for round in 1..=3 {
            world.clock.advance(SESSION_LIFE + LEEWAY);
            // As `select!` in a loop drops it.
            while !is_fresh(&world, watch.user()) {
                assert!(goes_on(pin!(watch.over())).await);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(world.refreshes(), round, "{rotation:?}");
        }
        // The browser knows only of its first cookies, and signs out with them.
        let request = Request::post("/").header(COOKIE, ann.cookies());
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let _ = world.descope.end(&parts, SignOut::ThisSession).await;
        assert_eq!(
            soon(watch.over()).await,
            SessionEnd::SignedOut,
            "{rotation:?}"
        );
    }
}

#[tokio::test]
async fn a_watch_goes_on_with_the_session_that_a_request_has_renewed() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in("ann@example.com").await;
    let mut watch = user(&world.descope, &ann.cookie_line()).await.watch();
    assert!(goes_on(pin!(watch.over())).await);
    world.clock.advance(SESSION_LIFE - Duration::from_secs(5));
    // Starts an early renewal; the second response carries the cookies.
    world.browse("/me", &ann).await;
    world.descope.renewals_finished().await;
    let reply = world.browse("/me", &ann).await;
    assert!(reply.cookie("DSR").is_some());
    assert!(goes_on(pin!(watch.over())).await);
    world.clock.advance(Duration::from_secs(60));
    assert!(is_fresh(&world, watch.user()));
    assert!(goes_on(pin!(watch.over())).await);
    assert_eq!(world.refreshes(), 1, "the watch has asked for nothing");
    let renewed = ann.after(&reply.response);
    let request = Request::post("/").header(COOKIE, renewed.cookies());
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let _ = world.descope.end(&parts, SignOut::ThisSession).await;
    assert_eq!(soon(watch.over()).await, SessionEnd::SignedOut);
}

/// The roles and the tenant of a session may be other ones by then: after a change of tenant, which brings a session JWT
/// alone, the outcome of the renewal before it is still at hand.
#[tokio::test]
async fn a_watch_does_not_go_back_to_an_older_session() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let opened = user(&world.descope, &ann.cookie_line()).await;
    world.clock.advance(SESSION_LIFE + LEEWAY);
    let older = opened.renewed().await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    let token = RefreshToken::new(ann.refresh_jwt()).unwrap();
    let other = world::handle(&world.emulator, world.clock.clone(), |builder| builder);
    let newer = other.client().session().refresh(&token).await.unwrap();
    let cookies = format!("DS={}; DSR={}", newer.session_jwt, ann.refresh_jwt());
    let newer = user(&world.descope, &cookies).await;
    assert!(newer.expires_at() > older.expires_at());
    let mut watch = newer.watch();
    assert!(goes_on(pin!(watch.over())).await);
    assert_eq!(watch.user().expires_at(), newer.expires_at());
    // It goes on with newer ones as ever.
    world.clock.advance(SESSION_LIFE + LEEWAY);
    assert!(goes_on(pin!(watch.over())).await);
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(goes_on(pin!(watch.over())).await);
        if is_fresh(&world, watch.user()) {
            return;
        }
    }
    panic!("the session was not renewed");
}
