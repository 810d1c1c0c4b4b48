//! An app at whose door somebody stands with a session that has run out.
#![allow(dead_code)]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use http::header::COOKIE;
use libtest_mimic::Trial;
use serde_json::json;
use tower::ServiceExt;
use tower_descope::clock::ManualClock;
use tower_descope::{Descope, DescopeBuilder};

use super::endpoint::{Endpoint, Fault, KEY};
use super::mounted::{Browser, bare};
use super::project::NOW;
use super::signer::{self, PROJECT};
use super::world::{self, Reply};

/// The path of the renewal.
pub const PATH: &str = "/v1/auth/refresh";
/// What clients are told when upstream says nothing.
pub const RETRY_AFTER: u64 = 5;

/// Signed in two hours ago: the session JWT is over, the refresh JWT lives.
pub static COOKIES: LazyLock<String> = LazyLock::new(|| {
    let session = KEY.sign(&signer::session("U1", NOW - 7200));
    format!("DS={session}; DSR={}", *OLD)
});

/// The refresh JWT of these cookies.
pub static OLD: LazyLock<String> = LazyLock::new(|| KEY.sign(&signer::refresh("U1", NOW - 7200)));

/// The same user's from another browser, which has to be renewed on its own.
pub static OTHERS: LazyLock<String> = LazyLock::new(|| {
    let refresh = KEY.sign(&signer::refresh("U1", NOW - 7000));
    format!("DSR={refresh}")
});

/// For faults that only a deadline ends.
const SHORT: Duration = Duration::from_millis(250);

/// A trial on one thread.
pub fn trial(name: &str, play: impl AsyncFnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(play());
        Ok(())
    })
}

/// An app that has its keys and asks upstream for nothing but the path under test.
pub struct Site {
    pub descope: Descope,
    pub clock: Arc<ManualClock>,
    pub app: Router,
}

impl Site {
    pub fn new(url: &str) -> Self {
        Self::with(url, |builder| builder)
    }

    /// With a deadline that suits the fault.
    pub fn at(endpoint: &Endpoint, fault: &Fault) -> Self {
        Self::with(&endpoint.url, |mut builder| {
            if let Some(transport) = &endpoint.transport {
                builder = builder.transport(transport.clone());
            }
            match fault.outlasts_the_deadline() {
                true => builder.deadline(SHORT),
                false => builder,
            }
        })
    }

    fn with(url: &str, configure: impl FnOnce(DescopeBuilder) -> DescopeBuilder) -> Self {
        let clock = Arc::new(ManualClock::at_unix_seconds(NOW));
        let builder = Descope::builder(PROJECT)
            .base_url(url)
            .public_key(KEY.jwk().to_string())
            .clock(clock.clone());
        let descope = configure(builder).build().unwrap();
        Self {
            app: world::app(&descope),
            descope,
            clock,
        }
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A request that needs a user, from the one whose session has run out.
    pub async fn get(&self) -> Reply {
        self.get_with(&COOKIES).await
    }

    /// The page of the same browser, at the mounted routes alone.
    pub fn page(&self) -> Browser {
        let (session, refresh) = COOKIES.split_once("; ").unwrap();
        let value = |cookie: &str| cookie.split_once('=').unwrap().1.to_owned();
        Browser::with_tokens(bare(&self.descope), (value(session), value(refresh)))
    }

    pub async fn get_with(&self, cookies: &str) -> Reply {
        let request = Request::get("/me").header(COOKIE, cookies);
        let request = request.body(Body::empty()).unwrap();
        Reply::read(self.app.clone().oneshot(request).await.unwrap()).await
    }
}

/// What holds for every answer while nothing definite is known: 503, and the cookies stay. Returns `Retry-After`.
#[track_caller]
pub fn unavailable(reply: &Reply) -> u64 {
    assert_eq!(reply.status(), 503, "{}", reply.body);
    assert!(reply.set_cookies().is_empty(), "{:?}", reply.set_cookies());
    let kind = reply.header("content-type");
    assert_eq!(kind, Some("application/problem+json"));
    assert_eq!(reply.header("www-authenticate"), None);
    let seconds = reply.header("retry-after").expect("retry-after");
    seconds.parse().unwrap()
}

/// Signed in, with new cookies: a session JWT, and a refresh JWT unless there was none. Returns both.
#[track_caller]
pub fn renewed(reply: &Reply) -> (String, Option<String>) {
    assert_eq!(reply.status(), 200, "{}", reply.body);
    assert_eq!(reply.json(), json!({"id": "U1", "amr": ["email"]}));
    (reply.cookie("DS").expect("a session"), reply.cookie("DSR"))
}
