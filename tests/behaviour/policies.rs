//! Who may do what: origins of requests, roles of tenants, audiences, and the page after a sign-in.

use std::convert::Infallible;
use std::slice;
use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_descope::require::{RedirectToLogin, Requirement};
use tower_descope::{AuthErrorKind, Descope, DescopeBuilder, InvalidToken, RequireLayer, User};

use crate::support::project::{NOW, Project, keys};
use crate::support::signer::{self, KEYS_PATH, PROJECT, Signer};
use crate::support::world::{CookieLine as _, World};

static KEY: LazyLock<Signer> = LazyLock::new(|| Signer::new("SK1"));

fn project_with(configure: impl FnOnce(DescopeBuilder) -> DescopeBuilder) -> Project {
    let project = Project::with(configure);
    project.fake.always(KEYS_PATH, keys([&*KEY]));
    project
}

fn token(claims: &[(&str, Value)]) -> String {
    let mut session = signer::session("U1", NOW);
    for (name, value) in claims {
        session[*name] = value.clone();
    }
    KEY.sign(&session)
}

/// The status of a `POST` (or a WebSocket) of somebody who is signed in, behind the session layer.
async fn status(descope: &Descope, method: Method, headers: &[(&str, &str)]) -> u16 {
    let service = ServiceBuilder::new()
        .layer(descope.session_layer())
        .layer(RequireLayer::new())
        .service(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }));
    let mut request = Request::builder()
        .method(method)
        .header("cookie", format!("DS={}", token(&[])));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
    response.status().as_u16()
}

// Security requirement 39: two headers that contradict each other do not come from a page of ours.
#[tokio::test]
async fn a_foreign_origin_is_refused_whatever_sec_fetch_site_says() {
    let plain = project_with(|builder| builder);
    let named = project_with(|builder| builder.public_origin("https://app.example"));
    let host = ("host", "app.example");
    let inside = ("host", "backend.internal:8080");
    let origin = ("origin", "https://app.example");
    for site in ["same-origin", "none"] {
        let site = ("sec-fetch-site", site);
        for foreign in [
            "https://evil.example",
            "https://app.example:8443",
            "https://app.example.evil.example",
            "http://app.example",
            "chrome-extension://abcdefghijklmnop",
            "",
        ] {
            let headers = [host, site, ("origin", foreign)];
            let status = status(&plain.descope, Method::POST, &headers).await;
            assert_eq!(status, 403, "{headers:?}");
        }
        for (project, headers, want) in [
            (&plain, vec![host, site], 200),
            (&plain, vec![host, site, origin], 200),
            // A page with `Referrer-Policy: no-referrer` does not name itself, not even to its own server.
            (&plain, vec![host, site, ("origin", "null")], 200),
            // A proxy that rewrites `Host`: the app has to say where browsers see it.
            (&plain, vec![inside, site, origin], 403),
            (&named, vec![inside, site, origin], 200),
            (&named, vec![inside, site], 200),
            (
                &named,
                vec![inside, site, ("origin", "https://evil.example")],
                403,
            ),
        ] {
            let status = status(&project.descope, Method::POST, &headers).await;
            assert_eq!(status, want, "{headers:?}");
        }
    }
    let here = "http://app.localhost:3000";
    let local = [
        ("host", "app.localhost:3000"),
        ("origin", here),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(status(&plain.descope, Method::POST, &local).await, 200);
}

#[tokio::test]
async fn an_error_about_an_origin_names_the_remedy() {
    let error = tower_descope::AuthError::from(AuthErrorKind::CrossOrigin).to_string();
    assert!(
        error.contains(".public_origin(") && error.contains(".allow_origin("),
        "{error}"
    );
}

// Security requirement 39: `Upgrade` is a list (RFC 9110 section 7.8), and nothing but the origin protects a WebSocket.
#[tokio::test]
async fn a_websocket_in_a_list_of_upgrades_does_not_pass_as_a_page() {
    let project = project_with(|builder| builder);
    let host = ("host", "app.example");
    for upgrade in [
        vec!["websocket"],
        vec!["websocket, x"],
        vec!["x,\tWebSocket "],
        vec!["x", "websocket"],
        vec!["websocket/13"],
        vec!["h2c , WEBSOCKET,"],
    ] {
        for (origin, want) in [("https://evil.example", 403), ("https://app.example", 200)] {
            let mut headers = vec![host, ("origin", origin)];
            headers.extend(upgrade.iter().map(|value| ("upgrade", *value)));
            let status = status(&project.descope, Method::GET, &headers).await;
            assert_eq!(status, want, "{headers:?}");
        }
    }
    for other in ["h2c", "websockets", "x-websocket", "web socket", ""] {
        let headers = [host, ("origin", "https://evil.example"), ("upgrade", other)];
        let status = status(&project.descope, Method::GET, &headers).await;
        assert_eq!(status, 200, "{other:?}");
    }
}

/// Where somebody who asked for this path and is not signed in is sent.
async fn redirect(descope: &Descope, path: &str) -> String {
    let service = ServiceBuilder::new()
        .layer(
            descope
                .session_layer()
                .with_rejection(RedirectToLogin::new("/login")),
        )
        .layer(RequireLayer::new())
        .service(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }));
    let request = Request::get(path)
        .header("sec-fetch-mode", "navigate")
        .body(())
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().unwrap().to_owned()
}

