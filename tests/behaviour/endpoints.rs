//! The table of endpoints: what it lists is documented, and answers over HTTP through the mounted routes, the client and
//! the emulator.

use std::fmt::Write;

use crate::support::live::{self, Live, channels, fill};
use serde_json::{Value, json};
use tower_descope::client::AccessKey;
use tower_descope::emulator::NewAccessKey;
use tower_descope::routes::{ENDPOINTS, Endpoint};
use tower_descope::wire::AccessKeyLoginOptions;

/// The table in the documentation of the module `routes`.
fn table() -> String {
    let mut table = String::from(
        "| method | path below the prefix | what it does | call of [`Client`](crate::Client) | credential |\n\
         |---|---|---|---|---|\n",
    );
    for it in ENDPOINTS {
        let (method, path, summary) = (it.method, it.path, it.summary);
        let credential = it.credential.as_str();
        writeln!(
            table,
            "| {method} | `{path}` | {summary} | `{}` | {credential} |",
            it.call
        )
        .unwrap();
    }
    table
}

/// `TOWER_DESCOPE_WRITE_DOCS=1` writes it.
#[test]
fn the_documentation_lists_exactly_what_there_is() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes/endpoints.md");
    if std::env::var_os("TOWER_DESCOPE_WRITE_DOCS").is_some() {
        std::fs::write(file, table()).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap();
    assert_eq!(
        written,
        table(),
        "a call has changed; TOWER_DESCOPE_WRITE_DOCS=1 cargo test --test behaviour the_documentation_lists writes \
         the table again"
    );
}

/// Members that the answer has to have.
fn members(endpoint: &Endpoint, channel: &str) -> &'static [&'static str] {
    match endpoint.call {
        "otp().verify" | "totp().verify" | "notp().pending_session" => {
            &["user", "firstSeen", "sessionExpiration", "claims"]
        }
        "session().select_tenant" => &["sessionExpiration", "claims"],
        "session().refresh" | "session().try_refresh" => &[
            "firstSeen",
            "sessionExpiration",
            "cookieExpiration",
            "claims",
        ],
        call if call.starts_with("otp()") => match channel {
            "email" => &["maskedEmail"],
            _ => &["maskedPhone"],
        },
        call if call.starts_with("totp()") => &["provisioningURL", "image", "key"],
        call if call.starts_with("notp()") => &["pendingRef", "redirectUrl", "image"],
        "session().logout" | "session().logout_all" => &[],
        "session().me" => &["userId", "loginIds", "email", "userTenants", "status"],
        "session().my_tenants" => &["tenants"],
        "session().history" => &[],
        "session().validate" => &["sub", "exp", "iss", "drn"],
        call => panic!("what does {call} answer?"),
    }
}

#[tokio::test]
async fn every_endpoint_answers_through_the_mounted_routes() {
    let live = Live::start().await;
    for endpoint in ENDPOINTS {
        for channel in channels(endpoint.path) {
            let (mut browser, body) = live.ready(endpoint.path, channel).await;
            let path = fill(endpoint.path, channel);
            // Both renewals share one call of upstream with the session layer.
            let upstream = path.replace("try-refresh", "refresh");
            let before = live.emulator.calls(&upstream);
            let text = match endpoint.method {
                "GET" => String::new(),
                _ => body.to_string(),
            };
            live.advance(1);
            let answer = browser.call(endpoint.method, &path, &text).await;
            assert_eq!(answer.status, 200, "{endpoint:?} {}", answer.text);
            assert_eq!(live.emulator.calls(&upstream), before + 1, "{endpoint:?}");
            for member in members(endpoint, channel) {
                assert!(!answer.body[*member].is_null(), "{member}: {}", answer.text);
            }
            if endpoint.call == "session().history" {
                assert_eq!(answer.body[0]["loginTime"], live.now() - 1);
            }
            let cookies = answer.headers.get_all("set-cookie").iter().count();
            let is_logout = endpoint.path.contains("logout");
            assert_eq!(cookies > 0, endpoint.issues_tokens || is_logout);
            assert_eq!(
                browser.is_signed_in(),
                endpoint.issues_tokens || (cookies == 0 && browser_stays(endpoint)),
                "{endpoint:?}"
            );

            // Nothing else is mounted on that path.
            let other = if endpoint.method == "GET" {
                "POST"
            } else {
                "GET"
            };
            let refused = browser.call(other, &path, "").await;
            assert_eq!(refused.refusal(), (405, "method_not_allowed"));
            let allowed = refused.headers["allow"].to_str().unwrap();
            assert!(allowed.contains(endpoint.method));
        }
    }
}

/// Whether the call is made by somebody who is signed in.
fn browser_stays(endpoint: &Endpoint) -> bool {
    endpoint.call.starts_with("session()") || endpoint.call.contains("update")
}

/// Called by the client and served by the emulator, and deliberately not by the routes.
#[tokio::test]
async fn access_keys_and_the_key_set_are_not_mounted() {
    let live = Live::start().await;
    let key = live.emulator.create_access_key(NewAccessKey::new("ci"));
    let key = AccessKey::new(key.unwrap()).unwrap();
    let options = AccessKeyLoginOptions::default();
    let sessions = live.descope.client().session();
    let reply = sessions.exchange_access_key(&key, &options).await.unwrap();
    assert_eq!(live::claims(&reply.session_jwt)["sub"], reply.key_id);

    let keys = format!("/v2/keys/{}", live.emulator.project_id());
    let (status, set) = live.upstream("GET", &keys, "", "").await;
    assert_eq!((status, set["keys"][0]["kty"].as_str()), (200, Some("RSA")));

    let mut browser = live.browser();
    let refused = browser.post("/v1/auth/accesskey/exchange", json!({})).await;
    assert_eq!(refused.refusal(), (404, "not_found"));
    let refused = browser.get(&keys).await;
    assert_eq!(refused.refusal(), (404, "not_found"));
    assert_eq!(refused.body["keys"], Value::Null);
}
