//! Tokens and what they are good for.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use tower_descope::clock::ManualClock;
use tower_descope::emulator::{Emulator, NewAccessKey, RefreshRotation, TokenDelivery};

use super::support::{Api, Tokens, claims};

const ANN: &str = "ann@example.com";

async fn rotating(rotation: RefreshRotation) -> (Api, Tokens) {
    let api = Api::start().await;
    api.configure(|config| config.refresh_rotation = rotation);
    let tokens = api.sign_in(ANN).await;
    (api, tokens)
}

#[tokio::test]
async fn without_rotation_the_refresh_jwt_stays() {
    let (api, tokens) = rotating(RefreshRotation::None).await;
    for _ in 0..2 {
        let renewed: Tokens = api.refresh(&tokens.refresh).await.ok().into();
        assert_eq!(renewed.refresh, "");
        assert_ne!(renewed.session, tokens.session);
    }
}

#[tokio::test]
async fn single_use_kills_the_old_one_everywhere() {
    let (api, first) = rotating(RefreshRotation::SingleUse).await;
    let second: Tokens = api.refresh(&first.refresh).await.ok().into();
    for path in ["/v1/auth/refresh", "/v1/auth/logout"] {
        let refused = api.post(path, &first.refresh, json!({})).await;
        assert_eq!(refused.refusal(), (401, "E064001"));
    }
    assert_eq!(
        api.get("/v1/auth/me", &first.refresh).await.refusal().0,
        401
    );
    api.get("/v1/auth/me", &second.refresh).await.ok();
}

#[tokio::test]
async fn the_reuse_interval_covers_the_immediate_predecessor_only() {
    let (api, first) = rotating(RefreshRotation::ReuseInterval).await;
    let second: Tokens = api.refresh(&first.refresh).await.ok().into();
    api.advance_clock(10);
    let again: Tokens = api.refresh(&first.refresh).await.ok().into();
    assert_eq!(again.refresh, second.refresh, "the same successor");
    let third: Tokens = api.refresh(&second.refresh).await.ok().into();
    assert_ne!(third.refresh, second.refresh);
    // Two generations old: a replay that no honest race explains.
    assert_eq!(
        api.refresh(&first.refresh).await.refusal(),
        (401, "E064001")
    );
    api.advance_clock(11);
    assert_eq!(
        api.refresh(&second.refresh).await.refusal(),
        (401, "E064001")
    );
    api.refresh(&third.refresh).await.ok();
}

#[tokio::test]
async fn moving_the_clock_back_and_forth_kills_nothing() {
    let api = Api::start().await;
    let tokens = api.sign_in(ANN).await;
    for seconds in [-86_400, 2 * 86_400, -86_400] {
        api.advance_clock(seconds);
        api.refresh(&tokens.refresh).await.ok();
    }
    api.advance_clock(2_419_200);
    assert_eq!(
        api.refresh(&tokens.refresh).await.refusal(),
        (401, "E061005")
    );
}

#[tokio::test]
async fn a_session_jwt_never_outlives_its_session() {
    let api = Api::start().await;
    api.configure(|config| config.refresh_ttl_seconds = 60);
    let tokens = api.sign_in(ANN).await;
    let session = claims(&tokens.session);
    assert_eq!(session["exp"], claims(&tokens.refresh)["exp"]);
    assert_eq!(tokens.body["cookieMaxAge"], 60);
}

#[tokio::test]
async fn the_claims_are_those_of_descope() {
    let clock = Arc::new(ManualClock::at_unix_seconds(1_800_000_000));
    let api = Api::over(Emulator::builder().clock(clock).start().await.unwrap());
    let tokens = api.sign_in(ANN).await;
    let mut session = claims(&tokens.session);
    let session = session.as_object_mut().unwrap();
    let sub = session.remove("sub").unwrap();
    assert!(sub.as_str().unwrap().starts_with('U'));
    assert!(session.remove("jti").unwrap().is_string());
    assert_eq!(
        json!(session),
        json!({
            "amr": ["email"], "drn": "DS", "exp": 1_800_000_600, "iat": 1_800_000_000,
            "iss": api.project_id(), "permissions": [], "rexp": "2027-02-12T08:00:00Z", "roles": [],
            "tenants": {},
        })
    );
    let refresh = claims(&tokens.refresh);
    assert_eq!((&refresh["drn"], &refresh["sub"]), (&json!("DSR"), &sub));
    assert_eq!(refresh["exp"], 1_802_419_200);
}

