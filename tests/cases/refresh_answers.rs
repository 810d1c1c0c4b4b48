//! Renewals that upstream grants, with something wrong about what it grants.
//!
//! Security requirements 26, 27 and 48.

use crate::support::endpoint::{Good, KEY};
use crate::support::log::Log;
use crate::support::project::NOW;
use crate::support::renewal::{OLD, PATH, RETRY_AFTER, Site, renewed, trial, unavailable};
use crate::support::signer::{self, Signer};
use crate::support::upstream::Upstream;
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("refresh/returns-other-user", returns_other_user),
        trial("refresh/returns-expired", returns_expired),
        trial("clock/skew+10min at a renewal", skewed_clock),
        trial("refresh/returns-unsigned", returns_unsigned),
        trial("refresh/no-refresh-jwt", no_refresh_jwt),
        trial("refresh/set-cookie-extra", set_cookie_extra),
        trial("refresh/cookie-domain-injected", cookie_domain_injected),
        trial("refresh/cookie-maxage-negative", cookie_maxage_negative),
    ]
}

/// An upstream that answers every call so, and an app.
async fn answering(headers: &[&str], change: impl FnOnce(&mut Value)) -> (Upstream, Site) {
    let good = Good::with_tokens(PATH, change);
    let headers = [&["connection: close"], headers].concat();
    let upstream = Upstream::answering(good.answer(&headers)).await;
    let site = Site::new(&upstream.url());
    (upstream, site)
}

/// What was issued is no good: nothing is set, an error is logged, and each request asks once.
async fn is_a_failure(change: impl Fn(&mut Value)) {
    let (upstream, site) = answering(&[], change).await;
    let log = Log::of_level(tracing::Level::ERROR);
    for request in 1..=4 {
        assert_eq!(unavailable(&site.get().await), RETRY_AFTER);
        assert_eq!(upstream.counts().1, request);
        assert_eq!(log.count(""), request, "an alarm for each");
    }
}

async fn returns_other_user() {
    let other = || KEY.sign(&signer::session("U2", NOW));
    let others_refresh = || KEY.sign(&signer::refresh("U2", NOW));
    is_a_failure(|body| {
        body["sessionJwt"] = other().into();
        body["refreshJwt"] = others_refresh().into();
    })
    .await;
    is_a_failure(|body| {
        body["sessionJwt"] = other().into();
        body["refreshJwt"] = "".into();
    })
    .await;
    is_a_failure(|body| body["refreshJwt"] = others_refresh().into()).await;
}

async fn returns_expired() {
    let expired = || KEY.sign(&signer::session("U1", NOW - 7200));
    is_a_failure(|body| {
        body["sessionJwt"] = expired().into();
        body["refreshJwt"] = "".into();
    })
    .await;

    // The old refresh JWT is spent. The new one is good and must not get lost.
    let (upstream, site) = answering(&[], |body| body["sessionJwt"] = expired().into()).await;
    let reply = site.get().await;
    assert_eq!((reply.status(), upstream.counts().1), (503, 1));
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert_eq!(reply.cookie("DS"), None);
    assert!(reply.cookie("DSR").is_some_and(|refresh| refresh != *OLD));
}

/// By a clock that is ten minutes slow every new session is one of the future; by a fast one it is merely shorter.
async fn skewed_clock() {
    let (_upstream, site) = answering(&[], |_| {}).await;
    site.clock.jump(-600);
    let log = Log::of_level(tracing::Level::ERROR);
    let reply = site.get().await;
    assert_eq!((reply.status(), log.count("")), (503, 1));
    drop(log);
    assert_eq!(reply.cookie("DS"), None);
    assert!(reply.cookie("DSR").is_some_and(|refresh| refresh != *OLD));

    let (_upstream, site) = answering(&[], |_| {}).await;
    site.clock.jump(600);
    let reply = site.get().await;
    renewed(&reply);
    assert!(reply.set_cookies()[0].contains("Max-Age=3000;"));
}

