//! Cookies that somebody else has put beside the user's own: a sibling host may set any cookie of the parent domain,
//! also with a longer path, so that it is sent first. Security requirement 33.

use axum::Router;
use axum::body::Body;
use http::Request;
use tower::ServiceExt;
use tower_descope::emulator::RefreshRotation;

use crate::support::live::claims;
use crate::support::log::Log;
use crate::support::world::{CookieLine as _, Reply, SignedIn, World};

async fn world() -> (World, SignedIn, SignedIn) {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let victim = world.sign_in_long_ago("victim@example.com").await;
    let attacker = world.sign_in_long_ago("attacker@example.com").await;
    (world, victim, attacker)
}

/// The mounted routes, below the session layer and without one.
fn mounts(world: &World) -> [Router; 2] {
    let bare = Router::new().nest("/auth", world.descope.routes());
    [bare.clone().layer(world.descope.session_layer()), bare]
}

async fn post(app: &Router, call: &str, cookies: &str) -> Reply {
    let request = Request::post(format!("/auth/v1/auth/{call}"))
        .header("cookie", cookies)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json")
        .body(Body::from("{}"))
        .unwrap();
    Reply::read(app.clone().oneshot(request).await.unwrap()).await
}

fn user_of(jwt: &str) -> String {
    claims(jwt)["sub"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_expired_session_says_whose_refresh_cookie_counts() {
    let (world, victim, attacker) = world().await;
    let cookies = format!(
        "DS={}; DSR={}; DSR={}",
        victim.session_jwt(),
        attacker.refresh_jwt(),
        victim.refresh_jwt()
    );
    let reply = world.get("/me", &cookies).await;
    assert_eq!(reply.status(), 200, "{}", reply.body);
    assert_eq!(reply.json()["id"], victim.user_id());
    assert_eq!(user_of(&reply.cookie("DSR").unwrap()), victim.user_id());
    assert_eq!(world.refreshes(), 1, "the other token is not spent");
}

#[tokio::test]
async fn refresh_cookies_of_different_users_renew_nothing() {
    let (world, victim, attacker) = world().await;
    // A session whose signature is not the project's says nothing.
    let session = attacker.session_jwt();
    let forged = format!("{}x", &session[..session.len() - 1]);
    let both = format!(
        "DSR={}; DSR={}",
        attacker.refresh_jwt(),
        victim.refresh_jwt()
    );
    for session in [
        String::new(),
        "DS=junk; ".to_owned(),
        format!("DS={forged}; "),
        format!(
            "DS={}; DS={}; ",
            attacker.session_jwt(),
            victim.session_jwt()
        ),
    ] {
        let cookies = format!("{session}{both}");
        let reply = world.get("/me", &cookies).await;
        assert_eq!(reply.status(), 401, "{cookies}: {}", reply.body);
        assert_eq!(reply.json()["code"], "session_expired");
        assert!(reply.set_cookies().is_empty());
        let reply = world.get("/maybe", &cookies).await;
        assert_eq!(reply.json()["signedIn"], false);
        assert!(reply.set_cookies().is_empty());
        for app in mounts(&world) {
            let reply = post(&app, "refresh", &cookies).await;
            assert_eq!((reply.status(), reply.set_cookies().len()), (401, 0));
            let reply = post(&app, "try-refresh", &cookies).await;
            assert_eq!((reply.status(), reply.set_cookies().len()), (200, 0));
        }
    }
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn an_expired_session_is_not_renewed_with_the_refresh_cookie_of_another_user() {
    let (world, victim, attacker) = world().await;
    let cookies = format!(
        "DS={}; DSR={}",
        victim.session_jwt(),
        attacker.refresh_jwt()
    );
    let reply = world.get("/me", &cookies).await;
    assert_eq!((reply.status(), reply.set_cookies().len()), (401, 0));
    for app in mounts(&world) {
        let reply = post(&app, "refresh", &cookies).await;
        assert_eq!((reply.status(), reply.set_cookies().len()), (401, 0));
    }
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn the_mounted_routes_renew_the_same_user_as_the_layer() {
    for at in 0..2 {
        let (world, victim, attacker) = world().await;
        let cookies = format!(
            "DS={}; DSR={}; DSR={}",
            victim.session_jwt(),
            attacker.refresh_jwt(),
            victim.refresh_jwt()
        );
        let app = &mounts(&world)[at];
        let reply = post(app, "refresh", &cookies).await;
        assert_eq!(reply.status(), 200, "{}", reply.body);
        assert_eq!(user_of(&reply.cookie("DSR").unwrap()), victim.user_id());
        assert_eq!(world.refreshes(), 1);
    }
}

#[tokio::test]
async fn a_sign_out_ends_the_users_session_whoever_else_sent_a_cookie() {
    for at in 0..2 {
        for session in ["", "DS=junk; ", "attacker's"] {
            let (world, victim, attacker) = world().await;
            let session = match session {
                "attacker's" => {
                    // Still good: the layer takes the attacker for the user.
                    let fresh = world.sign_in("attacker@example.com").await;
                    format!("DS={}; ", fresh.session_jwt())
                }
                other => other.to_owned(),
            };
            let cookies = format!(
                "{session}DSR={}; DSR={}",
                attacker.refresh_jwt(),
                victim.refresh_jwt()
            );
            let app = &mounts(&world)[at];
            let reply = post(app, "logout", &cookies).await;
            assert_eq!(reply.status(), 200);
            assert_eq!(reply.cookie("DSR").as_deref(), Some(""));
            // Here, and upstream.
            let own = format!("DSR={}", victim.refresh_jwt());
            assert_eq!(world.get("/me", &own).await.status(), 401);
            assert_eq!(world.refreshes(), 0);
            let token =
                tower_descope::client::RefreshToken::new(victim.refresh_jwt().to_owned()).unwrap();
            let refused = world.descope.client().session().refresh(&token).await;
            assert!(refused.is_err());
        }
    }
}

#[tokio::test]
async fn what_is_no_token_takes_no_place_among_the_four() {
    let (world, victim, _) = world().await;
    let long = "a".repeat(4096);
    for junk in [
        "junk",
        "a.b",
        "a.b.c.d",
        "a.b.c!",
        "..",
        &format!("a.b.{long}"),
    ] {
        for (name, good) in [
            ("DSR", victim.clone()),
            ("DS", world.sign_in("victim@example.com").await),
        ] {
            let mut cookies = String::new();
            for count in 0..5 {
                // Different values: the same one takes one place only.
                cookies.push_str(&format!("{name}={count}{junk}; "));
            }
            let good = match name {
                "DS" => good.session_jwt(),
                _ => good.refresh_jwt(),
            };
            cookies.push_str(&format!("{name}={good}"));
            let reply = world.get("/me", &cookies).await;
            assert_eq!(reply.status(), 200, "{name} {junk:.20}");
        }
    }
}

#[tokio::test]
async fn the_log_says_once_why_nothing_is_renewed_and_holds_no_token() {
    let (world, victim, attacker) = world().await;
    let different = format!(
        "DSR={}; DSR={}",
        attacker.refresh_jwt(),
        victim.refresh_jwt()
    );
    let other = format!(
        "DS={}; DSR={}",
        victim.session_jwt(),
        attacker.refresh_jwt()
    );
    for app in mounts(&world) {
        for (cookies, words) in [
            (&different, "refresh cookies of different users"),
            (&other, "a refresh cookie of another user"),
        ] {
            let log = Log::start();
            assert_eq!(post(&app, "refresh", cookies).await.status(), 401);
            assert_eq!((log.count(words), log.count("")), (1, 1));
            for jwt in [
                attacker.refresh_jwt(),
                victim.refresh_jwt(),
                victim.session_jwt(),
            ] {
                assert_eq!(log.count(jwt.split('.').nth(2).unwrap()), 0);
            }
        }
    }
}

const HOST_NAMES: &str = "__Host-DS __Host-DSR";

/// The victim's browser has cookies that only this host can set. A sibling host can set the plain ones.
#[tokio::test]
async fn a_plain_cookie_does_not_count_beside_one_with_the_host_prefix() {
    let world = World::with(|builder| builder.host_cookies()).await;
    world.rotation(RefreshRotation::SingleUse);
    let attacker = world.sign_in("attacker@example.com").await;
    for session in ["", "expired", "good"] {
        let victim = match session {
            "good" => world.sign_in("victim@example.com").await,
            _ => world.sign_in_long_ago("victim@example.com").await,
        };
        let calls = world.refreshes();
        let own = match session {
            "" => format!("__Host-DSR={}", victim.refresh_jwt()),
            _ => format!(
                "__Host-DS={}; __Host-DSR={}",
                victim.session_jwt(),
                victim.refresh_jwt()
            ),
        };
        let tossed = attacker.cookie_line();
        for cookies in [format!("{tossed}; {own}"), format!("{own}; {tossed}")] {
            let reply = world.get("/me", &cookies).await;
            assert_eq!(reply.status(), 200, "{}", reply.body);
            assert_eq!(reply.json()["id"], victim.user_id());
            for cookie in reply.set_cookies() {
                let name = cookie.split('=').next().unwrap();
                assert!(HOST_NAMES.split(' ').any(|known| known == name), "{cookie}");
            }
        }
        let renewed = u64::from(session != "good");
        assert_eq!(world.refreshes() - calls, renewed);
        // Without a session of the victim's own the refresh cookie still decides alone.
        let cookies = format!("DS={}; {own}", attacker.session_jwt());
        let reply = world.get("/me", &cookies).await;
        assert_eq!(reply.json()["id"], victim.user_id());
    }
    // Its refusal is not made up for by the plain one.
    let victim = world.sign_in_long_ago("victim@example.com").await;
    let token = tower_descope::client::RefreshToken::new(victim.refresh_jwt().to_owned()).unwrap();
    world
        .descope
        .client()
        .session()
        .logout(&token)
        .await
        .unwrap();
    let cookies = format!(
        "__Host-DSR={}; {}",
        victim.refresh_jwt(),
        attacker.cookie_line()
    );
    assert_eq!(world.get("/me", &cookies).await.status(), 401);
}

// A session with the prefix and a refresh cookie from before the change, which no renewal has replaced.
#[tokio::test]
async fn a_plain_refresh_cookie_beside_a_session_with_the_prefix_has_to_be_of_its_user() {
    let world = World::with(|builder| builder.host_cookies()).await;
    let victim = world.sign_in_long_ago("victim@example.com").await;
    let attacker = world.sign_in_long_ago("attacker@example.com").await;
    let cookies = format!(
        "__Host-DS={}; DSR={}",
        victim.session_jwt(),
        attacker.refresh_jwt()
    );
    // Nor does a plain session, which would speak for the attacker's, cast doubt on the one with the prefix.
    for cookies in [
        &cookies,
        &format!("{cookies}; DS={}", attacker.session_jwt()),
    ] {
        let reply = world.get("/me", cookies).await;
        assert_eq!((reply.status(), reply.set_cookies().len()), (401, 0));
    }
    let cookies = format!("{cookies}; DSR={}", victim.refresh_jwt());
    let reply = world.get("/me", &cookies).await;
    assert_eq!(reply.json()["id"], victim.user_id());
    assert!(reply.cookie("__Host-DS").is_some());
}

#[tokio::test]
async fn the_plain_cookies_are_read_until_there_are_others() {
    let world = World::with(|builder| builder.host_cookies()).await;
    let ann = world.sign_in("ann@example.com").await;
    assert_eq!(world.browse("/me", &ann).await.status(), 200);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let reply = world.browse("/me", &ann).await;
    assert_eq!(reply.status(), 200);
    assert!(reply.cookie("__Host-DS").is_some());
    assert_eq!(reply.cookie("DS"), None);
}
