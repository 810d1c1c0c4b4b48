//! What each typed call sends, and what it makes of the answer.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use tower_descope::client::{
    AccessKey, Client, ClientErrorKind, NotpProvider, RefreshToken, SessionToken, Transport,
    TransportFuture,
};
use tower_descope::wire::*;

/// Answers every request with the same body and keeps the last request.
#[derive(Clone)]
struct Canned {
    body: Arc<str>,
    last: Arc<Mutex<Option<http::Request<Bytes>>>>,
}

impl Transport for Canned {
    fn send(&self, request: http::Request<Bytes>, _limit: usize) -> TransportFuture<'_> {
        *self.last.lock().unwrap() = Some(request);
        let body = Bytes::copy_from_slice(self.body.as_bytes());
        Box::pin(async { Ok(http::Response::new(body)) })
    }
}

impl Canned {
    fn new(body: &Value) -> (Self, Client) {
        let canned = Self {
            body: body.to_string().into(),
            last: Arc::default(),
        };
        let client = Client::builder("P2abc".parse().unwrap())
            .transport(canned.clone())
            .build()
            .unwrap();
        (canned, client)
    }

    fn expect(&self, method: &str, path: &str, bearer: &str, body: Value) {
        let request = self.last.lock().unwrap().take().expect("no request");
        assert_eq!(request.method(), method, "{path}");
        assert_eq!(request.uri().path(), path);
        assert_eq!(request.uri().query(), None);
        assert_eq!(request.headers()["authorization"], bearer, "{path}");
        let sent = if request.body().is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(request.body()).unwrap()
        };
        assert_eq!(sent, body, "{path}");
    }

    fn expect_nothing(&self) {
        assert!(self.last.lock().unwrap().is_none());
    }
}

const PLAIN: &str = "Bearer P2abc";
const WITH_TOKEN: &str = "Bearer P2abc:r.r.r";

fn token() -> RefreshToken {
    RefreshToken::new("r.r.r").unwrap()
}

fn tokens() -> Value {
    json!({"sessionJwt": "s.s.s", "refreshJwt": "n.n.n", "cookieMaxAge": 1e99, "user": null})
}

#[tokio::test]
async fn otp() {
    let (canned, client) = Canned::new(&json!({"maskedPhone": "+1***"}));
    let otp = client.otp();
    let sms = DeliveryMethod::Sms;

    let sent = otp
        .sign_up(sms, &OtpSignUpRequest::new("+1"))
        .await
        .unwrap();
    assert_eq!(sent.as_str(), "+1***");
    canned.expect(
        "POST",
        "/v1/auth/otp/signup/sms",
        PLAIN,
        json!({"loginId": "+1"}),
    );

    let mut sign_in = OtpSignInRequest::new("+1");
    otp.sign_in(sms, &sign_in, Some(&token())).await.unwrap();
    canned.expect(
        "POST",
        "/v1/auth/otp/signin/sms",
        PLAIN,
        json!({"loginId": "+1"}),
    );
    otp.sign_up_or_in(DeliveryMethod::Im, &sign_in, Some(&token()))
        .await
        .unwrap();
    canned.expect(
        "POST",
        "/v1/auth/otp/signup-in/im",
        PLAIN,
        json!({"loginId": "+1"}),
    );

    sign_in.login_options.stepup = true;
    otp.sign_in(sms, &sign_in, Some(&token())).await.unwrap();
    canned.expect(
        "POST",
        "/v1/auth/otp/signin/sms",
        WITH_TOKEN,
        json!({"loginId": "+1", "loginOptions": {"stepup": true}}),
    );
    otp.sign_up_or_in(sms, &sign_in, Some(&token()))
        .await
        .unwrap();
    canned.expect(
        "POST",
        "/v1/auth/otp/signup-in/sms",
        WITH_TOKEN,
        json!({"loginId": "+1", "loginOptions": {"stepup": true}}),
    );
    let error = otp.sign_up_or_in(sms, &sign_in, None).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::InvalidRequest);
    canned.expect_nothing();

    let request = OtpUpdateEmailRequest::new("+1", "a@b.c");
    otp.update_email(&request, &token()).await.unwrap();
    canned.expect(
        "POST",
        "/v1/auth/otp/update/email",
        WITH_TOKEN,
        json!({"loginId": "+1", "email": "a@b.c"}),
    );
    let request = OtpUpdatePhoneRequest::new("+1", "+2");
    otp.update_phone(DeliveryMethod::Voice, &request, &token())
        .await
        .unwrap();
    canned.expect(
        "POST",
        "/v1/auth/otp/update/phone/voice",
        WITH_TOKEN,
        json!({"loginId": "+1", "phone": "+2"}),
    );

    let (canned, client) = Canned::new(&tokens());
    let reply = client
        .otp()
        .verify(
            DeliveryMethod::Whatsapp,
            &OtpVerifyRequest::new("+1", "123456"),
        )
        .await
        .unwrap();
    assert_eq!(reply.session_jwt, "s.s.s");
    canned.expect(
        "POST",
        "/v1/auth/otp/verify/whatsapp",
        PLAIN,
        json!({"loginId": "+1", "code": "123456"}),
    );
}

