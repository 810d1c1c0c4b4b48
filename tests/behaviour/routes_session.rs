//! Sessions over the mounted routes: what is verified, delivered, replaced and ended.

use std::sync::Arc;
use std::time::Duration;

use crate::support::log::Log;
use crate::support::mounted::{
    self, Browser, CODE, Fault, Upstream, bare, builder, claims, descope, error_body, layered,
};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower_descope::User;
use tower_descope::client::TransportErrorKind;

const REFRESH: &str = "/v1/auth/refresh";

/// A browser whose session JWT has run out.
fn expired(upstream: &Upstream, app: Router, user: &str) -> Browser {
    let browser = Browser::with_tokens(app, upstream.tokens(user));
    upstream.clock.advance(Duration::from_secs(700));
    browser
}

fn page_request(path: &str) -> http::Request<Body> {
    let request = Browser::request("GET", "").uri(path);
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_sign_in_without_a_refresh_jwt_keeps_nobody_elses() {
    for (before, kept) in [("UB", 2), ("UA", 1)] {
        for with_layer in [false, true] {
            let upstream = Upstream::rotating();
            upstream.set().no_refresh = true;
            let descope = descope(&upstream);
            let app = match with_layer {
                true => layered(&descope),
                false => bare(&descope),
            };
            let mut page = expired(&upstream, app, before);
            page.sign_in("B").await.is_ok();
            assert_eq!(page.cookies.len(), kept, "{before} {with_layer}");
            assert_eq!(claims(&page.ds())["sub"], "UB");
            if kept == 2 {
                assert!(upstream.is_live(&page.dsr()));
            }
        }
    }
}

#[tokio::test]
async fn tenant_select_delivers_what_the_layer_renewed() {
    let upstream = Upstream::rotating();
    upstream.set().no_refresh = true;
    let mut page = expired(&upstream, layered(&descope(&upstream)), "U1");
    let answer = page
        .post("/v1/auth/tenant/select", json!({"tenant": "t1"}))
        .await;
    assert_eq!(answer.is_ok().body["claims"]["dct"], "t1");
    assert_eq!(claims(&page.ds())["dct"], "t1");
    assert!(upstream.is_live(&page.dsr()));
}

/// Security requirement 26: what upstream issues is verified before anything is set.
#[tokio::test]
async fn tokens_that_do_not_verify_are_not_passed_on() {
    let upstream = Upstream::new();
    let (good_ds, good_dsr) = upstream.tokens("U1");
    let (other_ds, other_dsr) = upstream.tokens("U2");
    let stranger = crate::support::signer::Signer::new("key-1");
    let forged = stranger.sign(&claims(&good_ds));
    for (session, refresh) in [
        (&good_ds, &other_dsr),
        (&other_ds, &good_dsr),
        (&good_dsr, &good_ds),
        (&forged, &good_dsr),
        (&"junk".to_owned(), &good_dsr),
        (&String::new(), &String::new()),
    ] {
        let reply = json!({"sessionJwt": session, "refreshJwt": refresh}).to_string();
        for (path, body) in [
            (
                "/v1/auth/otp/verify/email",
                json!({"loginId": "x", "code": CODE}),
            ),
            (
                "/v1/auth/totp/verify",
                json!({"loginId": "x", "code": CODE}),
            ),
            (
                "/v1/auth/notp/pending-session",
                json!({"pendingRef": "ref"}),
            ),
        ] {
            let mut page = Browser::new(bare(&descope(&upstream)));
            upstream.answer(path, 200, reply.clone());
            page.post(path, body)
                .await
                .is_error(502, "upstream_invalid");
            assert!(page.cookies.is_empty());
        }
    }
    // Somebody else's tokens, where the caller is known.
    let reply = json!({"sessionJwt": other_ds, "refreshJwt": other_dsr}).to_string();
    for (path, body) in [
        ("/v1/auth/tenant/select", json!({"tenant": "t"})),
        (
            "/v1/auth/totp/verify",
            json!({"loginId": "x", "code": CODE, "loginOptions": {"stepup": true}}),
        ),
    ] {
        let tokens = upstream.tokens("U1");
        let mut page = Browser::with_tokens(bare(&descope(&upstream)), tokens);
        upstream.answer(path, 200, reply.clone());
        let answer = page.post(path, body).await;
        answer.is_error(502, "upstream_invalid");
        assert!(!answer.sets_cookies());
    }
    let tokens = upstream.tokens("U1");
    let mut page = Browser::with_tokens(bare(&descope(&upstream)), tokens);
    upstream.answer(REFRESH, 200, reply);
    let answer = page.post(REFRESH, json!({})).await;
    answer.is_error(503, "unavailable");
    assert!(!answer.sets_cookies());
}

// Security requirement 28.
#[tokio::test]
async fn a_cookie_that_no_browser_keeps_is_an_error() {
    let upstream = Upstream::rotating();
    let claims = json!({"big": "x".repeat(4000)});
    let descope = descope(&upstream);
    for app in [bare(&descope), layered(&descope)] {
        let mut page = Browser::with_tokens(app, upstream.tokens("U1"));
        let before = page.cookies.clone();
        upstream.set().claims = claims.as_object().unwrap().clone();
        for (path, body) in [
            (
                "/v1/auth/otp/verify/email",
                json!({"loginId": "x", "code": CODE}),
            ),
            (REFRESH, json!({})),
        ] {
            let answer = page.post(path, body).await;
            answer.is_error(500, "cookie_too_large");
            assert!(!answer.sets_cookies());
            assert_eq!(page.cookies, before);
        }
        upstream.set().claims.clear();
        upstream.set().rotation = false;
    }
}

// Design, "fresh sign-in with a skewed clock".
#[tokio::test]
async fn a_session_that_is_over_by_our_clock_costs_nobody_the_sign_in() {
    let upstream = Upstream::new();
    let mut page = Browser::with_tokens(bare(&descope(&upstream)), upstream.tokens("UA"));
    upstream.set().session_life = -60;
    let log = Log::start();
    let answer = page.sign_in("B").await;
    assert_eq!(answer.is_ok().body["sessionExpiration"], 1_799_999_940);
    assert_eq!(log.count("seconds_over=60"), 1, "{}", log.text());
    drop(log);
    assert_eq!(
        page.ds(),
        "",
        "nobody else's session stays beside the new token"
    );
    assert_eq!(claims(&page.dsr())["sub"], "UB");
}

// Vector clock/skew+10min: "metric shows skew". An answer counts once, whatever is in it.
#[tokio::test]
async fn the_stats_show_that_the_clock_is_off() {
    for with_layer in [false, true] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let app = match with_layer {
            true => layered(&descope),
            false => bare(&descope),
        };
        let mut page = Browser::with_tokens(app, upstream.tokens("U1"));
        let skewed = || descope.stats().clock_skew;
        page.sign_in("A").await.is_ok();
        page.post(REFRESH, json!({})).await.is_ok();
        upstream.clock.advance(Duration::from_secs(20));
        assert_eq!(skewed(), 0, "{with_layer}");

        // Over when it comes: this clock is fast.
        upstream.set().session_life = -60;
        page.post(REFRESH, json!({}))
            .await
            .is_error(503, "unavailable");
        assert_eq!(skewed(), 1);
        page.sign_in("A").await.is_ok();
        assert_eq!(skewed(), 2);

        // Not valid yet: it is slow.
        upstream.set().session_life = 600;
        let later = json!({"iat": 1_800_000_600, "nbf": 1_800_000_600});
        upstream.set().claims = later.as_object().unwrap().clone();
        page.post(REFRESH, json!({}))
            .await
            .is_error(503, "unavailable");
        assert_eq!(skewed(), 3);
        page.sign_in("A").await.is_ok();
        assert_eq!(skewed(), 4);

        // A token that is bad in another way says nothing about the clock.
        upstream.set().claims = json!({"iss": "P2other"}).as_object().unwrap().clone();
        page.sign_in("A").await.is_error(502, "upstream_invalid");
        assert_eq!(skewed(), 4);
    }
}

