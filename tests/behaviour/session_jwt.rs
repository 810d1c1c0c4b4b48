//! The session JWT that a handler may forward: always the one that decided who the user is.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use http::header::{AUTHORIZATION, COOKIE};
use tower::ServiceExt;
use tower_descope::User;
use tower_descope::clock::Clock;
use tower_descope::emulator::Fault;

use crate::support::world::{CookieLine as _, REFRESH, Reply, World};

/// An app whose only route answers with the session JWT of its user.
fn app(world: &World) -> Router {
    Router::new()
        .route(
            "/",
            get(async |user: User| user.session_jwt().expose().to_owned()),
        )
        .layer(world.descope.session_layer())
}

async fn ask(world: &World, cookies: &str, bearer: Option<&str>) -> Reply {
    let mut request = Request::get("/").header(COOKIE, cookies);
    if let Some(bearer) = bearer {
        request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
    }
    let request = request.body(Body::empty()).unwrap();
    Reply::read(app(world).oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn it_is_the_bearer_before_any_cookie() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let bob = world.sign_in("bob@example.com").await;
    let reply = ask(&world, &bob.cookie_line(), Some(ann.session_jwt())).await;
    assert_eq!(reply.body, ann.session_jwt());
}

#[tokio::test]
async fn of_several_cookies_it_is_the_one_that_counts() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let forged = format!("{}x", ann.session_jwt());
    let cookies = format!(
        "DS={forged}; DS={}; DSR={}",
        ann.session_jwt(),
        ann.refresh_jwt()
    );
    let reply = ask(&world, &cookies, None).await;
    assert_eq!(reply.body, ann.session_jwt());
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn after_a_renewal_it_is_the_new_token() {
    let world = World::new().await;
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let reply = ask(&world, &ann.cookie_line(), None).await;
    assert_eq!(world.refreshes(), 1);
    assert_ne!(reply.body, ann.session_jwt());
    assert_eq!(reply.cookie("DS").as_deref(), Some(&*reply.body));
    // The receiver accepts it as a bearer.
    let receiver = world.get_bearer("/me", &reply.body).await;
    assert_eq!(receiver.json()["id"], ann.user_id());
}

#[tokio::test]
async fn while_an_early_renewal_runs_it_is_the_token_that_is_still_good() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let ttl = world.emulator.config().session_ttl_seconds;
    let almost = std::time::Duration::from_secs(u64::from(ttl) - 2);
    world.clock.advance(almost);
    world.emulator.fault(Fault::hang(REFRESH));
    let reply = ask(&world, &ann.cookie_line(), None).await;
    assert_eq!(reply.body, ann.session_jwt());
}

#[tokio::test]
async fn a_user_of_headers_has_it_too_and_debug_shows_nothing_of_it() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let mut headers = http::HeaderMap::new();
    let bearer = format!("Bearer {}", ann.session_jwt());
    headers.insert(AUTHORIZATION, bearer.parse().unwrap());
    let user = world.descope.authenticate(&headers).await.unwrap().unwrap();
    let jwt = user.session_jwt();
    assert_eq!(jwt.expose(), ann.session_jwt());
    assert!(user.expires_at() > std::time::UNIX_EPOCH + world.clock.unix());
    for shown in [format!("{jwt:?}"), format!("{user:?}")] {
        for part in ann.session_jwt().split('.') {
            assert!(!shown.contains(part), "{shown}");
        }
    }
}
