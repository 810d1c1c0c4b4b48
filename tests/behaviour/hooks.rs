//! What an app's hooks see of sign-ins and sign-outs, and what becomes of one that refuses, fails, panics or hangs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::request::Parts;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tower_descope::routes::TokenDelivery;
use tower_descope::wire::{DeliveryMethod, JwtResponse, OtpVerifyRequest};
use tower_descope::{Descope, DescopeBuilder, HookError, SignIn, SignOut, SignedOut, User};

use crate::support::mounted::browser::Answer;
use crate::support::mounted::{Browser, CODE, Fault, Upstream, builder};

const VERIFY: &str = "/v1/auth/otp/verify/email";
const LOGOUT: &str = "/v1/auth/logout";

/// What the hooks have seen, as texts.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn push(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// What the hook for sign-ins does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Agree,
    Refuse,
    Fail,
    Panic,
    Hang,
}

fn handle(upstream: &Upstream, does: impl Fn() -> Does + Send + Sync + 'static) -> (Descope, Seen) {
    let (builder, seen) = hooked(builder(upstream), does);
    (builder.build().unwrap(), seen)
}

fn hooked(
    builder: DescopeBuilder,
    does: impl Fn() -> Does + Send + Sync + 'static,
) -> (DescopeBuilder, Seen) {
    let seen = Seen::default();
    let (signs_in, signs_out) = (seen.clone(), seen.clone());
    let builder = builder
        .adopt_sessions()
        .on_sign_in(move |sign_in: SignIn| {
            let (seen, does) = (signs_in.clone(), does());
            async move {
                seen.push(format!(
                    "in {} user {} profile {} first {} by {}",
                    sign_in.user_id(),
                    sign_in
                        .user()
                        .is_some_and(|user| user.id() == sign_in.user_id()),
                    sign_in
                        .profile()
                        .is_some_and(|profile| profile.user_id == sign_in.user_id()),
                    sign_in.first_seen(),
                    sign_in.request().uri().path(),
                ));
                match does {
                    Does::Agree => Ok(()),
                    Does::Refuse => Err(HookError::refuse("secret reason")),
                    Does::Fail => Err(std::io::Error::other("secret failure"))?,
                    Does::Panic => panic!("secret panic"),
                    Does::Hang => std::future::pending().await,
                }
            }
        })
        .on_sign_out(move |signed_out: SignedOut| {
            let seen = signs_out.clone();
            async move {
                seen.push(format!(
                    "out {} {:?} confirmed {} by {}",
                    signed_out.user_id(),
                    signed_out.which(),
                    signed_out.is_confirmed(),
                    signed_out.request().uri().path(),
                ));
            }
        });
    (builder, seen)
}

/// The mounted routes below `/auth`, own handlers beside them, and a page.
fn app(descope: &Descope) -> Router {
    let own = Router::new()
        .route("/own/in", post(sign_in))
        .route("/own/flow", post(flow))
        .route("/own/out", post(sign_out))
        .with_state(descope.clone());
    Router::new()
        .route("/page", get(async |user: User| user.id().to_owned()))
        .nest("/auth", own.merge(descope.routes()))
        .layer(descope.session_layer())
}

async fn sign_in(State(descope): State<Descope>, parts: Parts, login_id: String) -> Response {
    let request = OtpVerifyRequest::new(login_id, CODE);
    let otp = descope.client().otp();
    let tokens = otp.verify(DeliveryMethod::Email, &request).await.unwrap();
    match descope.establish(&parts, &tokens).await {
        Ok(established) => (established, axum::Json(json!({}))).into_response(),
        Err(error) => {
            let body = json!({"errorCode": error.code(), "errorDescription": ""});
            let headers = [("cache-control", "no-store")];
            (error.status(), headers, axum::Json(body)).into_response()
        }
    }
}

