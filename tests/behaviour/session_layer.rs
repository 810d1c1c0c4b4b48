//! The session layer in an app, against the emulator; calls that it received are the oracle.

use std::time::Duration;

use crate::support::log::Log;
use crate::support::world::{self, CookieLine as _, REFRESH, Reply, World};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use serde_json::json;
use tower::ServiceExt;
use tower_descope::Revocation;
use tower_descope::emulator::{Fault, RefreshRotation};

#[tokio::test]
async fn a_session_is_recognised_by_cookie_and_by_bearer() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    for reply in [
        world.browse("/me", &ann).await,
        world.get("/me", &format!("DS={}", ann.session_jwt())).await,
        world.ask("/me", &ann).await,
    ] {
        assert_eq!(reply.status(), 200);
        assert_eq!(
            reply.json(),
            json!({ "id": ann.user_id(), "amr": ["email"] })
        );
        // Security requirement 31: the answer depends on who asks.
        assert_eq!(reply.header("cache-control"), Some("private, no-store"));
        assert!(reply.set_cookies().is_empty());
    }
    assert_eq!(world.refreshes(), 0);
    assert_eq!(world.key_fetches(), 1, "keys are fetched once");
}

#[tokio::test]
async fn nobody_is_told_so() {
    let world = World::new().await;
    let reply = world.get("/me", "theme=dark").await;
    assert_eq!(reply.status(), 401);
    // Security requirement 41: no error code when nothing was sent (RFC 6750 section 3.1).
    assert_eq!(
        reply.header("www-authenticate"),
        Some(r#"Bearer realm="descope""#)
    );
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(reply.json()["code"], "missing_credentials");

    assert_eq!(
        world.get("/maybe", "").await.json(),
        json!({ "signedIn": false })
    );
    assert_eq!(world.get("/result", "").await.body, "missing_credentials");
    assert_eq!(world.get("/admin", "").await.status(), 401);
    assert_eq!(
        world.emulator.stats().values().sum::<u64>(),
        0,
        "no call for anybody without a token"
    );
}

#[tokio::test]
async fn a_bad_bearer_is_an_error_even_where_users_are_optional() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    for bad in ["junk", "a.b.c", ann.refresh_jwt()] {
        let reply = world.get_bearer("/maybe", bad).await;
        assert_eq!(reply.status(), 401);
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{challenge}"
        );
        assert!(!reply.body.contains(bad));
    }
    // It does not fall back to the cookies beside it, and two fields are refused.
    for authorization in [vec!["Bearer junk"], vec!["Basic dTpw", "Basic dTpw"]] {
        let mut request = Request::get("/me").header("cookie", ann.cookies());
        for value in authorization {
            request = request.header("authorization", value);
        }
        assert_eq!(
            world
                .send(request.body(Body::empty()).unwrap())
                .await
                .status(),
            401
        );
    }
    // Stale or bad cookies are nobody.
    for cookies in [
        "DS=junk",
        &format!("DS={}", ann.refresh_jwt()),
        &format!("DSR={}", ann.session_jwt()),
    ] {
        let reply = world.get("/maybe", cookies).await;
        assert_eq!(
            (reply.status(), reply.json()),
            (200, json!({ "signedIn": false }))
        );
        assert_eq!(world.get("/me", cookies).await.status(), 401);
    }
    assert_eq!(
        world.refreshes(),
        0,
        "one forged cookie must not cause traffic"
    );
}

#[tokio::test]
async fn an_expired_session_is_renewed_once_and_written_back() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let reply = world.browse("/me", &ann).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.json()["id"], json!(ann.user_id()));
    let (session, refresh) = (reply.cookie("DS").unwrap(), reply.cookie("DSR").unwrap());
    assert_ne!(session, ann.session_jwt());
    assert_ne!(refresh, ann.refresh_jwt());
    for cookie in reply.set_cookies() {
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age="] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
    }
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    assert_eq!(reply.header("vary"), Some("Cookie"));
    assert_eq!(
        world
            .get("/me", &format!("DS={session}; DSR={refresh}"))
            .await
            .status(),
        200
    );
    assert_eq!(world.refreshes(), 1);
}