// Design, "the renewed JWTs": never lose the one live refresh token.
#[tokio::test]
async fn a_new_refresh_jwt_is_delivered_though_its_session_is_bad() {
    for with_layer in [false, true] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let app = match with_layer {
            true => layered(&descope),
            false => bare(&descope),
        };
        let mut page = expired(&upstream, app, "U1");
        upstream.set().session_life = -60;
        let old = page.dsr();
        let answer = page.post(REFRESH, json!({})).await;
        answer.is_error(503, "unavailable");
        assert!(answer.headers.contains_key("retry-after"));
        assert_ne!(page.dsr(), old);
        upstream.set().session_life = 600;
        page.post(REFRESH, json!({})).await.is_ok();
        assert_eq!(upstream.set().reused, 0);
    }
}

#[tokio::test]
async fn an_outage_signs_nobody_out() {
    tokio::time::pause();
    for fault in [
        Fault::Transport(TransportErrorKind::Interrupted),
        Fault::Hang,
        Fault::Answer(503, vec![("retry-after", "7".to_owned())], Vec::new()),
    ] {
        for (method, path) in [
            ("POST", REFRESH),
            ("POST", "/v1/auth/try-refresh"),
            ("GET", "/v1/auth/me"),
            ("POST", "/v1/auth/tenant/select"),
        ] {
            let upstream = Upstream::rotating();
            let mut page = expired(&upstream, layered(&descope(&upstream)), "U1");
            let before = page.cookies.clone();
            upstream.fault(REFRESH, fault.clone());
            let answer = match method {
                "GET" => page.get(path).await,
                _ => page.post(path, json!({"tenant": "t"})).await,
            };
            answer.is_error(503, "unavailable");
            assert!(answer.headers.contains_key("retry-after"));
            assert_eq!(page.cookies, before, "{path}");
            // The token may be spent: nothing else is asked with it.
            assert_eq!(upstream.total(), 1, "{path}");
        }
    }
}

