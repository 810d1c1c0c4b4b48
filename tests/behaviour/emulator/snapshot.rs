//! What survives a restart.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tower_descope::emulator::{Emulator, EmulatorErrorKind, NewAccessKey};

use super::support::Api;

const ANN: &str = "ann@example.com";

fn file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("emulator-{name}.json"));
    let _ = fs::remove_file(&path);
    path
}

async fn start(path: &PathBuf) -> Api {
    let builder = Emulator::builder().snapshot_file(path);
    Api::over(builder.start().await.unwrap())
}

#[tokio::test]
async fn users_sessions_keys_and_access_keys_survive() {
    let path = file("restart");
    let api = start(&path).await;
    let tokens = api.sign_in(ANN).await;
    let gone = api.sign_in(ANN).await;
    api.post("/v1/auth/logout", &gone.refresh, json!({}))
        .await
        .ok();
    let access_key = api.create_access_key(NewAccessKey::new("job")).unwrap();
    let keys_path = format!("/v2/keys/{}", api.project_id());
    let keys = api.get(&keys_path, "").await.ok();
    api.into_emulator().shutdown().await.unwrap();

    let api = start(&path).await;
    assert_eq!(api.get(&keys_path, "").await.ok(), keys);
    assert_eq!(
        api.get("/v1/auth/me", &tokens.refresh).await.ok()["email"],
        ANN
    );
    api.refresh(&tokens.refresh).await.ok();
    assert_eq!(api.refresh(&gone.refresh).await.refusal(), (401, "E064001"));
    api.post("/v1/auth/accesskey/exchange", &access_key, json!({}))
        .await
        .ok();
    assert!(api.inbox().is_empty());
}

#[tokio::test]
async fn it_is_written_without_waiting_for_the_end() {
    let path = file("crash");
    let api = start(&path).await;
    api.sign_in(ANN).await;
    for _ in 0..100 {
        if fs::read_to_string(&path).unwrap().contains(ANN) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the sign-in was not written");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_the_file() {
    let path = file("mode");
    drop(start(&path).await.into_emulator());
    assert_eq!(mode(&path), 0o600);
}

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
fn make_readable_by_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
}

#[cfg(unix)]
fn beside(path: &std::path::Path) -> PathBuf {
    let beside = PathBuf::from(format!("{}.new", path.display()));
    let _ = fs::remove_file(&beside);
    beside
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_somebody_put_in_its_way_gives_nobody_the_private_keys() {
    let path = file("pre-created");
    let beside = beside(&path);
    fs::write(&beside, "put here by somebody else").unwrap();
    make_readable_by_all(&beside);
    // Whoever opened it before it was replaced reads on what they had.
    let opened = fs::File::open(&beside).unwrap();
    start(&path).await.into_emulator().shutdown().await.unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(
        std::io::read_to_string(opened).unwrap(),
        "put here by somebody else"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_somebody_put_in_its_way_overwrites_nothing() {
    let path = file("linked");
    let (beside, precious) = (beside(&path), file("precious"));
    fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, &beside).unwrap();
    start(&path).await.into_emulator().shutdown().await.unwrap();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert_eq!(mode(&path), 0o600);
}

#[cfg(unix)]
#[tokio::test]
async fn a_snapshot_that_others_could_read_is_closed_to_them_at_the_start() {
    let path = file("open");
    start(&path).await.into_emulator().shutdown().await.unwrap();
    make_readable_by_all(&path);
    let running = start(&path).await;
    assert_eq!(mode(&path), 0o600);
    drop(running);
}

#[tokio::test]
async fn a_file_of_something_else_is_an_error_and_stays_as_it_is() {
    let path = file("foreign");
    drop(start(&path).await.into_emulator());
    let other = Emulator::builder()
        .project_id("P2SomeOtherProject000000001")
        .snapshot_file(&path);
    assert_eq!(
        other.start().await.unwrap_err().kind(),
        EmulatorErrorKind::Snapshot
    );
    for content in ["", "{}", "not a snapshot"] {
        fs::write(&path, content).unwrap();
        let refused = Emulator::builder().snapshot_file(&path).start().await;
        assert_eq!(refused.unwrap_err().kind(), EmulatorErrorKind::Snapshot);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    let nowhere = Emulator::builder().snapshot_file("/nonexistent/dir/file");
    assert_eq!(
        nowhere.start().await.unwrap_err().kind(),
        EmulatorErrorKind::Snapshot
    );
}
