//! The table of endpoints: what the documentation lists is mounted, in the client and in the emulator, and answers
//! over HTTP.

use crate::support::live::{self, Live, channels, fill};
use serde_json::{Value, json};
use tower_descope::client::AccessKey;
use tower_descope::emulator::NewAccessKey;
use tower_descope::routes::{ENDPOINTS, Endpoint};
use tower_descope::wire::AccessKeyLoginOptions;

/// The rows of the table in the documentation of the module `routes`, without the blanks.
fn documented() -> Vec<[String; 4]> {
    include_str!("../../src/routes/mod.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .skip(1)
        .map(|line| {
            let cells: Vec<String> = line
                .trim_end_matches(" |")
                .split(" | ")
                .map(|cell| cell.trim_matches('`').to_owned())
                .collect();
            cells.try_into().expect("four columns")
        })
        .collect()
}

/// Where the emulator's own source has a handler of this name.
fn emulator_source(module: &str) -> &'static str {
    match module {
        "otp" => include_str!("../../src/emulator/api/otp.rs"),
        "totp" => include_str!("../../src/emulator/api/totp.rs"),
        "notp" => include_str!("../../src/emulator/api/notp.rs"),
        "session" => include_str!("../../src/emulator/api/session.rs"),
        _ => panic!("no such module: {module}"),
    }
}

fn client_source(group: &str) -> &'static str {
    match group {
        "otp" => include_str!("../../src/client/otp.rs"),
        "totp" => include_str!("../../src/client/totp.rs"),
        "notp" => include_str!("../../src/client/notp.rs"),
        "session" => include_str!("../../src/client/session.rs"),
        _ => panic!("no such group: {group}"),
    }
}

#[test]
fn the_documentation_lists_exactly_what_there_is() {
    let rows = documented();
    let (mounted, others): (Vec<_>, Vec<_>) = rows
        .iter()
        .partition(|row| !row[1].ends_with(", not mounted"));
    let table: Vec<_> = ENDPOINTS
        .iter()
        .map(|it| [it.method, it.path, it.call].map(str::to_owned))
        .collect();
    let listed: Vec<_> = mounted.iter().map(|row| row[..3].to_vec()).collect();
    assert_eq!(listed, table);
    let others: Vec<&str> = others.iter().map(|row| &*row[1]).collect();
    assert_eq!(
        others,
        [
            "/v1/auth/accesskey/exchange`, not mounted",
            "/v2/keys/{project_id}`, not mounted"
        ]
    );

    let router: String = include_str!("../../src/emulator/api/mod.rs")
        .split_whitespace()
        .collect();
    for [method, path, call, handler] in &rows {
        let path = path.trim_end_matches("`, not mounted");
        let handler = handler.strip_prefix("api::").unwrap();
        let served = format!(".route(\"{path}\",{}({handler})", method.to_lowercase());
        let served_too = format!(".route(\"{path}\",{}({handler}),)", method.to_lowercase());
        assert!(
            router.contains(&served) || router.contains(&served_too),
            "the emulator does not serve {path} by {handler}"
        );
        if let Some((module, function)) = handler.split_once("::") {
            let function = format!("async fn {function}(");
            assert!(emulator_source(module).contains(&function), "{handler}");
        }
        if let Some((group, function)) = call.split_once("().") {
            let function = format!("pub async fn {function}(");
            assert!(client_source(group).contains(&function), "{call}");
        }
    }
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