// The vectors have more of these; see `next_urls` among the cases.
#[tokio::test]
async fn next_leads_nowhere_else_after_normalisation_either() {
    let project = project_with(|builder| builder);
    for path in [
        "//evil.example",
        "/\\evil.example",
        "/..//evil.example",
        "/.//evil.example",
        "/a/../..//evil.example",
        "/%2e%2e//evil.example",
        "/%2E%2e/%2f/evil.example",
        "/.%2e/x",
        "/a/%2e",
        "/a/..?x=1",
        "/a//b",
        "/%2f/evil.example",
        "/a%2f%2fevil.example",
        "/%5cevil.example",
        "/a%5c..%5cb",
        "/a%0d%0aSet-Cookie:%20a=b",
        "/%09/evil.example",
        "/a%00b",
        "/a%7f",
        "/caf%E9",
        "/%C0%AFevil.example",
        "/%EF%BC%8Fevil.example",
    ] {
        let location = redirect(&project.descope, path).await;
        assert_eq!(location, "/login", "{path}");
    }
    for (path, next) in [
        ("/", "/"),
        ("/a/", "/a/"),
        ("/..a/b..c/file.tar.gz", "/..a/b..c/file.tar.gz"),
        ("/caf%C3%A9/a%20b", "/caf%25C3%25A9/a%2520b"),
        ("/100%/x", "/100%25/x"),
        ("/projects/group%2Fname", "/projects/group%252Fname"),
        ("/go?u=//other.example", "/go%3Fu%3D//other.example"),
        ("/a?b=../%0D%0A", "/a%3Fb%3D../%250D%250A"),
    ] {
        let location = redirect(&project.descope, path).await;
        assert_eq!(location, format!("/login?next={next}"), "{path}");
    }
    // Longer than what servers take for a `Location` or a cookie.
    let long = format!("/{}", "p".repeat(2047));
    let location = redirect(&project.descope, &long).await;
    assert_eq!(location, format!("/login?next={long}"));
    let longer = format!("/{}", "p".repeat(2048));
    assert_eq!(redirect(&project.descope, &longer).await, "/login");
}