#[tokio::test]
async fn sign_ins_of_the_same_second_are_different_sessions() {
    let clock = Arc::new(ManualClock::at_unix_seconds(1_800_000_000));
    let api = Api::over(Emulator::builder().clock(clock).start().await.unwrap());
    let one = api.sign_in(ANN).await;
    let two = api.sign_in(ANN).await;
    assert_ne!(one.refresh, two.refresh);
    assert_ne!(one.session, two.session);
    api.post("/v1/auth/logout", &one.refresh, json!({}))
        .await
        .ok();
    assert_eq!(api.refresh(&one.refresh).await.refusal().0, 401);
    api.refresh(&two.refresh).await.ok();
}

#[tokio::test]
async fn step_up_needs_the_own_refresh_jwt_and_ends_with_a_refresh() {
    let api = Api::start().await;
    let ann = api.sign_in(ANN).await;
    let bob = api.sign_in("bob@example.com").await;
    let body = json!({"loginId": ANN, "loginOptions": {"stepup": true}});
    for jwt in ["", "garbage", &bob.refresh, &ann.session] {
        let refused = api
            .post("/v1/auth/otp/signin/email", jwt, body.clone())
            .await;
        assert_eq!(refused.refusal().0, 401, "{jwt}");
    }
    let raised = api
        .sign_in_with(ANN, &ann.refresh, json!({"stepup": true}))
        .await;
    assert_eq!(claims(&raised.session)["su"], true);
    let renewed: Tokens = api.refresh(&raised.refresh).await.ok().into();
    assert!(claims(&renewed.session).get("su").is_none());
}

#[tokio::test]
async fn custom_claims_stay_below_nsec() {
    let api = Api::start().await;
    let claims_sent = json!({"plan": "pro", "sub": "U-evil", "roles": ["admin"], "su": true});
    let tokens = api
        .sign_in_with(ANN, "", json!({"customClaims": claims_sent}))
        .await;
    let renewed: Tokens = api.refresh(&tokens.refresh).await.ok().into();
    for jwt in [&tokens.session, &tokens.refresh, &renewed.session] {
        let got = claims(jwt);
        assert_eq!(got["nsec"], claims_sent);
        assert_eq!(got["roles"], json!([]));
        assert!(got.get("su").is_none());
    }
}

#[tokio::test]
async fn other_sessions_can_be_revoked_at_sign_in() {
    let api = Api::start().await;
    let old = api.sign_in(ANN).await;
    let new = api
        .sign_in_with(ANN, "", json!({"revokeOtherSessions": true}))
        .await;
    assert_eq!(api.refresh(&old.refresh).await.refusal(), (401, "E064001"));
    api.refresh(&new.refresh).await.ok();
}

#[tokio::test]
async fn validate_takes_session_jwts_and_writes_times_as_text() {
    let api = Api::start().await;
    let tokens = api.sign_in(ANN).await;
    let shown = api
        .post("/v1/auth/validate", &tokens.session, json!({}))
        .await
        .ok();
    for name in ["exp", "iat", "rexp"] {
        assert!(shown[name].as_str().unwrap().ends_with('Z'));
    }
    let refused = api
        .post("/v1/auth/validate", &tokens.refresh, json!({}))
        .await;
    assert_eq!(refused.refusal(), (401, "E061005"));
}

