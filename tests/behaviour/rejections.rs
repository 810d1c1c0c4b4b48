//! The table of rejections: each reason, by each credential, as each renderer shows it, with layers of others inside and
//! outside of the session layer.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER,
    SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use tower_descope::require::{
    GrpcStatus, NoBody, ProblemJson, RedirectToLogin, Rejected, Requirement,
};
use tower_descope::testing::{TestDescope, TestUser};
use tower_descope::{
    Allowed, Claims, CurrentUser, LoadUser, Policy, RequireLayer, SessionLayer, User,
};
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;

struct Admin;

impl Policy for Admin {
    fn requirement() -> Requirement {
        Requirement::new().role("admin")
    }
}

#[derive(Clone)]
struct NoRow;

impl LoadUser<()> for NoRow {
    type Error = Infallible;

    async fn load(_: &User, (): &()) -> Result<Option<Self>, Infallible> {
        Ok(None)
    }
}

#[derive(Clone)]
struct Broken;

impl LoadUser<()> for Broken {
    type Error = std::io::Error;

    async fn load(_: &User, (): &()) -> Result<Option<Self>, std::io::Error> {
        Err(std::io::Error::other("secret of the database"))
    }
}

#[derive(serde::Deserialize)]
struct Plan {
    #[allow(dead_code)]
    plan: String,
}

fn routes() -> Router {
    Router::new()
        .route("/user", any(async |_: User| ()))
        .route("/admin", get(async |_: Allowed<Admin>| ()))
        .route("/plan", get(async |_: Claims<Plan>| ()))
        .route("/row", get(async |_: CurrentUser<NoRow>| ()))
        .route("/broken", get(async |_: CurrentUser<Broken>| ()))
        .route(
            "/guarded",
            get(async || ())
                .post(async || ())
                .route_layer(RequireLayer::new().role("admin")),
        )
        .route(
            "/pay",
            get(async || ())
                .post(async || ())
                .route_layer(RequireLayer::new().step_up(Duration::from_secs(60))),
        )
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Nothing,
    Bearer,
    Cookies,
    /// The session cookie without the refresh cookie.
    SessionCookie,
}

/// What is rejected.
struct Row {
    path: &'static str,
    by: By,
    user: fn(TestUser) -> TestUser,
    test: fn(&TestDescope, &mut Request<String>),
    /// What follows.
    status: u16,
    code: &'static str,
    challenge: Option<&'static str>,
}

const ROW: Row = Row {
    path: "/user",
    by: By::Bearer,
    user: |user| user,
    test: |_, _| (),
    status: 401,
    code: "",
    challenge: None,
};
const BAD: Option<&str> = Some("invalid_token");

fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row {
            by: By::Nothing,
            code: "missing_credentials",
            challenge: Some(""),
            ..ROW
        },
        Row {
            by: By::Nothing,
            path: "/guarded",
            code: "missing_credentials",
            challenge: Some(""),
            ..ROW
        },
        Row {
            user: TestUser::of_other_project,
            code: "invalid_token",
            challenge: BAD,
            ..ROW
        },
        Row {
            user: TestUser::of_other_project,
            by: By::Cookies,
            code: "invalid_token",
            challenge: BAD,
            ..ROW
        },
        Row {
            user: TestUser::expired,
            code: "session_expired",
            challenge: BAD,
            ..ROW
        },
        Row {
            user: TestUser::expired,
            path: "/guarded",
            code: "session_expired",
            challenge: BAD,
            ..ROW
        },
        Row {
            user: TestUser::expired,
            by: By::SessionCookie,
            code: "session_expired",
            challenge: BAD,
            ..ROW
        },
        Row {
            user: TestUser::revoked,
            code: "invalid_token",
            challenge: BAD,
            ..ROW
        },
        Row {
            user: TestUser::revoked,
            by: By::Cookies,
            code: "invalid_token",
            challenge: BAD,
            ..ROW
        },
        // Upstream refuses the refresh JWT: it knows none of another handle.
        Row {
            user: |_| TestDescope::new().user("ann").expired(),
            by: By::Cookies,
            code: "session_ended",
            challenge: BAD,
            ..ROW
        },
        Row {
            by: By::Cookies,
            test: cross_origin,
            status: 403,
            code: "cross_origin",
            ..ROW
        },
        Row {
            by: By::Cookies,
            path: "/guarded",
            test: cross_origin,
            status: 403,
            code: "cross_origin",
            ..ROW
        },
        Row {
            user: TestUser::expired,
            by: By::Cookies,
            test: |test, _| test.down(),
            status: 503,
            code: "unavailable",
            ..ROW
        },
        Row {
            user: |user| user.claim("blob", "x".repeat(5000)).expired(),
            by: By::Cookies,
            status: 500,
            code: "cookie_too_large",
            ..ROW
        },
    ];
    for by in [By::Bearer, By::Cookies] {
        let scope = Some("insufficient_scope");
        let step_up = Some("insufficient_user_authentication");
        rows.extend([
            Row {
                by,
                path: "/admin",
                status: 403,
                code: "forbidden",
                challenge: scope,
                ..ROW
            },
            Row {
                by,
                path: "/guarded",
                status: 403,
                code: "forbidden",
                challenge: scope,
                ..ROW
            },
            Row {
                by,
                path: "/pay",
                code: "step_up_required",
                challenge: step_up,
                ..ROW
            },
            Row {
                by,
                path: "/plan",
                status: 403,
                code: "claims_mismatch",
                ..ROW
            },
            Row {
                by,
                path: "/row",
                status: 403,
                code: "no_account",
                ..ROW
            },
            Row {
                by,
                path: "/broken",
                status: 500,
                code: "load_failed",
                ..ROW
            },
        ]);
    }
    rows
}

