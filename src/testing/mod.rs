//! A handle for tests of an app: no network, no emulator, no waiting.
//!
//! [`TestDescope`] is a whole [`Descope`] handle that trusts a key of its own. What is tested is the real layer with all
//! of its checks; only the tokens come from a [`TestUser`] instead of Descope.
//!
//! ```
//! # #[cfg(feature = "routes")] {
//! use axum::{Router, routing::get};
//! use tower::ServiceExt;
//! use tower_descope::{Descope, RequireLayer, User, testing::TestDescope};
//!
//! /// The app under test.
//! fn app(descope: &Descope) -> Router {
//!     Router::new()
//!         .route("/me", get(async |user: User| user.id().to_owned()))
//!         .route("/admin", get(async || "welcome").route_layer(RequireLayer::new().role("admin")))
//!         .layer(descope.session_layer())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let test = TestDescope::new();
//! let ann = test.user("ann").role("admin");
//! let bob = test.user("bob");
//! for (request, status) in [
//!     (ann.get("/admin"), 200),
//!     (bob.get("/admin"), 403),
//!     (test.nobody("/admin"), 401),
//!     (bob.clone().expired().get("/me"), 401),
//!     (bob.revoked().get("/me"), 401),
//!     (test.user("eve").of_other_project().get("/me"), 401),
//! ] {
//!     let response = app(test.descope()).oneshot(request).await.unwrap();
//!     assert_eq!(response.status(), status);
//! }
//! # } main(); }
//! ```
//!
//! A session that has expired is renewed where its request carries cookies ([`TestUser::browse`]), as in production, by a
//! Descope of the test kit's own that answers renewals, sign-outs and profiles. [`TestDescope::down`] lets it fail. Every
//! other call of Descope gets 400 `test_kit`, and an event in the log says which. What needs more of Descope, such as the
//! mounted sign-in endpoints, is tested against the `Emulator` (feature `emulator`), whose `sign_in` signs somebody in
//! without a code.
//!
//! # The key that everybody knows
//!
//! The private half of the key is published with this crate. No other handle accepts it, whatever it is configured with
//! and whatever keys it fetches, so a test handle in a release build is the only thing to look out for: keep the feature
//! `testing` among the dev-dependencies. A release build logs a warning when it makes one.

mod upstream;
mod user;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Request;

use self::upstream::Upstream;
pub use self::user::TestUser;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::descope::{ConfigError, Descope, DescopeBuilder};
use crate::signed_in;
pub use crate::signed_in::SignedIn;

/// The project of [`TestDescope`].
pub const TEST_PROJECT_ID: &str = "P2testkit000000000000000000000";

/// A handle that trusts the test kit's key, and what it needs around it. See the [module](self).
#[derive(Clone)]
pub struct TestDescope {
    descope: Descope,
    clock: Arc<ManualClock>,
    upstream: Arc<Upstream>,
}

impl TestDescope {
    /// A handle with the defaults of [`DescopeBuilder`]. Its clock shows the present second, and stands still.
    pub fn new() -> Self {
        match Self::with(|builder| builder) {
            Ok(test) => test,
            Err(error) => unreachable!("the defaults are allowed: {error}"),
        }
    }

    /// A handle with options of your own, such as the cookies that your app uses. What concerns keys, signature
    /// algorithms, the clock, the base URL and the transport is the test kit's.
    ///
    /// ```
    /// use tower_descope::testing::TestDescope;
    ///
    /// # fn main() -> Result<(), tower_descope::ConfigError> {
    /// let test = TestDescope::with(|builder| builder.host_cookies())?;
    /// let cookies = test.user("ann").cookies();
    /// assert!(cookies.to_str().unwrap().starts_with("__Host-DS="));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DescopeBuilder::build`].
    pub fn with(
        configure: impl FnOnce(DescopeBuilder) -> DescopeBuilder,
    ) -> Result<Self, ConfigError> {
        if !cfg!(debug_assertions) {
            tracing::warn!(
                "a test handle was made in a release build: whoever reads this crate can sign in to what it protects"
            );
        }
        let now = SystemClock::new().unix().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let clock = Arc::new(ManualClock::at_unix_seconds(now));
        let upstream = Arc::new(Upstream::new(clock.clone()));
        let descope = configure(Descope::builder(TEST_PROJECT_ID))
            .base_url("http://127.0.0.1:1")
            .clock(clock.clone())
            .transport(upstream.clone())
            .of_test_kit()
            .build()?;
        Ok(Self {
            descope,
            clock,
            upstream,
        })
    }

    /// The handle to build the app with.
    pub fn descope(&self) -> &Descope {
        &self.descope
    }

    /// A user with this id, who is signed in and has neither roles nor tenants.
    pub fn user(&self, id: impl Into<String>) -> TestUser {
        TestUser::new(self.clone(), id.into())
    }

    /// A GET without credentials. For forms of a browser in which nobody is signed in see [`SignedIn::nobody`].
    ///
    /// # Panics
    ///
    /// If `uri` is none.
    pub fn nobody(&self, uri: &str) -> Request<String> {
        signed_in::get(uri)
    }

    /// Lets time pass for the handle. Sessions live for ten minutes, and can be renewed for four weeks.
    pub fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// From now on Descope cannot be reached. Sessions that are good go on; those that have expired get 503.
    pub fn down(&self) {
        self.upstream.set_down(true);
    }

    /// Descope can be reached again. A renewal that has failed several times is tried again only after a pause, as in
    /// production; [`advance`](Self::advance) by a minute to be past it.
    pub fn up(&self) {
        self.upstream.set_down(false);
    }

    fn unix(&self) -> i64 {
        i64::try_from(self.clock.unix().as_secs()).unwrap_or(i64::MAX)
    }
}

impl Default for TestDescope {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestDescope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDescope")
            .field("descope", &self.descope)
            .finish_non_exhaustive()
    }
}