/// The Go SDK's rule (`dct` without `tenants`): the top level belongs to the current tenant.
#[tokio::test]
async fn an_admin_of_one_tenant_is_no_admin_of_the_project() {
    let project = project_with(|builder| builder);
    let granted = [("roles", json!(["admin"])), ("permissions", json!(["pay"]))];
    let in_tenant = |extra: &[(&str, Value)]| {
        let mut claims = granted.to_vec();
        claims.extend_from_slice(extra);
        token(&claims)
    };
    let alone = in_tenant(&[("dct", json!("T1"))]);
    let listed = in_tenant(&[
        ("dct", json!("T1")),
        ("tenants", json!({"T1": {"roles": ["owner"]}, "T2": {}})),
    ]);
    let nowhere = in_tenant(&[]);

    let user = async |token: &str| project.check(token).await.unwrap();
    let allows = |requirement: Requirement, user: &User| match requirement.check(user) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(*error.kind(), AuthErrorKind::Forbidden);
            false
        }
    };
    let wants = Requirement::new;

    let tenant_admin = user(&alone).await;
    assert!(!allows(wants().role("admin"), &tenant_admin));
    assert!(!allows(wants().permission("pay"), &tenant_admin));
    assert!(allows(wants(), &tenant_admin));
    assert_eq!(
        tenant_admin
            .roles()
            .chain(tenant_admin.permissions())
            .count(),
        0
    );
    assert!(!tenant_admin.has_role("admin") && !tenant_admin.has_permission("pay"));
    assert!(tenant_admin.tenant_roles("T1").eq(["admin"]));
    assert!(tenant_admin.tenant_permissions("T1").eq(["pay"]));
    // Asked for the tenant, by its name or as the one that the session is in.
    let both = || wants().role("admin").permission("pay");
    assert!(allows(both().tenant("T1"), &tenant_admin));
    assert!(!allows(both().tenant("T2"), &tenant_admin));
    assert!(allows(both().in_current_tenant(), &tenant_admin));

    let member = user(&listed).await;
    assert!(
        allows(both(), &member),
        "beside `tenants` the top level is the project's"
    );
    assert!(!allows(both().in_current_tenant(), &member));
    assert!(allows(wants().role("owner").in_current_tenant(), &member));
    assert!(member.has_role("admin"));

    let project_admin = user(&nowhere).await;
    assert!(allows(both(), &project_admin));
    assert!(!allows(wants().in_current_tenant(), &project_admin));

    // The later of two scopes counts.
    assert!(allows(wants().tenant("T9").in_current_tenant(), &member));
    assert!(!allows(wants().in_current_tenant().tenant("T9"), &member));
}

#[tokio::test]
async fn the_layer_asks_for_the_current_tenant_like_the_requirement() {
    let project = project_with(|builder| builder);
    let cookie = format!(
        "DS={}",
        token(&[("dct", json!("T1")), ("roles", json!(["admin"]))])
    );
    for (layer, want) in [
        (RequireLayer::new().role("admin"), 403),
        (RequireLayer::new().role("admin").in_current_tenant(), 200),
    ] {
        let service = ServiceBuilder::new()
            .layer(project.descope.session_layer())
            .layer(layer)
            .service(service_fn(async |_: Request<()>| {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
            }));
        let request = Request::get("/")
            .header("cookie", &cookie)
            .body(())
            .unwrap();
        assert_eq!(service.oneshot(request).await.unwrap().status(), want);
    }
}

#[tokio::test]
async fn a_session_that_is_not_stepped_up_or_was_long_ago_does_not_pass_for_one_that_is() {
    let project = project_with(|builder| builder);
    let user = async |claims: &[(&str, Value)]| project.check(&token(claims)).await.unwrap();
    let ten_seconds_ago = ("iat", json!(NOW - 10));
    let stepped_up = user(&[("su", json!(true)), ten_seconds_ago.clone()]).await;
    let [nine, ten] = [9, 10].map(Duration::from_secs);
    for max_age in [None, Some(ten)] {
        let wanted = Requirement::new().step_up(max_age);
        wanted.check(&stepped_up).unwrap();
    }
    let plain = user(slice::from_ref(&ten_seconds_ago)).await;
    let denied = user(&[("su", json!(false)), ten_seconds_ago]).await;
    for (max_age, user) in [
        (Some(nine), &stepped_up),
        (None, &plain),
        (Some(ten), &plain),
        (None, &denied),
    ] {
        let error = Requirement::new().step_up(max_age).check(user).unwrap_err();
        assert_eq!(*error.kind(), AuthErrorKind::StepUpRequired { max_age });
    }
    // A role that is missing comes first: a step-up would not help.
    let error = Requirement::new().role("admin").step_up(None).check(&plain);
    assert_eq!(*error.unwrap_err().kind(), AuthErrorKind::Forbidden);
}

