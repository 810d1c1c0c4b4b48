//! What Descope's browser SDK needs of the mounted routes. `line_n` is requirement n that was found by watching the
//! SDK run in a browser.

use crate::support::mounted::{
    self, Browser, CODE, Fault, Upstream, bare, builder, claims, descope, error_body, layered,
};
use axum::body::Body;
use serde_json::{Map, Value, json};
use tower_descope::client::TransportErrorKind;

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn a_whole_visit() {
    for with_layer in [false, true] {
        let upstream = Upstream::rotating();
        let descope = descope(&upstream);
        let app = if with_layer {
            layered(&descope)
        } else {
            bare(&descope)
        };
        let mut page = Browser::new(app);

        let sent = page
            .post(
                "/v1/auth/otp/signup-in/email",
                json!({"loginId": "jane@example.com", "loginOptions": {}}),
            )
            .await;
        assert_eq!(
            sent.is_ok().body,
            json!({"maskedEmail": "j***@example.com"})
        );
        assert!(!sent.sets_cookies());

        let answer = page.sign_in("jane@example.com").await;
        assert_eq!(answer.is_ok().body["user"]["userId"], "Ujane@example.com");
        assert_eq!(answer.body["sessionExpiration"], 1_800_000_600);
        assert_eq!(page.cookies.len(), 2);

        let first = page.dsr();
        upstream.clock.advance(std::time::Duration::from_secs(580));
        let answer = page.post("/v1/auth/refresh?dcs=f&dcr=f", json!({})).await;
        assert_eq!(answer.is_ok().body["sessionExpiration"], 1_800_001_180);
        assert_ne!(page.dsr(), first);

        assert_eq!(
            page.get("/v1/auth/me").await.is_ok().body["userId"],
            "Ujane@example.com"
        );
        let answer = page.post("/v1/auth/logout", json!({})).await;
        assert_eq!(answer.is_ok().body, json!({}));
        assert!(page.cookies.is_empty());
        page.get("/v1/auth/me").await.is_error(401, "E061005");
        assert_eq!(upstream.live(), 0);
        assert_eq!(upstream.set().reused, 0);
    }
}

#[tokio::test]
async fn line_1_a_project_id_is_no_token() {
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    for app in [bare(&descope), layered(&descope)] {
        let mut page = Browser::with_tokens(app, upstream.tokens("U1"));
        // `Browser` sends `Bearer <project id>` with every call.
        page.get("/v1/auth/me").await.is_ok();
        page.post("/v1/auth/refresh", json!({})).await.is_ok();
    }
}

#[tokio::test]
async fn line_2_the_cookie_wins_over_a_token_in_the_header() {
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    for app in [bare(&descope), layered(&descope)] {
        let mut page = Browser::with_tokens(app, upstream.tokens("U1"));
        let (_, stale) = upstream.tokens("U2");
        for (method, path) in [("GET", "/v1/auth/me"), ("POST", "/v1/auth/refresh")] {
            let mut request = Browser::request(method, path).body(Body::empty()).unwrap();
            let header = format!("Bearer {}:{stale}", mounted::PROJECT);
            request
                .headers_mut()
                .insert("authorization", header.parse().unwrap());
            page.send(request).await.is_ok();
            assert_eq!(upstream.last().token, Some(page.dsr()), "{path}");
        }
        // Without the cookie it does not count either: only native apps send their token so.
        page.cookies.clear();
        let mut request = Browser::request("GET", "/v1/auth/me")
            .body(Body::empty())
            .unwrap();
        let header = format!("Bearer {}:{stale}", mounted::PROJECT);
        request
            .headers_mut()
            .insert("authorization", header.parse().unwrap());
        page.send(request).await.is_error(401, "E061005");
    }
}

