//! Which renderer counts where layers, routers and handles are inside each other.

use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderValue, Request, Response};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_descope::require::{NoBody, RedirectToLogin, Rejected, Requirement, TenantFrom};
use tower_descope::testing::TestDescope;
use tower_descope::{
    AuthError, AuthErrorKind, AuthRejection, ProfileError, RequireLayer, SessionLayer, User,
};

async fn status(app: Router, request: Request<String>) -> u16 {
    app.oneshot(request).await.unwrap().status().as_u16()
}

/// A renderer with a status that no other one has.
fn says(status: u16) -> impl Fn(&Rejected<'_>) -> Response<String> + Send + Sync + 'static {
    move |_| {
        Response::builder()
            .status(status)
            .body(String::new())
            .unwrap()
    }
}

fn user() -> Router {
    Router::new().route("/user", get(async |_: User| ()))
}

#[tokio::test]
async fn the_nearest_renderer_counts() {
    let test = TestDescope::new();
    let layer = || test.descope().session_layer();
    let nested = |inner: SessionLayer| {
        user()
            .nest("/in", user().layer(inner))
            .layer(layer().with_rejection(says(418)))
    };
    for (path, inner, expected) in [
        ("/user", layer(), 418),
        ("/in/user", layer(), 418),
        ("/user", layer().with_rejection(says(451)), 418),
        ("/in/user", layer().with_rejection(says(451)), 451),
    ] {
        assert_eq!(
            status(nested(inner), test.nobody(path)).await,
            expected,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_renderer_of_another_handle_counts_below_it() {
    let (outer, inner) = (TestDescope::new(), TestDescope::new());
    let nested = |layer: SessionLayer| {
        let outer = outer.descope().session_layer().with_rejection(says(418));
        user().nest("/in", user().layer(layer)).layer(outer)
    };
    let layer = || inner.descope().session_layer();
    for (path, inner, expected) in [
        ("/in/user", layer(), 418),
        ("/user", layer().with_rejection(says(451)), 418),
        ("/in/user", layer().with_rejection(says(451)), 451),
    ] {
        assert_eq!(
            status(nested(inner), outer.nobody(path)).await,
            expected,
            "{path}"
        );
    }
}

/// Three layers: two of one handle, and one of another inside.
#[tokio::test]
async fn a_nearer_choice_of_the_same_handle_counts_for_another_handle_too() {
    let (outer, inner) = (TestDescope::new(), TestDescope::new());
    let layer = || inner.descope().session_layer();
    for (layer, expected) in [(layer(), 451), (layer().with_rejection(says(428)), 428)] {
        let outermost = outer.descope().session_layer();
        let app = user()
            .layer(layer)
            .layer(outermost.clone().with_rejection(says(451)))
            .layer(outermost.with_rejection(says(418)));
        assert_eq!(status(app, outer.nobody("/user")).await, expected);
    }
}

#[tokio::test]
async fn a_require_layer_with_its_own_renderer_answers_for_itself_alone() {
    let test = TestDescope::new();
    let own = RequireLayer::new().role("admin").with_rejection(says(451));
    let app = user()
        .layer(own)
        .layer(test.descope().session_layer().with_rejection(says(418)));
    assert_eq!(
        status(app.clone(), test.user("bob").get("/user")).await,
        451
    );
    let inner = RequireLayer::new().with_rejection(says(451));
    let stale = Router::new()
        .route("/plan", get(async |_: tower_descope::Claims<Vec<u8>>| ()))
        .layer(inner)
        .layer(test.descope().session_layer().with_rejection(says(418)));
    assert_eq!(status(stale, test.user("bob").get("/plan")).await, 418);
}

#[tokio::test]
async fn the_status_of_a_handler_is_its_own() {
    let test = TestDescope::new();
    let layer = test.descope().session_layer().with_rejection(says(418));
    let app = Router::new()
        .route(
            "/teapot",
            get(async |user: Result<User, AuthRejection>| match user {
                Ok(_) => "tea".into_response(),
                // Its own status before that of the rejection.
                Err(rejection) => (http::StatusCode::IM_USED, rejection).into_response(),
            }),
        )
        .layer(layer);
    // Neither the layer nor the error's own response wins over what the handler says.
    assert_eq!(status(app, test.nobody("/teapot")).await, 226);
}

#[tokio::test]
async fn next_has_the_prefix_of_a_nested_router() {
    let test = TestDescope::new();
    let redirect = RedirectToLogin::new("/login");
    let by_require = RequireLayer::new().with_rejection(redirect.clone());
    let inner = Router::new()
        .route(
            "/orders",
            get(async || ()).post(async || ()).route_layer(by_require),
        )
        .merge(user().layer(test.descope().session_layer().with_rejection(redirect)));
    let app = Router::new()
        .nest("/shop", Router::new().nest("/eu", inner))
        .layer(test.descope().session_layer());
    for path in ["/shop/eu/orders", "/shop/eu/user"] {
        let mut request = test.nobody(&format!("{path}?a=b"));
        let navigate = HeaderValue::from_static("navigate");
        request.headers_mut().insert("sec-fetch-mode", navigate);
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 303);
        let location = format!("/login?next={path}%3Fa%3Db");
        assert_eq!(response.headers()["location"], *location);
    }
}

#[tokio::test]
async fn the_tenant_of_a_nested_route_counts() {
    let test = TestDescope::new();
    let owner = Requirement::new()
        .tenant_from(TenantFrom::path_after("/t/"))
        .role("owner");
    let inner = Router::new().route("/{tenant}/settings", get(async || ()));
    let app = Router::new()
        .nest("/t", inner.route_layer(RequireLayer::from(owner)))
        .layer(test.descope().session_layer());
    let ann = test
        .user("ann")
        .tenant_role("acme", "owner")
        .tenant("other")
        .role("owner");
    for (path, expected) in [
        ("/t/acme/settings", 200),
        ("/t/ac%6De/settings", 200),
        ("/t/other/settings", 403),
        ("/t/ACME/settings", 403),
        ("/t/stranger/settings", 403),
        ("/t/acme%2Fx/settings", 403),
    ] {
        assert_eq!(status(app.clone(), ann.get(path)).await, expected, "{path}");
    }
    let huge = format!("/t/{}/settings", "a".repeat(60_000));
    assert_eq!(status(app, ann.get(&huge)).await, 403);
}

/// An operator sees the difference between a stranger and a prefix that does not fit.
#[tokio::test]
async fn the_log_says_if_a_request_names_no_tenant() {
    let test = TestDescope::new();
    let user = test.user("ann").tenant("acme").sign_in();
    let user = test
        .descope()
        .validate_session(user.session_jwt())
        .await
        .unwrap();
    let by_tenant = Requirement::new().tenant_from(TenantFrom::path_after("/t/"));
    let log = crate::support::log::Log::of_level(tracing::Level::DEBUG);
    for (path, rule) in [("/app/t/acme", "requested-tenant"), ("/t/other", "tenant")] {
        by_tenant
            .check_request(&user, &test.nobody(path))
            .unwrap_err();
        assert!(
            log.text().contains(&format!("rule=\"{rule}\"")),
            "{}",
            log.text()
        );
    }
}

#[tokio::test]
async fn a_requirement_about_the_request_is_not_met_without_one() {
    let test = TestDescope::new();
    let ann = test.user("ann").tenant("acme").sign_in();
    let user = test
        .descope()
        .validate_session(ann.session_jwt())
        .await
        .unwrap();
    let request = test.nobody("/t/acme");
    let by_tenant = Requirement::new().tenant_from(TenantFrom::path_after("/t/"));
    let by_method = Requirement::new().request_predicate(|_, request| request.method().is_safe());
    let by_neither = Requirement::new().not(by_method.clone());
    for (requirement, met) in [(by_tenant, true), (by_method, true), (by_neither, false)] {
        assert_eq!(requirement.check_request(&user, &request).is_ok(), met);
        let error = requirement.check(&user).unwrap_err();
        assert_eq!(*error.kind(), AuthErrorKind::Forbidden);
    }
}

#[tokio::test]
async fn errors_are_responses() {
    let test = TestDescope::new();
    let app = Router::new()
        .route(
            "/forbidden",
            get(async || Err::<(), _>(AuthError::new(AuthErrorKind::Forbidden))),
        )
        .route(
            "/profile",
            get(async |user: User| -> Result<Json<Value>, ProfileError> {
                Ok(Json(json!(user.profile().await?.name)))
            }),
        )
        .layer(test.descope().session_layer().with_rejection(NoBody));
    let problem = async |request: Request<String>| {
        let response: Response<Body> = app.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        (
            status,
            serde_json::from_slice::<Value>(&body).unwrap()["code"].clone(),
        )
    };
    let ann = test.user("ann").sign_in();
    assert_eq!(
        problem(ann.get("/forbidden")).await,
        (403, json!("forbidden"))
    );
    // A bearer has no refresh JWT, which the profile needs.
    assert_eq!(
        problem(ann.get("/profile")).await,
        (403, json!("no_refresh_token"))
    );
    test.down();
    assert_eq!(
        problem(ann.browse("/profile")).await,
        (503, json!("unavailable"))
    );
}

/// A handler that passes on the error of a call answers as the mounted routes do.
#[tokio::test]
async fn an_error_of_descope_is_a_response() {
    let emulator = tower_descope::Emulator::builder().start().await.unwrap();
    let descope = emulator.descope().build().unwrap();
    let client = descope.client().clone();
    let own = async move || {
        let request = tower_descope::wire::OtpVerifyRequest::new("ann@example.com", "000000");
        let method = tower_descope::wire::DeliveryMethod::Email;
        let answer = client.otp().verify(method, &request).await;
        answer.map(|_| ())
    };
    let app = Router::new()
        .route("/own", get(own))
        .nest("/auth", descope.routes());
    let read = async |request: Request<String>| {
        let response: Response<Body> = app.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let own = read(Request::get("/own").body(String::new()).unwrap()).await;
    let body = json!({"loginId": "ann@example.com", "code": "000000"}).to_string();
    let mounted = Request::post("/auth/v1/auth/otp/verify/email")
        .header("content-type", "application/json")
        .body(body);
    assert_eq!(own, read(mounted.unwrap()).await);
    assert!(own.0 >= 400 && own.1.contains("errorCode"), "{own:?}");
}

#[tokio::test]
async fn a_policy_is_asked_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl tower_descope::Policy for Counted {
        fn requirement() -> Requirement {
            ASKED.fetch_add(1, Ordering::Relaxed);
            Requirement::new()
        }
    }
    let test = TestDescope::new();
    let app = Router::new()
        .route("/", get(async |_: tower_descope::Allowed<Counted>| ()))
        .layer(test.descope().session_layer());
    for _ in 0..3 {
        assert_eq!(status(app.clone(), test.user("ann").get("/")).await, 200);
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
}