#[tokio::test]
async fn without_keys_nothing_can_be_said() {
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    let keys = format!("/v2/keys/{}", mounted::PROJECT);
    let mut page = Browser::with_tokens(bare(&descope), upstream.tokens("U1"));
    for path in [REFRESH, "/v1/auth/try-refresh", "/v1/auth/tenant/select"] {
        upstream.answer(&keys, 500, "");
        upstream.answer(&keys, 500, "");
        page.post(path, json!({"tenant": "t"}))
            .await
            .is_error(503, "unavailable");
    }
    page.post("/v1/auth/logout", json!({})).await.is_ok();
    assert!(page.cookies.is_empty());
}

// Security requirement 35: also of sessions that this process has never seen.
#[tokio::test]
async fn logoutall_ends_the_users_other_sessions() {
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    let app = layered(&descope);
    let mut here = Browser::with_tokens(app.clone(), upstream.tokens("U1"));
    let mut elsewhere = Browser::with_tokens(app.clone(), upstream.tokens("U1"));
    let mut other = Browser::with_tokens(app.clone(), upstream.tokens("U2"));
    here.post("/v1/auth/logoutall", json!({})).await.is_ok();
    assert_eq!(elsewhere.send(page_request("/page")).await.status, 401);
    assert_eq!(other.send(page_request("/page")).await.text, "U2");
    upstream.clock.advance(Duration::from_secs(1));
    here.sign_in("1").await.is_ok();
    assert_eq!(here.send(page_request("/page")).await.text, "U1");
}

