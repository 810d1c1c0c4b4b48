//! The test kit: what it says is what the real layer does, and nobody else trusts its key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http::Request;
use tower::ServiceExt;
use tower_descope::emulator::Emulator;
use tower_descope::testing::{TEST_PROJECT_ID, TestDescope};
use tower_descope::{AuthErrorKind, Descope, Revocation, SignatureAlgorithm, User};

fn app(descope: &Descope) -> Router {
    Router::new()
        .route(
            "/me",
            get(async |user: User| format!("{} {:?}", user.id(), user.roles().collect::<Vec<_>>())),
        )
        .layer(descope.session_layer())
}

async fn status(app: &Router, request: Request<String>) -> u16 {
    app.clone()
        .oneshot(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn what_a_user_has() {
    let test = TestDescope::new();
    let ann = test
        .user("ann")
        .role("admin")
        .permission("write")
        .tenant("acme")
        .tenant_role("beta", "owner")
        .tenant_permission("beta", "bill")
        .current_tenant("gamma")
        .amr(["sms", "mfa"])
        .stepped_up()
        .claim("plan", "gold");
    let user = test
        .descope()
        .validate_session(ann.sign_in().session_jwt())
        .await
        .unwrap();
    assert_eq!(user.id(), "ann");
    assert!(user.has_role("admin") && user.has_permission("write"));
    assert!(
        ["acme", "beta", "gamma"]
            .iter()
            .all(|tenant| user.is_in_tenant(tenant))
    );
    assert_eq!(user.tenant_roles("beta").collect::<Vec<_>>(), ["owner"]);
    assert_eq!(
        user.tenant_permissions("beta").collect::<Vec<_>>(),
        ["bill"]
    );
    assert_eq!(user.current_tenant(), Some("gamma"));
    assert_eq!(user.amr().collect::<Vec<_>>(), ["sms", "mfa"]);
    assert!(user.is_step_up());
    let claims: serde_json::Value = user.claims_as().unwrap();
    assert_eq!(claims["plan"], "gold");
}

#[tokio::test]
async fn a_browser_is_renewed_as_in_production() {
    let test = TestDescope::new();
    let app = app(test.descope());
    let ann = test.user("ann").role("admin").sign_in();
    assert_eq!(status(&app, ann.browse("/me")).await, 200);
    test.advance(Duration::from_secs(700));
    assert_eq!(status(&app, ann.get("/me")).await, 401);
    let response = app.clone().oneshot(ann.browse("/me")).await.unwrap();
    let cookies = response.headers().get_all("set-cookie").iter().count();
    assert_eq!((response.status().as_u16(), cookies), (200, 1));
    let body = axum::body::to_bytes(response.into_body(), 4096)
        .await
        .unwrap();
    assert_eq!(body, r#"ann ["admin"]"#);

    test.advance(Duration::from_secs(700));
    test.down();
    assert_eq!(status(&app, ann.browse("/me")).await, 503);
    assert_eq!(status(&app, test.user("bob").browse("/me")).await, 200);
    test.up();
    test.advance(Duration::from_secs(60));
    assert_eq!(status(&app, ann.browse("/me")).await, 200);
}

#[tokio::test]
async fn revoking_one_user_leaves_the_next_one_alone() {
    let test = TestDescope::new();
    let app = app(test.descope());
    let ann = test.user("ann");
    assert_eq!(status(&app, ann.clone().revoked().get("/me")).await, 401);
    assert_eq!(status(&app, ann.clone().revoked().browse("/me")).await, 401);
    assert_eq!(status(&app, ann.get("/me")).await, 200);
    test.descope()
        .revoke(Revocation::user("ann"))
        .await
        .unwrap();
    assert_eq!(status(&app, ann.get("/me")).await, 401);
    assert_eq!(status(&app, test.user("bob").get("/me")).await, 200);
}

#[tokio::test]
async fn the_profile_is_that_of_the_user() {
    let test = TestDescope::new();
    let app = Router::new()
        .route(
            "/",
            get(async |user: User| {
                user.profile()
                    .await
                    .map(|profile| profile.role_names.join(","))
            }),
        )
        .layer(test.descope().session_layer());
    let response = app
        .oneshot(test.user("ann").role("admin").browse("/"))
        .await
        .unwrap();
    let body = axum::body::to_bytes(response.into_body(), 4096)
        .await
        .unwrap();
    assert_eq!(body, "admin");
}

/// Whatever a handle is told, or fetches, it does not trust the test kit's key.
#[tokio::test]
async fn no_other_handle_trusts_the_key() {
    let jwt = TestDescope::new()
        .user("ann")
        .sign_in()
        .session_jwt()
        .to_owned();
    // The public key, which anybody can compute from the private one that is published.
    let key = serde_json::json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "test-kit",
        "x": "pkGD1zskkJNW-VcbwG6Yyuj5GjmByUsF_tTAc02OyPc",
        "y": "WZv_MktI8gaj4WNiUL2tOXtKcSHvbxLJCWWfew30wTg",
    });
    let accepts_es256 = [SignatureAlgorithm::Rs256, SignatureAlgorithm::Es256];
    for base_url in ["https://api.descope.com", "http://127.0.0.1:1"] {
        let configured = Descope::builder(TEST_PROJECT_ID)
            .base_url(base_url)
            .algorithms(accepts_es256)
            .public_key(key.to_string())
            .build();
        assert!(configured.is_err());
    }

    let keys = serde_json::json!({"keys": [key]}).to_string();
    let served = Arc::new(AtomicUsize::new(0));
    let counted = served.clone();
    let endpoint = Router::new().fallback(get(async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        ([("content-type", "application/json")], keys)
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, endpoint).await });
    let fetching = Descope::builder(TEST_PROJECT_ID)
        .base_url(base_url)
        .algorithms(accepts_es256)
        .build()
        .unwrap();
    let error = fetching.validate_session(&jwt).await.unwrap_err();
    assert!(matches!(
        error.kind(),
        AuthErrorKind::InvalidToken | AuthErrorKind::Unavailable { .. }
    ));
    assert!(served.load(Ordering::Relaxed) > 0);
    // It is the key and nothing else that it does not like: the algorithm is accepted, and the token is good.
    assert!(
        TestDescope::new()
            .descope()
            .validate_session(&jwt)
            .await
            .is_ok()
    );

    // Nor does the test kit trust what everybody else does.
    let emulator = Emulator::builder()
        .project_id(TEST_PROJECT_ID)
        .start()
        .await
        .unwrap();
    let real = emulator.sign_in("ann@example.com").unwrap();
    let error = TestDescope::new()
        .descope()
        .validate_session(real.session_jwt())
        .await;
    assert_eq!(*error.unwrap_err().kind(), AuthErrorKind::InvalidToken);
}

