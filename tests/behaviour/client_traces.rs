//! What the client traces.

use crate::support::log::Log;
use crate::support::upstream::{Upstream, http};
use tower_descope::client::{Client, RefreshToken};
use tower_descope::wire::{DeliveryMethod, OtpVerifyRequest};

const TOKEN: &str = "c2VjcmV0.dG9rZW4.c2ln";
const CODE: &str = "271828";
const ADDRESS: &str = "jane@example.com";
const TOKENS: &[u8] = br#"{"sessionJwt":"a.b.c","refreshJwt":"d.e.f"}"#;

/// Everything that any crate below traces during a good and a bad call.
#[tokio::test]
async fn req_46_traces_show_no_secret() {
    let log = Log::of_level(tracing::Level::TRACE);
    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
        let status = if peer.number == 0 { "200 OK" } else { "401 No" };
        peer.write(&http(status, &["connection: close"], TOKENS))
            .await;
    })
    .await;
    let client = Client::builder("P2abc".parse().unwrap())
        .base_url(upstream.url().parse().unwrap())
        .build()
        .unwrap();
    let request = OtpVerifyRequest::new(ADDRESS, CODE);
    let verified = client.otp().verify(DeliveryMethod::Email, &request);
    verified.await.unwrap();
    let token = RefreshToken::new(TOKEN).unwrap();
    client.session().refresh(&token).await.unwrap_err();
    let traced = log.text();
    assert!(
        traced.contains("path=\"/v1/auth/refresh\" status=401"),
        "{traced}"
    );
    for secret in [TOKEN, CODE, ADDRESS, "a.b.c", "d.e.f"] {
        assert!(!traced.contains(secret), "{traced}");
    }
}
