//! What of an upstream answer reaches the page: the members that the API is known to send, and no token.
//! Security requirement 31.

use crate::support::mounted::{Browser, CODE, Upstream, bare, builder, claims, descope};
use http::Request;
use serde_json::{Map, Value, json};

const VERIFY: &str = "/v1/auth/otp/verify/email";

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Places in which a token may hide, under names that no API has.
fn hiding_places(jwt: &str) -> Map<String, Value> {
    members(json!({
        "token": jwt,
        "access_token": {"value": jwt},
        "nested": {"deep": [[{"x": jwt}]]},
        "quoted": format!(r#"{{"sessionJwt":"{jwt}"}}"#),
        "url": format!("https://app.example/cb?t={jwt}&x=1#y"),
        "percent": format!("https://app.example/cb?t={}", jwt.replace('.', "%2E")),
        "glued": format!("prefix{jwt}"),
        jwt: 1,
        "opaque": "a-secret-without-dots",
        "sessionJWT": jwt,
        "refresh_jwt": jwt,
        "externalToken": "a-secret-without-dots",
        "trustedDeviceJwt": "a-secret-without-dots",
        "idpResponse": {"idpOIDCClaims": {"access_token": "a-secret-without-dots"}},
        "cookieDomain": "evil.example", "cookieName": "x", "sessionCookieName": "x",
        "sessionCookieDomain": "evil.example", "cookiePath": "/x", "cookieMaxAge": 1,
    }))
}

/// A user with every member that the contract names.
fn user() -> Value {
    json!({
        "userId": "Ux", "loginIds": ["x", "+15555550100"], "name": "Ann B", "givenName": "Ann", "middleName": "C",
        "familyName": "B", "email": "ann@example.com", "phone": "+15555550100", "verifiedEmail": true,
        "verifiedPhone": false, "roleNames": ["admin"], "permissions": ["read"],
        "userTenants": [
            {"tenantId": "t1", "tenantName": "One", "roleNames": ["r"], "permissions": ["p"]},
        ],
        "status": "enabled", "externalIds": ["e.y.J"], "picture": "https://cdn.example/eyes.of.ewe/ann.png?v=1.2.3",
        "test": false, "customAttributes": {"plan": "pro", "level": 3, "tags": ["a", {"b": 1}]},
        "createdTime": 1_700_000_000, "modifiedTime": "1700000001", "ssoAppIds": ["s1"], "TOTP": true,
        "SAML": false, "SCIM": false, "OIDC": false, "OAuth": {"google": true}, "webauthn": false,
        "password": true, "push": false, "editable": true,
    })
}

/// The same with a token in every place that is left.
fn poisoned(user: Value, jwt: &str) -> Value {
    let mut user = members(user);
    user.extend(hiding_places(jwt));
    for list in [
        "loginIds",
        "roleNames",
        "permissions",
        "externalIds",
        "ssoAppIds",
    ] {
        if let Some(list) = user[list].as_array_mut() {
            list.extend([
                json!(jwt),
                json!({"x": jwt}),
                json!([jwt]),
                json!(format!("x {jwt}")),
            ]);
        }
    }
    if let Some(providers) = user.get_mut("OAuth").and_then(Value::as_object_mut) {
        providers.insert(jwt.to_owned(), true.into());
        providers.insert("github".to_owned(), jwt.into());
    }
    if let Some(tenants) = user.get_mut("userTenants").and_then(Value::as_array_mut) {
        tenants[0]
            .as_object_mut()
            .unwrap()
            .extend(hiding_places(jwt));
        tenants.push(jwt.into());
    }
    user.into()
}

/// A member of the right type with a token inside, or of a wrong type, is left out.
fn spoilt(user: Value, jwt: &str) -> (Value, Value) {
    let mut spoilt = members(user.clone());
    let mut expected = members(user);
    for (name, value) in [
        (
            "picture",
            json!(format!("https://cdn.example/ann.png?t={jwt}")),
        ),
        ("name", json!(jwt)),
        ("givenName", json!(format!("{{\"t\":\"{jwt}\"}}"))),
        ("middleName", json!([jwt])),
        ("status", json!({"x": jwt})),
        ("verifiedEmail", json!(jwt)),
        ("createdTime", json!(jwt)),
        ("OAuth", json!([jwt])),
        ("userTenants", json!({jwt: jwt})),
        ("ssoAppIds", json!(jwt)),
        ("customAttributes", json!(jwt)),
        ("email", Value::Null),
    ] {
        spoilt.insert(name.to_owned(), value);
        expected.remove(name);
    }
    (spoilt.into(), expected.into())
}

/// Calls that sign in or renew, and what to send.
fn token_calls() -> [(&'static str, Value); 6] {
    [
        (VERIFY, json!({"loginId": "x", "code": CODE})),
        (
            "/v1/auth/totp/verify",
            json!({"loginId": "x", "code": CODE}),
        ),
        (
            "/v1/auth/notp/pending-session",
            json!({"pendingRef": "ref"}),
        ),
        ("/v1/auth/tenant/select", json!({"tenant": "t1"})),
        ("/v1/auth/refresh", json!({})),
        ("/v1/auth/try-refresh", json!({})),
    ]
}

#[tokio::test]
async fn a_token_under_another_name_stays_out_of_answers_with_tokens() {
    let upstream = Upstream::rotating();
    let app = bare(&descope(&upstream));
    let (_, jwt) = upstream.tokens("Uother");
    let (odd, odd_expected) = spoilt(user(), &jwt);
    for (sent, expected) in [
        (poisoned(user(), &jwt), user()),
        (poisoned(odd, &jwt), odd_expected),
    ] {
        let mut more = hiding_places(&jwt);
        more.extend(members(json!({
            "user": sent, "firstSeen": true, "nextRefreshSeconds": 120, "tenantSSOID": "sso1",
            "claims": {"x": jwt},
        })));
        for (path, body) in token_calls() {
            let mut more = more.clone();
            if path.contains("refresh") {
                // It comes with sign-ins alone, and one that cannot be read is no answer of a renewal.
                more.remove("user");
            }
            upstream.set().members = more;
            let mut page = Browser::with_tokens(app.clone(), upstream.tokens("Ux"));
            // `Browser` looks for tokens and for the word in the others.
            let answer = page.post(path, body).await;
            let mut want = json!({
                "sessionExpiration": claims(&page.ds())["exp"], "cookieExpiration": claims(&page.dsr())["exp"],
                "nextRefreshSeconds": 120, "claims": claims(&page.ds()), "firstSeen": false,
            });
            if !path.contains("refresh") {
                want["user"] = expected.clone();
                want["firstSeen"] = true.into();
                want["tenantSSOID"] = "sso1".into();
            }
            assert_eq!(answer.is_ok().body, want, "{path}");
        }
    }
}

#[tokio::test]
async fn a_token_under_another_name_stays_out_of_all_other_answers() {
    let upstream = Upstream::new();
    let app = bare(&descope(&upstream));
    let (ds, jwt) = upstream.tokens("Ux");
    let (odd, odd_expected) = spoilt(user(), &jwt);
    let with = |known: Value| {
        let mut known = members(known);
        known.extend(hiding_places(&jwt));
        Value::from(known)
    };
    let address = json!({"maskedEmail": "a***@example.com", "verificationAttempts": 3});
    let phone = json!({"maskedPhone": "+1***7", "verificationAttempts": 3});
    let key = json!({"provisioningURL": "otpauth://totp/x?k=JBSWY3DP", "image": "aW1n", "key": "JBSWY3DP"});
    let link =
        json!({"pendingRef": "ref", "redirectUrl": "https://wa.me/1?text=abc", "image": "aW1n"});
    let tenant =
        json!({"id": "t1", "name": "One", "customAttributes": {"plan": "pro", "tags": [1, "x"]}});
    let line = json!({
        "userId": "Ux", "loginTime": 1_700_000_000, "city": "Paris", "country": "FR", "ip": "192.0.2.1",
        "selectedTenant": "t1",
    });
    let mut spoilt_line = members(with(line.clone()));
    spoilt_line.insert("city".to_owned(), format!("Paris {jwt}").into());
    let own = claims(&ds);
    let mut told = members(own.clone());
    told.insert("exp".to_owned(), "2027-01-15T08:10:00Z".into());
    for (method, path, sent, want) in [
        (
            "POST",
            "/v1/auth/otp/signup/email",
            with(address.clone()),
            address.clone(),
        ),
        (
            "POST",
            "/v1/auth/otp/signin/email",
            with(address.clone()),
            address.clone(),
        ),
        (
            "POST",
            "/v1/auth/otp/signup-in/email",
            with(address.clone()),
            address.clone(),
        ),
        (
            "POST",
            "/v1/auth/otp/update/email",
            with(address.clone()),
            address,
        ),
        (
            "POST",
            "/v1/auth/otp/update/phone/sms",
            with(phone.clone()),
            phone,
        ),
        (
            "POST",
            "/v1/auth/totp/signup",
            with(key.clone()),
            key.clone(),
        ),
        ("POST", "/v1/auth/totp/update", with(key.clone()), key),
        (
            "POST",
            "/v1/auth/notp/whatsapp/signup",
            with(link.clone()),
            link.clone(),
        ),
        (
            "POST",
            "/v1/auth/notp/whatsapp/signin",
            with(link.clone()),
            link.clone(),
        ),
        (
            "POST",
            "/v1/auth/notp/whatsapp/signup-in",
            with(link.clone()),
            link.clone(),
        ),
        (
            "POST",
            "/v1/auth/notp/whatsapp/update",
            with(link.clone()),
            link,
        ),
        ("GET", "/v1/auth/me", poisoned(user(), &jwt), user()),
        ("GET", "/v1/auth/me", poisoned(odd, &jwt), odd_expected),
        (
            "POST",
            "/v1/auth/me/tenants",
            with(json!({"tenants": [with(tenant.clone()), jwt, [jwt]]})),
            json!({"tenants": [tenant]}),
        ),
        (
            "POST",
            "/v1/auth/me/tenants",
            json!({"tenants": [{"id": "t1", "name": jwt, "customAttributes": {"a": 1, "b": [jwt, 2], jwt.as_str(): 3}}]}),
            json!({"tenants": [{"id": "t1", "customAttributes": {"a": 1, "b": [2]}}]}),
        ),
        (
            "GET",
            "/v1/auth/me/history",
            json!([with(line.clone()), spoilt_line, jwt, [jwt]]),
            json!([
                line,
                {
                    "userId": "Ux", "loginTime": 1_700_000_000, "country": "FR", "ip": "192.0.2.1",
                    "selectedTenant": "t1",
                },
            ]),
        ),
        (
            "POST",
            "/v1/auth/validate",
            with(told.clone().into()),
            told.into(),
        ),
    ] {
        let mut page = Browser::with_tokens(app.clone(), (ds.clone(), jwt.clone()));
        upstream.answer(path, 200, sent.to_string());
        let answer = match method {
            "GET" => page.get(path).await,
            _ => {
                let body = json!({
                    "loginId": "x", "code": CODE, "email": "a@b.c", "phone": "+15555550123", "dct": true,
                });
                page.post(path, body).await
            }
        };
        assert_eq!(answer.is_ok().body, want, "{path}");
    }
}

// An app that keeps a token there means its page to have it.
#[tokio::test]
async fn custom_attributes_of_the_user_pass_as_they_are() {
    let upstream = Upstream::new();
    let (ds, dsr) = upstream.tokens("Ux");
    let attributes = json!({"partnerToken": dsr, "none": [null], dsr.clone(): {"x": [dsr]}});
    let known = json!({"userId": "Ux", "customAttributes": attributes});
    let me = known.to_string();
    for name in ["me", "verify"] {
        let page = Browser::with_tokens(bare(&descope(&upstream)), (ds.clone(), dsr.clone()));
        let mut request = Request::builder().header("host", "app.example");
        if name == "me" {
            upstream.answer("/v1/auth/me", 200, me.clone());
            request = request.uri("/auth/v1/auth/me");
        } else {
            upstream.set().members = members(json!({"user": known}));
            request = request.method("POST").uri(format!("/auth{VERIFY}"));
            request = request.header("content-type", "application/json");
        }
        let body = json!({"loginId": "x", "code": CODE}).to_string();
        let request = request
            .header("cookie", format!("DS={ds}; DSR={dsr}"))
            .body(body.into());
        let body = raw(page, request.unwrap()).await;
        let user = if name == "me" { &body } else { &body["user"] };
        assert_eq!(user["customAttributes"], attributes, "{name}");
    }
}

/// The body of an answer, without the checks that hold for all others.
async fn raw(page: Browser, request: Request<axum::body::Body>) -> Value {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let response = page.app().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

// Text of Descope's own errors passes, but not with a token in it.
#[tokio::test]
async fn a_token_in_an_error_stays_there() {
    let upstream = Upstream::new();
    let (ds, dsr) = upstream.tokens("Ux");
    let mut page = Browser::with_tokens(bare(&descope(&upstream)), (ds, dsr.clone()));
    let error = json!({
        "errorCode": "E061102", "errorDescription": format!("described {dsr}"),
        "errorMessage": format!("token {dsr} is bad"), "message": dsr,
    });
    upstream.answer(VERIFY, 400, error.to_string());
    let answer = page
        .post(VERIFY, json!({"loginId": "x", "code": "0"}))
        .await;
    answer.is_error(400, "E061102");
    assert_eq!(
        answer.body,
        json!({"errorCode": "E061102", "errorDescription": ""})
    );
}

// What Descope's SDKs for phones need, and nothing else.
#[tokio::test]
async fn native_apps_get_the_tokens_that_the_contract_names() {
    let upstream = Upstream::rotating();
    let descope = builder(&upstream)
        .token_delivery(tower_descope::routes::TokenDelivery::Body)
        .build()
        .unwrap();
    let (_, jwt) = upstream.tokens("Uother");
    let mut more = hiding_places(&jwt);
    more.extend(members(json!({
        "user": poisoned(user(), &jwt), "trustedDeviceJwt": jwt, "externalToken": "opaque",
        "cookieDomain": "app.example", "cookiePath": "/", "cookieMaxAge": 60, "cookieName": "DSR",
        "sessionCookieName": "DS", "sessionCookieDomain": "",
    })));
    upstream.set().members = more;
    let request =
        Request::post(format!("/auth{VERIFY}")).header("content-type", "application/json");
    let body = json!({"loginId": "x", "code": CODE}).to_string();
    let page = Browser::new(bare(&descope));
    let mut body = raw(page, request.body(body.into()).unwrap()).await;
    let answer = body.as_object_mut().unwrap();
    let session = answer.remove("sessionJwt").unwrap();
    let refresh = answer.remove("refreshJwt").unwrap();
    let [session, refresh] = [&session, &refresh].map(|jwt| claims(jwt.as_str().unwrap()));
    assert_eq!(
        (&session["drn"], &refresh["drn"]),
        (&json!("DS"), &json!("DSR"))
    );
    assert_eq!(
        body,
        json!({
            "user": user(), "trustedDeviceJwt": jwt, "externalToken": "opaque", "cookieDomain": "app.example",
            "cookiePath": "/", "cookieMaxAge": 60, "cookieName": "DSR", "sessionCookieName": "DS",
            "sessionCookieDomain": "", "firstSeen": false, "sessionExpiration": session["exp"],
            "cookieExpiration": refresh["exp"], "claims": session,
        })
    );
}