#[tokio::test]
async fn line_2_the_refresh_jwt_goes_along_where_the_api_wants_it() {
    let upstream = Upstream::new();
    let mut page = Browser::with_tokens(bare(&descope(&upstream)), upstream.tokens("Ux"));
    let step_up = json!({"loginId": "x", "code": CODE, "loginOptions": {"stepup": true}});
    let mfa = json!({"loginId": "x", "code": CODE, "loginOptions": {"mfa": true}});
    let phone = json!({"loginId": "x", "phone": "+15555550123", "email": "a@b.c"});
    for (path, body) in [
        ("/v1/auth/otp/update/email", &phone),
        ("/v1/auth/otp/update/phone/sms", &phone),
        ("/v1/auth/otp/signin/voice", &step_up),
        ("/v1/auth/otp/signin/im", &mfa),
        ("/v1/auth/otp/signup-in/im", &mfa),
        ("/v1/auth/totp/update", &phone),
        ("/v1/auth/totp/verify", &step_up),
        ("/v1/auth/totp/verify", &mfa),
        ("/v1/auth/notp/whatsapp/signin", &step_up),
        ("/v1/auth/notp/whatsapp/update", &phone),
        ("/v1/auth/me/tenants", &json!({"dct": true})),
        ("/v1/auth/tenant/select", &json!({"tenant": "t1"})),
    ] {
        let token = page.dsr();
        page.post(path, body.clone()).await.is_ok();
        assert_eq!(upstream.last().token, Some(token), "{path}");
    }
    let plain = json!({"loginId": "x", "code": CODE, "pendingRef": "ref"});
    for path in [
        "/v1/auth/otp/signup/email",
        "/v1/auth/otp/signin/email",
        "/v1/auth/otp/signup-in/whatsapp",
        "/v1/auth/otp/verify/sms",
        "/v1/auth/totp/signup",
        "/v1/auth/totp/verify",
        "/v1/auth/notp/whatsapp/signup",
        "/v1/auth/notp/whatsapp/signup-in",
        "/v1/auth/notp/pending-session",
    ] {
        page.post(path, plain.clone()).await.is_ok();
        assert_eq!(upstream.last().token, None, "{path}");
    }
    page.cookies.clear();
    let before = upstream.total();
    page.post("/v1/auth/otp/signin/voice", step_up)
        .await
        .is_error(401, "E061005");
    assert_eq!(upstream.total(), before);
}