#[tokio::test]
async fn totp() {
    let (canned, client) = Canned::new(&json!({"provisioningURL": "otpauth://x", "key": "K"}));
    let totp = client.totp();
    let enrolment = totp.sign_up(&TotpSignUpRequest::new("a")).await.unwrap();
    assert_eq!(enrolment.key, "K");
    canned.expect(
        "POST",
        "/v1/auth/totp/signup",
        PLAIN,
        json!({"loginId": "a"}),
    );
    totp.update(&TotpUpdateRequest::new("a"), &token())
        .await
        .unwrap();
    canned.expect(
        "POST",
        "/v1/auth/totp/update",
        WITH_TOKEN,
        json!({"loginId": "a"}),
    );

    let (canned, client) = Canned::new(&tokens());
    let mut request = TotpVerifyRequest::new("a", "1");
    client.totp().verify(&request, None).await.unwrap();
    canned.expect(
        "POST",
        "/v1/auth/totp/verify",
        PLAIN,
        json!({"loginId": "a", "code": "1"}),
    );
    request.login_options.mfa = true;
    client
        .totp()
        .verify(&request, Some(&token()))
        .await
        .unwrap();
    canned.expect(
        "POST",
        "/v1/auth/totp/verify",
        WITH_TOKEN,
        json!({"loginId": "a", "code": "1", "loginOptions": {"mfa": true}}),
    );
}

#[tokio::test]
async fn notp() {
    let (canned, client) = Canned::new(&json!({"pendingRef": "p", "redirectUrl": "u"}));
    let notp = client.notp();
    let provider = NotpProvider::Whatsapp;
    let link = notp
        .sign_up(provider, &NotpSignUpRequest::new(""))
        .await
        .unwrap();
    assert_eq!(link.pending_ref, "p");
    canned.expect(
        "POST",
        "/v1/auth/notp/whatsapp/signup",
        PLAIN,
        json!({"loginId": ""}),
    );
    let request = NotpSignInRequest::new("a");
    notp.sign_in(provider, &request, None).await.unwrap();
    canned.expect(
        "POST",
        "/v1/auth/notp/whatsapp/signin",
        PLAIN,
        json!({"loginId": "a"}),
    );
    notp.sign_up_or_in(provider, &request, Some(&token()))
        .await
        .unwrap();
    canned.expect(
        "POST",
        "/v1/auth/notp/whatsapp/signup-in",
        PLAIN,
        json!({"loginId": "a"}),
    );
    let mut raised = request;
    raised.login_options.mfa = true;
    notp.sign_up_or_in(provider, &raised, Some(&token()))
        .await
        .unwrap();
    canned.expect(
        "POST",
        "/v1/auth/notp/whatsapp/signup-in",
        WITH_TOKEN,
        json!({"loginId": "a", "loginOptions": {"mfa": true}}),
    );
    let error = notp.sign_up_or_in(provider, &raised, None).await;
    assert_eq!(error.unwrap_err().kind(), ClientErrorKind::InvalidRequest);
    canned.expect_nothing();
    notp.update(provider, &NotpUpdateRequest::new("a", "+1"), &token())
        .await
        .unwrap();
    canned.expect(
        "POST",
        "/v1/auth/notp/whatsapp/update",
        WITH_TOKEN,
        json!({"loginId": "a", "phone": "+1"}),
    );

    let (canned, client) = Canned::new(&tokens());
    client.notp().pending_session("p").await.unwrap();
    canned.expect(
        "POST",
        "/v1/auth/notp/pending-session",
        PLAIN,
        json!({"pendingRef": "p"}),
    );
}