// Two renewals that no browser has received: what a sign-out ends upstream is the newest.
#[tokio::test]
async fn a_logout_ends_what_was_renewed_in_vain() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    let tokens = upstream.tokens("U1");
    let line = format!("DS={}; DSR={}", tokens.0, tokens.1);
    let mut headers = http::HeaderMap::new();
    headers.insert("cookie", line.parse().unwrap());
    for _ in 0..2 {
        upstream.clock.advance(Duration::from_secs(700));
        descope.authenticate(&headers).await.unwrap().unwrap();
    }
    assert_eq!((upstream.count(REFRESH), upstream.live()), (2, 1));
    let mut page = Browser::with_tokens(bare(&descope), tokens);
    page.post("/v1/auth/logout", json!({})).await.is_ok();
    assert_eq!((upstream.live(), upstream.set().reused), (0, 0));
}

// `iat` has seconds only: whoever signs in within the second of the sign-out is not signed out with the rest.
#[tokio::test]
async fn a_sign_in_within_the_second_of_logoutall_is_let_in() {
    for with_layer in [false, true] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let app = match with_layer {
            true => layered(&descope),
            false => bare(&descope),
        };
        let pages = layered(&descope);
        let before = upstream.tokens("U1");
        let mut elsewhere = Browser::with_tokens(pages.clone(), before);
        let mut here = Browser::with_tokens(app.clone(), upstream.tokens("U1"));
        here.post("/v1/auth/logoutall", json!({})).await.is_ok();

        here.sign_in("1").await.is_ok();
        here.post(REFRESH, json!({})).await.is_ok();
        let mut page = Browser::with_tokens(pages.clone(), (here.ds(), here.dsr()));
        assert_eq!(page.send(page_request("/page")).await.text, "U1");
        assert_eq!(elsewhere.send(page_request("/page")).await.status, 401);

        // The next one ends that as well, on every device.
        let mut device = Browser::new(app);
        device.sign_in("1").await.is_ok();
        here.post("/v1/auth/logoutall", json!({})).await.is_ok();
        let mut device = Browser::with_tokens(pages, (device.ds(), device.dsr()));
        assert_eq!(device.send(page_request("/page")).await.status, 401);
    }
}

#[tokio::test]
async fn a_sign_in_that_began_before_a_revocation_is_not_let_in() {
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    let mut here = Browser::new(layered(&descope));
    let answer = Arc::new(Semaphore::new(0));
    let verify = "/v1/auth/otp/verify/email";
    upstream.fault(verify, Fault::Late(answer.clone()));
    let sign_in = tokio::spawn(async move {
        let status = here.sign_in("1").await.status;
        (status, here.cookies)
    });
    while upstream.count(verify) == 0 {
        tokio::task::yield_now().await;
    }
    let revocation = tower_descope::Revocation::user("U1");
    descope.revoke(revocation).await.unwrap();
    answer.add_permits(1);
    let (status, cookies) = sign_in.await.unwrap();
    assert_ne!(status, 200);
    assert!(cookies.is_empty());
}

// Security requirement 29.
#[tokio::test]
async fn logout_deletes_cookies_of_every_name() {
    let upstream = Upstream::new();
    let descope = builder(&upstream)
        .session_cookies(["__Host-DS", "DS"])
        .refresh_cookies(["__Host-DSR", "DSR"])
        .build()
        .unwrap();
    let mut page = Browser::with_tokens(bare(&descope), upstream.tokens("U1"));
    page.sign_in("1").await.is_ok();
    assert_eq!(page.cookies.len(), 4);
    page.post("/v1/auth/logout", json!({})).await.is_ok();
    assert!(page.cookies.is_empty());
}