// A handler's headers stay, except that a response with session cookies must not be cached (security requirements 0.3
// and 31).
#[tokio::test]
async fn cookies_are_appended_and_public_pages_lose_their_caching_only_then() {
    let world = World::new().await;
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let reply = world.get("/cookie", &ann.refresh_cookie()).await;
    assert_eq!(reply.cookie("theme").as_deref(), Some("dark"));
    let session = reply.cookie("DS").unwrap();

    let reply = world.get("/public", &format!("DS={session}")).await;
    assert_eq!(reply.header("cache-control"), Some("public, max-age=60"));
    let reply = world.get("/public", &ann.refresh_cookie()).await;
    assert!(reply.cookie("DS").is_some());
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
}

#[tokio::test]
async fn a_page_that_asks_for_nobody_may_be_cached() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    for cookies in ["", &ann.cookie_line()] {
        let reply = world.get("/public", cookies).await;
        assert_eq!(reply.header("cache-control"), Some("public, max-age=60"));
        let app = Router::new()
            .route("/", get(async || "ok"))
            .layer(world.descope.session_layer());
        let request = Request::get("/").header("cookie", cookies);
        let request = request.body(Body::empty()).unwrap();
        let reply = Reply::read(app.oneshot(request).await.unwrap()).await;
        assert_eq!(reply.header("cache-control"), None);
    }
}

#[tokio::test]
async fn an_app_may_answer_for_caching_by_itself() {
    let world = World::with(|builder| builder.handlers_set_cache_control()).await;
    let ann = world.sign_in("ann@example.com").await;
    let reply = world.browse("/me", &ann).await;
    assert_eq!((reply.status(), reply.header("cache-control")), (200, None));
    // But not for tokens.
    let reply = world.get("/me", &ann.refresh_cookie()).await;
    assert!(reply.cookie("DS").is_some());
    assert!(reply.header("cache-control").unwrap().contains("no-store"));
}

#[tokio::test]
async fn a_handler_that_sets_one_of_the_cookies_has_decided() {
    let world = World::new().await;
    for name in ["DS", "DSR"] {
        let cookie = format!("{name}=mine; Path=/");
        let app = Router::new()
            .route("/", get(async move || ([("set-cookie", cookie)], "ok")))
            .layer(world.descope.session_layer());
        let ann = world.sign_in_long_ago("ann@example.com").await;
        let request = Request::get("/").header("cookie", ann.refresh_cookie());
        let request = request.body(Body::empty()).unwrap();
        let reply = Reply::read(app.oneshot(request).await.unwrap()).await;
        assert_eq!(reply.set_cookies(), [format!("{name}=mine; Path=/")]);
    }
    assert_eq!(world.refreshes(), 2);
}

#[tokio::test]
async fn concurrent_requests_share_one_renewal() {
    for rotation in [RefreshRotation::None, RefreshRotation::SingleUse] {
        let world = World::new().await;
        world.rotation(rotation);
        let ann = world.sign_in_long_ago("ann@example.com").await;
        world.emulator.configure(|config| config.latency_ms = 100);
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let app = world.app.clone();
            let cookies = ann.cookie_line();
            requests.spawn(async move {
                let request = Request::get("/me").header("cookie", cookies);
                let request = request.body(Body::empty()).unwrap();
                let response = tower::ServiceExt::oneshot(app, request).await.unwrap();
                let reply = world::Reply::read(response).await;
                (reply.status(), reply.cookie("DS"), reply.cookie("DSR"))
            });
        }
        let replies = requests.join_all().await;
        assert!(
            replies
                .iter()
                .all(|reply| *reply == replies[0] && reply.0 == 200)
        );
        // A late twin finds the outcome.
        assert_eq!(world.browse("/me", &ann).await.cookie("DS"), replies[0].1);
        assert_eq!(world.refreshes(), 1);
    }
}

// Race "leader-cancelled" and "nobody-there".
// Security requirement 0.4.
#[tokio::test]
async fn a_client_that_hangs_up_loses_nothing() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    world.descope.ready().await.unwrap();
    world.emulator.configure(|config| config.latency_ms = 200);
    let cookies = ann.cookie_line();
    let request = world.get("/me", &cookies);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), request)
            .await
            .is_err()
    );
    world.emulator.configure(|config| config.latency_ms = 0);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(
        world.refreshes(),
        1,
        "the renewal went on without its client"
    );
    world.clock.advance(Duration::from_secs(60));
    let reply = world.browse("/me", &ann).await;
    assert_eq!(reply.status(), 200);
    assert!(
        reply
            .cookie("DSR")
            .is_some_and(|refresh| refresh != ann.refresh_jwt())
    );
    assert_eq!(world.refreshes(), 1);
}