fn cross_origin(_: &TestDescope, request: &mut Request<String>) {
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert("origin", HeaderValue::from_static("https://evil.example"));
    headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
}

impl Row {
    fn request(&self, test: &TestDescope) -> Request<String> {
        let user = (self.user)(test.user("ann"));
        let mut request = match self.by {
            By::Nothing => test.nobody(self.path),
            By::Bearer => user.get(self.path),
            By::Cookies => user.sign_in().with_cookies(test.nobody(self.path)),
            By::SessionCookie => {
                let mut request = test.nobody(self.path);
                let cookie = format!("DS={}", user.sign_in().session_jwt());
                let cookie = HeaderValue::try_from(cookie).unwrap();
                request.headers_mut().insert("cookie", cookie);
                request
            }
        };
        let origin = HeaderValue::from_static("https://app.example");
        request.headers_mut().insert("origin", origin);
        (self.test)(test, &mut request);
        request
    }
}

/// A renderer, and what it makes of a row.
struct Shown {
    name: &'static str,
    layer: fn(SessionLayer) -> SessionLayer,
    navigates: bool,
    check: fn(&Row, &Response<String>),
}

const SHOWN: [Shown; 8] = [
    Shown {
        name: "default",
        layer: |layer| layer,
        navigates: false,
        check: problem,
    },
    Shown {
        name: "ProblemJson",
        layer: |layer| layer.with_rejection(ProblemJson),
        navigates: true,
        check: problem,
    },
    Shown {
        name: "NoBody",
        layer: |layer| layer.with_rejection(NoBody),
        navigates: false,
        check: no_body,
    },
    Shown {
        name: "GrpcStatus",
        layer: |layer| layer.with_rejection(GrpcStatus),
        navigates: false,
        check: grpc,
    },
    Shown {
        name: "a function",
        layer: |layer| {
            layer.with_rejection(|rejected: &Rejected<'_>| {
                rejected.response(rejected.error().code())
            })
        },
        navigates: false,
        check: |row, response| {
            challenged(row, response);
            assert_eq!(response.body(), row.code);
        },
    },
    Shown {
        name: "a function with a status of its own",
        layer: |layer| {
            layer.with_rejection(|_: &Rejected<'_>| {
                Response::builder().status(404).body("nothing").unwrap()
            })
        },
        navigates: false,
        check: |_, response| {
            assert_eq!(
                (response.status().as_u16(), &**response.body()),
                (404, "nothing")
            );
            assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
            assert!(!response.headers().contains_key(RETRY_AFTER));
        },
    },
    Shown {
        name: "RedirectToLogin, a script",
        layer: |layer| layer.with_rejection(RedirectToLogin::new("/login")),
        navigates: false,
        check: problem,
    },
    Shown {
        name: "RedirectToLogin, a page",
        layer: |layer| layer.with_rejection(RedirectToLogin::new("/login")),
        navigates: true,
        check: |row, response| {
            if row.status != 401 {
                return problem(row, response);
            }
            assert_eq!(response.status(), 303);
            let location = format!("/login?next={}", row.path);
            assert_eq!(response.headers()[LOCATION], *location);
            assert!(response.body().is_empty());
        },
    },
];

