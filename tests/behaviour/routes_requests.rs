//! What a request to the mounted routes has to look like, and what goes upstream of it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::mounted::{self, Browser, CODE, Upstream, bare, descope};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::json;
use tower::ServiceExt;
use tower_descope::routes::ENDPOINTS;

const SIGN_IN: &str = "/v1/auth/otp/signin/email";
const VERIFY: &str = "/v1/auth/otp/verify/email";

fn post(path: &str, content_type: Option<&str>, body: &str) -> Request<Body> {
    let request = Browser::request("POST", path);
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    request.headers_mut().remove(CONTENT_TYPE);
    if let Some(content_type) = content_type {
        let content_type = content_type.parse().unwrap();
        request.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    request
}

#[tokio::test]
async fn every_endpoint_is_mounted() {
    for endpoint in ENDPOINTS {
        let upstream = Upstream::new();
        let app = bare(&descope(&upstream));
        let path = endpoint
            .path
            .replace("{provider}", "whatsapp")
            .replace("{method}", "sms");
        let mut page = Browser::with_tokens(app.clone(), upstream.tokens("Ux"));
        let answer = match endpoint.method {
            "GET" => page.get(&path).await,
            _ => {
                let body = json!({
                    "loginId": "x", "code": CODE, "email": "a@b.c", "phone": "+15555550123",
                    "pendingRef": "ref", "tenant": "t", "dct": true,
                });
                page.post(&path, body).await
            }
        };
        answer.is_ok();
        assert_eq!(upstream.count(&path.replace("try-", "")), 1, "{endpoint:?}");
        assert_eq!(
            endpoint.issues_tokens,
            answer.sets_cookies() && !page.cookies.is_empty(),
            "{endpoint:?}"
        );
        let other = if endpoint.method == "GET" {
            "POST"
        } else {
            "GET"
        };
        let request = Browser::request(other, &path).body(Body::empty()).unwrap();
        page.send(request).await.is_error(405, "method_not_allowed");
    }
    assert_eq!(ENDPOINTS.len(), 23);
}

// Security requirements 39 and 43.
#[tokio::test]
async fn bodies() {
    let upstream = Upstream::new();
    let mut page = Browser::new(bare(&descope(&upstream)));
    let good = r#"{"loginId":"x"}"#;
    let padded = |bytes: usize| format!("{}{good}", " ".repeat(bytes - good.len()));
    let (most, too_much) = (padded(16 * 1024), padded(16 * 1024 + 1));
    for (content_type, body, status, code) in [
        (Some("application/json"), good, 200, ""),
        (Some("Application/JSON ; charset=utf-8"), good, 200, ""),
        (Some("application/json"), &*most, 200, ""),
        (Some("application/json"), &*too_much, 413, "body_too_large"),
        (None, good, 415, "unsupported_media_type"),
        (None, "", 415, "unsupported_media_type"),
        (Some("text/plain"), good, 415, "unsupported_media_type"),
        (
            Some("application/x-www-form-urlencoded"),
            good,
            415,
            "unsupported_media_type",
        ),
        (
            Some("multipart/form-data"),
            good,
            415,
            "unsupported_media_type",
        ),
        (
            Some("application/jsonp"),
            good,
            415,
            "unsupported_media_type",
        ),
        (
            Some("text/plain, application/json"),
            good,
            415,
            "unsupported_media_type",
        ),
        (Some("application/json"), "", 400, "E011001"),
        (Some("application/json"), "{", 400, "E011001"),
        (Some("application/json"), "null", 400, "E011001"),
        (Some("application/json"), "[\"x\"]", 400, "E011001"),
        (Some("application/json"), "\"x\"", 400, "E011001"),
        (
            Some("application/json"),
            r#"{"loginId":"x"}{}"#,
            400,
            "E011001",
        ),
        (Some("application/json"), r#"{"loginId":1}"#, 400, "E011001"),
        (
            Some("application/json"),
            r#"{"loginId":"x","loginId":"y"}"#,
            400,
            "E011001",
        ),
        (Some("application/json"), "{}", 400, "E011003"),
        (
            Some("application/json"),
            r#"{"loginId":null}"#,
            400,
            "E011003",
        ),
        (
            Some("application/json"),
            r#"{"loginId":" \t "}"#,
            400,
            "E011003",
        ),
    ] {
        let before = upstream.total();
        let answer = page.send(post(SIGN_IN, content_type, body)).await;
        let shown = body.get(..40).unwrap_or(body);
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (status, code),
            "{content_type:?} {shown}"
        );
        assert_eq!(
            upstream.total() - before,
            usize::from(status == 200),
            "{shown}"
        );
    }
    let deep = format!("{}1{}", "[".repeat(8000), "]".repeat(8000));
    page.send(post(SIGN_IN, Some("application/json"), &deep))
        .await
        .is_error(400, "E011001");
}

// Go, Java and Swift send nothing at all.
#[tokio::test]
async fn empty_bodies_where_sdks_send_them() {
    let upstream = Upstream::new();
    let app = bare(&descope(&upstream));
    for path in [
        "/v1/auth/refresh",
        "/v1/auth/try-refresh",
        "/v1/auth/validate",
        "/v1/auth/me/tenants",
        "/v1/auth/logout",
        "/v1/auth/logoutall",
    ] {
        for (content_type, body, status) in [
            (None, "", 200),
            (Some("application/json"), "", 200),
            (Some("application/json"), "{}", 200),
            (None, "{}", 415),
            // A form of the app itself may sign out and nothing else.
            (Some("application/x-www-form-urlencoded"), "", 415),
            (Some("text/plain"), "{}", 415),
            (Some("application/json"), "[]", 400),
        ] {
            let mut page = Browser::with_tokens(app.clone(), upstream.tokens("U1"));
            if path.contains("logout") && content_type.is_some_and(|it| it.contains("form")) {
                continue;
            }
            let answer = page.send(post(path, content_type, body)).await;
            assert_eq!(answer.status, status, "{path} {content_type:?} {body}");
            assert_eq!(
                answer.sets_cookies(),
                status == 200 && !path.contains("me") && !path.contains("validate")
            );
        }
    }
}

#[tokio::test]
async fn only_known_members_go_upstream() {
    let upstream = Upstream::new();
    let mut page = Browser::new(bare(&descope(&upstream)));
    page.post(
        "/v1/auth/otp/signup/whatsapp",
        json!({
            "loginId": " Jane ", "whatsapp": "+15555550123", "user": {"name": "Jane", "admin": true, "email": null},
            "loginOptions": {"customClaims": null, "stepup": false, "x": 1}, "roleNames": ["admin"],
            "providerId": null,
        }),
    )
    .await
    .is_ok();
    let call = upstream.last();
    assert_eq!(
        call.body,
        json!({"loginId": "Jane", "whatsapp": "+15555550123", "user": {"name": "Jane"}})
    );
    page.post(
        VERIFY,
        json!({"loginId": "\u{2003}x ", "code": CODE, "loginOptions": {"mfa": true}}),
    )
    .await
    .is_ok();
    let [call] = upstream.calls(VERIFY).try_into().unwrap();
    assert_eq!(call.body, json!({"loginId": "x", "code": CODE}));
}

#[tokio::test]
async fn required_members() {
    let upstream = Upstream::new();
    let mut page = Browser::with_tokens(bare(&descope(&upstream)), upstream.tokens("Ux"));
    for (path, body, member) in [
        (VERIFY, json!({"code": "1"}), "loginId"),
        (VERIFY, json!({"loginId": "x"}), "code"),
        ("/v1/auth/otp/signup/sms", json!({"phone": "+1"}), "loginId"),
        (
            "/v1/auth/otp/update/email",
            json!({"loginId": "x"}),
            "email",
        ),
        (
            "/v1/auth/otp/update/phone/im",
            json!({"loginId": "x"}),
            "phone",
        ),
        ("/v1/auth/totp/signup", json!({}), "loginId"),
        ("/v1/auth/totp/update", json!({}), "loginId"),
        ("/v1/auth/totp/verify", json!({"loginId": "x"}), "code"),
        (
            "/v1/auth/notp/whatsapp/update",
            json!({"phone": "1"}),
            "loginId",
        ),
        ("/v1/auth/notp/pending-session", json!({}), "pendingRef"),
        ("/v1/auth/tenant/select", json!({"tenant": ""}), "tenant"),
    ] {
        let answer = page.post(path, body).await;
        answer.is_error(400, "E011003");
        let message = answer.body["errorMessage"].as_str().unwrap();
        assert_eq!(message, format!("The {member} field is required"));
    }
    assert_eq!(upstream.total(), 0);
    // The phone that sends the message tells who it is.
    page.post("/v1/auth/notp/whatsapp/signup-in", json!({"loginId": ""}))
        .await
        .is_ok();
}

#[tokio::test]
async fn unknown_methods_and_providers() {
    let upstream = Upstream::new();
    let mut page = Browser::with_tokens(bare(&descope(&upstream)), upstream.tokens("Ux"));
    let body = json!({"loginId": "x", "code": CODE, "phone": "+1"});
    for path in [
        "/v1/auth/otp/signin/pigeon",
        "/v1/auth/otp/signin/EMAIL",
        "/v1/auth/otp/signin/..%2f..%2fmgmt",
        "/v1/auth/otp/signin/%ff",
        "/v1/auth/otp/signin/sms%00",
        "/v1/auth/otp/signin/",
        "/v1/auth/otp/update/phone/email",
        "/v1/auth/notp/telegram/signin",
        "/v1/auth/notp/..%2fx/signin",
    ] {
        let answer = page.post(path, body.clone()).await;
        answer.is_error(404, "not_found");
    }
    assert_eq!(upstream.total(), 0);
}

// Security requirements 34 and 48.
#[tokio::test]
async fn nothing_else_of_a_request_goes_upstream() {
    let upstream = Upstream::new();
    let mut page = Browser::new(bare(&descope(&upstream)));
    let (ds, dsr) = upstream.tokens("U1");
    let path = format!("{SIGN_IN}?dcs=f&dcr=f&x=1");
    let mut request = post(&path, Some("application/json"), r#"{"loginId":"x"}"#);
    for (name, value) in [
        ("cookie", "a=1"),
        ("connection", "x-descope-project-id"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-descope-sdk-session-id", "s"),
        ("x-descope-project-id", "P2other"),
        ("te", "trailers"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    page.send(request).await.is_ok();
    let call = upstream.last();
    let mut names: Vec<_> = call.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "authorization",
            "content-type",
            "user-agent",
            "x-descope-project-id",
            "x-descope-sdk-name",
            "x-descope-sdk-version",
        ]
    );
    assert_eq!(call.headers["x-descope-project-id"], mounted::PROJECT);
    assert_eq!(call.token, None);

    for path in [
        format!("/v1/auth/me?DSR={dsr}&DS={ds}&refreshJwt={dsr}"),
        format!("/v1/auth/me?token={dsr}"),
    ] {
        page.get(&path).await.is_error(401, "E061005");
    }
}

/// A body of somebody else's framework: bytes, in pieces, neither `Sync` nor `Default`.
struct Pieces(Vec<Bytes>, std::marker::PhantomData<std::cell::Cell<()>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(http_body::Frame::data(piece))))
    }
}