// What was kept for a client that hung up is a session that is over by now, and a refresh JWT for the next one.
#[tokio::test]
async fn a_client_that_returns_after_the_session_is_signed_in_again() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    world.descope.ready().await.unwrap();
    // Its cookies have nowhere to go.
    let mut headers = http::HeaderMap::new();
    headers.insert("cookie", ann.cookie_line().parse().unwrap());
    world.descope.authenticate(&headers).await.unwrap().unwrap();
    assert_eq!(world.refreshes(), 1);
    let wait = || world.clock.advance(Duration::from_secs(700));
    wait();
    world.descope.authenticate(&headers).await.unwrap().unwrap();
    assert_eq!(world.refreshes(), 2, "with the successor");
    // However often: an expired session is never good.
    for times in 3..15 {
        wait();
        world.descope.authenticate(&headers).await.unwrap().unwrap();
        assert_eq!(world.refreshes(), times);
    }
    wait();
    world.emulator.fault(Fault::status(REFRESH, 500));
    let outage = world.browse("/me", &ann).await;
    assert_eq!((outage.status(), outage.set_cookies().len()), (503, 0));

    let first = world.browse("/me", &ann).await;
    assert_eq!(first.status(), 200);
    assert_eq!(world.refreshes(), 16, "the outage and its repetition");
    let newest = ann.after(&first.response);
    let twin = world.browse("/me", &ann).await;
    assert_eq!(twin.cookie("DSR"), first.cookie("DSR"));
    assert_eq!(world.browse("/me", &newest).await.status(), 200);
    assert_eq!(world.refreshes(), 16);
    // All of it was delivered: nothing is kept beyond the window for twins.
    world.clock.advance(Duration::from_secs(11));
    assert_eq!(
        world.get("/me", &newest.refresh_cookie()).await.status(),
        200
    );
    assert_eq!(world.refreshes(), 17);
    assert_eq!(world.descope.stats().remembered_renewals, 1);
}

// The project has stopped rotating refresh JWTs since. The one that replaced the browser's own must reach it all the
// same.
#[tokio::test]
async fn a_client_that_returns_receives_the_refresh_jwt_that_it_missed() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let mut headers = http::HeaderMap::new();
    headers.insert("cookie", ann.cookie_line().parse().unwrap());
    world.descope.authenticate(&headers).await.unwrap().unwrap();
    world.rotation(RefreshRotation::None);
    world.clock.advance(Duration::from_secs(700));
    let reply = world.browse("/me", &ann).await;
    assert_eq!((reply.status(), world.refreshes()), (200, 2));
    let missed = reply.cookie("DSR").expect("a refresh cookie");
    assert_ne!(missed, ann.refresh_jwt());
    world.clock.advance(Duration::from_secs(700));
    let reply = world.get("/me", &format!("DSR={missed}")).await;
    assert_eq!((reply.status(), world.refreshes()), (200, 3));
}

#[tokio::test]
async fn an_outage_is_a_503_and_leaves_the_cookies() {
    for fault in [
        Fault::status(REFRESH, 500),
        Fault::status(REFRESH, 503).retry_after(7),
        Fault::status(REFRESH, 429).retry_after(7),
        Fault::garbage(REFRESH),
        Fault::reset(REFRESH),
        Fault::truncate(REFRESH),
        Fault::hang(REFRESH),
        Fault::status(REFRESH, 403).body(json!("blocked by a firewall")),
    ] {
        let world = World::with(|builder| builder.deadline(Duration::from_millis(300))).await;
        let ann = world.sign_in_long_ago("ann@example.com").await;
        let told = format!("{fault:?}").contains('7');
        world.emulator.fault(fault);
        let reply = world.browse("/me", &ann).await;
        assert_eq!(reply.status(), 503);
        let retry_after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert_eq!(retry_after, if told { 7 } else { 5 });
        assert!(reply.set_cookies().is_empty());
        // A public page is served all the same.
        assert_eq!(world.browse("/maybe", &ann).await.status(), 200);
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(world.browse("/me", &ann).await.status(), 200);
    }
}

