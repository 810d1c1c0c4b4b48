//! Signing out from a handler of the app, below a session layer that has just renewed.

use std::time::Duration;

use crate::support::log::Log;
use crate::support::mounted::{Browser, Upstream, descope, error_body, layered};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use http::header::{CONTENT_TYPE, HeaderMap, SET_COOKIE};
use http::request::Parts;
use tower::ServiceExt;
use tower_descope::client::RefreshToken;
use tower_descope::{Descope, SignOut};

async fn sign_out(State(descope): State<Descope>, parts: Parts) -> Response {
    let ended = descope.end(&parts, SignOut::ThisSession).await;
    (ended, Redirect::to("/")).into_response()
}

/// What looks right and is not: the cookie of the request may have been spent by the layer.
async fn by_hand(State(descope): State<Descope>, headers: HeaderMap) -> String {
    let cookies = headers["cookie"].to_str().unwrap();
    let jwt = cookies
        .split("; ")
        .find_map(|pair| pair.strip_prefix("DSR="));
    let token = RefreshToken::new(jwt.unwrap()).unwrap();
    match descope.client().session().logout(&token).await {
        Ok(()) => "signed out at Descope".to_owned(),
        Err(error) => error.code().unwrap_or_default().to_owned(),
    }
}

fn app(descope: &Descope) -> Router {
    Router::new()
        .route("/leave", post(sign_out).get(sign_out))
        .route("/by-hand", post(by_hand))
        .with_state(descope.clone())
        .layer(descope.session_layer())
        .merge(layered(descope))
}

fn request(method: &str, path: &str) -> Request {
    let request = Browser::request(method, "").uri(path);
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_handler_below_a_layer_that_has_just_renewed_signs_out() {
    for expired in [true, false] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let mut page = Browser::with_tokens(app(&descope), upstream.tokens("U1"));
        if expired {
            upstream.clock.advance(Duration::from_secs(700));
        }
        let old = page.clone();
        // A form of the app itself.
        let mut form = request("POST", "/leave");
        let kind = "application/x-www-form-urlencoded".parse().unwrap();
        form.headers_mut().insert(CONTENT_TYPE, kind);
        *form.body_mut() = Body::from("bye=1");
        let answer = page.send(form).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["location"]),
            (303, &"/".parse().unwrap())
        );
        // The browser's cookies are gone, and no renewed ones came instead.
        assert!(page.cookies.is_empty(), "{expired}");
        // One renewal at most, one sign-out, with a token that was alive, and nothing is left at Descope.
        assert_eq!(upstream.count("/v1/auth/refresh"), usize::from(expired));
        assert_eq!(upstream.count("/v1/auth/logout"), 1);
        assert_eq!((upstream.live(), upstream.set().reused), (0, 0));
        // The old cookies are refused in this process (security requirement 35).
        let before = upstream.total();
        for name in ["DS", "DSR", ""] {
            let mut thief = old.clone();
            thief
                .cookies
                .retain(|cookie, _| name.is_empty() || cookie == name);
            let answer = thief.send(request("GET", "/page")).await;
            assert_eq!(answer.status, 401, "{expired} {name}");
            assert!(!answer.sets_cookies());
        }
        assert_eq!(upstream.total(), before);
    }
}

#[tokio::test]
async fn a_link_on_another_site_signs_nobody_out() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    let mut page = Browser::with_tokens(app(&descope), upstream.tokens("U1"));
    let before = page.cookies.clone();
    let mut link = request("GET", "/leave");
    let site = "cross-site".parse().unwrap();
    link.headers_mut().insert("sec-fetch-site", site);
    let answer = page.send(link).await;
    assert!(!answer.sets_cookies());
    assert_eq!(page.cookies, before);
    assert_eq!(page.send(request("GET", "/page")).await.text, "U1");
    // A link on a page of the app does.
    page.send(request("GET", "/leave")).await;
    assert!(page.cookies.is_empty());
}