#[tokio::test]
async fn access_keys_become_session_jwts() {
    let api = Api::start().await;
    let mut rights = NewAccessKey::new("job");
    rights.role_names = vec!["worker".to_owned()];
    let key = api.create_access_key(rights).unwrap();
    let path = "/v1/auth/accesskey/exchange";
    let reply = api.post(path, &key, json!({})).await.ok();
    let session = claims(reply["sessionJwt"].as_str().unwrap());
    assert_eq!(session["sub"], reply["keyId"]);
    assert_eq!(session["roles"], json!(["worker"]));
    assert_eq!(session["exp"], reply["expiration"]);
    assert_eq!(
        api.post(path, "", json!({})).await.refusal(),
        (401, "E062802")
    );
    assert_eq!(
        api.post(path, "Kx", json!({})).await.refusal(),
        (401, "E062803")
    );
}

#[tokio::test]
async fn the_first_good_cookie_counts_and_logout_clears_both() {
    let api = Api::start().await;
    let tokens = api.sign_in(ANN).await;
    api.configure(|config| config.token_delivery = TokenDelivery::Cookies);
    let with_cookies = |method, path| {
        api.request(method, path)
            .header("authorization", api.bearer(""))
            .header("cookie", format!("DSR=stale; DSR={}; x", tokens.refresh))
    };
    let reply = api
        .send(with_cookies(Method::GET, "/v1/auth/refresh"))
        .await;
    let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 1);
    assert!(cookies[0].to_str().unwrap().starts_with("DS=ey"));
    let body = reply.ok();
    assert_eq!(body["sessionJwt"], "");
    assert_eq!(body["claims"]["drn"], "DS");
    let reply = api
        .send(with_cookies(Method::POST, "/v1/auth/logout"))
        .await;
    let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2);
    assert!(
        cookies[1]
            .to_str()
            .unwrap()
            .starts_with("DSR=; Path=/; Max-Age=0;")
    );
}

#[tokio::test]
async fn tenants_decide_what_the_current_one_is() {
    let api = Api::start().await;
    let put = |ids: &'static [&'static str]| {
        api.put_user(ANN, |user| {
            user.email = ANN.to_owned();
            user.user_tenants = ids
                .iter()
                .map(|id| {
                    let mut tenant = tower_descope::wire::UserTenant::default();
                    tenant.tenant_id = (*id).to_owned();
                    tenant.role_names = vec!["owner".to_owned()];
                    tenant
                })
                .collect();
        })
        .unwrap();
    };
    put(&["T1"]);
    let tokens = api.sign_in(ANN).await;
    assert_eq!(claims(&tokens.session)["dct"], "T1");
    put(&["T1", "T2"]);
    let renewed: Tokens = api.refresh(&tokens.refresh).await.ok().into();
    assert!(claims(&renewed.session).get("dct").is_none());
    let select = |tenant: &'static str| {
        api.post(
            "/v1/auth/tenant/select",
            &tokens.refresh,
            json!({"tenant": tenant}),
        )
    };
    let selected: Tokens = select("T2").await.ok().into();
    assert_eq!(claims(&selected.session)["dct"], "T2");
    assert_eq!(claims(&selected.refresh)["dct"], "T2");
    assert_eq!(select("T3").await.refusal().0, 403);
    // Out of the tenant, out of the claim.
    put(&["T1", "T3"]);
    let renewed: Tokens = api.refresh(&selected.refresh).await.ok().into();
    assert!(claims(&renewed.session).get("dct").is_none());
}

#[tokio::test]
async fn replaced_keys_take_their_tokens_with_them() {
    let api = Api::start().await;
    let tokens = api.sign_in(ANN).await;
    let kid = api.rotate_keys().await.unwrap();
    api.refresh(&tokens.refresh).await.ok();
    let path = format!("/v2/keys/{}", api.project_id());
    let published = api.get(&path, "").await.ok();
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    assert_eq!(published["keys"][1]["kid"], json!(kid));
    let path = format!("/v1/keys/{}", api.project_id());
    assert_eq!(api.get(&path, "").await.ok(), published["keys"]);
    api.replace_keys().await.unwrap();
    assert_eq!(
        api.refresh(&tokens.refresh).await.refusal(),
        (401, "E061005")
    );
}
