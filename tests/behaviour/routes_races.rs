//! The mounted routes while the same session is renewed elsewhere: by the layer around them, by another tab, for a
//! user who signs out or in meanwhile.

use std::sync::Arc;
use std::time::Duration;

use crate::support::mounted::{Browser, Fault, Upstream, bare, claims, descope, layered};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use serde_json::json;
use tokio::sync::Semaphore;
use tower_descope::{Descope, User};

const REFRESH: &str = "/v1/auth/refresh";

/// A browser whose session JWT has run out.
fn expired(upstream: &Upstream, app: Router, user: &str) -> Browser {
    let browser = Browser::with_tokens(app, upstream.tokens(user));
    upstream.clock.advance(Duration::from_secs(700));
    browser
}

/// Pages that answer once the semaphore has a permit, long after the layer has decided.
fn with_slow_page(descope: &Descope, gate: &Arc<Semaphore>) -> Router {
    async fn page(State(gate): State<Arc<Semaphore>>, user: User) -> String {
        gate.acquire().await.unwrap().forget();
        user.id().to_owned()
    }
    Router::new()
        .route("/slow", get(page))
        .with_state(gate.clone())
        .merge(layered(descope))
        .layer(descope.session_layer())
}

fn page_request(path: &str) -> http::Request<Body> {
    let request = Browser::request("GET", "").uri(path);
    request.body(Body::empty()).unwrap()
}

// Race "layer-outside-routes".
#[tokio::test]
async fn layer_outside_routes() {
    let calls = [
        ("POST", REFRESH, json!({}), 1),
        ("POST", "/v1/auth/try-refresh", json!({}), 1),
        ("GET", "/v1/auth/me", json!({}), 1),
        ("GET", "/v1/auth/me/history", json!({}), 1),
        ("POST", "/v1/auth/me/tenants", json!({"dct": true}), 1),
        ("POST", "/v1/auth/tenant/select", json!({"tenant": "t"}), 1),
        ("POST", "/v1/auth/totp/update", json!({"loginId": "x"}), 1),
        ("POST", "/v1/auth/validate", json!({}), 1),
        ("POST", "/v1/auth/logout", json!({}), 0),
        ("POST", "/v1/auth/logoutall", json!({}), 0),
    ];
    for (method, path, body, live) in calls {
        let upstream = Upstream::rotating();
        let mut page = expired(&upstream, layered(&descope(&upstream)), "U1");
        let answer = match method {
            "GET" => page.get(path).await,
            _ => page.post(path, body).await,
        };
        answer.is_ok();
        assert_eq!(upstream.count(REFRESH), 1, "{path}");
        assert_eq!(upstream.set().reused, 0, "{path}");
        assert_eq!(upstream.live(), live, "{path}");
        assert_eq!(page.cookies.len(), 2 * live, "{path}");
        if live == 1 {
            assert!(upstream.is_live(&page.dsr()), "{path}");
            upstream.clock.advance(Duration::from_secs(700));
            page.get("/v1/auth/me").await.is_ok();
        }
    }
}

#[tokio::test]
async fn without_a_layer_nothing_is_renewed_but_by_refresh() {
    for (method, path, body, refreshes) in [
        ("GET", "/v1/auth/me", json!({}), 0),
        ("POST", "/v1/auth/tenant/select", json!({"tenant": "t"}), 0),
        ("POST", "/v1/auth/logout", json!({}), 0),
        ("POST", REFRESH, json!({}), 1),
    ] {
        let upstream = Upstream::rotating();
        let mut page = expired(&upstream, bare(&descope(&upstream)), "U1");
        let answer = match method {
            "GET" => page.get(path).await,
            _ => page.post(path, body).await,
        };
        answer.is_ok();
        assert_eq!(upstream.count(REFRESH), refreshes, "{path}");
        assert_eq!(upstream.set().reused, 0, "{path}");
    }
}