/// What a plain HTML form sends.
fn form(path: &str, body: &str) -> Request {
    let request = Request::post(path)
        .header("host", "app.example")
        .header("origin", "https://app.example")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(Body::from(body.to_owned())).unwrap()
}

#[tokio::test]
async fn a_form_without_script_signs_out_and_leads_to_a_page_of_the_app() {
    let long = format!("next=/{}", "x".repeat(3000));
    for (path, other_lives) in [
        ("/auth/v1/auth/logout", true),
        ("/auth/v1/auth/logoutall", false),
    ] {
        for (body, location) in [
            ("", "/"),
            ("next=", "/"),
            ("next=%2Fgoodbye%3Fx%3D1%23y", "/goodbye?x=1#y"),
            ("next=/goodbye&csrf=1", "/goodbye"),
            ("next=/stra%C3%9Fe", "/stra%C3%9Fe"),
            ("next=https://evil.example/", "/"),
            ("next=//evil.example/", "/"),
            ("next=/%5Cevil.example", "/"),
            ("next=/..//evil.example", "/"),
            ("next=/a%0D%0ASet-Cookie:x=1", "/"),
            ("next=javascript:alert(1)", "/"),
            (&long, "/"),
        ] {
            let upstream = Upstream::rotating();
            let descope = descope(&upstream);
            let (app, tokens) = (app(&descope), upstream.tokens("U1"));
            let mut other = Browser::with_tokens(app.clone(), upstream.tokens("U1"));
            let mut page = Browser::with_tokens(app, tokens);
            let response = page.app().oneshot({
                let mut request = form(path, body);
                let line = format!("DS={}; DSR={}", page.ds(), page.dsr());
                request
                    .headers_mut()
                    .insert("cookie", line.parse().unwrap());
                request
            });
            let response = response.await.unwrap();
            assert_eq!(response.status(), 303, "{body}");
            assert_eq!(response.headers()["location"], location, "{body}");
            assert_eq!(response.headers()["cache-control"], "private, no-store");
            assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 2);
            assert_eq!(page.send(request("GET", "/page")).await.status, 401);
            let status = other.send(request("GET", "/page")).await.status;
            assert_eq!(status == 200, other_lives);
        }
    }
}

// Security requirements 39 and 40: a form of another site may come without asking.
#[tokio::test]
async fn a_form_whose_origin_is_foreign_or_unknown_signs_nobody_out() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    let mut page = Browser::with_tokens(app(&descope), upstream.tokens("U1"));
    for (origin, site) in [
        (Some("https://evil.example"), Some("cross-site")),
        (Some("https://evil.example"), None),
        (Some("null"), None),
        (None, Some("cross-site")),
        (None, None),
    ] {
        let mut request = form("/auth/v1/auth/logout", "next=/");
        let headers = request.headers_mut();
        headers.remove("origin");
        for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        let answer = page.send(request).await;
        answer.is_error(403, "cross_origin");
        assert!(!answer.sets_cookies(), "{origin:?} {site:?}");
    }
    assert_eq!(page.send(request("GET", "/page")).await.text, "U1");
    assert_eq!(upstream.total(), 0);
}

#[tokio::test]
async fn a_sign_out_with_a_spent_token_says_what_to_do() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    let mut page = Browser::with_tokens(app(&descope), upstream.tokens("U1"));
    upstream.clock.advance(Duration::from_secs(700));
    upstream.answer("/v1/auth/logout", 401, error_body("E064001"));
    let log = Log::start();
    let answer = page.send(request("POST", "/by-hand")).await;
    assert_eq!(answer.text, "E064001");
    let said = log.text();
    assert!(said.contains("WARN"), "{said}");
    assert!(said.contains("/v1/auth/logout"), "{said}");
    assert!(said.contains("Descope::end"), "{said}");
    assert!(!said.contains("eyJ"), "{said}");
}
