//! Renewals that fail on the wire, fault by fault, over real sockets.
//!
//! An indefinite answer is 503 with `Retry-After`, in time, and leaves the cookies; the call is made once. When upstream is
//! back and the pause over, the same cookies are renewed. Only a definite refusal ends a session.
//!
//! Security requirements 21, 25, 42 and 44.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::endpoint::{Endpoint, Fault, Good, KEY};
use crate::support::mounted::{Browser, bare, error_body};
use crate::support::project::NOW;
use crate::support::renewal::{COOKIES, OLD, OTHERS, PATH, Site, renewed, unavailable};
use crate::support::signer::{self, Signer};
use crate::support::socket_faults::{self, STALE_KEEPALIVE};
use crate::support::upstream::Upstream;
use libtest_mimic::Trial;
use serde_json::{Value, json};

/// Deadline and all, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(2);
/// What clients are told when upstream says nothing.
const RETRY_AFTER: u64 = 5;

pub fn trials() -> Vec<Trial> {
    let faults = socket_faults::all(&Good::tokens(PATH)).into_iter();
    let blocked = socket_faults::status("403 Forbidden", "<html>blocked by a firewall");
    let faults = faults.chain([("403-bare", blocked)]);
    let mut trials: Vec<Trial> = faults
        .map(|(name, fault)| match name {
            "401" | "403" => trial(name, async move || definite(&fault).await),
            _ => trial(name, async move || indefinite(&fault).await),
        })
        .collect();
    trials.extend([
        trial("404-of-the-api", no_verdict),
        trial(STALE_KEEPALIVE, stale_keepalive),
        trial("returns-other-user", returns_other_user),
        trial("returns-expired", returns_expired),
        trial("returns-unsigned", returns_unsigned),
        trial("no-refresh-jwt", no_refresh_jwt),
        trial("set-cookie-extra", set_cookie_extra),
        trial("cookie-domain-injected", cookie_domain_injected),
        trial("cookie-maxage-negative", cookie_maxage_negative),
    ]);
    trials
}

fn trial(name: &str, play: impl AsyncFnOnce() + Send + 'static) -> Trial {
    Trial::test(format!("refresh/{name}"), move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(play());
        Ok(())
    })
}

async fn indefinite(fault: &Fault) {
    let mut endpoint = Endpoint::start(fault, &Good::tokens(PATH)).await;
    endpoint.set_broken(true).await;
    let site = Site::at(&endpoint, fault);
    let fails = async || {
        let started = Instant::now();
        let reply = site.get().await;
        assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
        unavailable(&reply)
    };

    assert_eq!(fails().await, fault.pause().unwrap_or(RETRY_AFTER));
    assert_eq!(endpoint.counts(), fault.cost(), "never replayed");
    // Upstream is left alone for as long as it asked, at most a minute, or when it has failed three times in a row.
    let hold = match fault.pause() {
        Some(seconds) => seconds.min(60),
        None => {
            for _ in 0..2 {
                assert_eq!(fails().await, RETRY_AFTER);
            }
            1
        }
    };
    let before = endpoint.counts();
    site.advance(hold - 1);
    assert_eq!(fails().await, 1);
    assert_eq!(endpoint.counts(), before, "asked during the pause");

    endpoint.set_broken(false).await;
    let before = endpoint.counts();
    site.advance(1);
    let mut reply = site.get().await;
    // A healthy upstream answers at once; on a busy machine perhaps not within so short a deadline.
    for _ in 0..4 {
        if reply.status() == 200 || !fault.outlasts_the_deadline() {
            break;
        }
        site.advance(10);
        reply = site.get().await;
    }
    let (_, refresh) = renewed(&reply);
    assert_ne!(refresh.unwrap(), *OLD);
    if !fault.outlasts_the_deadline() {
        assert_eq!(endpoint.counts().1, before.1 + 1);
    }
    assert_eq!(endpoint.strayed(), 0, "a redirect was followed");
}