// Security requirement 0.4.
#[tokio::test]
async fn a_definite_refusal_clears_only_when_it_is_repeated_after_the_window() {
    let world = World::new().await;
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let token = tower_descope::client::RefreshToken::new(ann.refresh_jwt().to_owned()).unwrap();
    world
        .descope
        .client()
        .session()
        .logout(&token)
        .await
        .unwrap();

    for _ in 0..3 {
        let reply = world.browse("/me", &ann).await;
        assert_eq!(reply.status(), 401);
        assert_eq!(reply.json()["code"], "session_ended");
        assert!(
            reply.set_cookies().is_empty(),
            "the loser of a race must not delete the winner's cookies"
        );
    }
    assert_eq!(world.refreshes(), 1, "the refusal is remembered");
    world.clock.advance(Duration::from_secs(11));
    let reply = world.browse("/me", &ann).await;
    assert_eq!(reply.status(), 401);
    assert_eq!(reply.cookie("DS").as_deref(), Some(""));
    assert_eq!(reply.cookie("DSR").as_deref(), Some(""));
    // Security requirement 29: a deletion repeats the attributes.
    assert!(
        reply
            .set_cookies()
            .iter()
            .all(|cookie| cookie.contains("Max-Age=0")
                && cookie.contains("Path=/; ")
                && cookie.contains("Secure"))
    );
}

#[tokio::test]
async fn a_session_about_to_end_is_renewed_beside_the_request() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in("ann@example.com").await;
    world.clock.advance(Duration::from_secs(595));
    let mut reply = world.browse("/me", &ann).await;
    for _ in 0..200 {
        assert_eq!(reply.status(), 200);
        if !reply.set_cookies().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        reply = world.browse("/me", &ann).await;
    }
    assert_ne!(reply.cookie("DS").unwrap(), ann.session_jwt());
    assert_ne!(reply.cookie("DSR").unwrap(), ann.refresh_jwt());
    assert_eq!(world.refreshes(), 1);

    // A slow renewal holds nobody; its cookies leave with a later response.
    let bob = world.sign_in("bob@example.com").await;
    world.clock.advance(Duration::from_secs(595));
    world.emulator.configure(|config| config.latency_ms = 1500);
    let began = std::time::Instant::now();
    let reply = world.browse("/me", &bob).await;
    assert!(began.elapsed() < Duration::from_millis(1400));
    assert_eq!((reply.status(), reply.set_cookies().len()), (200, 0));
    world.descope.renewals_finished().await;
    assert!(world.browse("/me", &bob).await.cookie("DSR").is_some());
    assert_eq!(world.refreshes(), 2);
    world.emulator.configure(|config| config.latency_ms = 0);

    // An outage at that moment is nobody's business.
    let cid = world.sign_in("cid@example.com").await;
    world.clock.advance(Duration::from_secs(595));
    world.emulator.fault(Fault::status(REFRESH, 500));
    let reply = world.browse("/me", &cid).await;
    assert_eq!((reply.status(), reply.set_cookies().len()), (200, 0));
}