/// Every route that issues tokens, and what to send it.
fn token_calls() -> [(&'static str, Value); 7] {
    [
        (
            "/v1/auth/otp/verify/email",
            json!({"loginId": "x", "code": CODE}),
        ),
        (
            "/v1/auth/otp/verify/sms",
            json!({"loginId": "x", "code": CODE}),
        ),
        (
            "/v1/auth/totp/verify",
            json!({"loginId": "x", "code": CODE}),
        ),
        (
            "/v1/auth/notp/pending-session",
            json!({"pendingRef": "ref"}),
        ),
        ("/v1/auth/refresh", json!({})),
        ("/v1/auth/try-refresh", json!({})),
        ("/v1/auth/tenant/select", json!({"tenant": "t1"})),
    ]
}

#[tokio::test]
async fn lines_3_to_5_token_replies() {
    for cookie_mode in [false, true] {
        let upstream = Upstream::rotating();
        {
            let mut state = upstream.set();
            state.cookie_mode = cookie_mode;
            state.claims = members(json!({"roles": ["admin"]}));
        }
        let (_, jwt) = upstream.tokens("Uother");
        upstream.set().members = members(json!({
            "trustedDeviceJwt": jwt, "externalToken": "opaque", "sessionCookieName": "x",
            "nextRefreshSeconds": 120, "new": {"kept": 1, "token": jwt, "list": [jwt, 2]},
            "idpResponse": null,
        }));
        let app = bare(&descope(&upstream));
        for (path, body) in token_calls() {
            let mut page = Browser::with_tokens(app.clone(), upstream.tokens("Ux"));
            let (ds, dsr) = (page.ds(), page.dsr());
            let answer = page.post(path, body).await;
            answer.is_ok();
            assert_ne!((page.ds(), page.dsr()), (ds, dsr), "{path}");
            assert_eq!(claims(&page.ds())["drn"], "DS");
            assert_eq!(claims(&page.dsr())["drn"], "DSR");

            let body = answer.body.as_object().unwrap();
            for gone in [
                "sessionJwt",
                "refreshJwt",
                "cookieDomain",
                "cookieName",
                "cookiePath",
                "cookieMaxAge",
                "sessionCookieName",
                "trustedDeviceJwt",
                "externalToken",
                "idpResponse",
            ] {
                assert!(!body.contains_key(gone), "{path}: {gone}");
            }
            assert_eq!(
                body["sessionExpiration"],
                claims(&page.ds())["exp"],
                "{path}"
            );
            assert_eq!(body["cookieExpiration"], claims(&page.dsr())["exp"]);
            assert_eq!(body["claims"], claims(&page.ds()), "{path}");
            assert_eq!(body["claims"]["roles"], json!(["admin"]));
            assert_eq!(body["firstSeen"], false);
            assert_eq!(body["nextRefreshSeconds"], 120, "{path}");
            if !path.contains("refresh") {
                assert!(!body.contains_key("new"), "{path}");
                assert!(body["user"]["userId"].is_string());
            }
            // Security requirement 30: no cookie outlives its token.
            let max_ages: Vec<_> = answer
                .headers
                .get_all("set-cookie")
                .iter()
                .map(|cookie| {
                    cookie
                        .to_str()
                        .unwrap()
                        .split("; ")
                        .nth(2)
                        .unwrap()
                        .to_owned()
                })
                .collect();
            assert_eq!(max_ages, ["Max-Age=600", "Max-Age=2419200"]);
        }
        assert_eq!(upstream.set().reused, 0);
    }
}

// Trap 3: anything but a number of seconds sends the SDK into a loop.
#[tokio::test]
async fn line_3_the_expiry_is_the_tokens_own() {
    let upstream = Upstream::new();
    let app = bare(&descope(&upstream));
    for odd in [
        json!("2027-01-15T08:00:00Z"),
        json!(1_800_000_600_000_i64),
        json!(0),
        json!(null),
        json!({}),
    ] {
        upstream.set().members =
            members(json!({"sessionExpiration": odd, "cookieExpiration": odd}));
        let mut page = Browser::new(app.clone());
        let answer = page.sign_in("x").await;
        assert_eq!(answer.is_ok().body["sessionExpiration"], 1_800_000_600);
        assert_eq!(answer.body["cookieExpiration"], 1_802_419_200);
    }
}

#[tokio::test]
async fn line_6_the_session_jwt_in_the_body() {
    let upstream = Upstream::rotating();
    let descope = builder(&upstream).session_jwt_in_body().build().unwrap();
    for (path, body) in token_calls() {
        let mut page = Browser::with_tokens(bare(&descope), upstream.tokens("Ux"));
        page.allow_tokens = true;
        let answer = page.post(path, body).await;
        assert_eq!(answer.is_ok().body["sessionJwt"], page.ds(), "{path}");
        assert_eq!(answer.body["cookiePath"], "/");
        assert!(answer.body["cookieExpiration"].is_number());
        assert!(!answer.text.contains(&page.dsr()), "{path}");
        assert_eq!(answer.body.get("refreshJwt"), None);
        assert_eq!(answer.body.get("cookieDomain"), None);
    }
}

#[tokio::test]
async fn line_7_everything_is_answered_with_json() {
    let upstream = Upstream::new();
    let mut page = Browser::new(bare(&descope(&upstream)));
    // `Browser` checks the content type of each.
    page.get("/nothing").await.is_error(404, "not_found");
    page.get("/v1/auth/nothing")
        .await
        .is_error(404, "not_found");
    page.get("/v1/auth/me/").await.is_error(404, "not_found");
    let answer = page.get("/v1/auth/logout").await;
    assert_eq!(
        answer.is_error(405, "method_not_allowed").headers["allow"],
        "POST"
    );
    let answer = page.post("/v1/auth/me", json!({})).await;
    assert_eq!(
        answer.is_error(405, "method_not_allowed").headers["allow"],
        "GET,HEAD"
    );
    let answer = page.post("/v1/auth/logout", json!({})).await;
    assert_eq!(answer.is_ok().body, json!({}));
}

#[tokio::test]
async fn line_8_logout_ends_the_session_whatever_upstream_says() {
    tokio::time::pause();
    for (path, fault) in [
        ("/v1/auth/logout", None),
        ("/v1/auth/logoutall", None),
        (
            "/v1/auth/logout",
            Some(Fault::Answer(503, Vec::new(), Vec::new())),
        ),
        (
            "/v1/auth/logout",
            Some(Fault::Answer(200, Vec::new(), Vec::new())),
        ),
        (
            "/v1/auth/logout",
            Some(Fault::Answer(401, Vec::new(), error_body("E064001").into())),
        ),
        (
            "/v1/auth/logout",
            Some(Fault::Transport(TransportErrorKind::Interrupted)),
        ),
        ("/v1/auth/logoutall", Some(Fault::Hang)),
    ] {
        for mount in [bare, layered] {
            let upstream = Upstream::new();
            let descope = descope(&upstream);
            let mut page = Browser::with_tokens(mount(&descope), upstream.tokens("U1"));
            let copy = page.clone();
            if let Some(fault) = &fault {
                upstream.fault(path, fault.clone());
            }
            let answer = page.post(path, json!({})).await;
            assert_eq!(answer.is_ok().body, json!({}), "{path}");
            assert!(page.cookies.is_empty(), "{path}");
            assert_eq!(upstream.last().path, path);
            assert_eq!(upstream.last().token.as_ref(), Some(&copy.cookies["DSR"]));
            // Security requirement 35: a copy of either cookie is refused afterwards.
            for name in ["DS", "DSR"] {
                let mut thief = Browser::new(layered(&descope));
                let cookie = copy.cookies[name].clone();
                thief.cookies.insert(name.to_owned(), cookie);
                let request = Browser::request("GET", "").uri("/page");
                let answer = thief.send(request.body(Body::empty()).unwrap()).await;
                assert_eq!(answer.status, 401, "{path} {name}");
                assert!(!answer.sets_cookies());
            }
        }
    }
}

#[tokio::test]
async fn line_8_logout_without_cookies() {
    let upstream = Upstream::new();
    let mut page = Browser::new(layered(&descope(&upstream)));
    let answer = page.post("/v1/auth/logout", json!({})).await;
    assert_eq!(answer.is_ok().body, json!({}));
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    let mut page = Browser::new(bare(&descope(&upstream)));
    page.cookies.insert("DSR".to_owned(), "junk".to_owned());
    page.post("/v1/auth/logoutall", json!({})).await.is_ok();
    assert!(page.cookies.is_empty());
    assert_eq!(upstream.total(), 0);
}

#[tokio::test]
async fn line_9_a_4xx_means_that_the_session_is_over() {
    for (status, body, want) in [
        (401, error_body("E061005"), (401, "E061005")),
        (403, error_body("E061005"), (401, "E061005")),
        (401, "<html>".to_owned(), (503, "unavailable")),
        (403, String::new(), (503, "unavailable")),
        (400, error_body("E011001"), (503, "unavailable")),
        (404, error_body("E063302"), (503, "unavailable")),
        (429, error_body("E130429"), (503, "unavailable")),
        (429, String::new(), (503, "unavailable")),
        (500, error_body("E061005"), (503, "unavailable")),
        (503, String::new(), (503, "unavailable")),
        (200, "<html>".to_owned(), (503, "unavailable")),
        (200, "{}".to_owned(), (503, "unavailable")),
        (200, "[]".to_owned(), (503, "unavailable")),
        (
            200,
            r#"{"sessionJwt":1,"userId":1}"#.to_owned(),
            (503, "unavailable"),
        ),
    ] {
        for (method, path) in [
            ("POST", "/v1/auth/refresh"),
            ("POST", "/v1/auth/try-refresh"),
            ("GET", "/v1/auth/me"),
        ] {
            let upstream = Upstream::new();
            let app = bare(&descope(&upstream));
            let mut page = Browser::with_tokens(app, upstream.tokens("U1"));
            let before = page.cookies.clone();
            let called = path.replace("try-refresh", "refresh");
            upstream.answer(&called, status, body.clone());
            let request = Browser::request(method, path).body(Body::empty()).unwrap();
            let answer = page.send(request).await;
            let (want_status, want_code) = match (path, status, want.0) {
                ("/v1/auth/try-refresh", _, 401) => {
                    assert_eq!(answer.is_ok().body, json!({}));
                    continue;
                }
                // Upstream's own status passes where nothing is in between.
                ("/v1/auth/me", 403, 401) => (403, want.1),
                _ => want,
            };
            answer.is_error(want_status, want_code);
            if want_status == 503 {
                assert!(
                    answer.headers.contains_key("retry-after"),
                    "{path} {status}"
                );
            }
            assert_eq!(page.cookies, before, "cookies stay");
        }
    }
}

#[tokio::test]
async fn line_10_try_refresh_without_a_session() {
    let upstream = Upstream::rotating();
    let descope = descope(&upstream);
    for app in [bare(&descope), layered(&descope)] {
        let mut page = Browser::new(app);
        let answer = page
            .post("/v1/auth/try-refresh?dcs=f&dcr=f", json!({}))
            .await;
        assert_eq!(answer.is_ok().body, json!({}));
        page.post("/v1/auth/refresh", json!({}))
            .await
            .is_error(401, "E061005");
        for junk in ["junk", "a.b.c"] {
            page.cookies.insert("DSR".to_owned(), junk.to_owned());
            let answer = page.post("/v1/auth/try-refresh", json!({})).await;
            assert_eq!(answer.is_ok().body, json!({}));
        }
        assert_eq!(upstream.total(), 0);
    }
}

#[tokio::test]
async fn line_11_one_refresh_for_two_tabs_and_for_late_twins() {
    let upstream = Upstream::rotating();
    let app = bare(&descope(&upstream));
    let page = Browser::with_tokens(app, upstream.tokens("U1"));
    let (mut one, mut two, mut late) = (page.clone(), page.clone(), page.clone());
    let (first, second) = tokio::join!(
        one.post("/v1/auth/refresh", json!({})),
        two.post("/v1/auth/refresh", json!({})),
    );
    assert_eq!(first.is_ok().body, second.is_ok().body);
    upstream.clock.advance(std::time::Duration::from_secs(9));
    // Chromium repeats a POST by itself when a kept-alive connection dies.
    late.post("/v1/auth/refresh", json!({})).await.is_ok();
    assert_eq!(one.cookies, two.cookies);
    assert_eq!(one.cookies, late.cookies);
    assert_eq!(upstream.count("/v1/auth/refresh"), 1);
    // A call that is no refresh uses the new token, too.
    page.clone().get("/v1/auth/me").await.is_ok();
    assert_eq!(upstream.last().token, Some(one.dsr()));
    assert_eq!(upstream.set().reused, 0);
}

#[tokio::test]
async fn line_11_an_explicit_refresh_is_a_refresh() {
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    for app in [bare(&descope), layered(&descope)] {
        let mut page = Browser::with_tokens(app, upstream.tokens("U1"));
        let before = upstream.count("/v1/auth/refresh");
        page.post("/v1/auth/refresh", json!({})).await.is_ok();
        upstream.clock.advance(std::time::Duration::from_secs(11));
        page.post("/v1/auth/refresh", json!({})).await.is_ok();
        assert_eq!(upstream.count("/v1/auth/refresh"), before + 2);
    }
}

// Design, "clearing cookies": not at the first refusal, because the loser of a race sees the same.
#[tokio::test]
async fn line_11_cookies_are_cleared_at_the_second_refusal() {
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    for (app, path) in [
        (bare(&descope), "/v1/auth/refresh"),
        (bare(&descope), "/v1/auth/try-refresh"),
        (layered(&descope), "/v1/auth/refresh"),
    ] {
        let tokens = upstream.tokens("U1");
        let mut page = Browser::with_tokens(app, tokens);
        for (advance, kept) in [(0, 2), (9, 2), (1, 0)] {
            upstream
                .clock
                .advance(std::time::Duration::from_secs(advance));
            if advance != 9 {
                upstream.answer("/v1/auth/refresh", 401, error_body("E064001"));
            }
            page.post(path, json!({})).await;
            assert_eq!(page.cookies.len(), kept, "{path}");
        }
    }
}

#[tokio::test]
async fn line_12_polling_is_no_abuse() {
    let upstream = Upstream::new();
    let mut page = Browser::new(bare(&descope(&upstream)));
    for _ in 0..600 {
        page.post("/v1/auth/notp/pending-session", json!({"pendingRef": "x"}))
            .await
            .is_error(401, "E066103");
    }
    page.post(
        "/v1/auth/notp/pending-session",
        json!({"pendingRef": "ref"}),
    )
    .await
    .is_ok();
    assert_eq!(page.cookies.len(), 2);
}

#[tokio::test]
async fn line_13_each_value_of_a_cookie_is_tried() {
    let upstream = Upstream::new();
    let descope = descope(&upstream);
    for app in [bare(&descope), layered(&descope)] {
        let (ds, dsr) = upstream.tokens("U1");
        let (_, mut foreign) = upstream.tokens("U1");
        foreign.push('x');
        for line in [
            format!("DSR={foreign}; DSR={dsr}"),
            format!("DS=old; DSR=; DSR=junk; DS={ds}; DSR={dsr}"),
        ] {
            let mut page = Browser::new(app.clone());
            let request = Browser::request("GET", "/v1/auth/me").header("cookie", line);
            page.send(request.body(Body::empty()).unwrap())
                .await
                .is_ok();
        }
    }
}

// Lines 14 (requests) is in tests/routes_csrf.rs.
#[tokio::test]
async fn line_14_a_get_has_neither_origin_nor_fetch_metadata() {
    let upstream = Upstream::new();
    let (ds, dsr) = upstream.tokens("U1");
    let mut page = Browser::new(bare(&descope(&upstream)));
    let request = http::Request::get("/auth/v1/auth/me")
        .header("host", "app.example")
        .header("cookie", format!("DS={ds}; DSR={dsr}"));
    page.send(request.body(Body::empty()).unwrap())
        .await
        .is_ok();
}

#[tokio::test]
async fn line_15_flows_are_not_mounted() {
    let upstream = Upstream::new();
    let mut page = Browser::new(bare(&descope(&upstream)));
    for path in [
        "/pages/P2/v2-beta/config.json",
        "/v1/flow/start",
        "/v2/keys/P2",
        "/v1/auth/accesskey/exchange",
    ] {
        page.get(path).await.is_error(404, "not_found");
        page.post(path, json!({})).await.is_error(404, "not_found");
    }
    assert_eq!(upstream.total(), 0);
}
