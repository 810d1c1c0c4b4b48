//! Tokens in bodies, for native apps.

use crate::support::mounted::{self, Browser, CODE, Upstream, bare, builder, claims};
use axum::Router;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_descope::routes::TokenDelivery;

const VERIFY: &str = "/v1/auth/otp/verify/email";

/// A native app: no cookies, the token behind the project id.
struct App {
    router: Router,
    token: Option<String>,
}

impl App {
    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, HeaderMap, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/auth{path}"));
        let bearer = match &self.token {
            Some(token) => format!("Bearer {}:{token}", mounted::PROJECT),
            None => format!("Bearer {}", mounted::PROJECT),
        };
        request = request.header("authorization", bearer);
        // Not ours to judge: nothing ambient is at stake.
        request = request.header("origin", "capacitor://localhost");
        if method == "POST" {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        assert!(!head.headers.contains_key("set-cookie"), "{path}");
        assert!(head.headers.contains_key("cache-control"));
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap();
        (head.status.as_u16(), head.headers, body)
    }
}

#[tokio::test]
async fn native_apps() {
    let upstream = Upstream::rotating();
    let descope = builder(&upstream)
        .token_delivery(TokenDelivery::Body)
        .build()
        .unwrap();
    let mut app = App {
        router: bare(&descope),
        token: None,
    };
    let text = |body: &Value, name: &str| body[name].as_str().unwrap().to_owned();

    let (status, _, body) = app
        .send("POST", VERIFY, json!({"loginId": "x", "code": CODE}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(claims(&text(&body, "sessionJwt"))["sub"], "Ux");
    assert_eq!(body["cookiePath"], "/");
    app.token = Some(text(&body, "refreshJwt"));

    let (status, _, body) = app.send("GET", "/v1/auth/me", json!({})).await;
    assert_eq!((status, &body["userId"]), (200, &json!("Ux")));

    let (status, _, body) = app.send("POST", "/v1/auth/refresh", json!({})).await;
    assert_eq!(status, 200);
    let session = text(&body, "sessionJwt");
    assert_eq!(body["sessionExpiration"], claims(&session)["exp"]);
    assert_eq!(body["cookieMaxAge"], 2_419_200);
    app.token = Some(text(&body, "refreshJwt"));
    assert!(descope.validate_session(&session).await.is_ok());

    // One refresh JWT that has to arrive although its session is bad, and no cookie to carry it.
    upstream.set().session_life = -60;
    let (status, ..) = app.send("POST", "/v1/auth/refresh", json!({})).await;
    assert_eq!(status, 503);
    upstream.set().session_life = 600;
    let (status, _, body) = app.send("POST", "/v1/auth/refresh", json!({})).await;
    assert_eq!(status, 200);
    let refresh = text(&body, "refreshJwt");
    assert!(upstream.is_live(&refresh));
    app.token = Some(text(&body, "sessionJwt"));
    let (status, _, body) = app.send("POST", "/v1/auth/validate", json!({})).await;
    assert_eq!((status, &body["sub"]), (200, &json!("Ux")));
    // The two kinds are not interchangeable.
    assert_eq!(app.send("GET", "/v1/auth/me", json!({})).await.0, 401);

    app.token = Some(refresh.clone());
    let (status, _, body) = app.send("POST", "/v1/auth/logout", json!({})).await;
    assert_eq!((status, body), (200, json!({})));
    assert_eq!(upstream.live(), 0);
    assert_eq!(upstream.set().reused, 0);
    assert!(descope.validate_session(&session).await.is_err());

    // Cookies count for nothing.
    let mut page = Browser::with_tokens(bare(&descope), upstream.tokens("U1"));
    page.get("/v1/auth/me").await.is_error(401, "E061005");
    let answer = page.post("/v1/auth/logout", json!({})).await;
    assert!(!answer.is_ok().sets_cookies());
    assert_eq!(upstream.live(), 1);
}

// Upstream answers with sessions that cannot be used, and with refresh JWTs that replace each other in a circle.
#[tokio::test]
async fn refresh_tokens_that_replace_each_other_in_a_circle_end_in_an_answer() {
    let upstream = Upstream::rotating();
    let descope = builder(&upstream)
        .token_delivery(TokenDelivery::Body)
        .build()
        .unwrap();
    let (first, second) = (upstream.tokens("Ux").1, upstream.tokens("Ux").1);
    upstream.set().session_life = -60;
    let session = upstream.tokens("Ux").0;
    for refresh in [&second, &first] {
        let body = json!({"sessionJwt": session, "refreshJwt": refresh}).to_string();
        upstream.answer("/v1/auth/refresh", 200, body);
    }
    let app = App {
        router: bare(&descope),
        token: Some(first),
    };
    for _ in 0..3 {
        let (status, ..) = app.send("POST", "/v1/auth/refresh", json!({})).await;
        assert_eq!(status, 503);
    }
}

// Security requirement 26: the refresh JWT that came with a session that is no good is spent for a good one. The project
// does not rotate, so no newer one comes, and the app has to have this one.
#[tokio::test]
async fn a_refresh_jwt_that_came_with_a_bad_session_reaches_the_app() {
    let upstream = Upstream::new();
    let descope = builder(&upstream)
        .token_delivery(TokenDelivery::Body)
        .build()
        .unwrap();
    let (_, old) = upstream.tokens("U1");
    let (_, new) = upstream.tokens("U1");
    let app = App {
        router: bare(&descope),
        token: Some(old),
    };
    let reply = json!({"sessionJwt": "junk", "refreshJwt": new}).to_string();
    upstream.answer("/v1/auth/refresh", 200, reply);
    let (status, _, body) = app.send("POST", "/v1/auth/refresh", json!({})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["refreshJwt"], new);
    assert_eq!(claims(body["sessionJwt"].as_str().unwrap())["sub"], "U1");
    assert_eq!(upstream.count("/v1/auth/refresh"), 2);
}