#[tokio::test]
async fn a_refusal_beside_a_good_session_deletes_no_cookie_even_when_it_is_final() {
    let ahead = Duration::from_secs(120);
    let world = World::with(|builder| builder.early_renewal(ahead)).await;
    let dan = world.sign_in("dan@example.com").await;
    world.clock.advance(Duration::from_secs(545));
    let token = tower_descope::client::RefreshToken::new(dan.refresh_jwt().to_owned()).unwrap();
    world
        .descope
        .client()
        .session()
        .logout(&token)
        .await
        .unwrap();
    let before = world.refreshes();
    for _ in 0..7 {
        let reply = world.browse("/me", &dan).await;
        assert_eq!((reply.status(), reply.set_cookies().len()), (200, 0));
        world.descope.renewals_finished().await;
        world.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(world.refreshes() - before, 2, "the second refusal is final");
}

#[tokio::test]
async fn roles_decide_about_routes() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let reply = world.browse("/admin", &ann).await;
    assert_eq!(reply.status(), 403);
    assert_eq!(
        reply.header("www-authenticate"),
        Some(r#"Bearer realm="descope", error="insufficient_scope""#)
    );
    world
        .emulator
        .put_user("ann@example.com", |user| {
            user.role_names = vec!["admin".to_owned()]
        })
        .unwrap();
    let ann = world.sign_in("ann@example.com").await;
    assert_eq!(world.browse("/admin", &ann).await.body, "welcome");
}

#[tokio::test]
async fn the_profile_needs_the_refresh_cookie() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let bob = world.sign_in("bob@example.com").await;
    assert_eq!(
        world.ask("/profile", &ann).await.body,
        "the request carries no refresh token"
    );
    // With a bearer, cookies do not count: not somebody else's, and not one's own.
    for cookie in [ann.refresh_cookie(), bob.refresh_cookie()] {
        let request = Request::get("/profile")
            .header("authorization", format!("Bearer {}", ann.session_jwt()))
            .header("cookie", cookie);
        let reply = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.body, "the request carries no refresh token");
    }
    // Somebody else's refresh cookie is none.
    let mixed = format!("DS={}; DSR={}", ann.session_jwt(), bob.refresh_jwt());
    assert_eq!(
        world.get("/profile", &mixed).await.body,
        "the request carries no refresh token"
    );
    for _ in 0..2 {
        assert_eq!(world.browse("/profile", &ann).await.body, "ann@example.com");
    }
    assert_eq!(world.emulator.calls("/v1/auth/me"), 1, "cached");
}

// Security requirements 39 and 40.
#[tokio::test]
async fn cookies_of_other_sites_requests_are_ignored() {
    let world = World::new().await;
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let post = |site: &str| {
        Request::post("/me")
            .header("host", "app.example")
            .header("sec-fetch-site", site)
            .header("cookie", ann.cookies())
            .body(Body::empty())
            .unwrap()
    };
    let reply = world.send(post("cross-site")).await;
    assert_eq!(
        (reply.status(), reply.json()["code"].as_str()),
        (403, Some("cross_origin"))
    );
    assert!(reply.set_cookies().is_empty());
    assert_eq!(world.refreshes(), 0);
    assert_eq!(world.send(post("same-origin")).await.status(), 200);
}

// Whoever renders or swallows the error: the log names the missing call.
#[tokio::test]
async fn a_missing_layer_is_a_mistake_of_the_app() {
    use tower_descope::require::{GrpcStatus, RequireLayer};
    use tower_descope::{AuthRejection, User};

    let grpc = RequireLayer::new().with_rejection(GrpcStatus);
    let app = Router::new()
        .route("/optional", get(async |_: Option<User>| "never"))
        .route(
            "/result",
            get(async |_: Result<User, AuthRejection>| "handled"),
        )
        .route("/grpc", get(async || "never").route_layer(grpc));
    for (path, status) in [("/optional", 500), ("/result", 200), ("/grpc", 200)] {
        let log = Log::start();
        let request = Request::get(path).body(Body::empty()).unwrap();
        let reply = Reply::read(app.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(reply.status(), status, "{path}");
        assert_ne!(reply.body, "never");
        assert_eq!(log.count("session_layer()"), 1, "{path} {}", log.text());
        if path == "/optional" {
            assert_eq!(reply.json()["code"], "missing_layer");
        }
    }
}

#[tokio::test]
async fn one_renderer_serves_all_rejections() {
    use tower_descope::require::RedirectToLogin;
    let world = World::new().await;
    let app = axum::Router::new()
        .route(
            "/page",
            axum::routing::get(async |_: tower_descope::User| "page"),
        )
        .route(
            "/area",
            axum::routing::get(async || "area").route_layer(tower_descope::RequireLayer::new()),
        )
        .layer(
            world
                .descope
                .session_layer()
                .with_rejection(RedirectToLogin::new("/login")),
        );
    for path in ["/page", "/area"] {
        let ask = async |accept: &str| {
            let request = Request::get(format!("{path}?a=1")).header("accept", accept);
            let response =
                tower::ServiceExt::oneshot(app.clone(), request.body(Body::empty()).unwrap());
            world::Reply::read(response.await.unwrap()).await
        };
        let reply = ask("text/html").await;
        assert_eq!(
            (reply.status(), reply.header("location")),
            (303, Some(&*format!("/login?next={path}%3Fa%3D1")))
        );
        assert_eq!(ask("application/json").await.status(), 401);
    }
}

#[tokio::test]
async fn the_hit_ratio_is_visible() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    for _ in 0..10 {
        assert_eq!(world.browse("/me", &ann).await.status(), 200);
    }
    world.get("/me", "DS=junk").await;
    let stats = world.descope.stats();
    assert_eq!(
        (stats.cached_sessions, stats.cache_hits, stats.cache_misses),
        (1, 9, 2)
    );
}

