//! One walk-through per use case: an app with the session layer and the mounted routes, the emulator behind it and a
//! browser in front of it.

use crate::support::live::{Browser, Live, claims, client, scan, totp_at};
use serde_json::{Value, json};
use tower_descope::ClientError;
use tower_descope::client::{NotpProvider, RefreshToken};
use tower_descope::wire::{
    DeliveryMethod, NotpSignInRequest, OtpSignInRequest, OtpSignUpRequest, OtpVerifyRequest,
    TotpVerifyRequest, UserProfile, UserTenant,
};

const ANN: &str = "ann@example.com";
const PHONE: &str = "+15555550123";
const CHANNELS: [(&str, &str); 5] = [
    ("email", ANN),
    ("sms", "+15555550101"),
    ("voice", "+15555550102"),
    ("whatsapp", "+15555550103"),
    ("im", "+15555550104"),
];

fn other_code(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

fn user(live: &Live, login_id: &str) -> UserProfile {
    let users = live.emulator.users();
    let has = |user: &UserProfile| user.login_ids.iter().any(|own| own == login_id);
    users.into_iter().find(has).expect("a user")
}

/// The browser is signed in by these factors, and the app knows it.
async fn assert_session(browser: &mut Browser, amr: Value) {
    assert!(browser.is_signed_in());
    assert_eq!(browser.claims()["amr"], amr);
    let me = browser.page("/api/me").await.ok();
    assert_eq!(me["id"], browser.claims()["sub"]);
}

#[tokio::test]
async fn sign_up_and_in_by_code_on_every_channel() {
    let live = Live::start().await;
    for (channel, address) in CHANNELS {
        let known = live.emulator.users().len();
        let mut browser = live.browser();
        let unknown = browser.otp("signin", channel, address).await;
        assert_eq!(unknown.refusal(), (400, "E062108"));

        let sent = browser.otp("signup", channel, address).await.ok();
        let (masked, verified) = match channel {
            "email" => ("maskedEmail", "verifiedEmail"),
            _ => ("maskedPhone", "verifiedPhone"),
        };
        let shown = sent[masked].as_str().unwrap();
        assert!(shown.contains('*') && shown != address, "{sent}");
        assert_eq!(live.emulator.messages(address)[0].channel, channel);
        assert_eq!(live.emulator.users().len(), known, "not before the code");
        let reply = browser.verify(channel, address, &live.code(address)).await;
        let reply = reply.ok();
        assert_eq!(reply["firstSeen"], true);
        assert_eq!(reply["user"][verified], true);
        assert_eq!(reply["user"]["loginIds"], json!([address]));
        assert_session(&mut browser, json!([channel])).await;

        let again = live.browser().otp("signup", channel, address).await;
        assert_eq!(again.refusal(), (400, "E062107"));
        for call in ["signin", "signup-in"] {
            let mut browser = live.browser();
            browser.otp(call, channel, address).await.ok();
            let reply = browser.verify(channel, address, &live.code(address)).await;
            assert_eq!(reply.ok()["firstSeen"], false);
            assert_session(&mut browser, json!([channel])).await;
        }
        assert_eq!(live.emulator.users().len(), known + 1);
    }
}

#[tokio::test]
async fn signing_in_may_sign_up() {
    let live = Live::start().await;
    for (channel, address) in CHANNELS {
        let mut browser = live.browser();
        browser.otp("signup-in", channel, address).await.ok();
        let reply = browser.verify(channel, address, &live.code(address)).await;
        assert_eq!(reply.ok()["firstSeen"], true);
        assert_session(&mut browser, json!([channel])).await;
    }
}

#[tokio::test]
async fn refused_codes_change_nobody() {
    let live = Live::start().await;
    for (channel, address) in CHANNELS {
        let users = live.emulator.users();
        let mut browser = live.browser();
        browser.otp("signup", channel, address).await.ok();
        let first = live.code(address);

        let wrong = browser.verify(channel, address, other_code(&first)).await;
        assert_eq!(wrong.refusal(), (400, "E061102"));
        let elsewhere = if channel == "sms" { "voice" } else { "sms" };
        let crossed = browser.verify(elsewhere, address, &first).await;
        assert_eq!(crossed.refusal(), (400, "E061102"));

        let mut code = first.clone();
        while code == first {
            browser.otp("signup", channel, address).await.ok();
            code = live.code(address);
        }
        let superseded = browser.verify(channel, address, &first).await;
        assert_eq!(superseded.refusal(), (400, "E061102"));

        live.advance(180);
        let expired = browser.verify(channel, address, &code).await;
        assert_eq!(expired.refusal(), (400, "E061104"));

        browser.otp("signup", channel, address).await.ok();
        let code = live.code(address);
        for _ in 0..5 {
            let wrong = browser.verify(channel, address, other_code(&code)).await;
            assert_eq!(wrong.refusal(), (400, "E061102"));
        }
        let worn_out = browser.verify(channel, address, &code).await;
        assert_eq!(worn_out.refusal(), (400, "E061103"));

        assert!(!browser.is_signed_in());
        assert_eq!(browser.page("/api/me").await.status, 401);
        assert_eq!(live.emulator.users(), users);

        browser.otp("signup", channel, address).await.ok();
        let code = live.code(address);
        browser.verify(channel, address, &code).await.ok();
        let spent = browser.verify(channel, address, &code).await;
        assert_eq!(spent.refusal(), (400, "E061102"));
    }
}

/// A new user with an authenticator app; answers the key.
async fn totp_sign_up(live: &Live, browser: &mut Browser, login_id: &str) -> String {
    let body = json!({"loginId": login_id, "user": {"name": "Ann"}});
    let shown = browser.post("/v1/auth/totp/signup", body).await.ok();
    let key = shown["key"].as_str().unwrap().to_owned();
    let uri = shown["provisioningURL"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/") && uri.contains(&key));
    assert_eq!(scan(&shown["image"]), uri);
    assert!(live.emulator.users().is_empty(), "not before the code");
    key
}

#[tokio::test]
async fn sign_up_and_in_with_an_authenticator_app() {
    let live = Live::start().await;
    let mut browser = live.browser();
    let unknown = browser.totp(ANN, "123456").await;
    assert_eq!(unknown.refusal(), (400, "E062108"));
    let key = totp_sign_up(&live, &mut browser, ANN).await;
    let code = totp_at(&key, live.now());
    let wrong = browser.totp(ANN, other_code(&code)).await;
    assert_eq!(wrong.refusal(), (400, "E061102"));
    assert!(live.emulator.users().is_empty());

    let reply = browser.totp(ANN, &code).await.ok();
    assert_eq!(reply["firstSeen"], true);
    assert_eq!(reply["user"]["TOTP"], true);
    assert_eq!(reply["user"]["name"], "Ann");
    assert_session(&mut browser, json!(["totp"])).await;

    let users = live.emulator.users();
    let mut other = live.browser();
    let replayed = other.totp(ANN, &code).await;
    assert_eq!(replayed.refusal(), (400, "E061102"));
    assert_eq!(live.emulator.users(), users);
    let again = json!({"loginId": ANN});
    let again = other.post("/v1/auth/totp/signup", again).await;
    assert_eq!(again.refusal(), (400, "E062107"));

    live.advance(30);
    let code = totp_at(&key, live.now());
    assert_eq!(other.totp(ANN, &code).await.ok()["firstSeen"], false);
    assert_session(&mut other, json!(["totp"])).await;

    live.advance(30);
    let code = totp_at(&key, live.now());
    for _ in 0..5 {
        let wrong = live.browser().totp(ANN, other_code(&code)).await;
        assert_eq!(wrong.refusal(), (400, "E061102"));
    }
    let worn_out = live.browser().totp(ANN, &code).await;
    assert_eq!(worn_out.refusal(), (400, "E061103"));
}

#[tokio::test]
async fn add_and_replace_an_authenticator_app() {
    let live = Live::start().await;
    let mut browser = live.signed_in(ANN).await;
    let new_key = async |browser: &mut Browser| {
        let body = json!({"loginId": ANN});
        let shown = browser.post("/v1/auth/totp/update", body).await.ok();
        assert_eq!(scan(&shown["image"]), shown["provisioningURL"]);
        shown["key"].as_str().unwrap().to_owned()
    };
    let first = new_key(&mut browser).await;
    assert!(!user(&live, ANN).totp, "not before the code");
    let code = totp_at(&first, live.now());
    assert_eq!(browser.totp(ANN, &code).await.ok()["user"]["TOTP"], true);

    live.advance(30);
    let second = new_key(&mut browser).await;
    let code = totp_at(&first, live.now());
    live.browser().totp(ANN, &code).await.ok();
    live.advance(30);
    let code = totp_at(&second, live.now());
    live.browser().totp(ANN, &code).await.ok();
    live.advance(30);
    let (old, new) = (totp_at(&first, live.now()), totp_at(&second, live.now()));
    assert_ne!(old, new);
    let replaced = live.browser().totp(ANN, &old).await;
    assert_eq!(replaced.refusal(), (400, "E061102"));
    live.browser().totp(ANN, &new).await.ok();

    let mut stranger = live.browser();
    let body = json!({"loginId": ANN});
    let refused = stranger.post("/v1/auth/totp/update", body.clone()).await;
    assert_eq!(refused.refusal(), (401, "E061005"));
    let mut stranger = live.signed_in("bob@example.com").await;
    let refused = stranger.post("/v1/auth/totp/update", body).await;
    assert_eq!(refused.refusal(), (401, "E061005"));
}

/// Opens the link and presses Send, as the page that plays WhatsApp does it.
async fn send_message(live: &Live, link: &str, from: &str) -> u16 {
    let page = client().get(link).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    assert!(html.contains("whatsapp.js") && html.contains("<form"));
    let code = link.rsplit('/').next().unwrap();
    assert_eq!(code.len(), 16);
    let path = format!("/emulator/v1/whatsapp/{code}");
    let (status, message) = live.upstream("GET", &path, "", "").await;
    assert_eq!(status, 200);
    let text = message["text"].as_str().unwrap();
    assert!(text.contains(code));
    let message = json!({"from": from, "text": text}).to_string();
    let sent = live.upstream("POST", "/emulator/v1/whatsapp", "", &message);
    sent.await.0
}

async fn notp(browser: &mut Browser, call: &str, body: Value) -> (String, String, Value) {
    let path = format!("/v1/auth/notp/whatsapp/{call}");
    let started = browser.post(&path, body).await.ok();
    let text = |name: &str| started[name].as_str().unwrap().to_owned();
    (text("pendingRef"), text("redirectUrl"), started)
}

#[tokio::test]
async fn sign_up_by_qr_code_and_message() {
    let live = Live::start().await;
    let mut browser = live.browser();
    let body = json!({"loginId": PHONE, "user": {"name": "Ann"}});
    let (pending_ref, link, started) = notp(&mut browser, "signup", body).await;
    assert!(pending_ref.len() >= 22, "128 bits");
    let scanned = scan(&started["image"]);
    assert_eq!(scanned, link);
    assert!(!scanned.contains(&pending_ref));

    let pending = browser.poll(&pending_ref).await;
    assert_eq!(pending.refusal(), (401, "E066103"));
    assert_eq!(send_message(&live, &scanned, "+15555550199").await, 403);
    let pending = browser.poll(&pending_ref).await;
    assert_eq!(pending.refusal(), (401, "E066103"));
    assert!(live.emulator.users().is_empty());

    assert_eq!(send_message(&live, &scanned, PHONE).await, 200);
    let reply = browser.poll(&pending_ref).await.ok();
    assert_eq!(reply["firstSeen"], true);
    assert_eq!(reply["user"]["verifiedPhone"], true);
    assert_session(&mut browser, json!(["whatsapp"])).await;
    let spent = live.browser().poll(&pending_ref).await;
    assert_eq!(spent.refusal(), (401, "E061005"));
    assert!(browser.is_signed_in());
}

#[tokio::test]
async fn sign_in_by_link_and_message() {
    let live = Live::start().await;
    for (call, first_seen) in [("signup-in", true), ("signup-in", false), ("signin", false)] {
        let mut browser = live.browser();
        let (pending_ref, link, _) = notp(&mut browser, call, json!({"loginId": ""})).await;
        let pending = browser.poll(&pending_ref).await;
        assert_eq!(pending.refusal(), (401, "E066103"));
        assert_eq!(send_message(&live, &link, PHONE).await, 200);
        let reply = browser.poll(&pending_ref).await.ok();
        assert_eq!(reply["firstSeen"], first_seen, "{call}");
        assert_eq!(reply["user"]["loginIds"], json!([PHONE]));
        assert_session(&mut browser, json!(["whatsapp"])).await;
    }
    let path = "/v1/auth/notp/whatsapp/signup";
    let again = live.browser().post(path, json!({"loginId": PHONE})).await;
    assert_eq!(again.refusal(), (400, "E062107"));
    let path = "/v1/auth/notp/whatsapp/signin";
    let body = json!({"loginId": "+15555550198"});
    let unknown = live.browser().post(path, body).await;
    assert_eq!(unknown.refusal(), (400, "E062108"));
    let foreign = live.browser().poll("nobodys").await;
    assert_eq!(foreign.refusal(), (401, "E061005"));
}

#[tokio::test]
async fn a_new_address_is_live_when_it_was_verified() {
    const NEW: &str = "new@example.com";
    let live = Live::start().await;
    let mut browser = live.signed_in(ANN).await;
    let body =
        json!({"loginId": ANN, "email": NEW, "addToLoginIDs": true, "onMergeUseExisting": true});
    let sent = browser.post("/v1/auth/otp/update/email", body.clone());
    assert!(sent.await.ok()["maskedEmail"].is_string());
    let code = live.code(NEW);
    let before = user(&live, ANN);
    assert_eq!(before.email, ANN);
    let wrong = browser.verify("email", ANN, other_code(&code)).await;
    assert_eq!(wrong.refusal(), (400, "E061102"));
    let sms = browser.verify("sms", ANN, &code).await;
    assert_eq!(sms.refusal(), (400, "E061102"));
    assert_eq!(user(&live, ANN), before);
    // The old address still signs in meanwhile.
    let mut other = live.signed_in(ANN).await;
    assert_session(&mut other, json!(["email"])).await;
    let unknown = other.otp("signin", "email", NEW).await;
    assert_eq!(unknown.refusal(), (400, "E062108"));

    let reply = browser.verify("email", ANN, &code).await.ok();
    assert_eq!(reply["user"]["email"], NEW);
    assert_eq!(reply["user"]["verifiedEmail"], true);
    assert_eq!(reply["user"]["loginIds"], json!([ANN, NEW]));
    assert_session(&mut browser, json!(["email"])).await;
    let mut third = live.signed_in(NEW).await;
    assert_session(&mut third, json!(["email"])).await;
    assert_eq!(live.emulator.users().len(), 1);

    let mut stranger = live.browser();
    let refused = stranger.post("/v1/auth/otp/update/email", body).await;
    assert_eq!(refused.refusal(), (401, "E061005"));
}

#[tokio::test]
async fn a_new_number_on_every_channel() {
    let live = Live::start().await;
    let mut browser = live.signed_in(ANN).await;
    for (channel, phone) in &CHANNELS[1..] {
        let body = json!({"loginId": ANN, "phone": phone});
        let path = format!("/v1/auth/otp/update/phone/{channel}");
        let sent = browser.post(&path, body).await.ok();
        assert!(sent["maskedPhone"].is_string());
        assert_ne!(user(&live, ANN).phone, *phone);
        let reply = browser.verify(channel, ANN, &live.code(phone)).await.ok();
        assert_eq!(reply["user"]["phone"], *phone);
        assert_eq!(reply["user"]["verifiedPhone"], true);
        assert_eq!(reply["user"]["loginIds"], json!([ANN]));
        assert_eq!(reply["user"]["email"], ANN);
    }
    let body = json!({"loginId": ANN, "phone": PHONE});
    let refused = browser.post("/v1/auth/otp/update/phone/email", body.clone());
    assert_eq!(refused.await.refusal(), (404, "not_found"));

    let (pending_ref, link, _) = notp(&mut browser, "update", body).await;
    assert_ne!(user(&live, ANN).phone, PHONE);
    assert_eq!(send_message(&live, &link, PHONE).await, 200);
    let reply = browser.poll(&pending_ref).await.ok();
    assert_eq!(reply["user"]["phone"], PHONE);
}

#[tokio::test]
async fn step_up_opens_what_asks_for_it() {
    let live = Live::start().await;
    let mut browser = live.signed_in(ANN).await;
    let refused = browser.page("/api/pay").await;
    assert_eq!(refused.status, 401);
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains(r#"error="insufficient_user_authentication""#));
    assert!(challenge.contains(r#"max_age="300""#));

    let body =
        json!({"loginId": ANN, "loginOptions": {"stepup": true, "customClaims": {"why": "pay"}}});
    let path = "/v1/auth/otp/signin/email";
    let stranger = live.browser().post(path, body.clone()).await;
    assert_eq!(stranger.refusal(), (401, "E061005"));
    let mut bob = live.signed_in("bob@example.com").await;
    assert_eq!(bob.post(path, body.clone()).await.status, 401);

    browser.post(path, body).await.ok();
    browser.verify("email", ANN, &live.code(ANN)).await.ok();
    assert_eq!(browser.claims()["su"], true);
    assert_eq!(browser.claims()["nsec"], json!({"why": "pay"}));
    assert_eq!(browser.page("/api/pay").await.text, "paid");
    // And not for long.
    live.advance(301);
    assert_eq!(browser.page("/api/pay").await.status, 401);
    assert_eq!(browser.page("/api/me").await.status, 200);
}

#[tokio::test]
async fn a_second_factor_is_added_to_the_session() {
    let live = Live::start().await;
    let mut browser = live.signed_in(ANN).await;
    let shown = browser.post("/v1/auth/totp/update", json!({"loginId": ANN}));
    let key = shown.await.ok()["key"].as_str().unwrap().to_owned();
    let code = totp_at(&key, live.now());
    let body = json!({"loginId": ANN, "code": code, "loginOptions": {"mfa": true}});
    let path = "/v1/auth/totp/verify";
    let stranger = live.browser().post(path, body.clone()).await;
    assert_eq!(stranger.refusal(), (401, "E061005"));
    browser.post(path, body).await.ok();
    assert_session(&mut browser, json!(["email", "totp", "mfa"])).await;
    // A renewal keeps the factors.
    live.advance(601);
    assert_session_after_renewal(&mut browser).await;
    assert_eq!(browser.claims()["amr"], json!(["email", "totp", "mfa"]));
}

async fn assert_session_after_renewal(browser: &mut Browser) {
    assert_eq!(browser.cookie("DS"), "", "the browser dropped it");
    assert_eq!(browser.page("/api/me").await.status, 200);
    assert!(browser.is_signed_in());
}

fn in_tenants(live: &Live) {
    let tenant = |id: &str, name: &str| {
        let mut tenant = UserTenant::default();
        tenant.tenant_id = id.to_owned();
        tenant.tenant_name = name.to_owned();
        tenant.role_names = vec![format!("{id}-admin")];
        tenant
    };
    live.emulator
        .put_user(ANN, |user| {
            user.user_tenants = vec![tenant("t1", "One"), tenant("t2", "Two")];
        })
        .unwrap();
}

#[tokio::test]
async fn a_selected_tenant_reaches_the_browser() {
    let live = Live::start().await;
    let mut browser = live.signed_in(ANN).await;
    in_tenants(&live);
    assert_eq!(browser.claims()["dct"], Value::Null);
    let path = "/v1/auth/tenant/select";
    let before = (browser.cookie("DS"), browser.cookie("DSR"));
    let foreign = browser.post(path, json!({"tenant": "t9"})).await;
    assert!((400..404).contains(&foreign.status), "{}", foreign.text);
    assert_eq!((browser.cookie("DS"), browser.cookie("DSR")), before);

    let reply = browser.post(path, json!({"tenant": "t2"})).await.ok();
    assert_eq!(reply["claims"]["dct"], "t2");
    assert_eq!(browser.claims()["dct"], "t2");
    assert_eq!(claims(&browser.cookie("DSR"))["dct"], "t2");
    // It outlives a renewal.
    live.advance(601);
    assert_session_after_renewal(&mut browser).await;
    assert_eq!(browser.claims()["dct"], "t2");
    let current = browser.post("/v1/auth/me/tenants", json!({"dct": true, "ids": null}));
    assert_eq!(current.await.ok()["tenants"][0]["id"], "t2");
}

#[tokio::test]
async fn what_the_user_can_read() {
    let live = Live::start().await;
    let mut browser = live.signed_in(ANN).await;
    in_tenants(&live);
    let me = browser.get("/v1/auth/me").await.ok();
    assert_eq!(me["userId"], browser.claims()["sub"]);
    assert_eq!(me["email"], ANN);
    let path = "/v1/auth/me/tenants";
    let tenants = browser.post(path, json!({"ids": ["t1", "t2", "t9"]})).await;
    let tenants = tenants.ok();
    let ids = |tenants: &Value| -> Vec<String> {
        let tenants = tenants["tenants"].as_array().unwrap().iter();
        tenants
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&tenants), ["t1", "t2"]);
    assert_eq!(tenants["tenants"][0]["name"], "One");
    live.advance(10);
    let mut other = live.signed_in(ANN).await;
    let history = other.get("/v1/auth/me/history").await.ok();
    let times: Vec<i64> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["loginTime"].as_i64().unwrap())
        .collect();
    assert_eq!(times.len(), 2);
    assert!(times.contains(&live.now()) && times.contains(&(live.now() - 10)));
    let validated = browser.post("/v1/auth/validate", json!({})).await.ok();
    assert_eq!(validated["sub"], me["userId"]);

    let mut stranger = live.browser();
    for path in ["/v1/auth/me", "/v1/auth/me/history"] {
        assert_eq!(stranger.get(path).await.refusal(), (401, "E061005"));
    }
    for path in ["/v1/auth/me/tenants", "/v1/auth/validate"] {
        let refused = stranger.post(path, json!({"dct": true})).await;
        assert_eq!(refused.refusal(), (401, "E061005"));
    }
}

#[tokio::test]
async fn a_session_that_has_run_out_is_renewed_once() {
    let live = Live::start().await;
    let mut browser = live.signed_in(ANN).await;
    let old = browser.cookie("DS");
    live.advance(601);
    assert_eq!(browser.cookie("DS"), "", "only DSR is left");
    let me = browser.page("/api/me").await;
    assert_eq!(me.status, 200);
    assert_eq!(me.headers["cache-control"], "private, no-store");
    assert_ne!(browser.cookie("DS"), old);
    assert_eq!(browser.page("/api/me").await.status, 200);
    assert_eq!(live.emulator.calls("/v1/auth/refresh"), 1);
    // What the SDK asks at page load shares the outcome's tokens, and brings its own.
    let reply = browser.post_text("/v1/auth/refresh", "").await.ok();
    assert_eq!(reply["claims"]["sub"], browser.claims()["sub"]);
}

#[tokio::test]
async fn after_logout_neither_token_works() {
    let live = Live::start().await;
    for path in ["/v1/auth/logout", "/v1/auth/logoutall"] {
        let mut browser = live.signed_in(ANN).await;
        let mut elsewhere = live.signed_in(ANN).await;
        let mut copy = browser.clone();
        let refresh_jwt = browser.cookie("DSR");
        assert_eq!(browser.post_text(path, "").await.ok(), json!({}));
        assert!(!browser.is_signed_in());
        assert_eq!(browser.page("/api/me").await.status, 401);

        assert_eq!(copy.page("/api/me").await.status, 401);
        let refused = copy.post("/v1/auth/refresh", json!({})).await;
        assert_eq!(refused.status, 401);
        let (status, error) = live
            .upstream("POST", "/v1/auth/refresh", &refresh_jwt, "")
            .await;
        assert_eq!((status, &error["errorCode"]), (401, &json!("E064001")));

        // A logout is one session's, logoutall's are all.
        let status = if path.ends_with("all") { 401 } else { 200 };
        assert_eq!(elsewhere.page("/api/me").await.status, status);
        assert_eq!(elsewhere.get("/v1/auth/me").await.status, status);
        let again = browser.post(path, json!({})).await;
        assert_eq!(again.ok(), json!({}));
        live.advance(1);
    }
}

#[tokio::test]
async fn a_session_jwt_is_no_refresh_jwt() {
    let live = Live::start().await;
    let browser = live.signed_in(ANN).await;
    let session_jwt = browser.cookie("DS");
    let mut forger = live.browser();
    forger.set_cookie("DSR", &session_jwt);
    let calls = [
        ("POST", "/v1/auth/refresh", json!({})),
        ("GET", "/v1/auth/me", Value::Null),
        ("GET", "/v1/auth/me/history", Value::Null),
        ("POST", "/v1/auth/me/tenants", json!({"dct": true})),
        ("POST", "/v1/auth/tenant/select", json!({"tenant": "t"})),
        ("POST", "/v1/auth/totp/update", json!({"loginId": ANN})),
    ];
    for (method, path, body) in calls {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let routed = forger.call(method, path, &body).await;
        assert_eq!(routed.refusal(), (401, "E061005"), "{path}");
        let (status, error) = live.upstream(method, path, &session_jwt, &body).await;
        assert_eq!((status, &error["errorCode"]), (401, &json!("E061005")));
    }
    // And the other way round.
    let mut forger = live.browser();
    forger.set_cookie("DS", &browser.cookie("DSR"));
    assert_eq!(forger.page("/api/me").await.status, 401);
}

#[tokio::test]
async fn bad_input_is_refused_in_both_places() {
    let live = Live::start().await;
    let users = live.emulator.users();
    let (empty, id) = ("{}", r#"{"loginId":"ann@example.com"}"#);
    // Path, body, the routes' answer, the emulator's status.
    let cases = [
        ("otp/signup/pigeon", id, (404, "not_found"), 404),
        ("otp/verify/pigeon", id, (404, "not_found"), 404),
        ("notp/imessage/signup", id, (404, "not_found"), 400),
        ("otp/signup/email", empty, (400, "E011003"), 400),
        (
            "otp/signin/sms",
            "{\"loginId\":null}",
            (400, "E011003"),
            400,
        ),
        (
            "otp/signup-in/im",
            "{\"loginId\":\" \"}",
            (400, "E011003"),
            400,
        ),
        ("otp/verify/email", id, (400, "E011003"), 400),
        ("totp/signup", empty, (400, "E011003"), 400),
        ("totp/verify", id, (400, "E011003"), 400),
        ("notp/pending-session", empty, (400, "E011003"), 400),
        ("tenant/select", "", (400, "E011001"), 401),
        ("otp/signup/email", "null", (400, "E011001"), 400),
        ("otp/signup/email", "[]", (400, "E011001"), 400),
        ("otp/signup/email", "{", (400, "E011001"), 400),
        ("otp/signup/email", "{\"loginId\":5}", (400, "E011001"), 400),
    ];
    for (path, body, routed, status) in cases {
        let path = format!("/v1/auth/{path}");
        let mut browser = live.browser();
        let answer = browser.post_text(&path, body).await;
        assert_eq!(answer.refusal(), routed, "{path} {body}");
        let (upstream, error) = live.upstream("POST", &path, "", body).await;
        assert_eq!(upstream, status, "{path} {body}");
        let code = error["errorCode"].as_str().unwrap();
        match routed.0 {
            // The routes know no such path; the emulator says what is wrong with it.
            404 => assert_eq!(code, "E011004"),
            _ if status == 401 => assert_eq!(code, "E061005"),
            _ => assert_eq!(code, routed.1, "{path} {body}"),
        }
    }
    assert_eq!(live.emulator.users(), users);
    assert!(live.emulator.inbox().is_empty());
}

#[tokio::test]
async fn what_sdks_send_besides_is_accepted() {
    let live = Live::start().await;
    let mut browser = live.browser();
    let options = json!({
        "stepup": false, "customClaims": null, "mfa": false, "templateOptions": null, "locale": null,
        "tenantId": null, "revokeOtherSessions": null, "ofTheFuture": {"a": [1]},
    });
    let body = json!({
        "loginId": ANN, "loginOptions": options, "user": null, "providerId": null, "ofTheFuture": 1,
    });
    for path in ["signup/email", "signup-in/email"] {
        let path = format!("/v1/auth/otp/{path}");
        browser.post(&path, body.clone()).await.ok();
    }
    let code = live.code(ANN);
    let body = json!({"loginId": ANN, "code": code, "loginOptions": null});
    browser.post("/v1/auth/otp/verify/email", body).await.ok();
    for text in ["", "{}", "{\"externalToken\":null}"] {
        browser.post_text("/v1/auth/refresh", text).await.ok();
        browser.post_text("/v1/auth/try-refresh", text).await.ok();
    }
    let body = "{\"dct\":null,\"ids\":null}";
    browser.post_text("/v1/auth/me/tenants", body).await.ok();
    let body = "{\"logoutType\":null}";
    browser.post_text("/v1/auth/logout", body).await.ok();
}

/// The same refusals once more, as the typed client reports them.
#[tokio::test]
async fn the_client_reports_what_the_routes_answer() {
    fn refusal<T>(result: Result<T, ClientError>) -> (u16, String) {
        let error = result.err().expect("a refusal");
        let status = error.status().expect("a status").as_u16();
        (status, error.code().unwrap_or_default().to_owned())
    }
    const EMAIL: DeliveryMethod = DeliveryMethod::Email;
    let live = Live::start().await;
    let client = live.descope.client();
    let (otp, totp, notp) = (client.otp(), client.totp(), client.notp());

    let sign_up = OtpSignUpRequest::new(ANN);
    let verify = async |code: &str| {
        let request = OtpVerifyRequest::new(ANN, code);
        client.otp().verify(EMAIL, &request).await
    };
    let unknown = otp.sign_in(EMAIL, &OtpSignInRequest::new(ANN), None).await;
    assert_eq!(refusal(unknown), (400, "E062108".to_owned()));
    otp.sign_up(EMAIL, &sign_up).await.unwrap();
    let code = live.code(ANN);
    for _ in 0..5 {
        let wrong = verify(other_code(&code)).await;
        assert_eq!(refusal(wrong), (400, "E061102".to_owned()));
    }
    assert_eq!(refusal(verify(&code).await), (400, "E061103".to_owned()));
    client.otp().sign_up(EMAIL, &sign_up).await.unwrap();
    live.advance(180);
    let expired = verify(&live.code(ANN)).await;
    assert_eq!(refusal(expired), (400, "E061104".to_owned()));
    let request = TotpVerifyRequest::new(ANN, "123456");
    let unknown = totp.verify(&request, None).await;
    assert_eq!(refusal(unknown), (400, "E062108".to_owned()));
    assert!(live.emulator.users().is_empty());

    client.otp().sign_up(EMAIL, &sign_up).await.unwrap();
    let tokens = verify(&live.code(ANN)).await.unwrap();
    let again = client.otp().sign_up(EMAIL, &sign_up).await;
    assert_eq!(refusal(again), (400, "E062107".to_owned()));
    let session_jwt = RefreshToken::new(tokens.session_jwt).unwrap();
    let refused = client.session().me(&session_jwt).await;
    assert_eq!(refusal(refused), (401, "E061005".to_owned()));

    let request = NotpSignInRequest::new("");
    let link = notp
        .sign_up_or_in(NotpProvider::Whatsapp, &request, None)
        .await;
    let link = link.unwrap();
    let pending = client.notp().pending_session(&link.pending_ref).await;
    assert_eq!(refusal(pending), (401, "E066103".to_owned()));
    let foreign = client.notp().pending_session("nobodys").await;
    assert_eq!(refusal(foreign), (401, "E061005".to_owned()));
}
