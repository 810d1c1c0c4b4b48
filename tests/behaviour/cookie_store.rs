//! What a real cookie store (RFC 6265) makes of our cookies: replaced in place, deleted for good, and no shadow of an
//! older configuration. Security requirement 29.

use std::time::Duration;

use ::cookie_store::{CookieError, CookieStore, RawCookie};
use axum::Router;
use axum::body::Body;
use http::header::{COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_descope::DescopeBuilder;
use tower_descope::emulator::RefreshRotation;

use crate::support::live::Live;
use crate::support::world::Reply;

const ME: &str = "/app/api/me";

type Configure = fn(DescopeBuilder) -> DescopeBuilder;

/// The host that the browser knows the app by, and the app's cookies.
const CONFIGURATIONS: [(&str, Configure, [&str; 2]); 7] = [
    ("app.example.com", |builder| builder, ["DS", "DSR"]),
    ("app.example.com", on_domain, ["DS", "DSR"]),
    // On the domain's own host.
    ("example.com", on_domain, ["DS", "DSR"]),
    (
        "app.example.com",
        |builder| builder.cookie_path("/app"),
        ["DS", "DSR"],
    ),
    (
        "app.example.com",
        |builder| on_domain(builder).cookie_path("/app"),
        ["DS", "DSR"],
    ),
    ("app.example.com", with_prefix, ["__Host-DS", "__Host-DSR"]),
    (
        "app.example.com",
        |builder| builder.host_cookies(),
        ["__Host-DS", "__Host-DSR"],
    ),
];

fn on_domain(builder: DescopeBuilder) -> DescopeBuilder {
    builder.cookie_domain("example.com")
}

fn with_prefix(builder: DescopeBuilder) -> DescopeBuilder {
    builder
        .session_cookies(["__Host-DS", "DS"])
        .refresh_cookies(["__Host-DSR", "DSR"])
}

struct Browser {
    host: &'static str,
    app: Router,
    store: CookieStore,
}

impl Browser {
    fn new(live: &Live, host: &'static str) -> Self {
        live.emulator
            .configure(|config| config.refresh_rotation = RefreshRotation::SingleUse);
        Self {
            host,
            app: mounted(live.app.clone()),
            store: CookieStore::default(),
        }
    }

    async fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, Body::empty()).await
    }

    async fn post(&mut self, path: &str, body: Value) -> Reply {
        let path = format!("/app/auth/v1/auth/{path}");
        self.send("POST", &path, Body::from(body.to_string())).await
    }

    async fn send(&mut self, method: &str, path: &str, body: Body) -> Reply {
        let url = format!("https://{}{path}", self.host).parse().unwrap();
        let pairs = self.store.get_request_values(&url);
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.host)
            .header("content-type", "application/json")
            .header("sec-fetch-site", "same-origin");
        if !pairs.is_empty() {
            request = request.header(COOKIE, pairs.join("; "));
        }
        let response = self.app.clone().oneshot(request.body(body).unwrap()).await;
        let reply = Reply::read(response.unwrap()).await;
        self.keep(path, reply.response.headers());
        reply
    }

    fn keep(&mut self, path: &str, headers: &HeaderMap) {
        let url = format!("https://{}{path}", self.host).parse().unwrap();
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = RawCookie::parse(cookie.to_str().unwrap().to_owned()).unwrap();
            // The store itself does not know about prefixes.
            if cookie.name().starts_with("__Host-") {
                let good = (cookie.domain(), cookie.path(), cookie.secure());
                assert_eq!(good, (None, Some("/"), Some(true)), "{cookie}");
            }
            match self.store.insert_raw(&cookie, &url) {
                // The deletion of one that is not there.
                Ok(_) | Err(CookieError::Expired) => {}
                Err(error) => panic!("{cookie} is refused: {error}"),
            }
        }
    }

    /// Names and values of everything that is kept.
    fn kept(&self) -> Vec<(String, String)> {
        let all = self.store.iter_unexpired();
        let mut all: Vec<_> = all
            .map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned()))
            .collect();
        all.sort();
        all
    }

    #[track_caller]
    fn keeps(&self, names: &[&str]) {
        let kept: Vec<_> = self.kept().into_iter().map(|(name, _)| name).collect();
        assert_eq!(kept, names, "on {}", self.host);
    }

    async fn sign_in(&mut self, live: &Live) {
        let request = json!({"loginId": "ann@example.com"});
        self.post("otp/signup-in/email", request).await;
        let request = json!({"loginId": "ann@example.com", "code": live.code("ann@example.com")});
        let reply = self.post("otp/verify/email", request).await;
        assert_eq!(reply.status(), 200, "{}", reply.body);
    }

    fn refresh_jwt(&self, name: &str) -> String {
        let kept = self.kept().into_iter();
        kept.filter(|(known, _)| known == name)
            .map(|(_, value)| value)
            .next()
            .unwrap()
    }
}

