//! What a request allocates, counted exactly.
//!
//! Each test runs in a process of its own, on one thread: what another test sets up for the whole process, such as a
//! subscriber for traces, must not show in its counts.

use std::hint::black_box;
use std::process::Command;

use allocation_counter::measure;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{HeaderValue, Request, Response};
use serde_json::json;
use tower::{Layer, Service, ServiceExt};
use tower_descope::__fuzzing::verifies_now;
use tower_descope::{Descope, TokenCache, User};

use crate::support::signer::{PROJECT, Signer, jwks, session};

/// Runs this program once more for the test of this name alone, and `measure` in that process.
fn alone(test: &str, measure: impl FnOnce()) {
    const MARK: &str = "TOWER_DESCOPE_TEST_ALONE";
    let (_, module) = module_path!().split_once("::").unwrap();
    let test = format!("{module}::{test}");
    if std::env::var_os(MARK).is_some_and(|name| *name == *test) {
        return measure();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--test-threads=1", "--nocapture"])
        .env(MARK, &test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // A wrong name would run nothing and succeed.
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

struct Stage {
    signer: Signer,
    descope: Descope,
    now: i64,
}

impl Stage {
    fn set(cache: TokenCache) -> Self {
        let signer = Signer::new("SK1");
        let descope = Descope::builder(PROJECT)
            .public_key(jwks([&signer]).to_string())
            .token_cache(cache)
            .build()
            .unwrap();
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        Self {
            signer,
            descope,
            now: since.as_secs() as i64,
        }
    }

    /// A session of about a kilobyte, with two tenants.
    fn token(&self, user: usize, issued: i64) -> String {
        let mut claims = session(&format!("U2abcdefghijklmnopqrst{user:06}"), issued);
        claims["permissions"] = json!(["doc.read", "doc.write"]);
        claims["roles"] = json!(["editor"]);
        claims["tenants"] = json!({
            "T2aaaaaaaaaaaaaaaaaaaaaaaaaaa": {"roles": ["owner"], "permissions": ["bill"]},
            "T2bbbbbbbbbbbbbbbbbbbbbbbbbbb": {"roles": ["member"], "permissions": []},
        });
        self.signer.sign(&claims)
    }

    fn verification(&self, token: &str, good: bool) -> u64 {
        measure(|| assert_eq!(verifies_now(&self.descope, token.as_bytes()), good)).count_total
    }
}

/// Allocations of a request, once everything is warm.
fn request<S>(app: &S, path: &str, token: &str) -> u64
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone,
    S::Error: std::fmt::Debug,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let cookie = HeaderValue::try_from(format!("DS={token}")).unwrap();
    let mut counted = 0;
    for _ in 0..3 {
        let request = Request::get(path)
            .header("cookie", &cookie)
            .body(Body::empty())
            .unwrap();
        let call = app.clone().oneshot(request);
        counted = measure(|| {
            let response = runtime.block_on(call).unwrap();
            assert_eq!(response.status(), 200);
        })
        .count_total;
    }
    counted
}

#[test]
fn a_known_session_is_verified_without() {
    alone("a_known_session_is_verified_without", || {
        let stage = Stage::set(TokenCache::new());
        let token = stage.token(1, stage.now);
        stage.verification(&token, true);
        assert_eq!(stage.verification(&token, true), 0);
    });
}

#[test]
fn what_a_request_adds_to_one_without_sign_in() {
    alone("what_a_request_adds_to_one_without_sign_in", || {
        let stage = Stage::set(TokenCache::new());
        let token = stage.token(1, stage.now);
        let app = Router::new().route("/plain", get(async || "hello")).route(
            "/user",
            get(async |user: User| {
                black_box(user.id());
                "hello"
            }),
        );
        let floor = request(&app, "/plain", &token);
        let outside = stage.descope.session_layer().layer(app.clone());
        let layered = app.layer(stage.descope.session_layer());
        let added = |count: u64| count - floor;
        // What the request carries, its place among the extensions, and axum's own entries there, which then need a table
        // of the next size.
        assert_eq!(added(request(&outside, "/plain", &token)), 3);
        // Four more make up what axum boxes for any layer of a router.
        assert_eq!(added(request(&layered, "/plain", &token)), 7);
        // `User` is free.
        assert_eq!(added(request(&outside, "/user", &token)), 3);
        assert_eq!(added(request(&layered, "/user", &token)), 7);
    });
}

#[test]
fn refusals_and_new_sessions() {
    alone("refusals_and_new_sessions", || {
        let stage = Stage::set(TokenCache::new());
        // The first well-signed token of a key makes its header known. This one is of another issuer, so that the cache
        // is still empty when the good one comes. The cache has several parts, a random hash picks one, and the first
        // entry of a part takes two allocations more than the second.
        let mut foreign = session("U1", stage.now);
        foreign["iss"] = json!("another issuer");
        stage.verification(&stage.signer.sign(&foreign), false);
        let good = stage.token(1, stage.now);
        let forged = format!("{}AAAA", &good[..good.len() - 4]);
        let old = stage.token(1, stage.now - 7200);
        let counts = [
            ("garbage", false),
            (&old, false),
            (&forged, false),
            (&good, true),
        ]
        .map(|(token, verdict)| stage.verification(token, verdict));
        assert_eq!(counts, [0, 1, 2, 19]);
    });
}

// The token itself, and at most 700 bytes for what handlers read of it and for its place in the cache.
#[test]
fn heap_of_a_cached_session() {
    alone("heap_of_a_cached_session", || {
        const SESSIONS: usize = 2_000;
        let stage = Stage::set(TokenCache::new());
        let tokens: Vec<_> = (0..SESSIONS).map(|n| stage.token(n, stage.now)).collect();
        let heap = measure(|| {
            for token in &tokens {
                assert!(verifies_now(&stage.descope, token.as_bytes()));
            }
        });
        assert_eq!(stage.descope.stats().cached_sessions, SESSIONS);
        let each = heap.bytes_current as usize / SESSIONS;
        let token = tokens[0].len();
        assert!((token..token + 700).contains(&each), "{each} for {token}");
    });
}

#[test]
fn a_requirement_is_checked_without() {
    use tower_descope::require::{Requirement, TenantFrom};

    alone("a_requirement_is_checked_without", || {
        let stage = Stage::set(TokenCache::new());
        let token = stage.token(1, stage.now);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let user = runtime.block_on(stage.descope.validate_session(&token));
        let user = user.unwrap();
        let request = Request::get("/t/T2aaaaaaaaaaaaaaaaaaaaaaaaaaa/doc");
        let request = request.body(()).unwrap();
        let other = Requirement::new().role("editor").permission("doc.write");
        let requirement = Requirement::new()
            .tenant_from(TenantFrom::path_after("/t/"))
            .role("owner")
            .and(other.clone())
            .any_of([Requirement::new().role("admin"), other])
            .not(Requirement::new().role("guest"))
            .request_predicate(|user, request| {
                request.method().is_safe() && user.is_in_tenant("T2bbbbbbbbbbbbbbbbbbbbbbbbbbb")
            });
        let check = || measure(|| drop(requirement.check_request(&user, &request))).count_total;
        assert!(requirement.check_request(&user, &request).is_ok());
        assert_eq!(check(), 0);
    });
}

/// A policy is asked once and kept by the handle.
#[test]
fn a_policy_in_the_signature_adds_none() {
    use tower_descope::require::Requirement;
    use tower_descope::{Allowed, Policy};

    struct Editor;

    impl Policy for Editor {
        fn requirement() -> Requirement {
            Requirement::new().role("editor").permission("doc.write")
        }
    }

    alone("a_policy_in_the_signature_adds_none", || {
        let stage = Stage::set(TokenCache::new());
        let token = stage.token(1, stage.now);
        let app = Router::new()
            .route("/user", get(async |_: User| ()))
            .route("/edit", get(async |_: Allowed<Editor>| ()))
            .layer(stage.descope.session_layer());
        let user = request(&app, "/user", &token);
        assert_eq!(request(&app, "/edit", &token), user);
    });
}