async fn definite(fault: &Fault) {
    let mut endpoint = Endpoint::start(fault, &Good::tokens(PATH)).await;
    endpoint.set_broken(true).await;
    let site = Site::at(&endpoint, fault);
    let refused = async || {
        let reply = site.get().await;
        assert_eq!(reply.status(), 401);
        assert_eq!(reply.json()["code"], "session_ended");
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer realm="), "{challenge}");
        assert!(!reply.body.contains(socket_faults::SECRET));
        reply
    };
    // A race has losers, and what they are told is no reason to delete the winner's cookies.
    for seconds in [0, 5] {
        site.advance(seconds);
        assert!(refused().await.set_cookies().is_empty());
        assert_eq!(endpoint.counts(), (1, 1), "the refusal is remembered");
    }
    // Who presents the same token after the window has lost no race.
    site.advance(6);
    let reply = refused().await;
    assert_eq!(endpoint.counts(), (2, 2));
    let cookies = reply.set_cookies();
    assert_eq!(cookies.len(), 2);
    for name in ["DS=;", "DSR=;"] {
        let cookie = cookies.iter().find(|cookie| cookie.starts_with(name));
        assert!(cookie.unwrap().contains("Max-Age=0"), "{cookies:?}");
    }
}

/// Not in the list: an answer about this one token that is no refusal. It keeps nobody else from asking.
async fn no_verdict() {
    let fault = socket_faults::status("404 Not Found", &error_body("E062108"));
    let mut endpoint = Endpoint::start(&fault, &Good::tokens(PATH)).await;
    endpoint.set_broken(true).await;
    let site = Site::at(&endpoint, &fault);
    for request in 1..=4 {
        assert_eq!(unavailable(&site.get().await), RETRY_AFTER);
        assert_eq!(endpoint.counts(), (request, request));
    }
    endpoint.set_broken(false).await;
    renewed(&site.get_with(&OTHERS).await);
}

/// The server closes an idle connection, which costs nothing, or one on which a request has just arrived: that may have
/// been carried out and is not sent again.
async fn stale_keepalive() {
    let good = Good::tokens(PATH).answer(&[]);
    for reads_another in [false, true] {
        let good = good.clone();
        let upstream = Upstream::start(move |mut peer| {
            let good = good.clone();
            async move {
                if peer.read_request().await {
                    peer.write(&good).await;
                }
                if reads_another && peer.number == 0 {
                    peer.read_request().await;
                }
            }
        })
        .await;
        let site = Site::new(&upstream.url());
        renewed(&site.get().await);
        assert_eq!(upstream.counts(), (1, 1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let reply = site.get_with(&OTHERS).await;
        if reads_another {
            assert_eq!(unavailable(&reply), RETRY_AFTER);
            assert_eq!(upstream.counts(), (1, 2), "sent again");
            renewed(&site.get_with(&OTHERS).await);
            assert_eq!(upstream.counts(), (2, 3));
        } else {
            renewed(&reply);
            assert_eq!(upstream.counts(), (2, 2));
        }
    }
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
    let log = Log::default();
    let _logging = log.listen();
    for request in 1..=4 {
        assert_eq!(unavailable(&site.get().await), RETRY_AFTER);
        assert_eq!(upstream.counts().1, request);
        assert_eq!(log.lines(), request, "an alarm for each");
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
    let missing: [fn(&mut Value); 3] = [
        |body| body["refreshJwt"] = Value::Null,
        |body| body["refreshJwt"] = "".into(),
        |body| drop(body.as_object_mut().unwrap().remove("refreshJwt")),
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
    let mut page = page(&site);
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
    let answer = page(&site).post(PATH, json!({})).await;
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
        let answer = page(&site).post(PATH, json!({})).await;
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

/// A page whose browser holds the same cookies, at the mounted routes alone.
fn page(site: &Site) -> Browser {
    let (session, refresh) = COOKIES.split_once("; ").unwrap();
    let value = |cookie: &str| cookie.split_once('=').unwrap().1.to_owned();
    Browser::with_tokens(bare(&site.descope), (value(session), value(refresh)))
}

/// What this thread logs as an error.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::ERROR)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn lines(&self) -> usize {
        let bytes = self.0.lock().unwrap();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