#[tokio::test]
async fn every_session_cookie_of_a_logout_is_refused_afterwards() {
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    let (one, dsr) = upstream.tokens("U1");
    let (two, _) = upstream.tokens("U1");
    let mut page = Browser::new(bare(&descope));
    let request = Browser::request("POST", "/v1/auth/logout")
        .header("cookie", format!("DS={one}; DS={two}; DSR={dsr}"));
    page.send(request.body(Body::empty()).unwrap())
        .await
        .is_ok();
    for jwt in [one, two] {
        assert!(descope.validate_session(&jwt).await.is_err());
    }
    // Security requirement 35 for a bearer, which has no refresh JWT to end.
    let (ds, _) = upstream.tokens("U2");
    let mut request = Browser::request("POST", "/v1/auth/logout")
        .body(Body::empty())
        .unwrap();
    let bearer = format!("Bearer {ds}").parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    page.send(request).await.is_ok();
    assert!(descope.validate_session(&ds).await.is_err());
}

#[tokio::test]
async fn the_profile_is_read_anew_after_a_change() {
    async fn profile(user: User) -> String {
        user.profile().await.unwrap().user_id.clone()
    }
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    let app = Router::new()
        .route("/profile", get(profile))
        .merge(layered(&descope))
        .layer(descope.session_layer());
    let mut page = Browser::with_tokens(app, upstream.tokens("Ux"));
    let mut reads = 0;
    for (path, body) in [
        (
            "/v1/auth/otp/verify/email",
            json!({"loginId": "x", "code": CODE}),
        ),
        ("/v1/auth/tenant/select", json!({"tenant": "t"})),
        ("/v1/auth/me", Value::Null),
    ] {
        for _ in 0..2 {
            page.send(page_request("/profile")).await.is_ok();
        }
        reads += 1;
        assert_eq!(upstream.count("/v1/auth/me"), reads, "before {path}");
        if !body.is_null() {
            page.post(path, body).await.is_ok();
        }
    }
}

#[tokio::test]
async fn validate_takes_the_session_jwt() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    for app in [bare(&descope), layered(&descope)] {
        let mut page = Browser::with_tokens(app, upstream.tokens("U1"));
        let answer = page.post("/v1/auth/validate", json!({})).await;
        assert_eq!(answer.is_ok().body["sub"], "U1");
        assert_eq!(upstream.last().token, Some(page.ds()));

        let (ds, dsr) = upstream.tokens("U2");
        for (token, status) in [(&ds, 200), (&dsr, 401), (&"junk".to_owned(), 401)] {
            let mut request = Browser::request("POST", "/v1/auth/validate")
                .body(Body::empty())
                .unwrap();
            let bearer = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", bearer);
            assert_eq!(page.send(request).await.status, status);
        }
        page.cookies.clear();
        let answer = page.post("/v1/auth/validate", json!({})).await;
        answer.is_error(401, "E061005");
        assert_eq!(
            answer.headers["www-authenticate"], r#"Bearer realm="descope""#,
            "security requirement 41: no error code where nothing was sent"
        );
    }
    upstream.answer("/v1/auth/validate", 401, error_body("E061005"));
    let mut page = Browser::with_tokens(bare(&descope), upstream.tokens("U1"));
    page.post("/v1/auth/validate", json!({}))
        .await
        .is_error(401, "E061005");
}

#[tokio::test]
async fn validate_says_why_there_is_no_session_now() {
    for (fault, status, code) in [
        ("down", 503, "unavailable"),
        ("large", 500, "cookie_too_large"),
    ] {
        let upstream = Upstream::rotating();
        let mut page = expired(&upstream, layered(&descope(&upstream)), "U1");
        match fault {
            "down" => upstream.fault(REFRESH, Fault::Transport(TransportErrorKind::Interrupted)),
            _ => {
                let claims = json!({"big": "x".repeat(4000)});
                upstream.set().claims = claims.as_object().unwrap().clone();
            }
        }
        let answer = page.post("/v1/auth/validate", json!({})).await;
        answer.is_error(status, code);
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
        assert_eq!(upstream.count("/v1/auth/validate"), 0);
    }
}
