//! The control API and the pages.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Api, Reply, client};

async fn control(api: &Api, method: Method, path: &str, body: Value) -> Reply {
    let path = format!("/emulator/v1{path}");
    api.send(api.request(method, &path).body(body.to_string()))
        .await
}

#[tokio::test]
async fn settings_are_read_changed_and_set_back() {
    let api = Api::start().await;
    let read = |patch| control(&api, Method::PATCH, "/config", patch);
    let before = read(json!({})).await.ok();
    assert_eq!(before["refreshRotation"], false);
    assert_eq!(before["tokenDelivery"], "body");
    let after = read(json!({"refreshRotation": "reuse-interval", "latencyMs": 1}))
        .await
        .ok();
    assert_eq!(after["refreshRotation"], "reuse-interval");
    for wrong in [json!({"refreshRotatoin": true}), json!({"latencyMs": "1"})] {
        assert_eq!(read(wrong).await.refusal().0, 400);
    }
    control(&api, Method::POST, "/reset", json!({})).await.ok();
    assert_eq!(read(json!({})).await.ok(), before);
}

#[tokio::test]
async fn users_are_put_field_by_field() {
    let api = Api::start().await;
    let put = |body| control(&api, Method::PUT, "/users", body);
    let first = put(json!({
        "loginId": "ann", "name": "Ann", "verifiedEmail": true, "roleNames": ["editor"],
        "userTenants": [{"tenantId": "T1"}], "unknown": 1, "userId": "U-forged",
    }))
    .await
    .ok();
    assert!(first["userId"].as_str().unwrap().starts_with('U'));
    assert_ne!(first["userId"], "U-forged");
    assert_eq!(first["userTenants"][0]["tenantName"], "T1");
    assert!(first.get("unknown").is_none());
    let second = put(json!({"loginId": "ann", "email": "ann@example.com", "name": null}))
        .await
        .ok();
    assert_eq!(second["userId"], first["userId"]);
    assert_eq!(second["name"], "Ann");
    assert_eq!(second["email"], "ann@example.com");
    for wrong in [
        json!({}),
        json!({"loginId": 5}),
        json!({"loginId": ""}),
        json!({"loginId": "ann", "roleNames": "editor"}),
    ] {
        assert_eq!(put(wrong).await.refusal().0, 400);
    }
    let users = control(&api, Method::GET, "/users", json!({})).await.ok();
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_clock_moves_both_ways() {
    let api = Api::start().await;
    let clock = |seconds| {
        control(
            &api,
            Method::POST,
            "/clock",
            json!({"advanceSeconds": seconds}),
        )
    };
    let now = clock(0).await.ok()["now"].as_i64().unwrap();
    let back = clock(-3600).await.ok();
    assert_eq!(back["offsetSeconds"], -3600);
    assert!((back["now"].as_i64().unwrap() - (now - 3600)).abs() <= 2);
    assert_eq!(clock(3600).await.ok()["offsetSeconds"], 0);
}

#[tokio::test]
async fn calls_are_counted_per_path() {
    let api = Api::start().await;
    let tokens = api.sign_in("ann@example.com").await;
    api.refresh(&tokens.refresh).await.ok();
    api.send(
        api.request(Method::POST, "//v1/auth/refresh?dcs=t")
            .header("authorization", api.bearer(&tokens.refresh)),
    )
    .await
    .ok();
    let stats = control(&api, Method::GET, "/stats", json!({})).await.ok();
    assert_eq!(stats["calls"]["/v1/auth/refresh"], 2);
    assert_eq!(stats["calls"]["/v1/auth/otp/verify/email"], 1);
    assert_eq!(api.calls("/v1/auth/refresh"), 2);
    api.reset();
    assert!(api.stats().is_empty());
}

#[tokio::test]
async fn access_keys_and_key_rotation() {
    let api = Api::start().await;
    let body = json!({"name": "job", "roleNames": ["worker"], "userTenants": null});
    let key = control(&api, Method::POST, "/accesskeys", body).await.ok();
    let key = key["key"].as_str().unwrap();
    api.post("/v1/auth/accesskey/exchange", key, json!({}))
        .await
        .ok();
    let rotated = control(
        &api,
        Method::POST,
        "/keys/rotate",
        json!({"retireOld": true}),
    )
    .await
    .ok();
    let path = format!("/v2/keys/{}", api.project_id());
    let published = api.get(&path, "").await.ok();
    assert_eq!(published["keys"].as_array().unwrap().len(), 1);
    assert_eq!(published["keys"][0]["kid"], rotated["kid"]);
    assert!(rotated["kid"].as_str().unwrap().starts_with("SK"));
}

#[tokio::test]
async fn web_pages_of_others_stay_out() {
    let api = Api::start().await;
    let path = "/emulator/v1/messages";
    let from = |name: &'static str, value: &'static str| {
        api.send(api.request(Method::GET, path).header(name, value))
    };
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example:80"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
    ] {
        let refused = from(name, value).await;
        assert_eq!(refused.refusal().0, 403, "{name}: {value}");
        assert!(!refused.headers.contains_key("access-control-allow-origin"));
    }
    from("host", "localhost:1").await.ok();
    let preflight = api
        .request(Method::OPTIONS, path)
        .header("origin", api.base_url())
        .header("access-control-request-method", "GET");
    let refused = api.send(preflight).await;
    assert_eq!(refused.refusal().0, 405);
    assert!(!refused.headers.contains_key("access-control-allow-methods"));
}

#[tokio::test]
async fn mistakes_are_told() {
    let api = Api::start().await;
    let unknown = control(&api, Method::GET, "/nope", json!({})).await;
    assert_eq!(unknown.refusal().0, 404);
    let wrong_method = control(&api, Method::GET, "/reset", json!({})).await;
    assert_eq!(wrong_method.refusal().0, 405);
    for body in ["{", "[]", "1"] {
        let request = api.request(Method::POST, "/emulator/v1/clock").body(body);
        assert_eq!(api.send(request).await.refusal().0, 400);
    }
}

#[tokio::test]
async fn the_pages_need_nothing_from_elsewhere() {
    let api = Api::start().await;
    for path in [
        "/emulator",
        "/emulator/",
        "/emulator/whatsapp/abc",
        "/emulator/inbox.js",
        "/emulator/whatsapp.js",
        "/emulator/style.css",
    ] {
        let reply = client().get(api.url(path)).send().await.unwrap();
        assert!(reply.status().is_success(), "{path}");
        let policy = reply.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        let text = reply.text().await.unwrap();
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "{path}"
        );
        assert!(!text.contains("innerHTML"), "{path}");
    }
}
