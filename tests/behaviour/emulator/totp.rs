//! Authenticator apps. Codes are computed here from RFC 4226 and RFC 6238, not by the crate that the emulator
//! uses.

use std::sync::Arc;

use aws_lc_rs::hmac;
use serde_json::json;
use tower_descope::clock::ManualClock;
use tower_descope::emulator::Emulator;

use super::support::{Api, claims, scan};

const ANN: &str = "ann@example.com";

fn base32(text: &str) -> Vec<u8> {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'2'..=b'7' => c - b'2' + 26,
            _ => panic!("not base32: {text}"),
        };
        bits = bits << 5 | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn hotp(key: &[u8], counter: u64, digits: u32) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mac = hmac::sign(&key, &counter.to_be_bytes());
    let mac = mac.as_ref();
    let offset = usize::from(mac[19] & 0xf);
    let number = u32::from_be_bytes(mac[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!(
        "{:0width$}",
        number % 10_u32.pow(digits),
        width = digits as usize
    )
}

fn code_at(key: &str, time: i64) -> String {
    hotp(&base32(key), time as u64 / 30, 6)
}

async fn verify(api: &Api, code: &str) -> super::support::Reply {
    api.post(
        "/v1/auth/totp/verify",
        "",
        json!({"loginId": ANN, "code": code}),
    )
    .await
}

#[test]
fn the_tests_own_codes_follow_the_rfcs() {
    let key = b"12345678901234567890";
    assert_eq!(hotp(key, 0, 6), "755224");
    assert_eq!(hotp(key, 59 / 30, 8), "94287082");
    assert_eq!(hotp(key, 20_000_000_000 / 30, 8), "65353130");
}

#[tokio::test]
async fn the_image_is_the_uri_and_the_uri_holds_the_key() {
    let api = Api::start().await;
    for login_id in [ANN, "+15555550100", "Ann & Bob: 50%", "änn"] {
        let reply = api
            .post("/v1/auth/totp/signup", "", json!({"loginId": login_id}))
            .await
            .ok();
        let uri = reply["provisioningURL"].as_str().unwrap();
        let key = reply["key"].as_str().unwrap();
        assert_eq!(scan(reply["image"].as_str().unwrap()), uri);
        assert!(uri.starts_with("otpauth://totp/"), "{uri}");
        assert!(uri.contains(&format!("secret={key}&")), "{uri}");
        assert_eq!(base32(key).len(), 20, "160 bits");
    }
}

#[tokio::test]
async fn a_code_is_accepted_once_and_one_step_off() {
    let clock = Arc::new(ManualClock::at_unix_seconds(1_800_000_000));
    let api = Api::over(Emulator::builder().clock(clock).start().await.unwrap());
    let reply = api
        .post("/v1/auth/totp/signup", "", json!({"loginId": ANN}))
        .await
        .ok();
    let key = reply["key"].as_str().unwrap();
    let now = api.advance_clock(0);

    assert!(
        !verify(&api, &code_at(key, now - 60))
            .await
            .status
            .is_success()
    );
    assert!(
        !verify(&api, &code_at(key, now + 60))
            .await
            .status
            .is_success()
    );
    let first = verify(&api, &code_at(key, now - 30)).await.ok();
    assert_eq!(first["firstSeen"], true);
    assert_eq!(first["user"]["TOTP"], true);
    assert_eq!(
        claims(first["sessionJwt"].as_str().unwrap())["amr"],
        json!(["totp"])
    );
    let replayed = verify(&api, &code_at(key, now - 30)).await;
    assert_eq!(replayed.refusal(), (400, "E061102"));
    verify(&api, &code_at(key, now + 30)).await.ok();
    // Older than the one accepted last.
    assert!(!verify(&api, &code_at(key, now)).await.status.is_success());
}

/// The lesson of AuthQuake: tries are counted per user, whatever session they come from.
#[tokio::test]
async fn guesses_are_limited_per_step() {
    let clock = Arc::new(ManualClock::at_unix_seconds(1_800_000_000));
    let api = Api::over(Emulator::builder().clock(clock).start().await.unwrap());
    let reply = api
        .post("/v1/auth/totp/signup", "", json!({"loginId": ANN}))
        .await
        .ok();
    let key = reply["key"].as_str().unwrap();
    for _ in 0..5 {
        assert_eq!(verify(&api, "x").await.refusal(), (400, "E061102"));
    }
    let code = code_at(key, api.advance_clock(0));
    assert_eq!(verify(&api, &code).await.refusal(), (400, "E061103"));
    let code = code_at(key, api.advance_clock(30));
    verify(&api, &code).await.ok();
}

#[tokio::test]
async fn a_second_factor_raises_the_session() {
    let api = Api::start().await;
    let tokens = api.sign_in(ANN).await;
    let reply = api
        .post(
            "/v1/auth/totp/update",
            &tokens.refresh,
            json!({"loginId": ANN}),
        )
        .await
        .ok();
    let code = code_at(reply["key"].as_str().unwrap(), api.advance_clock(0));
    let body = json!({"loginId": ANN, "code": code, "loginOptions": {"mfa": true, "stepup": true}});
    let refused = api.post("/v1/auth/totp/verify", "", body.clone()).await;
    assert_eq!(refused.refusal().0, 401);
    let reply = api
        .post("/v1/auth/totp/verify", &tokens.refresh, body)
        .await
        .ok();
    let session = claims(reply["sessionJwt"].as_str().unwrap());
    assert_eq!(session["amr"], json!(["email", "totp", "mfa"]));
    assert_eq!(session["su"], true);
}
