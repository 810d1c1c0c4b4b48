//! What the library, the emulator and the HTTP stack log at the most talkative level during a whole sign-in: no
//! token, no code, no cookie. Security requirement 46.

use crate::support::log::Log;
use crate::support::world::{self, REFRESH, Reply, World};
use axum::Router;
use axum::body::Body;
use http::Request;
use http::header::{CONTENT_TYPE, COOKIE};
use serde_json::json;
use tower::ServiceExt;
use tower_descope::emulator::{Fault, RefreshRotation};

/// A browser that remembers everything it was ever given.
#[derive(Default)]
struct Browser {
    cookies: Vec<(String, String)>,
    secrets: Vec<String>,
}

impl Browser {
    async fn send(
        &mut self,
        app: &Router,
        method: &str,
        path: &str,
        body: serde_json::Value,
    ) -> Reply {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .header(COOKIE, cookies.join("; "))
            .body(Body::from(body.to_string()))
            .unwrap();
        let reply = Reply::read(app.clone().oneshot(request).await.unwrap()).await;
        for name in ["DS", "DSR"] {
            if let Some(value) = reply.cookie(name) {
                self.cookies.retain(|(known, _)| known != name);
                if !value.is_empty() {
                    self.secrets.push(value.clone());
                    self.cookies.push((name.to_owned(), value));
                }
            }
        }
        reply
    }
}

#[tokio::test]
async fn no_secret_is_logged() {
    let log = Log::of_everybody();
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let app = Router::new()
        .nest("/auth", world.descope.routes())
        .merge(world::app(&world.descope))
        .layer(world.descope.session_layer());
    let mut browser = Browser::default();
    let address = "ann@example.com";

    world.emulator.advance_clock(-3600);
    let sent = browser
        .send(
            &app,
            "POST",
            "/auth/v1/auth/otp/signup-in/email",
            json!({ "loginId": address }),
        )
        .await;
    assert_eq!(sent.status(), 200);
    let code = world.emulator.last_code(address).unwrap();
    let wrong = json!({ "loginId": address, "code": "999999x" });
    assert_eq!(
        browser
            .send(&app, "POST", "/auth/v1/auth/otp/verify/email", wrong)
            .await
            .status(),
        400
    );
    let right = json!({ "loginId": address, "code": code });
    assert_eq!(
        browser
            .send(&app, "POST", "/auth/v1/auth/otp/verify/email", right)
            .await
            .status(),
        200
    );
    world.emulator.advance_clock(3600);

    // A renewal that fails, one that works, a forged token, the profile, and the end.
    world.emulator.fault(Fault::garbage(REFRESH));
    assert_eq!(
        browser.send(&app, "GET", "/me", json!({})).await.status(),
        503
    );
    assert_eq!(
        browser.send(&app, "GET", "/me", json!({})).await.status(),
        200
    );
    let mut forged = browser.secrets.last().unwrap().clone();
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    assert_eq!(world.get_bearer("/me", &forged).await.status(), 401);
    assert_eq!(
        browser.send(&app, "GET", "/profile", json!({})).await.body,
        address
    );
    assert_eq!(
        browser
            .send(&app, "POST", "/auth/v1/auth/logout", json!({}))
            .await
            .status(),
        200
    );
    assert_eq!(
        browser.send(&app, "GET", "/me", json!({})).await.status(),
        401
    );

    let log = log.text();
    assert!(
        log.contains("tower_descope::client"),
        "nothing was logged:\n{log}"
    );
    assert!(browser.secrets.len() >= 3);
    let mut secrets = vec![code, "999999x".to_owned(), forged];
    for token in browser.secrets {
        // Neither the whole nor what would let somebody rebuild it.
        secrets.extend(token.split('.').skip(1).map(str::to_owned));
    }
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{secret} is in {line:?}");
    }
}
