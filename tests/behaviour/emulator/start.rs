//! Starting and stopping.

use std::net::SocketAddr;

use tower_descope::emulator::{DEVELOPMENT_PROJECT_ID, Emulator, EmulatorErrorKind};

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

/// Requirement 50 of the crate's security list: no bind beyond loopback without an explicit flag.
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

/// Requirement 46: secrets stay out of `Debug`.
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