// The rotated-out token still finds the outcome of its renewal, which is over.
#[tokio::test]
async fn what_was_signed_out_is_not_found_again() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let renewed = world.get("/me", &ann.refresh_cookie()).await;
    assert_eq!(renewed.status(), 200);
    let newer = Revocation::refresh_jwt(renewed.cookie("DSR").unwrap());
    world.descope.revoke(newer).await.unwrap();
    let late = world.get("/me", &ann.refresh_cookie()).await;
    assert_eq!((late.status(), late.set_cookies().len()), (401, 0));
    assert_eq!(world.refreshes(), 1);
}

// What upstream issues is dated after the revocation, and it began before.
#[tokio::test]
async fn a_renewal_does_not_outlive_a_revocation_meanwhile() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    world.descope.ready().await.unwrap();
    world.emulator.configure(|config| config.latency_ms = 200);
    let cookies = ann.refresh_cookie();
    let renewal = world.get("/me", &cookies);
    let revocation = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let everything = Revocation::user(ann.user_id().to_owned());
        world.descope.revoke(everything).await.unwrap();
        world.clock.advance(Duration::from_secs(2));
    };
    let (reply, ()) = tokio::join!(renewal, revocation);
    assert_eq!((reply.status(), reply.set_cookies().len()), (401, 0));
}

// Security requirement 37.
#[tokio::test]
async fn no_header_of_a_request_names_the_user() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let seen = axum::routing::get(
        async |user: Option<tower_descope::User>, headers: http::HeaderMap| {
            let mut names: Vec<_> = headers.keys().map(|name| name.to_string()).collect();
            names.sort_unstable();
            axum::Json(json!({ "id": user.map(|user| user.id().to_owned()), "headers": names }))
        },
    );
    let app = axum::Router::new()
        .route("/seen", seen)
        .layer(world.descope.session_layer());
    let forged = ["x-user-id", "x.user.id", "x_user_id"];
    for (cookies, id) in [
        ("a=1".to_owned(), None),
        (ann.cookie_line(), Some(ann.user_id())),
    ] {
        let mut request = Request::get("/seen").header("cookie", cookies);
        for name in forged {
            request = request.header(name, "U-admin");
        }
        let request = request.body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(app.clone(), request).await;
        let reply = world::Reply::read(response.unwrap()).await;
        let headers = [&["cookie"][..], &forged].concat();
        assert_eq!(reply.json(), json!({ "id": id, "headers": headers }));
    }
}

// Security requirement 38: the layer stands on the route, so that the router's reading of a path is the only one.
#[tokio::test]
async fn no_spelling_of_a_path_and_no_method_leads_past_a_layer() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let protected = axum::Router::new()
        .route("/secret", axum::routing::any(async || "secret"))
        .fallback(async || "secret")
        .layer(tower_descope::RequireLayer::new());
    let app = axum::Router::new()
        .nest("/admin", protected)
        .layer(world.descope.session_layer());
    let ask = async |method: &str, path: &str, cookies: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("cookie", cookies)
            .header("x-http-method-override", "GET")
            .header("x-original-url", "/public")
            .header("x-middleware-subrequest", "middleware");
        let request = request.body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(app.clone(), request).await;
        response.unwrap().status().as_u16()
    };
    for path in [
        "/admin",
        "/admin/",
        "/admin/secret",
        "/admin/secret/",
        "/admin//secret",
        "/admin/./secret",
        "/admin/x/../secret",
        "/admin/%73ecret",
        "/admin/SECRET",
        "/admin/other",
        "/admin/secret?x=/public",
        "/%61dmin/secret",
        "//admin/secret",
        "/ADMIN/secret",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "PURGE"] {
            let status = ask(method, path, "a=1").await;
            assert!([401, 404].contains(&status), "{method} {path}: {status}");
        }
    }
    assert_eq!(ask("GET", "/admin/secret", &ann.cookie_line()).await, 200);
}