async fn returns_unsigned() {
    let claims = signer::session("U1", NOW);
    let none = r#"{"alg":"none","typ":"JWT"}"#;
    let unsigned = format!(
        "{}.{}.",
        signer::encode(none),
        signer::encode(claims.to_string())
    );
    let named = KEY.header().replace("RS256", "none");
    let stranger = Signer::new("SK2").sign(&claims);
    let forged = Signer::new(&KEY.kid).sign(&claims);
    for session in [
        unsigned,
        KEY.sign_parts(&named, &claims.to_string()),
        stranger,
        forged,
    ] {
        is_a_failure(|body| {
            body["sessionJwt"] = session.clone().into();
            body["refreshJwt"] = "".into();
        })
        .await;
    }
}

async fn no_refresh_jwt() {
    let missing: [fn(&mut Value); 4] = [
        |body| body["refreshJwt"] = Value::Null,
        |body| body["refreshJwt"] = "".into(),
        |body| drop(body.as_object_mut().unwrap().remove("refreshJwt")),
        // The one that was sent is no new one.
        |body| body["refreshJwt"] = OLD.as_str().into(),
    ];
    for change in missing {
        let (upstream, site) = answering(&[], change).await;
        let reply = site.get().await;
        assert_eq!(renewed(&reply).1, None, "the old cookie stays");
        assert_eq!((reply.set_cookies().len(), upstream.counts().1), (1, 1));
    }
}

async fn set_cookie_extra() {
    let foreign = signer::refresh("U2", NOW);
    let foreign = format!("set-cookie: DSR={}; Path=/", KEY.sign(&foreign));
    let extra = ["set-cookie: evil=1; Domain=.example", &foreign];
    let (_upstream, site) = answering(&extra, |_| {}).await;
    let reply = site.get().await;
    let (_, refresh) = renewed(&reply);
    assert_eq!(signer::claims(&refresh.unwrap())["sub"], "U1");
    assert_eq!(reply.set_cookies().len(), 2, "{:?}", reply.set_cookies());
    let mut page = site.page();
    let answer = page.post(PATH, json!({})).await;
    assert_eq!(
        answer.is_ok().headers.get_all("set-cookie").iter().count(),
        2
    );
}

async fn cookie_domain_injected() {
    let (_upstream, site) = answering(&[], |body| {
        for member in [
            "cookieDomain",
            "cookiePath",
            "cookieName",
            "sessionCookieName",
        ] {
            body[member] = "a.example; Path=/x\r\nX: y".into();
        }
    })
    .await;
    let reply = site.get().await;
    renewed(&reply);
    let answer = site.page().post(PATH, json!({})).await;
    for headers in [reply.response.headers(), &answer.is_ok().headers] {
        assert!(!headers.contains_key("x"));
        let cookies = headers.get_all("set-cookie");
        assert_eq!(cookies.iter().count(), 2);
        let ours = |cookie: &http::HeaderValue| {
            let cookie = cookie.to_str().unwrap();
            !cookie.contains("Domain")
                && cookie.contains("; Path=/; ")
                && !cookie.contains("a.example")
        };
        assert!(cookies.iter().all(ours));
    }
    assert!(!answer.text.contains("a.example"), "{}", answer.text);
}

async fn cookie_maxage_negative() {
    for age in [json!(-1), json!(1e99), json!("-1"), json!(-1e99), json!(0)] {
        let (_upstream, site) = answering(&[], |body| {
            for member in ["cookieMaxAge", "cookieExpiration", "sessionExpiration"] {
                body[member] = age.clone();
            }
        })
        .await;
        let reply = site.get().await;
        renewed(&reply);
        let answer = site.page().post(PATH, json!({})).await;
        assert_eq!(answer.is_ok().body["sessionExpiration"], NOW + 3600);
        for headers in [reply.response.headers(), &answer.headers] {
            let cookies = headers.get_all("set-cookie").iter();
            let ages = cookies.map(|cookie| {
                let cookie = cookie.to_str().unwrap();
                let (_, age) = cookie.split_once("Max-Age=").unwrap();
                age.split(';').next().unwrap().parse().unwrap()
            });
            // What the tokens themselves say.
            assert_eq!(ages.collect::<Vec<u64>>(), [3600, 28 * 24 * 3600]);
        }
    }
}