// A token that another request is rotating away is not sent: upstream would take it for theft.
#[tokio::test]
async fn a_call_beside_a_refresh_waits_for_the_new_token() {
    let upstream = Upstream::rotating();
    let page = Browser::with_tokens(bare(&descope(&upstream)), upstream.tokens("U1"));
    let gate = Arc::new(Semaphore::new(0));
    upstream.fault(REFRESH, Fault::Late(gate.clone()));
    let (mut one, mut two) = (page.clone(), page);
    let until_called = async || {
        while upstream.count(REFRESH) == 0 {
            tokio::task::yield_now().await;
        }
    };
    let (refresh, me, ()) = tokio::join!(
        one.post(REFRESH, json!({})),
        async {
            until_called().await;
            two.get("/v1/auth/me").await
        },
        async {
            until_called().await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            gate.add_permits(1);
        }
    );
    refresh.is_ok();
    me.is_ok();
    let [me] = upstream.calls("/v1/auth/me").try_into().unwrap();
    assert_eq!(me.token, Some(one.dsr()));
    assert_eq!(upstream.set().reused, 0);
}

// Race "logout-vs-refresh".
#[tokio::test]
async fn after_logout_no_response_sets_cookies() {
    for slow_upstream in [true, false] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let gate = Arc::new(Semaphore::new(0));
        let mut page = expired(&upstream, with_slow_page(&descope, &gate), "U1");
        let mut logout = page.clone();
        if slow_upstream {
            upstream.fault(REFRESH, Fault::Late(gate.clone()));
        }
        // The page's request hangs in the renewal, or in the handler after it.
        let copy = page.clone();
        let pending = tokio::spawn(async move {
            let answer = page.send(page_request("/slow")).await;
            (answer, page)
        });
        while upstream.count(REFRESH) == 0 {
            tokio::task::yield_now().await;
        }
        if slow_upstream {
            // With the layer outside, the sign-out itself would wait for the renewal. It does so where DS is good.
            let mut bare = Browser::new(bare(&descope));
            bare.cookies = logout.cookies.clone();
            logout = bare;
        } else {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        logout.post("/v1/auth/logout", json!({})).await.is_ok();
        assert!(logout.cookies.is_empty());
        gate.add_permits(2);
        let (answer, page) = pending.await.unwrap();
        assert!(!answer.sets_cookies(), "slow upstream: {slow_upstream}");
        assert_eq!(page.cookies, copy.cookies);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        // Also the token that was on its way is dead, here and upstream.
        assert_eq!(upstream.live(), 0, "slow upstream: {slow_upstream}");
        let mut thief = copy;
        assert_eq!(thief.send(page_request("/page")).await.status, 401);
        assert_eq!(upstream.count(REFRESH), 1);
    }
}

// Race "login-as-other-vs-refresh", security requirement 36.
#[tokio::test]
async fn a_sign_in_is_not_overwritten_by_the_older_session() {
    for (before, slow_upstream) in [("UA", true), ("UA", false), ("UB", true)] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let gate = Arc::new(Semaphore::new(0));
        let mut page = expired(&upstream, with_slow_page(&descope, &gate), before);
        let mut other = Browser::new(bare(&descope));
        other.cookies = page.cookies.clone();
        if slow_upstream {
            upstream.fault(REFRESH, Fault::Late(gate.clone()));
        }
        let pending = tokio::spawn(async move { page.send(page_request("/slow")).await });
        while upstream.count(REFRESH) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        other.sign_in("B").await.is_ok();
        assert_eq!(claims(&other.dsr())["sub"], "UB");
        gate.add_permits(2);
        let late = pending.await.unwrap();
        assert!(!late.sets_cookies(), "{before} {slow_upstream}");
        assert_eq!(other.get("/v1/auth/me").await.is_ok().body["userId"], "UB");
    }
}

// Security requirement 36, on one request: the layer renews for A while the route signs B in.
#[tokio::test]
async fn a_sign_in_wins_over_the_renewal_of_its_own_request() {
    let upstream = Upstream::rotating();
    let mut page = expired(&upstream, layered(&descope(&upstream)), "UA");
    let old = page.clone();
    let answer = page.sign_in("B").await;
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(claims(&page.ds())["sub"], "UB");
    assert_eq!(claims(&page.dsr())["sub"], "UB");
    // What the renewal brought is not found by a late twin of A's.
    let mut late = old;
    assert_eq!(late.send(page_request("/page")).await.status, 401);
    assert_eq!(claims(&late.dsr())["sub"], "UA");
    assert_eq!(page.send(page_request("/page")).await.text, "UB");
}