#[tokio::test]
async fn sessions() {
    let (canned, client) = Canned::new(&tokens());
    let session = client.session();
    assert_eq!(
        session.refresh(&token()).await.unwrap().refresh_jwt,
        "n.n.n"
    );
    canned.expect("POST", "/v1/auth/refresh", WITH_TOKEN, json!({}));
    assert!(session.try_refresh(&token()).await.unwrap().is_some());
    canned.expect("POST", "/v1/auth/try-refresh", WITH_TOKEN, json!({}));
    session.logout(&token()).await.unwrap();
    canned.expect("POST", "/v1/auth/logout", WITH_TOKEN, json!({}));
    session.logout_all(&token()).await.unwrap();
    canned.expect("POST", "/v1/auth/logoutall", WITH_TOKEN, json!({}));
    let request = TenantSelectRequest::new("t1");
    session.select_tenant(&request, &token()).await.unwrap();
    canned.expect(
        "POST",
        "/v1/auth/tenant/select",
        WITH_TOKEN,
        json!({"tenant": "t1"}),
    );
    session
        .exchange_access_key(
            &AccessKey::new("K+/=").unwrap(),
            &AccessKeyLoginOptions::default(),
        )
        .await
        .unwrap();
    canned.expect(
        "POST",
        "/v1/auth/accesskey/exchange",
        "Bearer P2abc:K+/=",
        json!({}),
    );

    let (canned, client) = Canned::new(&json!({"userId": "U1", "TOTP": true, "new": 1}));
    let user = client.session().me(&token()).await.unwrap();
    assert!(user.totp && user.other.contains_key("new"));
    canned.expect("GET", "/v1/auth/me", WITH_TOKEN, Value::Null);

    let (canned, client) = Canned::new(&json!([{"userId": "U1", "loginTime": 5}]));
    assert_eq!(
        client.session().history(&token()).await.unwrap()[0].login_time,
        5
    );
    canned.expect("GET", "/v1/auth/me/history", WITH_TOKEN, Value::Null);

    let (canned, client) = Canned::new(&json!({"tenants": [{"id": "t1"}]}));
    let request = MyTenantsRequest::with_ids(["t1"]);
    let reply = client
        .session()
        .my_tenants(&request, &token())
        .await
        .unwrap();
    assert_eq!(reply.tenants[0].id, "t1");
    canned.expect(
        "POST",
        "/v1/auth/me/tenants",
        WITH_TOKEN,
        json!({"dct": false, "ids": ["t1"]}),
    );

    let (canned, client) = Canned::new(&json!({"sub": "U1", "exp": "2026-01-01T00:00:00Z"}));
    let session_token = SessionToken::new("s.s.s").unwrap();
    let claims = client.session().validate(&session_token).await.unwrap();
    assert_eq!(claims["sub"], "U1");
    canned.expect("POST", "/v1/auth/validate", "Bearer P2abc:s.s.s", json!({}));
}

#[tokio::test]
async fn answers_without_what_was_asked_for() {
    let (_, client) = Canned::new(&json!({}));
    let session = client.session();
    assert_eq!(session.try_refresh(&token()).await.unwrap(), None);
    session.logout(&token()).await.unwrap();
    let verify = OtpVerifyRequest::new("a", "1");
    let errors = [
        session.refresh(&token()).await.unwrap_err(),
        session.me(&token()).await.unwrap_err(),
        session.history(&token()).await.unwrap_err(),
        client
            .otp()
            .verify(DeliveryMethod::Sms, &verify)
            .await
            .unwrap_err(),
        client
            .totp()
            .sign_up(&TotpSignUpRequest::new("a"))
            .await
            .unwrap_err(),
        client.notp().pending_session("p").await.unwrap_err(),
        client
            .notp()
            .sign_up(NotpProvider::Whatsapp, &NotpSignUpRequest::new(""))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ClientErrorKind::Unavailable, "{error:?}");
    }
}

#[tokio::test]
async fn impossible_arguments_are_not_sent() {
    let (canned, client) = Canned::new(&json!({}));
    let mut otp_step_up = OtpSignInRequest::new("a");
    otp_step_up.login_options.stepup = true;
    let mut totp_mfa = TotpVerifyRequest::new("a", "1");
    totp_mfa.login_options.mfa = true;
    let mut notp_step_up = NotpSignInRequest::new("");
    notp_step_up.login_options.stepup = true;
    let update = OtpUpdatePhoneRequest::new("a", "+1");
    let no_code = OtpVerifyRequest::new("a", "");
    let neither = MyTenantsRequest::default();

    let (otp, notp, session) = (client.otp(), client.notp(), client.session());
    let sms = DeliveryMethod::Sms;
    let whatsapp = NotpProvider::Whatsapp;
    let errors = [
        otp.sign_in(sms, &otp_step_up, None).await.err(),
        client.totp().verify(&totp_mfa, None).await.err(),
        notp.sign_in(whatsapp, &notp_step_up, None).await.err(),
        otp.sign_up(sms, &OtpSignUpRequest::new(" ")).await.err(),
        otp.sign_in(sms, &OtpSignInRequest::default(), None)
            .await
            .err(),
        otp.update_phone(DeliveryMethod::Email, &update, &token())
            .await
            .err(),
        otp.verify(sms, &no_code).await.err(),
        notp.pending_session("").await.err(),
        session.my_tenants(&neither, &token()).await.err(),
    ];
    for error in errors {
        assert_eq!(error.unwrap().kind(), ClientErrorKind::InvalidRequest);
    }
    canned.expect_nothing();
}

/// Runs itself again in a process whose CA bundle does not exist.
#[test]
#[cfg(all(feature = "aws-lc", not(feature = "native-tls"), target_os = "linux"))]
fn a_machine_without_ca_certificates() {
    const MARK: &str = "TOWER_DESCOPE_TEST_NO_CA";
    if std::env::var_os(MARK).is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "client_calls::a_machine_without_ca_certificates"])
            .env(MARK, "1")
            .env("SSL_CERT_FILE", "/nonexistent")
            .env("SSL_CERT_DIR", "/nonexistent")
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    }
    let builder = || Client::builder("P2abc".parse().unwrap());
    let error = builder().build().unwrap_err();
    assert_eq!(error, tower_descope::client::BuildError::NoCaCertificates);
    assert!(error.to_string().contains("ca-certificates"));
    // An emulator needs no certificates.
    builder()
        .base_url("http://127.0.0.1:8099".parse().unwrap())
        .build()
        .unwrap();
}