// Security requirement 13. A token that an app of the same project was given is signed with the same keys.
#[tokio::test]
async fn a_token_for_a_federated_app_is_no_session_here() {
    let project = project_with(|builder| builder);
    for aud in [
        json!("some-other-app"),
        json!(["some-other-app", "another"]),
        json!(format!("{PROJECT}x")),
        json!([[PROJECT]]),
        json!({PROJECT: 1}),
        json!([]),
        json!(""),
        json!(7),
        json!(null),
    ] {
        project
            .refuses(&token(&[("aud", aud)]), InvalidToken::Audience)
            .await;
    }
    for aud in [json!(PROJECT), json!([PROJECT]), json!(["x", PROJECT])] {
        project.accepts(&token(&[("aud", aud)])).await;
    }
    project.accepts(&token(&[])).await;

    let configured = project_with(|builder| builder.audience("some-other-app"));
    configured
        .accepts(&token(&[("aud", json!(["x", "some-other-app"]))]))
        .await;
    configured
        .refuses(&token(&[("aud", json!(PROJECT))]), InvalidToken::Audience)
        .await;
    configured
        .refuses(&token(&[]), InvalidToken::Audience)
        .await;
    let error = InvalidToken::Audience.to_string();
    assert!(error.contains(".audience("), "{error}");
}

// Security requirement 39: the mounted routes ask the same question as the layer.
#[tokio::test]
async fn the_mounted_routes_refuse_contradicting_headers_too() {
    let world = World::new().await;
    let app = axum::Router::new().nest("/auth", world.descope.routes());
    let session = world.sign_in("ann@example.com").await;
    let request = Request::post("/auth/v1/auth/logout")
        .header("host", "app.example")
        .header("sec-fetch-site", "same-origin")
        .header("origin", "https://evil.example")
        .header("content-type", "application/json")
        .header("cookie", session.cookies())
        .body(Body::empty())
        .unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 403);
    assert!(!response.headers().contains_key("set-cookie"));
}

/// What a requirement says of these claims: nothing, `forbidden`, or that a step-up would do.
async fn verdict(requirement: &Requirement, claims: &[(&str, Value)]) -> &'static str {
    let project = project_with(|builder| builder);
    let user = project
        .descope
        .validate_session(&token(claims))
        .await
        .unwrap();
    match requirement.check(&user) {
        Ok(()) => "passes",
        Err(error) => error.code(),
    }
}

