//! What the client traces. Alone in its process: tracing asks a callsite once for everybody whether it is of interest,
//! and tests beside this one would answer no.

use std::sync::{Arc, Mutex};

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
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // Of this thread, which is also where the runtime of this test runs its tasks.
    let guard = tracing::subscriber::set_default(subscriber);
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
    drop(guard);

    let traced = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(
        traced.contains("path=\"/v1/auth/refresh\" status=401"),
        "{traced}"
    );
    for secret in [TOKEN, CODE, ADDRESS, "a.b.c", "d.e.f"] {
        assert!(!traced.contains(secret), "{traced}");
    }
}