fn mounted(app: Router) -> Router {
    Router::new().nest("/app", app)
}

/// Lets the session JWT run out.
fn expire(live: &Live) {
    live.advance(700);
}

#[tokio::test]
async fn a_renewal_replaces_both_cookies() {
    for (host, configure, names) in CONFIGURATIONS {
        let live = Live::with(configure).await;
        let mut browser = Browser::new(&live, host);
        browser.sign_in(&live).await;
        browser.keeps(&names);
        for _ in 0..3 {
            let before = browser.kept();
            expire(&live);
            assert_eq!(browser.get(ME).await.status(), 200);
            browser.keeps(&names);
            let after = browser.kept();
            assert!(before.iter().all(|cookie| !after.contains(cookie)));
        }
    }
}

#[tokio::test]
async fn the_second_refusal_deletes_both_cookies() {
    for (host, configure, names) in CONFIGURATIONS {
        let live = Live::with(configure).await;
        let mut browser = Browser::new(&live, host);
        browser.sign_in(&live).await;
        let token = browser.refresh_jwt(names[1]);
        live.upstream("POST", "/v1/auth/logout", &token, "{}").await;
        expire(&live);
        assert_eq!(browser.get(ME).await.status(), 401);
        browser.keeps(&names);
        live.advance(11);
        assert_eq!(browser.get(ME).await.status(), 401);
        browser.keeps(&[]);
    }
}

#[tokio::test]
async fn a_sign_out_deletes_both_cookies() {
    for (host, configure, _) in CONFIGURATIONS {
        for path in ["logout", "logoutall"] {
            let live = Live::with(configure).await;
            let mut browser = Browser::new(&live, host);
            browser.sign_in(&live).await;
            assert_eq!(browser.post(path, json!({})).await.status(), 200);
            browser.keeps(&[]);
        }
    }
}

/// An app that gets another configuration while somebody is signed in.
async fn reconfigured(host: &'static str, configure: Configure) -> (Live, Browser) {
    reconfigured_from(|builder| builder, host, configure).await
}

async fn reconfigured_from(
    before: Configure,
    host: &'static str,
    configure: Configure,
) -> (Live, Browser) {
    let live = Live::with(before).await;
    let mut browser = Browser::new(&live, host);
    browser.sign_in(&live).await;
    let builder = tower_descope::Descope::builder(live.emulator.project_id());
    let builder = builder.base_url(live.emulator.base_url());
    let descope = configure(builder.clock(live.clock.clone()))
        .build()
        .unwrap();
    browser.app = mounted(crate::support::live::app(&descope));
    (live, browser)
}

#[tokio::test]
async fn a_domain_leaves_no_shadow_of_host_only_cookies() {
    for host in ["app.example.com", "example.com"] {
        let (live, mut browser) = reconfigured(host, on_domain).await;
        for _ in 0..3 {
            expire(&live);
            assert_eq!(browser.get(ME).await.status(), 200);
            browser.keeps(&["DS", "DSR"]);
            let domains = browser.store.iter_unexpired();
            assert!(
                domains
                    .into_iter()
                    .all(|cookie| cookie.domain.as_cow().as_deref() == Some("example.com"))
            );
        }
        browser.post("logout", json!({})).await;
        browser.keeps(&[]);

        // The same with a sign-in, a sign-out, or the end of the session instead of a renewal.
        let (live, mut browser) = reconfigured(host, on_domain).await;
        browser.sign_in(&live).await;
        browser.keeps(&["DS", "DSR"]);
        let (_live, mut browser) = reconfigured(host, on_domain).await;
        browser.post("logout", json!({})).await;
        browser.keeps(&[]);
        let (live, mut browser) = reconfigured(host, on_domain).await;
        let token = browser.refresh_jwt("DSR");
        live.upstream("POST", "/v1/auth/logout", &token, "{}").await;
        expire(&live);
        browser.get(ME).await;
        live.advance(11);
        browser.get(ME).await;
        browser.keeps(&[]);
    }
}

