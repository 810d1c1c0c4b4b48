//! How what a renewal brought reaches the browser: beside a request that is served at once, and by late responses.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use http::Request;
use http::header::COOKIE;
use serde_json::json;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower_descope::emulator::RefreshRotation;
use tower_descope::{Descope, User};

use crate::support::fake::{Answer, Gate};
use crate::support::project::{NOW, Project, settle};
use crate::support::signer::{self, Signer};
use crate::support::world::{CookieLine as _, REFRESH, Reply, World};

/// An app whose handlers wait until they may go on.
fn app(descope: &Descope, may: &Arc<Semaphore>) -> Router {
    let may = may.clone();
    let slow = async move |user: User| {
        may.acquire().await.unwrap().forget();
        user.id().to_owned()
    };
    Router::new()
        .route("/slow", get(slow))
        .route("/me", get(async |user: User| user.id().to_owned()))
        .layer(descope.session_layer())
}

fn ask(app: &Router, path: &str, cookies: &str) -> impl Future<Output = Response> + Send + use<> {
    let request = Request::get(path).header(COOKIE, cookies);
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request);
    async move { response.await.unwrap() }
}

async fn get_me(app: &Router, cookies: &str) -> Reply {
    Reply::read(ask(app, "/me", cookies).await).await
}

/// A browser that hangs up while the handler works.
async fn hang_up(app: &Router, cookies: &str) {
    let mut response = pin!(ask(app, "/slow", cookies));
    let polled = poll_fn(|cx| Poll::Ready(response.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
}

/// A user whose session ends in a while, an app that renews it two minutes before, and an upstream that answers when
/// the gate is open.
struct Early {
    project: Project,
    app: Router,
    gate: Gate,
    cookies: String,
    may: Arc<Semaphore>,
}

impl Early {
    /// `rotates`: a renewal replaces the refresh JWT as well.
    async fn start(seconds_left: i64, rotates: bool) -> Self {
        let key = Signer::new("SK1");
        let project = Project::with(|builder| {
            builder
                .public_key(key.jwk().to_string())
                .early_renewal(Duration::from_secs(120))
        });
        let gate = Gate::new();
        let session = signer::session("U1", NOW - 3600 + seconds_left);
        let refresh = |age| key.sign(&signer::refresh("U1", NOW - age));
        let next = match rotates {
            true => refresh(0),
            false => String::new(),
        };
        let body = json!({
            "sessionJwt": key.sign(&signer::session("U1", NOW)),
            "refreshJwt": next,
        });
        let answer = Answer::json(body).behind(&gate);
        project.fake.always(REFRESH, answer);
        let may = Arc::new(Semaphore::new(0));
        Self {
            app: app(&project.descope, &may),
            project,
            gate,
            cookies: format!("DS={}; DSR={}", key.sign(&session), refresh(7200)),
            may,
        }
    }

    async fn get(&self) -> Reply {
        get_me(&self.app, &self.cookies).await
    }

    fn calls(&self) -> usize {
        self.project.fake.calls_of(REFRESH)
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_response_does_not_wait_for_an_early_renewal() {
    for rotates in [true, false] {
        let early = Early::start(50, rotates).await;
        let began = tokio::time::Instant::now();
        for _ in 0..3 {
            let reply = early.get().await;
            assert_eq!((reply.status(), reply.set_cookies().len()), (200, 0));
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "served at once");
        early.gate.open();
        settle().await;
        let reply = early.get().await;
        assert_eq!(reply.set_cookies().len(), 1 + usize::from(rotates));
        assert_eq!(early.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_cookies_travel_with_the_response_that_is_finished_last() {
    let early = Early::start(50, true).await;
    let slow = tokio::spawn(ask(&early.app, "/slow", &early.cookies));
    settle().await;
    early.gate.open();
    settle().await;
    early.may.add_permits(1);
    let reply = Reply::read(slow.await.unwrap()).await;
    assert!(reply.cookie("DS").is_some() && reply.cookie("DSR").is_some());
    assert_eq!(early.calls(), 1);
}

#[tokio::test]
async fn a_browser_that_asks_now_and_then_receives_its_early_renewal() {
    for rotates in [true, false] {
        let early = Early::start(55, rotates).await;
        // Nobody is there to receive it, three times.
        for _ in 0..3 {
            hang_up(&early.app, &early.cookies).await;
            early.gate.open();
            settle().await;
            early.project.advance(15);
        }
        assert_eq!(early.calls(), 1, "one call for each request");
        let reply = early.get().await;
        let session = reply.cookie("DS").expect("a session, with the fourth");
        assert_eq!(reply.cookie("DSR").is_some(), rotates);
        // A twin that is still on its way gets the same, and later on nothing is kept.
        early.project.advance(9);
        assert_eq!(early.get().await.cookie("DS"), Some(session));
        assert_eq!(early.calls(), 1);
        early.project.advance(1);
        early.get().await;
        settle().await;
        assert_eq!(early.calls(), 2);
    }
}

// It is found until half of the new session's life is over: whoever comes later is better off with another one.
#[tokio::test]
async fn an_early_renewal_that_nobody_received_is_forgotten_with_its_session() {
    for (seconds, calls) in [(1799, 1), (1800, 2)] {
        let early = Early::start(50, false).await;
        early.gate.open();
        hang_up(&early.app, &early.cookies).await;
        settle().await;
        assert_eq!(early.project.descope.stats().remembered_renewals, 1);
        early.project.advance(seconds);
        let reply = early.get().await;
        assert_eq!((reply.status(), early.calls()), (200, calls));
    }
}

// Security requirement 29: `Max-Age=0` is how a cookie is deleted. The session that was kept is over by now, and only
// the leeway lets it in.
#[tokio::test]
async fn a_kept_session_that_has_just_run_out_deletes_no_cookie() {
    let early = Early::start(50, true).await;
    early.gate.open();
    hang_up(&early.app, &early.cookies).await;
    settle().await;
    early.project.advance(3600 + 2);
    let reply = early.get().await;
    assert_eq!(reply.status(), 200);
    assert!(reply.cookie("DSR").is_some());
    let cookies = reply.set_cookies();
    assert!(
        cookies.iter().all(|cookie| !cookie.contains("Max-Age=0")),
        "{cookies:?}"
    );
}

// The newer link of a chain of renewals that no browser has received yet: a response from before it was made must not
// say that it has arrived. The browser would come back with a spent token.
#[tokio::test]
async fn a_late_response_marks_only_what_it_wrote_as_delivered() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    world.descope.ready().await.unwrap();
    let may = Arc::new(Semaphore::new(0));
    let app = app(&world.descope, &may);

    let late = tokio::spawn(ask(&app, "/slow", &ann.cookie_line()));
    while world.refreshes() < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    // What it brought is over before the handler is done, and renewed for somebody who is not there any more.
    world.clock.advance(Duration::from_secs(700));
    let gone = tokio::spawn(ask(&app, "/slow", &ann.cookie_line()));
    while world.refreshes() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    gone.abort();

    may.add_permits(1);
    let reply = Reply::read(late.await.unwrap()).await;
    assert_eq!(reply.status(), 200);
    let received = reply.cookie("DSR").unwrap();
    world.clock.advance(Duration::from_secs(11));
    let reply = get_me(&app, &format!("DSR={received}")).await;
    assert_eq!(reply.status(), 200, "the browser was signed out");
    assert_eq!(world.refreshes(), 2, "a spent token was sent");
    assert_ne!(reply.cookie("DSR").unwrap(), received);
}
