//! Whom a failed renewal concerns: first the token that it was made with, and everybody only when several users meet
//! a failure.
//!
//! Security requirements 25, 42 and 44.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, RETRY_AFTER};
use http::{Request, StatusCode};
use serde_json::json;
use tokio::sync::watch;
use tower::ServiceExt;
use tower_descope::Descope;
use tower_descope::clock::{Clock, ManualClock};

use crate::support::project::NOW;
use crate::support::signer::{self, PROJECT, Signer};
use crate::support::world::{self, REFRESH, Reply};

static KEY: LazyLock<Signer> = LazyLock::new(|| Signer::new("SK1"));

/// How upstream answers renewals of a user.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Renewed,
    /// With this `Retry-After`.
    RateLimited(u64),
    InternalError,
    /// The page of a server that got a larger header than it takes.
    HeaderTooLarge,
    Malformed,
    Unavailable,
    /// None before the deadline.
    TooLate,
}

/// An app, and an upstream at the other end of a socket that answers each user as it was told to.
struct Site {
    app: Router,
    clock: Arc<ManualClock>,
    upstream: Arc<Upstream>,
}

struct Upstream {
    clock: Arc<ManualClock>,
    answers: Mutex<HashMap<String, Answer>>,
    others: Mutex<Answer>,
    calls: Mutex<Vec<String>>,
}

