//! An app and its tests: who may see a page, who may not, and what happens when a session has run out.
//!
//! `cargo run --example testing` sends a request for each case to the app, and prints and checks the answers. The tests
//! at the end of the file look closer; they are written as they would be in an app of your own, where `cargo test` runs
//! them. None of this needs an account, a network or the emulator: `TestDescope` is a real handle that trusts the
//! tokens of its test users. It needs the feature `testing`, which belongs among the dev-dependencies.

use axum::{Router, routing::get};
use http::Request;
use tower::ServiceExt;
use tower_descope::testing::TestDescope;
use tower_descope::{Descope, RequireLayer, User};

/// The app under test. In production it gets the handle of `Descope::from_env()`.
pub fn app(descope: &Descope) -> Router {
    Router::new()
        .route("/reports", get(reports))
        .route_layer(RequireLayer::new().role("auditor"))
        .layer(descope.session_layer())
}

async fn reports(user: User) -> String {
    format!("The reports for {}", user.id())
}

#[tokio::main]
async fn main() {
    checks().await;
}

/// One request for each case. The clock of the test kit stands still, and nothing goes over the network.
pub async fn checks() {
    let test = TestDescope::new();
    let app = app(test.descope());
    let ann = test.user("ann").role("auditor");
    let bob = test.user("bob");
    let expired = ann.clone().expired();

    show(&app, 200, "allowed", ann.get("/reports")).await;
    show(&app, 403, "forbidden", bob.get("/reports")).await;
    show(&app, 401, "not signed in", test.nobody("/reports")).await;
    show(&app, 401, "expired, API client", expired.get("/reports")).await;
    show(&app, 200, "renewed, browser", expired.browse("/reports")).await;
    test.down();
    show(&app, 200, "Descope is down", ann.get("/reports")).await;
    show(&app, 503, "… and expired", expired.browse("/reports")).await;
}

async fn show(app: &Router, expected: u16, case: &str, request: Request<String>) {
    let response = app.clone().oneshot(request).await.unwrap();
    println!("{case:20} {}", response.status());
    assert_eq!(response.status(), expected);
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::http::header::{RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
    use tower::ServiceExt;
    use tower_descope::testing::TestDescope;

    use super::app;

    #[tokio::test]
    async fn auditors_see_the_reports() {
        let test = TestDescope::new();
        let request = test.user("ann").role("auditor").get("/reports");
        let response = app(test.descope()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(body, "The reports for ann");
    }

    #[tokio::test]
    async fn others_do_not() {
        let test = TestDescope::new();
        let request = test.user("bob").role("editor").get("/reports");
        let response = app(test.descope()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 403);
    }

    #[tokio::test]
    async fn whoever_is_not_signed_in_is_asked_for_a_token() {
        let test = TestDescope::new();
        let request = test.nobody("/reports");
        let response = app(test.descope()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
    }

    /// The cookies of a browser hold a refresh JWT as well. The answer brings the new session JWT.
    #[tokio::test]
    async fn an_expired_session_is_renewed() {
        let test = TestDescope::new();
        let request = test.user("ann").role("auditor").expired();
        let response = app(test.descope())
            .oneshot(request.browse("/reports"))
            .await;
        let response = response.unwrap();
        assert_eq!(response.status(), 200);
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.starts_with("DS="));
    }

    /// Nobody is signed out by an outage: the answer is "later", and the cookies stay.
    #[tokio::test]
    async fn an_expired_session_survives_an_outage() {
        let test = TestDescope::new();
        let app = app(test.descope());
        let ann = test.user("ann").role("auditor").expired().sign_in();
        test.down();
        let response = app.clone().oneshot(ann.browse("/reports")).await.unwrap();
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key(RETRY_AFTER));
        assert!(!response.headers().contains_key(SET_COOKIE));

        test.up();
        test.advance(std::time::Duration::from_secs(60));
        let response = app.oneshot(ann.browse("/reports")).await.unwrap();
        assert_eq!(response.status(), 200);
    }
}