/// Any order of two configurations: whatever the first has left, only the cookies of the second are kept.
#[tokio::test]
async fn a_former_domain_leaves_no_shadow() {
    const ON_DOMAIN: Configure = on_domain;
    const HOST_ONLY: Configure = |builder| builder.former_cookie_domain("Example.com");
    const ON_HOST: Configure = |builder| {
        builder
            .cookie_domain("app.example.com")
            .former_cookie_domain(".example.com")
            .former_cookie_domain("app.example.com")
    };
    const PREFIXED: Configure =
        |builder| builder.host_cookies().former_cookie_domain("example.com");
    for (host, configure, names) in [
        ("app.example.com", HOST_ONLY, ["DS", "DSR"]),
        // Here the cookie of the domain and the host's own are one.
        ("example.com", HOST_ONLY, ["DS", "DSR"]),
        ("app.example.com", ON_HOST, ["DS", "DSR"]),
        ("app.example.com", PREFIXED, ["__Host-DS", "__Host-DSR"]),
    ] {
        let prefixed = names[0].starts_with("__Host-");
        // A renewal, after which the old cookies are gone unless they have another name.
        let (live, mut browser) = reconfigured_from(ON_DOMAIN, host, configure).await;
        for _ in 0..3 {
            expire(&live);
            assert_eq!(browser.get(ME).await.status(), 200);
            if !prefixed {
                browser.keeps(&names);
            }
        }
        browser.post("logout", json!({})).await;
        browser.keeps(&[]);
        // A sign-in, a sign-out, the end of the session.
        let (live, mut browser) = reconfigured_from(ON_DOMAIN, host, configure).await;
        browser.sign_in(&live).await;
        if !prefixed {
            browser.keeps(&names);
        }
        let (_live, mut browser) = reconfigured_from(ON_DOMAIN, host, configure).await;
        browser.post("logout", json!({})).await;
        browser.keeps(&[]);
        let (live, mut browser) = reconfigured_from(ON_DOMAIN, host, configure).await;
        let token = browser.refresh_jwt("DSR");
        live.upstream("POST", "/v1/auth/logout", &token, "{}").await;
        expire(&live);
        browser.get(ME).await;
        live.advance(11);
        browser.get(ME).await;
        browser.keeps(&[]);
    }
}

// A renewal that brings no refresh JWT must not delete the one that lives, wherever it is kept.
#[tokio::test]
async fn a_refresh_jwt_under_a_former_domain_stays_until_it_is_replaced() {
    for host in ["app.example.com", "example.com"] {
        let (live, mut browser) = reconfigured_from(on_domain, host, |builder| {
            builder.former_cookie_domain("example.com")
        })
        .await;
        live.emulator
            .configure(|config| config.refresh_rotation = RefreshRotation::None);
        for _ in 0..2 {
            expire(&live);
            assert_eq!(browser.get(ME).await.status(), 200);
            browser.keeps(&["DS", "DSR"]);
        }
    }
}

// Without rotation the old refresh JWT is the only one: a renewal writes no other.
#[tokio::test]
async fn a_refresh_jwt_that_was_not_replaced_stays() {
    let (live, mut browser) = reconfigured("app.example.com", on_domain).await;
    live.emulator
        .configure(|config| config.refresh_rotation = RefreshRotation::None);
    for _ in 0..2 {
        expire(&live);
        assert_eq!(browser.get(ME).await.status(), 200);
        browser.keeps(&["DS", "DSR"]);
    }
}

#[tokio::test]
async fn other_names_take_over_and_the_old_ones_go_in_the_end() {
    let (live, mut browser) = reconfigured("app.example.com", with_prefix).await;
    expire(&live);
    for _ in 0..2 {
        assert_eq!(browser.get(ME).await.status(), 200);
        browser.keeps(&["DS", "DSR", "__Host-DS", "__Host-DSR"]);
        expire(&live);
    }
    let token = browser.refresh_jwt("__Host-DSR");
    live.upstream("POST", "/v1/auth/logout", &token, "{}").await;
    assert_eq!(browser.get(ME).await.status(), 401);
    live.clock.advance(Duration::from_secs(11));
    assert_eq!(browser.get(ME).await.status(), 401);
    browser.keeps(&[]);
}

// Another app on the same host may have cookies of the same name.
#[tokio::test]
async fn cookies_of_another_path_are_left_alone() {
    let (live, mut browser) =
        reconfigured("app.example.com", |builder| builder.cookie_path("/app")).await;
    browser.sign_in(&live).await;
    browser.keeps(&["DS", "DS", "DSR", "DSR"]);
    browser.post("logout", json!({})).await;
    browser.keeps(&["DS", "DSR"]);
}
