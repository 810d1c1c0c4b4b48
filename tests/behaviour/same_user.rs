//! Who the same user is: `dsub`, else `sub`, because a JWT template may put anything into `sub`.
//!
//! Security requirement 26, and the promise that sign-outs and revocations reach one user.

use std::time::Duration;

use crate::support::mounted::{Browser, Upstream, descope, layered};
use serde_json::{Map, Value, json};
use tower_descope::Revocation;

const SELECT: &str = "/v1/auth/tenant/select";

/// What a JWT template makes of the session JWTs from now on.
fn template(upstream: &Upstream, claims: Value) {
    upstream.set().session_claims = claims.as_object().unwrap().clone();
}

/// An upstream whose template puts the address into `sub` of session JWTs, and a browser that is signed in there.
async fn templated() -> (Upstream, Browser) {
    let upstream = Upstream::rotating();
    template(&upstream, json!({"sub": "ann@corp", "dsub": "Uann"}));
    let mut page = Browser::new(layered(&descope(&upstream)));
    page.sign_in("ann").await.is_ok();
    (upstream, page)
}

#[tokio::test]
async fn a_template_that_takes_over_sub_makes_no_other_user() {
    let (upstream, mut page) = templated().await;
    // Signs in again over the same user's session, continues it and renews it.
    page.sign_in("ann").await.is_ok();
    page.get("/v1/auth/me").await.is_ok();
    page.post(SELECT, json!({"tenant": "t1"})).await.is_ok();
    page.post("/v1/auth/totp/update", json!({"loginId": "ann"}))
        .await
        .is_ok();
    upstream.clock.advance(Duration::from_secs(700));
    page.post("/v1/auth/refresh", json!({})).await.is_ok();
    page.get("/v1/auth/me").await.is_ok();
    assert_eq!(upstream.set().reused, 0);
}

// The session JWT of `bob` says `sub: Uann`, because bob chose that name; his id is in `dsub`.
#[tokio::test]
async fn who_is_named_like_another_user_is_not_that_user() {
    let upstream = Upstream::new();
    let app = layered(&descope(&upstream));
    let (_, anns) = upstream.tokens("Uann");
    template(&upstream, json!({"sub": "Uann", "dsub": "Ubob"}));
    let (bobs, _) = upstream.tokens("Ubob");
    // Bob's session beside Ann's refresh JWT: two users, and nothing is done in Ann's name.
    let mut page = Browser::with_tokens(app, (bobs, anns));
    page.get("/v1/auth/me").await.is_error(401, "E061005");
    assert_eq!(upstream.total(), 0);
}

#[tokio::test]
async fn a_renewal_that_names_another_id_under_the_same_sub_is_refused() {
    let upstream = Upstream::new();
    let mut page = Browser::with_tokens(layered(&descope(&upstream)), upstream.tokens("Uann"));
    // The keys are known before.
    page.post(SELECT, json!({"tenant": "t1"})).await.is_ok();
    upstream.clock.advance(Duration::from_secs(700));
    template(&upstream, json!({"sub": "Uann", "dsub": "Ubob"}));
    let answer = page.post("/v1/auth/refresh", json!({})).await;
    answer.is_error(503, "unavailable");
    assert!(!answer.sets_cookies());
}

#[tokio::test]
async fn logoutall_ends_this_user_and_nobody_who_is_named_alike() {
    for ann_signs_out in [true, false] {
        let upstream = Upstream::new();
        let descope = descope(&upstream);
        let mut ann = Browser::with_tokens(layered(&descope), upstream.tokens("Uann"));
        let anns_other = upstream.tokens("Uann").0;
        template(&upstream, json!({"sub": "Uann", "dsub": "Ubob"}));
        let mut bob = Browser::with_tokens(layered(&descope), upstream.tokens("Ubob"));
        let bobs_other = upstream.tokens("Ubob").0;
        upstream.set().session_claims = Map::new();

        let who = if ann_signs_out { &mut ann } else { &mut bob };
        who.post("/v1/auth/logoutall", json!({})).await.is_ok();
        let valid = async |jwt: &str| descope.validate_session(jwt).await.is_ok();
        assert_eq!(valid(&anns_other).await, !ann_signs_out);
        assert_eq!(valid(&bobs_other).await, ann_signs_out);
    }
}

#[tokio::test]
async fn a_revocation_takes_the_id_and_the_name_in_sub() {
    for name in ["Uann", "ann@corp"] {
        let (upstream, page) = templated().await;
        let descope = descope(&upstream);
        let session = page.ds();
        descope.validate_session(&session).await.unwrap();
        descope.revoke(Revocation::user(name)).await.unwrap();
        descope.validate_session(&session).await.unwrap_err();
    }
}