#[tokio::test]
async fn requirements_are_put_together() {
    let role = |name: &str| Requirement::new().role(name);
    let recent = || Requirement::new().step_up(None);
    let roles = |names: &[&str]| ("roles", json!(names));
    let in_tenant = (
        "tenants",
        json!({"t1": {"roles": ["admin"]}, "t2": {"permissions": ["pay"]}}),
    );
    let stepped_up = ("su", json!(true));
    let both = role("a").and(role("b"));
    let either = Requirement::new().any_of([role("a"), role("b")]);
    let two_tenants = Requirement::new()
        .tenant("t1")
        .role("admin")
        .and(Requirement::new().tenant("t2").permission("pay"));
    let or_recent = Requirement::new().any_of([role("a"), role("b").and(recent())]);
    let nobody = Requirement::new().any_of([]);
    for (requirement, claims, expected) in [
        (&both, vec![roles(&["a", "b"])], "passes"),
        (&both, vec![roles(&["a"])], "forbidden"),
        (&both, vec![roles(&["b"])], "forbidden"),
        (&either, vec![roles(&["b"])], "passes"),
        (&either, vec![roles(&["a"])], "passes"),
        (&either, vec![roles(&["c"])], "forbidden"),
        (&either.clone().role("c"), vec![roles(&["a"])], "forbidden"),
        (
            &either.clone().role("c"),
            vec![roles(&["a", "c"])],
            "passes",
        ),
        (
            &either.clone().any_of([role("d")]),
            vec![roles(&["a"])],
            "forbidden",
        ),
        (&two_tenants, vec![in_tenant.clone()], "passes"),
        (
            &two_tenants,
            vec![(
                "tenants",
                json!({"t1": {"roles": ["admin"], "permissions": ["pay"]}}),
            )],
            "forbidden",
        ),
        (&nobody, vec![roles(&["a"])], "forbidden"),
        (&role("a").not(role("b")), vec![roles(&["a"])], "passes"),
        (
            &role("a").not(role("b")),
            vec![roles(&["a", "b"])],
            "forbidden",
        ),
        (&role("a").not(recent()), vec![roles(&["a"])], "passes"),
        (
            &role("a").not(recent()),
            vec![roles(&["a"]), stepped_up.clone()],
            "forbidden",
        ),
        // A step-up is asked for only where it is all that is missing.
        (&or_recent, vec![roles(&["a"])], "passes"),
        (&or_recent, vec![roles(&["b"])], "step_up_required"),
        (
            &or_recent,
            vec![roles(&["b"]), stepped_up.clone()],
            "passes",
        ),
        (&or_recent, vec![roles(&["c"])], "forbidden"),
        (&recent().and(role("a")), vec![], "forbidden"),
        (&recent().any_of([role("a")]), vec![], "forbidden"),
        (
            &recent().and(role("a")),
            vec![roles(&["a"])],
            "step_up_required",
        ),
    ] {
        assert_eq!(
            verdict(requirement, &claims).await,
            expected,
            "{requirement:?} {claims:?}"
        );
    }
    let by_app = Requirement::new().predicate(|user| user.id() == "U1");
    assert_eq!(verdict(&by_app, &[]).await, "passes");
    let other = by_app
        .clone()
        .predicate(|user| user.roles().any(|role| role == "a"));
    assert_eq!(verdict(&other, &[]).await, "forbidden");
    assert_eq!(verdict(&other, &[roles(&["a"])]).await, "passes");
}

#[tokio::test]
async fn one_requirement_serves_a_layer_and_an_extractor() {
    use axum::routing::get;
    use tower_descope::{Allowed, Policy};

    struct Staff;

    impl Policy for Staff {
        fn requirement() -> Requirement {
            let roles = ["admin", "editor"].map(|role| Requirement::new().role(role));
            Requirement::new().any_of(roles)
        }
    }

    let world = World::new().await;
    let app = axum::Router::new()
        .route(
            "/layer",
            get(async || "in").route_layer(RequireLayer::from(Staff::requirement())),
        )
        .route("/handler", get(async |_: Allowed<Staff>| "in"))
        .route(
            "/page",
            get(async |staff: Option<Allowed<Staff>>| if staff.is_some() { "in" } else { "out" }),
        )
        .layer(world.descope.session_layer());
    let ask = async |path: &str, cookies: &str| {
        let request = Request::get(path).header("cookie", cookies);
        let request = request.body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1000)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let ann = world.sign_in("ann@example.com").await.cookie_line();
    let put =
        |user: &mut tower_descope::wire::UserProfile| user.role_names = vec!["editor".to_owned()];
    world.emulator.put_user("ann@example.com", put).unwrap();
    let editor = world.sign_in("ann@example.com").await.cookie_line();
    for (path, statuses) in [
        ("/layer", [401, 403, 200]),
        ("/handler", [401, 403, 200]),
        ("/page", [200; 3]),
    ] {
        for (cookies, status) in ["", &ann, &editor].into_iter().zip(statuses) {
            let (got, body) = ask(path, cookies).await;
            assert_eq!(got, status, "{path} {body}");
            assert!(!body.contains("editor"), "a 403 names no role: {body}");
            if status == 200 {
                assert_eq!(body == "in", cookies == editor, "{path}");
            }
        }
    }
}