#[tokio::test]
async fn the_service_takes_any_body() {
    let upstream = Upstream::new();
    let service = descope(&upstream).routes_service();
    let pieces = vec![
        Bytes::from_static(br#""x"}"#),
        Bytes::from_static(br#"{"loginId":"#),
    ];
    let request = Request::post(SIGN_IN)
        .header(CONTENT_TYPE, "application/json")
        .body(Pieces(pieces, std::marker::PhantomData))
        .unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(upstream.last().body, json!({"loginId": "x"}));
    let request = Request::get("/other").body(Pieces(Vec::new(), std::marker::PhantomData));
    let response = service.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn routes_fit_into_apps_with_a_state_of_their_own() {
    #[derive(Clone)]
    struct AppState;
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    // The prefix may have parameters, even one that is named like ours.
    let app: Router<AppState> = Router::new()
        .nest("/app/{method}/auth", descope.routes())
        .fallback(async || "the app's own");
    let app = app.layer(descope.session_layer()).with_state(AppState);
    let request = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(CONTENT_TYPE, "application/json");
        request.body(Body::from(r#"{"loginId":"x"}"#)).unwrap()
    };
    for (method, path, status, json) in [
        ("POST", "/app/en/auth/v1/auth/otp/signin/voice", 200, true),
        ("POST", "/app/en/auth/v1/auth/otp/signin/x", 404, true),
        ("GET", "/app/en/auth/v1/auth/otp/signin/voice", 405, true),
        ("GET", "/app/en/auth/other", 404, true),
        ("GET", "/en/other", 200, false),
    ] {
        let response = app.clone().oneshot(request(method, path)).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let content_type = &response.headers()[CONTENT_TYPE];
        assert_eq!(content_type == "application/json", json, "{path}");
    }
}

/// A body of which one byte comes each second.
struct Drip {
    bytes: std::vec::IntoIter<u8>,
    next: Pin<Box<tokio::time::Sleep>>,
}

impl Drip {
    fn body(text: String) -> Body {
        Body::new(Self {
            bytes: text.into_bytes().into_iter(),
            next: Box::pin(tokio::time::sleep(Duration::from_secs(1))),
        })
    }
}

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::ready!(self.next.as_mut().poll(cx));
        let in_a_second = tokio::time::Instant::now() + Duration::from_secs(1);
        self.next.as_mut().reset(in_a_second);
        let byte = self.bytes.next();
        Poll::Ready(byte.map(|byte| Ok(http_body::Frame::data(Bytes::from(vec![byte])))))
    }
}

#[tokio::test]
async fn a_client_that_sends_a_byte_a_second_is_cut_off() {
    tokio::time::pause();
    let good = r#"{"loginId":"x","code":"123456","tenant":"t1"}"#;
    let upstream = Upstream::new();
    let app = bare(&descope(&upstream));
    for endpoint in ENDPOINTS.iter().filter(|it| it.method == "POST") {
        let path = endpoint.path.replace("{provider}", "whatsapp");
        let path = path.replace("{method}", "sms");
        let mut page = Browser::with_tokens(app.clone(), upstream.tokens("Ux"));
        let before = (page.cookies.clone(), upstream.total());
        let request = Browser::request("POST", &path);
        let started = tokio::time::Instant::now();
        let slow = format!("{good}{}", " ".repeat(60));
        let answer = page.send(request.body(Drip::body(slow)).unwrap()).await;
        answer.is_error(408, "request_timeout");
        assert_eq!(started.elapsed().as_secs(), 10, "{path}");
        assert_eq!((page.cookies.clone(), upstream.total()), before, "{path}");
    }
    // Slow, and in time all the same.
    let mut page = Browser::new(app);
    let request = Browser::request("POST", SIGN_IN);
    let slow = Drip::body(r#"{"loginId":"x"}"#.chars().take(7).collect());
    let answer = page.send(request.body(slow).unwrap()).await;
    answer.is_error(400, "E011001");
}
