//! What comes back from the mounted routes when upstream misbehaves.

use crate::support::mounted::{Browser, CODE, Fault, Upstream, bare, descope, error_body};
use serde_json::json;
use tower_descope::client::TransportErrorKind;

const SIGN_IN: &str = "/v1/auth/otp/signin/email";
const VERIFY: &str = "/v1/auth/otp/verify/email";

#[tokio::test]
async fn headers_of_upstream_stay_there() {
    let upstream = Upstream::new();
    let mut page = Browser::with_tokens(bare(&descope(&upstream)), upstream.tokens("U1"));
    let (_, other) = upstream.tokens("U2");
    for (path, body) in [
        (SIGN_IN, r#"{"maskedEmail":"j"}"#),
        ("/v1/auth/me/tenants", r#"{"tenants":[]}"#),
    ] {
        let headers = vec![
            ("set-cookie", format!("DSR={other}; Path=/")),
            ("set-cookie", "x=1".to_owned()),
            ("connection", "close".to_owned()),
            ("x-trace", "1".to_owned()),
            ("location", "https://evil.example".to_owned()),
        ];
        upstream.fault(path, Fault::Answer(200, headers, body.into()));
        let answer = page.post(path, json!({"loginId": "x"})).await;
        assert_eq!(answer.is_ok().text, body, "no token of the cookie either");
        let mut names: Vec<_> = answer.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["cache-control", "content-length", "content-type"]);
    }
}

// What `auth_faults` does over sockets, for more routes and without any.
#[tokio::test]
async fn faults_of_upstream() {
    tokio::time::pause();
    let answer = |status: u16, body: &str| Fault::Answer(status, Vec::new(), body.into());
    let with = |status, name, value: &str| {
        Fault::Answer(status, vec![(name, value.to_owned())], Vec::new())
    };
    let transport = Fault::Transport;
    for (name, fault, status, code, retry_after) in [
        (
            "refused",
            transport(TransportErrorKind::NotConnected),
            503,
            "unavailable",
            "5",
        ),
        (
            "rst",
            transport(TransportErrorKind::Interrupted),
            502,
            "upstream_invalid",
            "",
        ),
        (
            "huge",
            transport(TransportErrorKind::TooLarge),
            502,
            "upstream_invalid",
            "",
        ),
        ("never-ends", Fault::Hang, 504, "upstream_timeout", ""),
        (
            "500",
            answer(500, "<html>secret"),
            502,
            "upstream_invalid",
            "",
        ),
        (
            "500-json",
            answer(500, &error_body("E1")),
            502,
            "upstream_invalid",
            "",
        ),
        ("502", answer(502, ""), 502, "upstream_invalid", ""),
        (
            "503",
            with(503, "retry-after", "2"),
            503,
            "unavailable",
            "2",
        ),
        (
            "429-seconds",
            with(429, "retry-after", "7"),
            429,
            "E130429",
            "7",
        ),
        (
            "429-date",
            with(429, "retry-after", "Fri, 15 Jan 2027 08:00:30 GMT"),
            429,
            "E130429",
            "30",
        ),
        (
            "429-huge",
            with(429, "retry-after", "999999999"),
            429,
            "E130429",
            "3600",
        ),
        (
            "429-negative",
            with(429, "retry-after", "-1"),
            429,
            "E130429",
            "60",
        ),
        (
            "429-garbage",
            with(429, "retry-after", "soon"),
            429,
            "E130429",
            "60",
        ),
        (
            "401",
            answer(401, &error_body("E061102")),
            401,
            "E061102",
            "",
        ),
        (
            "403",
            answer(403, &error_body("E061103")),
            403,
            "E061103",
            "",
        ),
        (
            "404",
            answer(404, &error_body("E062108")),
            404,
            "E062108",
            "",
        ),
        (
            "400",
            answer(400, &error_body("E062107")),
            400,
            "E062107",
            "",
        ),
        (
            "401-bare",
            answer(401, "secret"),
            502,
            "upstream_invalid",
            "",
        ),
        (
            "302-evil",
            with(302, "location", "https://evil.example"),
            502,
            "upstream_invalid",
            "",
        ),
        (
            "307-file",
            with(307, "location", "file:///etc/passwd"),
            502,
            "upstream_invalid",
            "",
        ),
        (
            "garbage-json",
            answer(200, "not json, secret"),
            502,
            "upstream_invalid",
            "",
        ),
        (
            "truncated-json",
            answer(200, r#"{"maskedEmail":"#),
            502,
            "upstream_invalid",
            "",
        ),
        (
            "wrong-shape",
            answer(200, "[]"),
            502,
            "upstream_invalid",
            "",
        ),
        (
            "html-200",
            answer(200, "<html>secret</html>"),
            502,
            "upstream_invalid",
            "",
        ),
        ("empty-200", answer(200, ""), 502, "upstream_invalid", ""),
        ("204", answer(204, ""), 502, "upstream_invalid", ""),
        (
            "dup-keys",
            answer(200, r#"{"a":1,"a":2}"#),
            502,
            "upstream_invalid",
            "",
        ),
    ] {
        for path in [
            SIGN_IN,
            VERIFY,
            "/v1/auth/totp/verify",
            "/v1/auth/totp/signup",
        ] {
            let upstream = Upstream::new();
            let mut page = Browser::new(bare(&descope(&upstream)));
            upstream.fault(path, fault.clone());
            if name == "refused" {
                // Nothing was sent, so it is tried once more.
                upstream.fault(path, fault.clone());
            }
            let answer = page.post(path, json!({"loginId": "x", "code": CODE})).await;
            answer.is_error(status, code);
            let told = answer.headers.get("retry-after");
            let told = told.map_or("", |value| value.to_str().unwrap());
            assert_eq!(told, retry_after, "{name}");
            assert!(!answer.sets_cookies());
            assert_eq!(
                upstream.count(path),
                if name == "refused" { 2 } else { 1 },
                "{name}"
            );
            if code.starts_with('E') && status != 429 {
                assert_eq!(
                    answer.body,
                    json!({
                        "errorCode": code, "errorDescription": "described", "errorMessage": "explained",
                        "message": "explained",
                    }),
                    "Descope's own error, and nothing beside it"
                );
            }
        }
    }
    let upstream = Upstream::new();
    let mut page = Browser::new(bare(&descope(&upstream)));
    for wrong in [
        r#"{"sessionJwt":1}"#,
        r#"{"sessionJwt":{}}"#,
        "{}",
        r#"{"sessionJwt":null}"#,
    ] {
        upstream.answer(VERIFY, 200, wrong);
        page.post(VERIFY, json!({"loginId": "x", "code": CODE}))
            .await
            .is_error(502, "upstream_invalid");
    }
    for (path, broken) in [
        (SIGN_IN, r#"{"sessionJwt":1}"#),
        (SIGN_IN, r#"{"maskedEmail":1}"#),
        (SIGN_IN, r#"{"maskedEmail":"","verificationAttempts":3}"#),
        ("/v1/auth/otp/signup/sms", r#"{"maskedPhone":["+1"]}"#),
        (
            "/v1/auth/otp/signup-in/sms",
            r#"{"verificationAttempts":"x"}"#,
        ),
        ("/v1/auth/totp/signup", r#"{"key":1,"image":"x"}"#),
        ("/v1/auth/notp/whatsapp/signup", r#"{"pendingRef":1}"#),
        ("/v1/auth/totp/signup", "{}"),
        ("/v1/auth/notp/whatsapp/signup", r#"{"image":"x"}"#),
    ] {
        upstream.answer(path, 200, broken);
        page.post(path, json!({"loginId": "x"}))
            .await
            .is_error(502, "upstream_invalid");
    }
    // What the API's documentation says, though the API itself names the address.
    for blank in ["{}", r#"{"maskedEmail":null}"#] {
        upstream.answer(SIGN_IN, 200, blank);
        let answer = page.post(SIGN_IN, json!({"loginId": "x"})).await;
        assert_eq!(answer.is_ok().body, json!({}));
    }
}