#[tokio::test]
async fn what_it_lacks_it_says() {
    let log = crate::support::log::Log::start();
    let test = TestDescope::new();
    let request = tower_descope::wire::OtpSignInRequest::new("ann@example.com");
    let otp = test.descope().client().otp();
    let method = tower_descope::wire::DeliveryMethod::Email;
    let error = otp.sign_in(method, &request, None).await.unwrap_err();
    assert!(!error.is_definite_refusal());
    assert!(
        error
            .description()
            .is_some_and(|why| why.contains("emulator"))
    );
    assert!(
        log.text().contains("/v1/auth/otp/signin/email"),
        "{}",
        log.text()
    );
}

#[tokio::test]
async fn nothing_shows_a_token() {
    let test = TestDescope::new();
    let ann = test.user("ann");
    let signed_in = ann.sign_in();
    let shown = format!(
        "{test:?} {ann:?} {signed_in:?} {:?} {:?}",
        ann.get("/"),
        ann.browse("/")
    );
    assert!(!shown.contains("eyJ"), "{shown}");
}

/// A handle and a signed-in request take less than a millisecond. The best of many, because this machine has other
/// things to do.
#[tokio::test]
async fn it_takes_no_time() {
    let best = (0..50)
        .map(|_| {
            let begun = Instant::now();
            let test = TestDescope::new();
            std::hint::black_box(test.user("ann").get("/"));
            begun.elapsed()
        })
        .min()
        .unwrap();
    assert!(best < Duration::from_millis(1), "{best:?}");
}

#[tokio::test]
async fn the_emulator_signs_people_in() {
    let emulator = Emulator::builder().start().await.unwrap();
    let descope = emulator.descope().build().unwrap();
    let app = app(&descope);
    let ann = emulator.sign_in("ann@example.com").unwrap();
    assert_eq!(status(&app, ann.get("/me")).await, 200);
    assert_eq!(status(&app, ann.browse("/me")).await, 200);
    // The same user again, and one who is there already.
    assert_eq!(
        emulator.sign_in("ann@example.com").unwrap().user_id(),
        ann.user_id()
    );
    let bob = emulator
        .put_user("bob", |user| user.role_names = vec!["admin".to_owned()])
        .unwrap();
    let response = app
        .clone()
        .oneshot(emulator.sign_in_as(&bob).unwrap().get("/me"))
        .await
        .unwrap();
    let body = axum::body::to_bytes(response.into_body(), 4096)
        .await
        .unwrap();
    assert_eq!(body, format!("{} [\"admin\"]", bob.user_id));
    emulator
        .put_user("bob", |user| user.status = "disabled".to_owned())
        .unwrap();
    assert!(emulator.sign_in_as(&bob).is_err());
    assert!(emulator.sign_in("").is_err());
}

#[tokio::test]
async fn forms_and_json_are_posted_as_clients_post_them() {
    #[derive(serde::Deserialize)]
    struct Name {
        name: String,
    }
    let test = TestDescope::new();
    let app = Router::new()
        .route(
            "/form",
            axum::routing::post(async |user: User, form: axum::Form<Name>| {
                format!("{} {}", user.id(), form.name)
            }),
        )
        .route(
            "/json",
            axum::routing::post(async |user: User, json: axum::Json<Name>| {
                format!("{} {}", user.id(), json.name)
            }),
        )
        .layer(test.descope().session_layer());
    let name = "Ann & Bob=? + Zoë/%";
    let ann = test.user("ann").sign_in();
    let fields = [("name", name), ("a b", "")];
    let json = serde_json::json!({"name": name});
    for request in [ann.submit("/form", &fields), ann.post_json("/json", &json)] {
        let response = app.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        assert_eq!(body, format!("ann {name}"));
    }
    // A form of another site is told apart.
    let mut forged = ann.submit("/form", &fields);
    forged.headers_mut().insert(
        "sec-fetch-site",
        http::HeaderValue::from_static("cross-site"),
    );
    assert_eq!(status(&app, forged).await, 403);
}

#[tokio::test]
async fn what_a_browser_holds_after_a_response() {
    let test = TestDescope::new();
    let app = app(test.descope());
    let ann = test.user("ann").expired().sign_in();
    let response = app.clone().oneshot(ann.browse("/me")).await.unwrap();
    let after = ann.after(&response);
    assert_ne!(after.session_jwt(), ann.session_jwt());
    assert_eq!(after.refresh_jwt(), ann.refresh_jwt());
    assert_eq!(status(&app, after.get("/me")).await, 200);
    let nothing = http::Response::builder()
        .header("set-cookie", "DS=; Max-Age=0")
        .header("set-cookie", "OTHER=1")
        .body(());
    assert_eq!(ann.after(&nothing.unwrap()).session_jwt(), "");
}