/// As after a Descope Flow: the page sends what it got.
async fn flow(
    State(descope): State<Descope>,
    parts: Parts,
    axum::Json(tokens): axum::Json<JwtResponse>,
) -> Response {
    match descope.establish(&parts, &tokens).await {
        Ok(established) => (established, axum::Json(json!({}))).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn sign_out(State(descope): State<Descope>, parts: Parts) -> impl IntoResponse {
    let ended = descope.end(&parts, SignOut::ThisSession).await;
    (ended, axum::Json(json!({})))
}

/// The three ways in.
#[derive(Clone, Copy, Debug)]
enum Way {
    Mounted,
    Own,
    Adopted,
}

impl Way {
    const ALL: [Self; 3] = [Self::Mounted, Self::Own, Self::Adopted];

    async fn sign_in(self, browser: &mut Browser, upstream: &Upstream) -> Answer {
        match self {
            Self::Mounted => browser.sign_in("ann").await,
            Self::Own => {
                let request = Browser::request("POST", "/own/in");
                browser.send(request.body("ann".into()).unwrap()).await
            }
            Self::Adopted => {
                let (session, refresh) = upstream.tokens("Uann");
                let body = json!({"sessionJwt": session, "refreshJwt": refresh});
                browser.post("/session", body).await
            }
        }
    }
}

async fn page(browser: &mut Browser) -> Answer {
    let request = http::Request::get("/page").body(axum::body::Body::empty());
    browser.send(request.unwrap()).await
}

#[tokio::test]
async fn every_way_in_runs_it_once() {
    for (way, expected) in [
        (
            Way::Mounted,
            "in Uann user true profile true first true by /auth/v1/auth/otp/verify/email",
        ),
        (
            Way::Own,
            "in Uann user true profile true first true by /auth/own/in",
        ),
        (
            Way::Adopted,
            "in Uann user true profile false first false by /auth/session",
        ),
    ] {
        let upstream = Upstream::rotating();
        let first = json!({"firstSeen": true});
        upstream.set().members = first.as_object().unwrap().clone();
        let (descope, seen) = handle(&upstream, || Does::Agree);
        let mut browser = Browser::new(app(&descope));
        way.sign_in(&mut browser, &upstream).await.is_ok();
        assert_eq!(seen.take(), [expected]);
        assert_eq!(page(&mut browser).await.is_ok().text, "Uann");
    }
}

/// A page may write any profile beside tokens of its own, such as one with the verified address of somebody else.
#[tokio::test]
async fn what_a_page_says_of_its_user_is_not_told_to_the_hook() {
    let upstream = Upstream::rotating();
    let (descope, seen) = handle(&upstream, || Does::Agree);
    let mut browser = Browser::new(app(&descope));
    let (session, refresh) = upstream.tokens("Umallory");
    let body = json!({
        "sessionJwt": session,
        "refreshJwt": refresh,
        "firstSeen": true,
        "user": {"userId": "Umallory", "email": "ann@example.com", "verifiedEmail": true},
    });
    browser.post("/own/flow", body).await.is_ok();
    assert_eq!(
        seen.take(),
        ["in Umallory user true profile false first false by /auth/own/flow"]
    );
    assert_eq!(page(&mut browser).await.is_ok().text, "Umallory");
}

#[tokio::test]
async fn what_starts_no_session_runs_nothing() {
    let upstream = Upstream::rotating();
    let (descope, seen) = handle(&upstream, || Does::Agree);
    let mut browser = Browser::new(app(&descope));
    browser.sign_in("ann").await.is_ok();
    assert_eq!(seen.take().len(), 1);
    browser.post("/v1/auth/refresh", json!({})).await.is_ok();
    browser
        .post("/v1/auth/tenant/select", json!({"tenant": "t1"}))
        .await
        .is_ok();
    browser.get("/v1/auth/me").await.is_ok();
    upstream.clock.advance(Duration::from_secs(700));
    page(&mut browser).await.is_ok();
    browser
        .post("/v1/auth/otp/signup-in/email", json!({"loginId": "ann"}))
        .await
        .is_ok();
    assert!(seen.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_does_not_agree_leaves_nothing_behind() {
    for (does, status, code) in [
        (Does::Refuse, 403, "sign_in_refused"),
        (Does::Fail, 500, "sign_in_failed"),
        (Does::Panic, 500, "sign_in_failed"),
        (Does::Hang, 500, "sign_in_failed"),
    ] {
        for way in Way::ALL {
            let upstream = Upstream::rotating();
            let now = Arc::new(Mutex::new(Does::Agree));
            let asked = now.clone();
            let (descope, _) = handle(&upstream, move || *asked.lock().unwrap());
            let mut browser = Browser::new(app(&descope));
            browser.sign_in("dan").await.is_ok();
            let before = browser.cookies.clone();

            *now.lock().unwrap() = does;
            let answer = way.sign_in(&mut browser, &upstream).await;
            answer.is_error(status, code);
            assert!(!answer.sets_cookies());
            assert!(!answer.text.contains("secret"));
            // The session before goes on.
            assert_eq!(browser.cookies, before);
            assert_eq!(page(&mut browser).await.is_ok().text, "Udan");
            // The new one is over, at Descope and here.
            assert_eq!(upstream.count(LOGOUT), 1, "{does:?} {way:?}");
            assert_eq!(upstream.live(), 1);
        }
    }
}

/// Whoever has the tokens of a refused sign-in can do nothing with them, also while Descope is down.
#[tokio::test]
async fn refused_tokens_are_refused_from_then_on() {
    for descope_is_down in [false, true] {
        let upstream = Upstream::rotating();
        let (descope, _) = handle(&upstream, || Does::Refuse);
        let mut browser = Browser::new(app(&descope));
        let (session, refresh) = upstream.tokens("Uann");
        if descope_is_down {
            let down = tower_descope::client::TransportErrorKind::Interrupted;
            upstream.fault(LOGOUT, Fault::Transport(down));
        }
        let body = json!({"sessionJwt": session, "refreshJwt": refresh});
        let answer = browser.post("/session", body).await;
        answer.is_error(403, "sign_in_refused");
        let mut thief = Browser::with_tokens(browser.app(), (session, refresh));
        assert_eq!(page(&mut thief).await.status, 401);
    }
}

/// Otherwise somebody who expects to be refused could hang up in time, and keep tokens that are good.
#[tokio::test]
async fn a_refusal_counts_also_if_the_client_has_hung_up() {
    let upstream = Upstream::rotating();
    let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asks, answers) = (asked.clone(), answer.clone());
    let descope = builder(&upstream)
        .adopt_sessions()
        .on_sign_in(move |_: SignIn| {
            let (asked, answer) = (asks.clone(), answers.clone());
            async move {
                asked.notify_one();
                answer.notified().await;
                Err(HookError::refuse("banned"))
            }
        })
        .build()
        .unwrap();
    let mut browser = Browser::new(app(&descope));
    let tokens = upstream.tokens("Uann");
    let body = json!({"sessionJwt": tokens.0, "refreshJwt": tokens.1});
    tokio::select! {
        _ = browser.post("/session", body) => unreachable!("nobody has answered"),
        () = asked.notified() => {}
    }
    answer.notify_one();
    let is_over = async {
        while upstream.live() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let is_over = tokio::time::timeout(Duration::from_secs(5), is_over).await;
    assert!(is_over.is_ok(), "the session lives on at Descope");
    let mut thief = Browser::with_tokens(browser.app(), tokens);
    assert_eq!(page(&mut thief).await.status, 401);
}

/// Before it has made a future.
#[tokio::test]
async fn a_hook_may_panic_at_once() {
    let upstream = Upstream::rotating();
    let panics = Arc::new(AtomicBool::new(false));
    let asked = panics.clone();
    let descope = builder(&upstream)
        .on_sign_in(move |_: SignIn| {
            assert!(!asked.load(Ordering::Relaxed), "a hook of the app");
            std::future::ready(Ok(()))
        })
        .on_sign_out(|_: SignedOut| -> std::future::Ready<()> { panic!("a hook of the app") })
        .build()
        .unwrap();
    let mut browser = Browser::new(app(&descope));
    browser.sign_in("ann").await.is_ok();
    panics.store(true, Ordering::Relaxed);
    let answer = browser.sign_in("bob").await;
    answer.is_error(500, "sign_in_failed");
    assert_eq!(upstream.count(LOGOUT), 1);
    let answer = browser.post(LOGOUT, json!({})).await;
    assert!(answer.is_ok().sets_cookies());
    assert!(browser.cookies.is_empty());
}

/// With an authenticator app the refresh JWT of the session goes along, and the hook is asked all the same.
#[tokio::test]
async fn a_step_up_is_asked_about_whichever_way_it_goes() {
    let upstream = Upstream::rotating();
    let now = Arc::new(Mutex::new(Does::Agree));
    let asked = now.clone();
    let (descope, seen) = handle(&upstream, move || *asked.lock().unwrap());
    let mut browser = Browser::new(app(&descope));
    browser.sign_in("ann").await.is_ok();
    let path = "/v1/auth/totp/verify";
    let body = json!({"loginId": "ann", "code": CODE, "loginOptions": {"stepup": true}});
    seen.take();
    browser.post(path, body.clone()).await.is_ok();
    assert_eq!(
        seen.take(),
        ["in Uann user true profile true first false by /auth/v1/auth/totp/verify"]
    );

    *now.lock().unwrap() = Does::Refuse;
    let before = browser.cookies.clone();
    let answer = browser.post(path, body).await;
    answer.is_error(403, "sign_in_refused");
    assert!(!answer.sets_cookies());
    // The session that was to be stepped up goes on, here and at Descope, for which it is one with the new tokens.
    assert_eq!(browser.cookies, before);
    assert_eq!(page(&mut browser).await.is_ok().text, "Uann");
    browser.post("/v1/auth/refresh", json!({})).await.is_ok();
    assert_eq!(upstream.count(LOGOUT), 0);
}

/// Descope signs with a key that it does not publish yet.
#[tokio::test]
async fn a_user_who_cannot_be_verified_yet_is_named_by_descope() {
    let upstream = Upstream::rotating();
    let (descope, seen) = handle(&upstream, || Does::Agree);
    let mut browser = Browser::new(app(&descope));
    upstream.set().rotated = true;
    browser.sign_in("ann").await.is_ok();
    assert_eq!(
        seen.take(),
        [format!(
            "in Uann user false profile true first false by /auth{VERIFY}"
        )]
    );
    upstream.set().members = json!({"user": {}}).as_object().unwrap().clone();
    let answer = browser.sign_in("bob").await;
    answer.is_error(503, "unavailable");
    assert!(!answer.sets_cookies());
    assert!(seen.take().is_empty());
    assert_eq!(upstream.count(LOGOUT), 1);
}

/// Where there is no hook to ask, nobody has to be named.
#[tokio::test]
async fn a_hook_for_sign_outs_holds_up_no_sign_in() {
    let upstream = Upstream::rotating();
    let descope = builder(&upstream)
        .on_sign_out(async |_| {})
        .build()
        .unwrap();
    let mut browser = Browser::new(app(&descope));
    upstream.set().rotated = true;
    upstream.set().members = json!({"user": {}}).as_object().unwrap().clone();
    browser.sign_in("ann").await.is_ok();
    assert_eq!(upstream.count(LOGOUT), 0);
}

#[tokio::test]
async fn native_apps_are_asked_about_too() {
    let upstream = Upstream::rotating();
    let (builder, seen) = hooked(builder(&upstream), || Does::Refuse);
    let descope = builder.token_delivery(TokenDelivery::Body).build().unwrap();
    let mut app = Browser::new(Router::new().nest("/auth", descope.routes()));
    app.sign_in("ann").await.is_error(403, "sign_in_refused");
    assert_eq!(seen.take().len(), 1);
    assert_eq!(upstream.live(), 0);
}

#[tokio::test]
async fn sign_outs_are_told() {
    let upstream = Upstream::rotating();
    let (descope, seen) = handle(&upstream, || Does::Agree);
    for (path, body, expected) in [
        (
            LOGOUT,
            json!({}),
            "out Uann ThisSession confirmed true by /auth/v1/auth/logout",
        ),
        (
            "/v1/auth/logoutall",
            json!({}),
            "out Uann Everywhere confirmed true by /auth/v1/auth/logoutall",
        ),
        (
            "/own/out",
            json!({}),
            "out Uann ThisSession confirmed true by /auth/own/out",
        ),
    ] {
        let mut browser = Browser::new(app(&descope));
        browser.sign_in("ann").await.is_ok();
        seen.take();
        browser.post(path, body.clone()).await.is_ok();
        assert_eq!(seen.take(), [expected]);
        // Nobody is signed in any more.
        browser.post(path, body).await.is_ok();
        assert!(seen.take().is_empty());
    }

    let mut browser = Browser::new(app(&descope));
    browser.sign_in("ann").await.is_ok();
    seen.take();
    let down = tower_descope::client::TransportErrorKind::Interrupted;
    upstream.fault(LOGOUT, Fault::Transport(down));
    browser.post(LOGOUT, json!({})).await.is_ok();
    assert!(seen.take()[0].contains("confirmed false"));
}

/// A page that signs out and is closed at once, for example.
#[tokio::test]
async fn a_sign_out_goes_on_if_the_client_has_hung_up() {
    let upstream = Upstream::rotating();
    let (descope, seen) = handle(&upstream, || Does::Agree);
    for (path, which) in [
        (LOGOUT, "ThisSession"),
        ("/v1/auth/logoutall", "Everywhere"),
    ] {
        let mut browser = Browser::new(app(&descope));
        browser.sign_in("ann").await.is_ok();
        seen.take();
        let gate = Arc::new(Semaphore::new(0));
        upstream.fault(path, Fault::Wait(gate.clone()));
        let is_asked = async {
            while upstream.count(path) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = browser.post(path, json!({})) => unreachable!("Descope has not answered"),
            () = is_asked => {}
        }
        gate.add_permits(1);
        let is_told = async {
            loop {
                match seen.take().pop() {
                    Some(told) => return told,
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(5), is_told).await;
        assert_eq!(
            told.expect("the hook was told"),
            format!("out Uann {which} confirmed true by /auth{path}")
        );
        assert_eq!(upstream.live(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_breaks_holds_up_no_sign_out() {
    for hangs in [false, true] {
        let upstream = Upstream::rotating();
        let descope = builder(&upstream)
            .on_sign_out(move |_| async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                panic!("a hook of the app");
            })
            .build()
            .unwrap();
        let mut browser = Browser::new(app(&descope));
        browser.sign_in("ann").await.is_ok();
        let tokens = (browser.ds(), browser.dsr());
        let answer = browser.post(LOGOUT, json!({})).await;
        assert!(answer.is_ok().sets_cookies());
        assert!(browser.cookies.is_empty());
        let mut thief = Browser::with_tokens(browser.app(), tokens);
        assert_eq!(page(&mut thief).await.status, 401);
    }
}

#[tokio::test]
async fn debug_shows_no_credential() {
    let upstream = Upstream::rotating();
    let shown = Seen::default();
    let (signs_in, signs_out) = (shown.clone(), shown.clone());
    let descope = builder(&upstream)
        .on_sign_in(move |sign_in| {
            signs_in.push(format!("{sign_in:?}"));
            async { Ok(()) }
        })
        .on_sign_out(move |signed_out| {
            signs_out.push(format!("{signed_out:?}"));
            async {}
        })
        .build()
        .unwrap();
    let mut browser = Browser::new(app(&descope));
    browser.sign_in("ann").await.is_ok();
    browser.post(LOGOUT, json!({})).await.is_ok();
    let shown = shown.take();
    assert_eq!(shown.len(), 2);
    assert!(
        shown.iter().all(|shown| !shown.contains("eyJ")),
        "{shown:?}"
    );
}