fn challenged(row: &Row, response: &Response<String>) {
    let headers = response.headers();
    assert_eq!(response.status(), row.status);
    match row.challenge {
        None => assert!(!headers.contains_key(WWW_AUTHENTICATE)),
        Some(error) => {
            let challenge = headers[WWW_AUTHENTICATE].to_str().unwrap();
            assert!(
                challenge.starts_with(r#"Bearer realm="descope""#),
                "{challenge}"
            );
            let says = challenge.split(r#"error=""#).nth(1);
            let says = says.and_then(|rest| rest.split('"').next());
            assert_eq!(says.unwrap_or_default(), error);
        }
    }
    assert_eq!(headers.contains_key(RETRY_AFTER), row.status == 503);
}

fn problem(row: &Row, response: &Response<String>) {
    challenged(row, response);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let problem: Value = serde_json::from_str(response.body()).unwrap();
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["status"], row.status);
    assert_eq!(problem["code"], row.code);
}

fn no_body(row: &Row, response: &Response<String>) {
    challenged(row, response);
    assert!(response.body().is_empty());
}

fn grpc(row: &Row, response: &Response<String>) {
    let status = match row.status {
        401 => "16",
        403 => "7",
        503 => "14",
        _ => "13",
    };
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], status);
    assert_eq!(response.headers()["grpc-message"], row.code);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
    assert!(response.body().is_empty());
}

/// What apps put around their routes.
fn with_layers_of_others(router: Router) -> Router {
    router
        .layer(axum::middleware::map_response(
            async |mut response: Response<Body>| {
                let theme = HeaderValue::from_static("theme=dark");
                response.headers_mut().append(SET_COOKIE, theme);
                response
            },
        ))
        .layer(CorsLayer::permissive())
        .layer(CompressionLayer::new())
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(TraceLayer::new_for_http())
}

async fn answer(app: Router, request: Request<String>) -> Response<String> {
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn each_row_of_the_table() {
    for shown in SHOWN {
        for row in rows() {
            for others_inside in [false, true] {
                let context = format!("{}: {} by {:?}", shown.name, row.code, row.by);
                let _context = Context(format!("{context}, others inside: {others_inside}"));
                let test = TestDescope::new();
                let layer = (shown.layer)(test.descope().session_layer());
                let app = if others_inside {
                    with_layers_of_others(routes()).layer(layer)
                } else {
                    with_layers_of_others(routes().layer(layer))
                };
                let mut request = row.request(&test);
                if shown.navigates {
                    let navigate = HeaderValue::from_static("navigate");
                    request.headers_mut().insert("sec-fetch-mode", navigate);
                }
                let response = answer(app, request).await;
                (shown.check)(&row, &response);
                let headers = response.headers();
                assert!(
                    headers[CACHE_CONTROL]
                        .to_str()
                        .unwrap()
                        .contains("no-store")
                );
                // What others add stays.
                assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
                assert!(headers.contains_key(HeaderName::from_static("x-request-id")));
                let mut cookies = headers.get_all(SET_COOKIE).iter();
                assert!(cookies.any(|cookie| cookie == "theme=dark"));
                // Nothing tells a stranger more than the code does.
                assert!(!response.body().contains("secret"));
            }
        }
    }
}

/// Says which row failed.
struct Context(String);

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in {}", self.0);
        }
    }
}

#[tokio::test]
async fn without_a_layer_every_renderer_of_a_route_says_so() {
    let test = TestDescope::new();
    for (path, app) in [
        ("/user", routes()),
        ("/guarded", routes()),
        (
            "/",
            Router::new()
                .route("/", get(async || ()))
                .layer(RequireLayer::new().with_rejection(NoBody)),
        ),
    ] {
        let response = answer(app, test.user("ann").get(path)).await;
        assert_eq!(response.status(), 500, "{path}");
    }
}

#[tokio::test]
async fn the_same_requests_pass_where_nothing_is_wrong() {
    let test = TestDescope::new();
    let layer = test.descope().session_layer().with_rejection(NoBody);
    let ann = test
        .user("ann")
        .role("admin")
        .stepped_up()
        .claim("plan", "gold");
    for path in ["/user", "/admin", "/plan", "/guarded", "/pay"] {
        for request in [ann.get(path), ann.browse(path)] {
            let response = answer(routes().layer(layer.clone()), request).await;
            assert_eq!(response.status(), 200, "{path}");
        }
    }
}
