//! What holds for every answer, whatever was asked.

use reqwest::Method;
use serde_json::json;

use super::support::Api;

#[tokio::test]
async fn every_answer_is_json() {
    let api = Api::start().await;
    for (method, path, status) in [
        (Method::GET, "/", 404),
        (Method::POST, "/v1/auth/nope", 404),
        (Method::POST, "/v1/auth/otp/signup/pigeon", 404),
        (Method::POST, "/v1/auth/otp/update/phone/email", 404),
        (Method::GET, "/v1/auth/otp/signup/email", 405),
        (Method::DELETE, "/v1/auth/me", 405),
        (Method::OPTIONS, "/v1/auth/me", 405),
        (Method::GET, "/v2/keys/P2SomeOtherProject0000000001", 404),
        (Method::GET, "/v2/keys/%ff", 404),
        (Method::POST, "/v1/auth/otp/signup/%ff", 404),
        (Method::GET, "/emulatorx", 404),
    ] {
        let request = api
            .request(method, path)
            .header("authorization", api.bearer(""));
        let reply = api.send(request).await;
        assert_eq!(reply.refusal().0, status, "{path}");
    }
}

#[tokio::test]
async fn the_license_is_what_sdks_expect() {
    let api = Api::start().await;
    let reply = api.get("/v1/mgmt/license", "K2managementKey").await.ok();
    assert_eq!(reply, json!({"rateLimitTier": "tier1"}));
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let api = Api::start().await;
    let body = json!({"loginId": "x".repeat(17 * 1024)});
    let refused = api.post("/v1/auth/otp/signup/email", "", body).await;
    assert_eq!(refused.refusal(), (413, "E011001"));
}

#[tokio::test]
async fn one_authorization_header_is_enough() {
    let api = Api::start().await;
    let request = api
        .request(Method::POST, "/v1/auth/try-refresh")
        .header("authorization", api.bearer(""))
        .header("authorization", api.bearer(""));
    assert_eq!(api.send(request).await.refusal().0, 401);
}

#[tokio::test]
async fn cross_origin_answers_name_the_origin_also_when_a_fault_happens() {
    let api = Api::start().await;
    api.fault(tower_descope::emulator::Fault::status("/v1", 500));
    for _ in 0..2 {
        let request = api
            .request(Method::GET, "/v1/auth/me")
            .header("origin", "http://localhost:3000");
        let reply = api.send(request).await;
        assert_eq!(
            reply.headers["access-control-allow-origin"],
            "http://localhost:3000"
        );
        assert_eq!(reply.headers["access-control-allow-credentials"], "true");
        assert_eq!(reply.headers["vary"], "origin");
        assert_eq!(reply.headers["cache-control"], "no-store");
    }
}

/// Whatever is sent: an answer in JSON, and never a server error.
#[tokio::test]
async fn no_input_breaks_a_handler() {
    let api = Api::start().await;
    let tokens = api.sign_in("ann@example.com").await;
    let long = format!(r#"{{"loginId":"{}"}}"#, "9".repeat(5_000));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies = [
        "",
        "{}",
        "null",
        r#"{"loginId":"ann@example.com","code":"\u0000","email":"x","phone":"+","tenant":"\ud83d\ude00"}"#,
        r#"{"loginId":"\u0000\r\n:","code":"999999999999999999999999","pendingRef":"../"}"#,
        r#"{"loginId":"ann@example.com","loginOptions":{"stepup":true,"mfa":true,"customClaims":{"":null}}}"#,
        r#"{"loginId":"ann@example.com","loginOptions":[],"user":1}"#,
        r#"{"loginId":"+","phone":"+","user":{"phone":null},"ids":[""],"dct":true}"#,
        "{\"loginId\":\"\u{202e}\u{0}\"}",
        &long,
        &deep,
    ];
    for path in [
        "otp/signup/email",
        "otp/signup/voice",
        "otp/signin/sms",
        "otp/signup-in/im",
        "otp/verify/email",
        "otp/update/email",
        "otp/update/phone/sms",
        "totp/signup",
        "totp/update",
        "totp/verify",
        "notp/whatsapp/signup",
        "notp/whatsapp/signin",
        "notp/whatsapp/signup-in",
        "notp/whatsapp/update",
        "notp/pending-session",
        "refresh",
        "try-refresh",
        "me/tenants",
        "tenant/select",
        "validate",
        "accesskey/exchange",
    ] {
        for body in bodies {
            for jwt in ["", "a.b.c", &tokens.refresh] {
                let request = api
                    .request(Method::POST, &format!("/v1/auth/{path}"))
                    .header("authorization", api.bearer(jwt))
                    .body(body.to_owned());
                let reply = api.send(request).await;
                assert!(reply.status.as_u16() < 500, "{path} {body}: {}", reply.json);
            }
        }
    }
}
