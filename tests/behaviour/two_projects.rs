//! Two projects, hence two handles, over one route. Their cookies have the same names unless the app chooses others.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use tower::ServiceExt;
use tower_descope::emulator::RefreshRotation;
use tower_descope::wire::LogoutRequest;

use crate::support::log::Log;
use crate::support::world::{CookieLine as _, Reply, World};

async fn worlds() -> (World, World) {
    let (one, other) = (
        World::new().await,
        World::of_project("P2otherproject0000000000000001").await,
    );
    one.rotation(RefreshRotation::SingleUse);
    other.rotation(RefreshRotation::SingleUse);
    (one, other)
}

async fn send(app: &Router, request: http::request::Builder, cookies: &str) -> Reply {
    let request = request
        .header("cookie", cookies)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json");
    let body = Body::from(serde_json::to_vec(&LogoutRequest::default()).unwrap());
    let request = request.body(body).unwrap();
    Reply::read(app.clone().oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn a_renewal_that_finds_no_room_in_the_response_is_kept() {
    let (outer, inner) = worlds().await;
    let ann = outer.sign_in_long_ago("ann@example.com").await;
    let bob = inner.sign_in_long_ago("bob@example.com").await;
    let app = Router::new()
        .route("/", get(async || "ok"))
        .layer(inner.descope.session_layer())
        .layer(outer.descope.session_layer());
    let both = format!("DSR={}; DSR={}", ann.refresh_jwt(), bob.refresh_jwt());
    let reply = send(&app, Request::get("/"), &both).await;
    assert_eq!((outer.refreshes(), inner.refreshes()), (1, 1));
    assert_eq!(reply.set_cookies().len(), 2, "one pair fits");
    // Minutes later the token is still found that the outer renewal has brought: it has not reached the browser.
    outer.clock.advance(std::time::Duration::from_secs(300));
    let reply = outer.get("/me", &ann.refresh_cookie()).await;
    assert_eq!(reply.status(), 200, "{}", reply.body);
    assert!(reply.cookie("DSR").is_some());
}

#[tokio::test]
async fn the_only_renewal_is_written_whichever_project_it_is_of() {
    let (outer, inner) = worlds().await;
    let app = Router::new()
        .route("/", get(async || "ok"))
        .layer(inner.descope.session_layer())
        .layer(outer.descope.session_layer());
    for world in [&outer, &inner] {
        let ann = world.sign_in_long_ago("ann@example.com").await;
        let reply = send(&app, Request::get("/"), &ann.refresh_cookie()).await;
        assert_eq!(reply.set_cookies().len(), 2);
        assert_eq!(world.refreshes(), 1);
    }
}

#[tokio::test]
async fn the_cookies_of_a_project_survive_the_sign_out_of_another() {
    let (one, other) = worlds().await;
    let ann = one.sign_in("ann@example.com").await;
    let bob = other.sign_in("bob@example.com").await;
    let bare = Router::new().nest("/auth", one.descope.routes());
    for app in [bare.clone(), bare.layer(one.descope.session_layer())] {
        for call in ["logout", "logoutall"] {
            let request = || Request::post(format!("/auth/v1/auth/{call}"));
            // Nothing of ours is there to be deleted.
            let reply = send(&app, request(), &bob.cookie_line()).await;
            assert_eq!(reply.status(), 200);
            assert_eq!(reply.set_cookies(), [""; 0]);
            // Ours are deleted, whatever there is beside them, and so is what nobody can read.
            let mixed = format!("{}; {}", bob.cookie_line(), ann.cookie_line());
            for cookies in ["", "DS=junk; DSR=junk", &mixed] {
                let reply = send(&app, request(), cookies).await;
                assert_eq!(reply.cookie("DS").as_deref(), Some(""), "{cookies}");
                assert_eq!(reply.cookie("DSR").as_deref(), Some(""), "{cookies}");
            }
        }
    }
}

#[tokio::test]
async fn two_projects_with_the_same_cookies_are_told_once() {
    const WORDS: &str = "another project uses cookies of the same name";
    let (outer, inner) = worlds().await;
    let layered = |router: Router| router.layer(outer.descope.session_layer());
    let page = Router::new().route("/", get(async || "ok"));
    let log = Log::start();
    let app = layered(page.clone().layer(inner.descope.session_layer()));
    for _ in 0..2 {
        send(&app, Request::get("/"), "").await;
        // Once for each of the handles.
        assert_eq!(log.count(WORDS), 2);
        assert_eq!(log.count(".session_cookies("), 2);
    }
    drop(log);

    // A mount below the layer of the other.
    let (outer, inner) = worlds().await;
    let log = Log::start();
    let app = Router::new()
        .nest("/auth", inner.descope.routes())
        .layer(outer.descope.session_layer());
    send(&app, Request::post("/auth/v1/auth/try-refresh"), "").await;
    assert_eq!(log.count(WORDS), 2);
    drop(log);

    // With names of their own they have nothing to do with each other.
    let (outer, _) = worlds().await;
    let other = World::with(|builder| builder.session_cookies(["A"]).refresh_cookies(["B"])).await;
    let log = Log::start();
    let app = page
        .layer(other.descope.session_layer())
        .layer(outer.descope.session_layer());
    send(&app, Request::get("/"), "").await;
    assert_eq!(log.count(WORDS), 0);
}
