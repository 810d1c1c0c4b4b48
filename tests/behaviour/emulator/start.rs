//! Starting and stopping.

use std::net::SocketAddr;
use std::sync::{LazyLock, OnceLock};

use tokio::runtime::{self, Runtime};
use tower_descope::emulator::{DEVELOPMENT_PROJECT_ID, Emulator, EmulatorErrorKind};
use tower_descope::wire::{DeliveryMethod, OtpSignInRequest};

use super::support::{Api, client};

#[tokio::test]
async fn the_defaults_are_loopback_and_the_development_project() {
    let emulator = Emulator::builder().start().await.unwrap();
    assert!(emulator.addr().ip().is_loopback());
    assert_eq!(emulator.project_id(), DEVELOPMENT_PROJECT_ID);
    assert_eq!(DEVELOPMENT_PROJECT_ID.len(), 28);
    assert_eq!(
        emulator.base_url(),
        format!("http://127.0.0.1:{}", emulator.addr().port())
    );
    assert_eq!(
        emulator.inbox_url(),
        format!("{}/emulator", emulator.base_url())
    );
}

/// Security requirement 50: no bind beyond loopback without an explicit flag.
#[tokio::test]
async fn beyond_loopback_only_when_asked_for_by_name() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let refused = Emulator::builder().listen(everywhere).start().await;
    assert_eq!(refused.unwrap_err().kind(), EmulatorErrorKind::NotLoopback);

    let emulator = Emulator::builder()
        .listen(everywhere)
        .dangerous_listen_beyond_loopback()
        .start()
        .await
        .unwrap();
    assert!(emulator.base_url().starts_with("http://127.0.0.1:"));
    let api = Api::over(emulator);
    api.get(&format!("/v2/keys/{}", api.project_id()), "")
        .await
        .ok();
}

#[tokio::test]
async fn what_cannot_work_is_a_typed_error() {
    for id in ["", "P2:x", "P2/..", &"P".repeat(65)] {
        let refused = Emulator::builder().project_id(id).start().await;
        assert_eq!(
            refused.unwrap_err().kind(),
            EmulatorErrorKind::InvalidProjectId
        );
    }
    let first = Emulator::builder().start().await.unwrap();
    let second = Emulator::builder().listen(first.addr()).start().await;
    assert_eq!(second.unwrap_err().kind(), EmulatorErrorKind::Bind);
}

#[tokio::test]
async fn dropping_the_handle_stops_the_server_and_frees_the_port() {
    let emulator = Emulator::builder().start().await.unwrap();
    let addr = emulator.addr();
    let url = emulator.inbox_url();
    let http = client();
    assert!(http.get(&url).send().await.is_ok());
    drop(emulator);
    // The server's task ends at its next await; a kept connection ends with it.
    let mut again = Emulator::builder().listen(addr).start().await;
    for _ in 0..50 {
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        again = Emulator::builder().listen(addr).start().await;
    }
    again.unwrap().shutdown().await.unwrap();
    assert!(http.get(&url).send().await.is_err());
}

#[tokio::test]
async fn emulators_do_not_know_each_other() {
    let one = Api::start().await;
    let two = Api::start().await;
    let tokens = one.sign_in("ann@example.com").await;
    assert!(two.users().is_empty());
    assert_eq!(two.refresh(&tokens.refresh).await.status, 401);
}

/// Security requirement 46: secrets stay out of `Debug`.
#[tokio::test]
async fn debug_shows_no_secret() {
    let api = Api::start().await;
    let tokens = api.sign_in("ann@example.com").await;
    let code = api.last_code("ann@example.com").unwrap();
    let emulator = &*api;
    let shown = format!("{emulator:?} {:?}", emulator.inbox());
    for secret in [&*code, &tokens.refresh, "ann@example.com"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

fn runtime() -> Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn asks(emulator: &Emulator) -> u16 {
    let page = client().get(emulator.inbox_url()).send().await.unwrap();
    page.status().as_u16()
}

/// Each `#[tokio::test]` has a runtime of its own, and a static is started by the first one.
#[test]
fn a_static_emulator_outlives_the_runtime_that_started_it() {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    for _ in 0..2 {
        let runtime = runtime();
        let status = runtime.block_on(async {
            let emulator = match EMULATOR.get() {
                Some(emulator) => emulator,
                None => {
                    let emulator = Emulator::builder().start().await.unwrap();
                    EMULATOR.get_or_init(|| emulator)
                }
            };
            asks(emulator).await
        });
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn a_lazy_static_starts_it_inside_a_runtime_without_waiting() {
    static EMULATOR: LazyLock<Emulator> =
        LazyLock::new(|| Emulator::builder().start_blocking().unwrap());
    assert_eq!(asks(&EMULATOR).await, 200);
}

#[test]
fn it_may_be_dropped_inside_and_outside_a_runtime() {
    let runtime = runtime();
    drop(Emulator::builder().start_blocking().unwrap());
    drop(runtime.block_on(Emulator::builder().start()).unwrap());
    runtime.block_on(async {
        drop(Emulator::builder().start_blocking().unwrap());
        drop(Emulator::builder().start().await.unwrap());
        let here = Emulator::builder().on_this_runtime().start().await.unwrap();
        assert_eq!(asks(&here).await, 200);
    });
}

/// Calls with the handle's own deadline of 5 s, while the emulator answers after one.
async fn calls_in_virtual_time(emulator: &Emulator) {
    emulator.configure(|config| config.latency_ms = 1000);
    let start = tokio::time::Instant::now();
    for n in 0..5 {
        let descope = emulator.descope().build().unwrap();
        let request = OtpSignInRequest::new(format!("ann{n}@example.com"));
        let otp = descope.client().otp();
        otp.sign_up_or_in(DeliveryMethod::Email, &request, None)
            .await
            .unwrap();
    }
    assert!(start.elapsed() >= std::time::Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn calls_do_not_time_out_below_a_clock_that_was_paused_at_the_start() {
    let emulator = Emulator::builder().start().await.unwrap();
    calls_in_virtual_time(&emulator).await;
    emulator.shutdown().await.unwrap();
}

#[tokio::test]
async fn calls_do_not_time_out_below_a_clock_that_is_paused_later() {
    let builder = Emulator::builder().on_this_runtime();
    let emulator = builder.start().await.unwrap();
    tokio::time::pause();
    calls_in_virtual_time(&emulator).await;
}