impl Site {
    async fn start() -> Self {
        let clock = Arc::new(ManualClock::at_unix_seconds(NOW));
        let upstream = Arc::new(Upstream {
            clock: clock.clone(),
            answers: Mutex::default(),
            others: Mutex::new(Answer::Renewed),
            calls: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Router::new()
            .route(REFRESH, post(refresh))
            .with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, server).await });
        let descope = Descope::builder(PROJECT)
            .base_url(&url)
            .public_key(KEY.jwk().to_string())
            .clock(clock.clone())
            .deadline(Duration::from_millis(300))
            .build()
            .unwrap();
        Self {
            app: world::app(&descope),
            clock,
            upstream,
        }
    }

    fn answers(&self, user: &str, answer: Answer) {
        let mut answers = self.upstream.answers.lock().unwrap();
        answers.insert(user.to_owned(), answer);
    }

    fn answers_all(&self, answer: Answer) {
        self.upstream.answers.lock().unwrap().clear();
        *self.upstream.others.lock().unwrap() = answer;
    }

    fn calls(&self) -> usize {
        self.upstream.calls.lock().unwrap().len()
    }

    fn calls_of(&self, user: &str) -> usize {
        let calls = self.upstream.calls.lock().unwrap();
        calls.iter().filter(|caller| *caller == user).count()
    }

    /// A request of somebody whose session has run out.
    async fn get(&self, refresh: &str) -> Reply {
        let request = Request::get("/me").header(COOKIE, format!("DSR={refresh}"));
        let request = request.body(Body::empty()).unwrap();
        Reply::read(self.app.clone().oneshot(request).await.unwrap()).await
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// A refresh JWT of this user.
fn token(user: &str, number: i64) -> String {
    KEY.sign(&signer::refresh(user, NOW - 7200 - number))
}

async fn refresh(State(upstream): State<Arc<Upstream>>, headers: HeaderMap) -> Response {
    let bearer = headers[AUTHORIZATION].to_str().unwrap();
    let user = signer::claims(bearer.rsplit_once(':').unwrap().1)["sub"].clone();
    let user = user.as_str().unwrap();
    upstream.calls.lock().unwrap().push(user.to_owned());
    let known = upstream.answers.lock().unwrap().get(user).copied();
    let answer = known.unwrap_or(*upstream.others.lock().unwrap());
    let page = [(CONTENT_TYPE, "text/html")];
    let code = json!({"errorCode": "E130429", "errorDescription": "too many"}).to_string();
    match answer {
        Answer::Renewed => {
            let now = upstream.clock.unix().as_secs() as i64;
            let session = KEY.sign(&signer::session(user, now));
            axum::Json(json!({"sessionJwt": session, "refreshJwt": ""})).into_response()
        }
        Answer::RateLimited(seconds) => {
            let wait = [(RETRY_AFTER, seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, wait, code).into_response()
        }
        Answer::InternalError => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Answer::HeaderTooLarge => {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            (status, page, "<html>too large</html>").into_response()
        }
        Answer::Malformed => axum::Json(json!({"sessionJwt": 1})).into_response(),
        Answer::Unavailable => {
            let wait = [(RETRY_AFTER, "60")];
            (StatusCode::SERVICE_UNAVAILABLE, wait, "").into_response()
        }
        Answer::TooLate => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            StatusCode::OK.into_response()
        }
    }
}

/// 39 users come and go while one of theirs asks without a pause, with as many refresh JWTs as it likes.
async fn others_are_served(answer: Answer, tokens: i64) {
    let site = Site::start().await;
    site.answers("bad", answer);
    let tokens: Vec<String> = (0..tokens).map(|number| token("bad", number)).collect();
    let (asked, mut asks) = watch::channel(0);
    let attack = async {
        for refresh in tokens.iter().cycle() {
            assert_eq!(site.get(refresh).await.status(), 503);
            asked.send_modify(|requests| *requests += 1);
        }
    };
    let mut served = 0;
    let others = async {
        for round in 0..3 {
            for user in 0..39 {
                // It comes first, and often enough to make upstream look dead.
                let seen = *asks.borrow();
                let first = asks.wait_for(|requests| *requests > seen + 4);
                first.await.unwrap();
                let reply = site.get(&token(&format!("U{user}"), round)).await;
                served += usize::from(reply.status() == 200);
                site.advance(1);
            }
        }
    };
    tokio::select! {
        () = attack => {}
        () = others => {}
    }
    println!("{served} of 117 renewals, {} calls", site.calls_of("bad"));
    assert!(served >= 116, "{served} of 117 renewals");
    assert!(site.calls_of("bad") >= 3, "{}", site.calls_of("bad"));
}

#[tokio::test]
async fn one_account_that_is_rate_limited_cannot_hold_the_renewals_of_others() {
    others_are_served(Answer::RateLimited(60), 30).await;
    others_are_served(Answer::RateLimited(1), 1).await;
}

#[tokio::test]
async fn one_account_that_meets_an_internal_error_cannot_hold_the_renewals_of_others() {
    others_are_served(Answer::InternalError, 1).await;
}

#[tokio::test]
async fn one_account_whose_header_is_too_large_cannot_hold_the_renewals_of_others() {
    others_are_served(Answer::HeaderTooLarge, 1).await;
}

#[tokio::test]
async fn one_account_that_gets_a_malformed_answer_cannot_hold_the_renewals_of_others() {
    others_are_served(Answer::Malformed, 1).await;
}

#[tokio::test]
async fn one_account_for_which_upstream_is_down_cannot_hold_the_renewals_of_others() {
    others_are_served(Answer::Unavailable, 30).await;
    others_are_served(Answer::TooLate, 1).await;
}

#[tokio::test]
async fn one_account_with_many_refresh_jwts_cannot_hold_the_renewals_of_others() {
    others_are_served(Answer::InternalError, 30).await;
}

// What upstream says to several users it says to everybody: it is left alone for as long as it asked.
#[tokio::test]
async fn a_rate_limit_of_the_whole_project_is_honoured() {
    let site = Site::start().await;
    site.answers_all(Answer::RateLimited(7));
    for user in ["ann", "bob", "cid"] {
        let reply = site.get(&token(user, 0)).await;
        assert_eq!(
            (reply.status(), reply.header("retry-after")),
            (503, Some("7"))
        );
    }
    for left in (1..=7).rev() {
        for user in ["ann", "dan", "eve"] {
            let reply = site.get(&token(user, 0)).await;
            assert_eq!(reply.status(), 503);
            assert_eq!(reply.header("retry-after"), Some(&*left.to_string()));
        }
        site.advance(1);
    }
    assert_eq!(site.calls(), 3, "asked before the time was over");
    // Still the same, as the one probe finds out.
    assert_eq!(site.get(&token("dan", 0)).await.status(), 503);
    assert_eq!(site.get(&token("eve", 0)).await.status(), 503);
    assert_eq!(site.calls(), 4);
    site.answers_all(Answer::Renewed);
    site.advance(7);
    for user in ["eve", "dan", "ann", "bob", "cid"] {
        assert_eq!(site.get(&token(user, 0)).await.status(), 200, "{user}");
    }
}

// A hold ends after a minute at most, and somebody who has failed before is never the one to find out.
#[tokio::test]
async fn who_has_failed_does_not_decide_whether_upstream_is_back() {
    let site = Site::start().await;
    site.answers_all(Answer::RateLimited(3600));
    for user in ["bad", "bob", "cid"] {
        assert_eq!(site.get(&token(user, 0)).await.status(), 503);
    }
    site.answers_all(Answer::Renewed);
    site.answers("bad", Answer::RateLimited(3600));
    site.advance(59);
    assert_eq!(site.get(&token("dan", 0)).await.status(), 503);
    assert_eq!(site.calls(), 3);
    site.advance(1);
    assert_eq!(site.get(&token("bad", 0)).await.status(), 503);
    assert_eq!(site.get(&token("bad", 1)).await.status(), 503);
    assert_eq!(site.get(&token("dan", 0)).await.status(), 200);
    assert_eq!(site.get(&token("bob", 0)).await.status(), 200);
}

#[tokio::test]
async fn a_token_that_waits_is_told_for_how_long() {
    let site = Site::start().await;
    site.answers("bad", Answer::RateLimited(600));
    let first = site.get(&token("bad", 0)).await;
    assert_eq!(first.header("retry-after"), Some("600"), "as upstream says");
    site.clock.advance(Duration::from_millis(10_500));
    let second = site.get(&token("bad", 0)).await;
    // Who comes back after that is not turned away again.
    assert_eq!(
        (second.status(), second.header("retry-after")),
        (503, Some("50"))
    );
    assert_eq!(site.calls(), 1);
    site.answers_all(Answer::Renewed);
    site.advance(50);
    assert_eq!(site.get(&token("bad", 0)).await.status(), 200);
}

#[tokio::test]
async fn a_refresh_cookie_that_no_browser_would_keep_costs_no_call() {
    let site = Site::start().await;
    let mut claims = signer::refresh("bad", NOW - 7200);
    claims["x"] = "x".repeat(4096).into();
    let large = KEY.sign(&claims);
    for _ in 0..5 {
        assert_eq!(site.get(&large).await.status(), 401);
    }
    assert_eq!(site.get(&token("ann", 0)).await.status(), 200);
    assert_eq!(site.calls_of("bad"), 0);
}
