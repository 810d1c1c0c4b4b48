//! Sign-in by a message from the user's phone.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Api, claims, scan};

const PHONE: &str = "+15555550123";

async fn start(api: &Api, call: &str, jwt: &str, body: Value) -> Value {
    let path = format!("/v1/auth/notp/whatsapp/{call}");
    api.post(&path, jwt, body).await.ok()
}

async fn poll(api: &Api, started: &Value) -> super::support::Reply {
    let body = json!({"pendingRef": started["pendingRef"]});
    api.post("/v1/auth/notp/pending-session", "", body).await
}

#[tokio::test]
async fn the_qr_code_opens_the_message_and_sending_it_signs_in() {
    let api = Api::start().await;
    let started = start(&api, "signup", "", json!({"loginId": PHONE})).await;
    let link = started["redirectUrl"].as_str().unwrap();
    let pending_ref = started["pendingRef"].as_str().unwrap();
    assert_eq!(scan(started["image"].as_str().unwrap()), link);
    // Who sees the link cannot poll for the session.
    assert!(!link.contains(pending_ref));
    assert!(pending_ref.len() >= 22, "128 bits");
    assert_eq!(poll(&api, &started).await.refusal(), (401, "E066103"));

    let page = super::support::client().get(link).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("<form"));
    let code = link.rsplit('/').next().unwrap();
    assert_eq!(code.len(), 16);
    let path = format!("/emulator/v1/whatsapp/{code}");
    let message = api.get(&path, "").await.ok();
    assert_eq!(message["from"], PHONE);
    let body = json!({"from": message["from"], "text": message["text"]});
    let sent = api.request(Method::POST, "/emulator/v1/whatsapp");
    api.send(sent.body(body.to_string())).await.ok();

    let reply = poll(&api, &started).await.ok();
    assert_eq!(reply["user"]["verifiedPhone"], true);
    let session = claims(reply["sessionJwt"].as_str().unwrap());
    assert_eq!(session["amr"], json!(["whatsapp"]));
    // Once.
    assert_eq!(poll(&api, &started).await.refusal().0, 401);
}

#[tokio::test]
async fn a_flow_may_begin_without_knowing_who_it_is() {
    let api = Api::start().await;
    let started = start(&api, "signup-in", "", json!({"loginId": ""})).await;
    let pending_ref = started["pendingRef"].as_str().unwrap();
    assert!(api.complete_notp(pending_ref, None).is_err());
    api.complete_notp(pending_ref, Some(PHONE)).unwrap();
    let reply = poll(&api, &started).await.ok();
    assert_eq!(reply["user"]["loginIds"], json!([PHONE]));
}

#[tokio::test]
async fn an_update_waits_for_a_message_from_the_new_phone() {
    let api = Api::start().await;
    let tokens = api.sign_in("ann@example.com").await;
    let body = json!({"loginId": "ann@example.com", "phone": PHONE, "addToLoginIDs": true});
    let started = start(&api, "update", &tokens.refresh, body).await;
    let pending_ref = started["pendingRef"].as_str().unwrap();
    assert!(
        api.complete_notp(pending_ref, Some("+15555550199"))
            .is_err()
    );
    assert_eq!(api.users()[0].phone, "");
    api.complete_notp(pending_ref, None).unwrap();
    let user = &poll(&api, &started).await.ok()["user"];
    assert_eq!(user["phone"], PHONE);
    assert_eq!(user["loginIds"], json!(["ann@example.com", PHONE]));
}

#[tokio::test]
async fn only_whatsapp_is_a_provider() {
    let api = Api::start().await;
    let path = "/v1/auth/notp/imessage/signup";
    let refused = api.post(path, "", json!({"loginId": PHONE})).await;
    assert_eq!(refused.refusal(), (400, "E011004"));
}

#[tokio::test]
async fn unknown_and_expired_references_are_refused() {
    let api = Api::start().await;
    let unknown = json!({"pendingRef": "nope"});
    assert_eq!(poll(&api, &unknown).await.refusal(), (401, "E061005"));
    let started = start(&api, "signup", "", json!({"loginId": PHONE})).await;
    api.complete_notp(started["pendingRef"].as_str().unwrap(), None)
        .unwrap();
    api.advance_clock(600);
    assert_eq!(poll(&api, &started).await.refusal(), (401, "E061005"));
}
