//! Upstream signs with a key that is not at hand yet: it has just begun to, or its key endpoint fails.
//!
//! What it issues meanwhile has cost a refresh JWT or a code, and must not get lost. Security requirements 19 to 22
//! and 26.

use std::time::Duration;

use crate::support::memory_store::MemoryStore;
use crate::support::mounted::browser::Answer;
use crate::support::mounted::{Browser, CODE, Upstream, bare, builder, claims, descope, layered};
use crate::support::project::{settle, unknown_kid};
use crate::support::signer::KEYS_PATH;
use axum::Router;
use axum::body::Body;
use serde_json::json;
use tower_descope::routes::TokenDelivery;
use tower_descope::{AuthErrorKind, Descope, InvalidToken, ProfileError};

const REFRESH: &str = "/v1/auth/refresh";
const VERIFY: &str = "/v1/auth/otp/verify/email";
const SELECT: &str = "/v1/auth/tenant/select";
/// The default of `unknown_key_cooldown`.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// Why a key is missing.
#[derive(Clone, Copy, Debug)]
enum Missing {
    /// The endpoint answers 500.
    Down,
    /// The endpoint does not publish it yet.
    Unpublished,
}

impl Missing {
    const ALL: [Self; 2] = [Self::Down, Self::Unpublished];

    /// Upstream signs with its next key from now on.
    fn begin(self, upstream: &Upstream) {
        let mut state = upstream.set();
        state.rotated = true;
        state.keys_down = matches!(self, Self::Down);
    }

    /// The key is there for those who ask. They may by now.
    fn end(upstream: &Upstream) {
        let mut state = upstream.set();
        state.keys_down = false;
        state.published = true;
        drop(state);
        upstream.clock.advance(Duration::from_secs(6));
    }
}

/// A handle that has its keys.
async fn ready(upstream: &Upstream) -> Descope {
    let descope = descope(upstream);
    descope.ready().await.unwrap();
    descope
}

/// A browser whose session JWT has run out, at an app whose keys are fresh.
async fn expired(upstream: &Upstream, descope: &Descope) -> Browser {
    let browser = Browser::with_tokens(layered(descope), upstream.tokens("U1"));
    upstream.clock.advance(Duration::from_secs(700));
    descope.refresh_keys().await.unwrap();
    browser
}

/// Begins the cool-down.
async fn forge(descope: &Descope, number: usize) {
    let error = descope.validate_session(&unknown_kid(number)).await;
    let error = error.unwrap_err();
    assert_eq!(error.invalid_token(), Some(InvalidToken::UnknownKey));
}

/// A page that needs a user.
async fn page(browser: &mut Browser) -> Answer {
    let request = Browser::request("GET", "").uri("/page");
    browser.send(request.body(Body::empty()).unwrap()).await
}

/// 503 with `Retry-After`, and the cookies stay.
#[track_caller]
fn not_yet(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(!answer.sets_cookies(), "{:?}", answer.headers);
    let wait = answer.headers["retry-after"].to_str().unwrap();
    assert!((1..=60).contains(&wait.parse().unwrap()), "{wait}");
}

#[tokio::test]
async fn a_forged_kid_before_a_rotation_loses_no_session() {
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    let mut browser = expired(&upstream, &descope).await;
    forge(&descope, 1).await;
    Missing::end(&upstream);
    upstream.set().rotated = true;
    assert_eq!(page(&mut browser).await.is_ok().text, "U1");
    page(&mut browser).await.is_ok();
    assert_eq!((upstream.count(REFRESH), upstream.set().reused), (1, 0));
}

#[tokio::test]
async fn a_renewal_whose_key_is_missing_is_kept_and_not_repeated() {
    for missing in Missing::ALL {
        for route in [false, true] {
            let upstream = Upstream::rotating();
            let descope = ready(&upstream).await;
            let mut browser = expired(&upstream, &descope).await;
            let ask = async |browser: &mut Browser| match route {
                true => browser.post(REFRESH, json!({})).await,
                false => page(browser).await,
            };
            missing.begin(&upstream);
            for minutes in [0, 0, 1, 60] {
                not_yet(&ask(&mut browser).await);
                upstream.clock.advance(Duration::from_secs(60 * minutes));
            }
            // Nor does a call of the user's spend what is spent.
            browser
                .get("/v1/auth/me")
                .await
                .is_error(503, "unavailable");
            Missing::end(&upstream);
            ask(&mut browser).await.is_ok();
            page(&mut browser).await.is_ok();
            // The session that was kept had run out by then, and its refresh JWT was live.
            assert_eq!(upstream.count(REFRESH), 2, "{missing:?}");
            assert_eq!(upstream.set().reused, 0);
            assert_eq!(upstream.live(), 1);
        }
    }
}

#[tokio::test]
async fn who_hung_up_finds_the_renewal_when_the_key_is_there() {
    for missing in Missing::ALL {
        let upstream = Upstream::rotating();
        let descope = ready(&upstream).await;
        let mut browser = expired(&upstream, &descope).await;
        missing.begin(&upstream);
        not_yet(&page(&mut browser).await);
        Missing::end(&upstream);
        let before = upstream.count(KEYS_PATH);
        let mut twin = browser.clone();
        let (one, other) = tokio::join!(page(&mut browser), page(&mut twin));
        assert_eq!((one.status.as_u16(), other.status.as_u16()), (200, 200));
        assert_eq!(browser.cookies, twin.cookies);
        assert_eq!((upstream.count(REFRESH), upstream.set().reused), (1, 0));
        assert_eq!(upstream.count(KEYS_PATH) - before, 1);
    }
}

// Without rotation nothing is spent, and upstream is not asked again and again all the same.
#[tokio::test]
async fn a_session_alone_is_kept_as_well() {
    let upstream = Upstream::new();
    let descope = ready(&upstream).await;
    let mut browser = expired(&upstream, &descope).await;
    Missing::Unpublished.begin(&upstream);
    for _ in 0..5 {
        not_yet(&page(&mut browser).await);
    }
    Missing::end(&upstream);
    page(&mut browser).await.is_ok();
    assert_eq!(upstream.count(REFRESH), 1);
}

// The clock was put forward while the answer was kept. There is no refresh JWT beside this session to renew it with.
#[tokio::test]
async fn a_session_alone_that_is_over_when_its_key_comes_signs_nobody_in() {
    let upstream = Upstream::new();
    let descope = ready(&upstream).await;
    let mut browser = expired(&upstream, &descope).await;
    Missing::Unpublished.begin(&upstream);
    not_yet(&page(&mut browser).await);
    upstream.clock.jump(700);
    Missing::end(&upstream);
    not_yet(&page(&mut browser).await);
    assert_eq!(upstream.count(REFRESH), 1);
    page(&mut browser).await.is_ok();
    assert_eq!(upstream.count(REFRESH), 2);
}

#[tokio::test]
async fn a_key_that_never_comes_is_given_up_after_a_day() {
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    let mut browser = expired(&upstream, &descope).await;
    Missing::Unpublished.begin(&upstream);
    for _ in 0..24 {
        not_yet(&page(&mut browser).await);
        upstream.clock.advance(Duration::from_secs(3600));
    }
    assert_eq!((upstream.count(REFRESH), upstream.set().reused), (1, 0));
    // Upstream decides about the old refresh JWT.
    assert_eq!(page(&mut browser).await.status, 401);
    assert_eq!((upstream.count(REFRESH), upstream.set().reused), (2, 1));
}

// refresh/returns-other-user: a rule refuses it whoever signed it, so there is nothing to wait for.
#[tokio::test]
async fn what_a_rule_refuses_is_not_kept() {
    for wrong in [
        json!({"sub": "U2"}),
        json!({"iss": "P2other"}),
        json!({"cnf": {"jkt": "x"}}),
    ] {
        let upstream = Upstream::new();
        let descope = ready(&upstream).await;
        let mut browser = expired(&upstream, &descope).await;
        Missing::Unpublished.begin(&upstream);
        upstream.set().session_claims = wrong.as_object().unwrap().clone();
        for asked in 1..=3 {
            not_yet(&page(&mut browser).await);
            assert_eq!(upstream.count(REFRESH), asked, "{wrong}");
        }
    }
}

#[tokio::test]
async fn a_forged_kid_before_a_rotation_costs_no_sign_in() {
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    let mut browser = Browser::new(layered(&descope));
    forge(&descope, 1).await;
    Missing::end(&upstream);
    upstream.set().rotated = true;
    let answer = browser.sign_in("ann").await;
    assert_eq!(answer.is_ok().body["claims"]["sub"], "Uann");
    assert_eq!(page(&mut browser).await.is_ok().text, "Uann");
    assert_eq!(upstream.count(REFRESH), 0);
}

#[tokio::test]
async fn a_sign_in_whose_key_is_missing_sets_the_refresh_cookie() {
    for missing in Missing::ALL {
        let upstream = Upstream::rotating();
        let descope = ready(&upstream).await;
        let mut browser = Browser::with_tokens(layered(&descope), upstream.tokens("U0"));
        missing.begin(&upstream);
        forge_in_vain(&descope).await;
        let answer = browser.sign_in("ann").await;
        let body = &answer.is_ok().body;
        for member in ["claims", "sessionExpiration", "sessionJwt", "refreshJwt"] {
            assert_eq!(body.get(member), None, "{member}");
        }
        assert_eq!(body["user"]["userId"], "Uann");
        assert_eq!(browser.ds(), "", "the session before is over");
        assert_eq!(claims(&browser.dsr())["sub"], "Uann");
        // Nothing is known of it, and nothing is done in its name.
        for _ in 0..3 {
            not_yet(&page(&mut browser).await);
        }
        let answer = browser.get("/v1/auth/me").await;
        answer.is_error(503, "unavailable");
        assert_eq!((upstream.count(REFRESH), upstream.total()), (0, 1));

        Missing::end(&upstream);
        assert_eq!(page(&mut browser).await.is_ok().text, "Uann");
        assert_eq!((upstream.count(REFRESH), upstream.set().reused), (1, 0));
    }
}

/// A cool-down of forged kids, whatever the endpoint answers.
async fn forge_in_vain(descope: &Descope) {
    let error = descope.validate_session(&unknown_kid(7)).await.unwrap_err();
    assert!([401, 503].contains(&error.status().as_u16()), "{error:?}");
}

#[tokio::test]
async fn a_tenant_chosen_while_the_key_is_missing_keeps_the_session() {
    for missing in Missing::ALL {
        for rotation in [true, false] {
            let upstream = Upstream::new();
            upstream.set().rotation = rotation;
            let descope = ready(&upstream).await;
            let mut browser = Browser::with_tokens(layered(&descope), upstream.tokens("U1"));
            missing.begin(&upstream);
            browser.post(SELECT, json!({"tenant": "t1"})).await.is_ok();
            assert_eq!(browser.ds(), "");
            assert!(upstream.is_live(&browser.dsr()));
            Missing::end(&upstream);
            assert_eq!(page(&mut browser).await.is_ok().text, "U1");
            assert_eq!((upstream.count(REFRESH), upstream.set().reused), (1, 0));
        }
    }
}

// The same user or nobody, with a key or without.
#[tokio::test]
async fn an_unverified_sign_in_that_contradicts_itself_is_refused() {
    for wrong in [json!({"sub": "U2"}), json!({"iss": "P2other"})] {
        let upstream = Upstream::rotating();
        let descope = ready(&upstream).await;
        let mut browser = Browser::with_tokens(layered(&descope), upstream.tokens("U1"));
        Missing::Unpublished.begin(&upstream);
        upstream.set().session_claims = wrong.as_object().unwrap().clone();
        let answer = browser.sign_in("ann").await;
        answer.is_error(502, "upstream_invalid");
        assert!(!answer.sets_cookies());
    }
    // A tenant of another user's.
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    let mut browser = Browser::with_tokens(layered(&descope), upstream.tokens("U1"));
    Missing::Unpublished.begin(&upstream);
    upstream.set().claims = json!({"dsub": "U2"}).as_object().unwrap().clone();
    let answer = browser.post(SELECT, json!({"tenant": "t1"})).await;
    answer.is_error(502, "upstream_invalid");
}

/// A session and a refresh JWT, each signed with the next key or with the first.
fn pair(upstream: &Upstream, users: [&str; 2], next: [bool; 2]) -> String {
    upstream.set().rotated = next[0];
    let (session, _) = upstream.tokens(users[0]);
    upstream.set().rotated = next[1];
    let (_, refresh) = upstream.tokens(users[1]);
    json!({"sessionJwt": session, "refreshJwt": refresh}).to_string()
}

#[tokio::test]
async fn tokens_that_no_key_is_at_hand_for_must_be_of_one_user_and_alive() {
    for (users, life, status) in [
        (["U1", "U1"], 3600, 200),
        (["U1", "U2"], 3600, 502),
        (["U1", "U1"], -60, 502),
    ] {
        let upstream = Upstream::rotating();
        let descope = ready(&upstream).await;
        upstream.set().refresh_life = life;
        let reply = pair(&upstream, users, [true, true]);
        upstream.answer(VERIFY, 200, reply);
        let mut browser = Browser::new(layered(&descope));
        let body = json!({"loginId": "1", "code": CODE});
        let answer = browser.post(VERIFY, body).await;
        assert_eq!(answer.status, status, "{users:?} {life} {}", answer.text);
        assert_eq!(answer.sets_cookies(), status == 200);
    }
}

#[tokio::test]
async fn a_refresh_jwt_that_verifies_is_delivered_whatever_came_with_it() {
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    let mut browser = Browser::new(layered(&descope));
    let reply = pair(&upstream, ["U1", "U1"], [true, false]);
    upstream.answer(VERIFY, 200, reply);
    let body = json!({"loginId": "1", "code": CODE});
    browser.post(VERIFY, body).await.is_ok();
    assert_eq!(browser.ds(), "");
    assert!(upstream.is_live(&browser.dsr()));

    let before = browser.dsr();
    let reply = pair(&upstream, ["U1", "U1"], [true, false]);
    upstream.answer(REFRESH, 200, reply);
    let answer = page(&mut browser).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.sets_cookies() && browser.dsr() != before);
    assert!(upstream.is_live(&browser.dsr()));
}

#[tokio::test]
async fn a_session_that_verifies_waits_for_the_key_of_its_refresh_jwt() {
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    let mut browser = expired(&upstream, &descope).await;
    let reply = pair(&upstream, ["U1", "U1"], [false, true]);
    upstream.answer(REFRESH, 200, reply);
    not_yet(&page(&mut browser).await);
    Missing::end(&upstream);
    page(&mut browser).await.is_ok();
    assert_eq!(upstream.count(REFRESH), 1);
    assert!(upstream.is_live(&browser.dsr()));
}

#[tokio::test]
async fn a_call_that_is_repeated_takes_what_was_kept_once_its_key_is_there() {
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    let mut late = expired(&upstream, &descope).await;
    Missing::Unpublished.begin(&upstream);
    not_yet(&page(&mut late.clone()).await);
    Missing::end(&upstream);
    // The bare routes know of the renewal by its token alone, which is spent.
    late = Browser::with_tokens(bare(&descope), (late.ds(), late.dsr()));
    late.get("/v1/auth/me").await.is_ok();
    assert_eq!((upstream.count(REFRESH), upstream.set().reused), (1, 0));
}

#[tokio::test]
async fn a_session_cookie_that_cannot_be_judged_speaks_for_its_own_user_only() {
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    upstream.set().rotated = true;
    let (own, _) = upstream.tokens("Uann");
    let (foreign, _) = upstream.tokens("Umallory");
    upstream.set().rotated = false;
    let app = layered(&descope);
    forge(&descope, 1).await;
    for (session, status) in [("junk", 200), (&*own, 200), (&*foreign, 200)] {
        let (_, refresh) = upstream.tokens("Uann");
        let answer = page_with(&app, &format!("DS={session}; DSR={refresh}")).await;
        assert_eq!(answer.status, status, "{session} {}", answer.text);
    }
    upstream.set().keys_down = true;
    upstream.clock.advance(Duration::from_secs(60));
    forge_in_vain(&descope).await;
    // Of the shape of a token, so that it counts as one.
    let beside_junk = format!("YQ.YQ.YQ; DS={own}");
    for (session, status) in [
        ("junk", 200),
        (&*own, 200),
        (&*beside_junk, 200),
        (&*foreign, 503),
    ] {
        let (_, refresh) = upstream.tokens("Uann");
        let answer = page_with(&app, &format!("DS={session}; DSR={refresh}")).await;
        assert_eq!(answer.status, status, "{session} {}", answer.text);
    }
}

// Security requirement 22: an outage is no missing credential.
#[tokio::test]
async fn a_profile_says_when_it_cannot_be_told_whose_refresh_jwt_it_is() {
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    let (session, _) = upstream.tokens("Uann");
    Missing::Down.begin(&upstream);
    let (_, refresh) = upstream.tokens("Uann");
    forge_in_vain(&descope).await;
    let app = Router::new().route(
        "/page",
        axum::routing::get(async |user: tower_descope::User| {
            let error = user.refresh_token().await.unwrap_err();
            assert!(matches!(error.kind(), AuthErrorKind::Unavailable { .. }));
            match user.profile().await {
                Err(ProfileError::Undecided { retry_after }) => retry_after.as_secs().to_string(),
                other => format!("{other:?}"),
            }
        }),
    );
    let app = app.layer(descope.session_layer());
    let answer = page_with(&app, &format!("DS={session}; DSR={refresh}")).await;
    let wait: u64 = answer.text.parse().expect(&answer.text);
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(upstream.count("/v1/auth/me"), 0);
}

#[tokio::test]
async fn a_native_app_gets_both_tokens_as_they_are() {
    let upstream = Upstream::rotating();
    let descope = builder(&upstream)
        .token_delivery(TokenDelivery::Body)
        .build()
        .unwrap();
    descope.ready().await.unwrap();
    let mut app = Browser::new(bare(&descope));
    app.allow_tokens = true;
    Missing::Down.begin(&upstream);
    let answer = app
        .post(VERIFY, json!({"loginId": "ann", "code": CODE}))
        .await;
    let body = &answer.is_ok().body;
    for (member, drn) in [("sessionJwt", "DS"), ("refreshJwt", "DSR")] {
        let jwt = body[member].as_str().unwrap();
        assert_eq!(claims(jwt)["drn"], drn);
    }
    assert_eq!(body.get("claims"), None);
    assert!(!answer.sets_cookies());
}

// Security requirement 19: what upstream issues is asked for beside the cool-down, and a flood stays under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_forged_kids_gains_nothing_by_a_kid_that_is_issued() {
    let upstream = Upstream::rotating();
    let descope = ready(&upstream).await;
    let mut browser = expired(&upstream, &descope).await;
    Missing::Unpublished.begin(&upstream);
    let before = upstream.count(KEYS_PATH);
    let fetches = || upstream.count(KEYS_PATH) - before;
    not_yet(&page(&mut browser).await);
    assert_eq!(fetches(), 1, "one for what was issued");
    for round in 0..2 {
        let mut flood = tokio::task::JoinSet::new();
        for number in 0..10_000 {
            let descope = descope.clone();
            let token = unknown_kid(round * 10_000 + number);
            flood.spawn(async move { descope.validate_session(&token).await });
        }
        for verdict in flood.join_all().await {
            let error = verdict.unwrap_err();
            assert_eq!(error.invalid_token(), Some(InvalidToken::UnknownKey));
        }
        assert_eq!(fetches(), 2, "and one for all that were not");
    }
    // The issued kid is asked for at intervals only, whoever bears it and however often.
    for second in 1..=29 {
        upstream.clock.advance(Duration::from_secs(1));
        for _ in 0..20 {
            not_yet(&page(&mut browser).await);
        }
        let for_issued = fetches() - 2;
        assert!(for_issued <= second / 5, "{for_issued} in {second} s");
    }
    assert_eq!(upstream.count(REFRESH), 1);
}

#[tokio::test]
async fn another_replica_finds_what_is_kept() {
    for missing in Missing::ALL {
        let upstream = Upstream::rotating();
        let store = MemoryStore::new(upstream.clock.clone());
        let replica = async || {
            let builder = builder(&upstream).shared_store(store.clone());
            let descope = builder.build().unwrap();
            descope.ready().await.unwrap();
            descope
        };
        let (first, second) = (replica().await, replica().await);
        let mut browser = expired(&upstream, &first).await;
        let mut elsewhere = Browser::with_tokens(layered(&second), (browser.ds(), browser.dsr()));
        missing.begin(&upstream);
        not_yet(&page(&mut browser).await);
        for _ in 0..3 {
            not_yet(&page(&mut elsewhere).await);
            not_yet(&page(&mut browser).await);
        }
        assert_eq!(upstream.count(REFRESH), 1);
        Missing::end(&upstream);
        upstream.clock.advance(COOL_DOWN);
        page(&mut elsewhere).await.is_ok();
        settle().await;
        assert_eq!((upstream.count(REFRESH), upstream.set().reused), (1, 0));
        assert!(upstream.is_live(&elsewhere.dsr()));
        // A twin that is late finds it where it was kept first.
        page(&mut browser).await.is_ok();
        assert_eq!(browser.dsr(), elsewhere.dsr());
        assert_eq!(upstream.count(REFRESH), 1);
    }
}

// The store is gone when the key is there: this replica has kept the answer as well.
#[tokio::test]
async fn what_is_kept_outlives_the_store_for_a_while() {
    let upstream = Upstream::rotating();
    let store = MemoryStore::new(upstream.clock.clone());
    let builder = builder(&upstream).shared_store(store.clone());
    let descope = builder.build().unwrap();
    descope.ready().await.unwrap();
    let mut browser = expired(&upstream, &descope).await;
    Missing::Down.begin(&upstream);
    not_yet(&page(&mut browser).await);
    store.set_down(true);
    Missing::end(&upstream);
    page(&mut browser).await.is_ok();
    assert_eq!((upstream.count(REFRESH), upstream.set().reused), (1, 0));
}

// A sign-out ends what is kept, by the one token that upstream still takes.
#[tokio::test]
async fn a_sign_out_ends_what_is_kept() {
    for path in ["/v1/auth/logout", "/v1/auth/logoutall"] {
        let upstream = Upstream::rotating();
        let descope = ready(&upstream).await;
        let mut browser = expired(&upstream, &descope).await;
        browser.cookies.remove("DS");
        let cookies = browser.cookies.clone();
        Missing::Down.begin(&upstream);
        // Bare routes do not judge it again before the sign-out.
        let mut bare = Browser::new(bare(&descope));
        bare.cookies = cookies.clone();
        not_yet(&page(&mut browser).await);
        bare.post(path, json!({})).await.is_ok();
        assert_eq!((upstream.live(), upstream.set().reused), (0, 0), "{path}");
        Missing::end(&upstream);
        browser.cookies = cookies;
        assert_eq!(page(&mut browser).await.status, 401);
        assert_eq!(upstream.count(REFRESH), 1);
    }
}

/// The answer of a page to these cookies.
async fn page_with(app: &Router, cookies: &str) -> Answer {
    let mut browser = Browser::new(app.clone());
    let request = Browser::request("GET", "").uri("/page");
    let request = request.header("cookie", cookies).body(Body::empty());
    browser.send(request.unwrap()).await
}

/// A route's answer to these cookies.
async fn route_with(app: &Router, path: &str, cookies: &str) -> Answer {
    let mut browser = Browser::new(app.clone());
    let request = Browser::request("POST", path).header("cookie", cookies);
    browser.send(request.body(Body::from("{}")).unwrap()).await
}

// Security requirement 33: the user's own cookies cannot be judged now, and a sibling host has set one that can.
#[tokio::test]
async fn a_cookie_of_somebody_else_takes_no_place_of_one_whose_key_is_missing() {
    for missing in Missing::ALL {
        let upstream = Upstream::rotating();
        let descope = ready(&upstream).await;
        let (_, tossed) = upstream.tokens("Umallory");
        let (_, other) = upstream.tokens("Uann");
        missing.begin(&upstream);
        let mut browser = Browser::new(layered(&descope));
        browser.sign_in("ann").await.is_ok();
        let (refresh, (session, _)) = (browser.dsr(), upstream.tokens("Uann"));
        // Another of upstream's machines does not know of the new key yet.
        upstream.set().rotated = false;
        for cookies in [
            format!("DSR={tossed}; DSR={refresh}"),
            format!("DSR={refresh}; DSR={tossed}"),
            format!("DS={session}; DSR={tossed}"),
        ] {
            not_yet(&page_with(&layered(&descope), &cookies).await);
            for app in [layered(&descope), bare(&descope)] {
                not_yet(&route_with(&app, REFRESH, &cookies).await);
            }
        }
        assert_eq!(upstream.count(REFRESH), 0, "{missing:?}");
        // One of the same user does not have to wait.
        let cookies = format!("DSR={refresh}; DSR={other}");
        let answer = page_with(&layered(&descope), &cookies).await;
        assert_eq!(answer.is_ok().text, "Uann");
        assert_eq!(upstream.calls(REFRESH)[0].token.as_deref(), Some(&*other));
    }
}

// What was stored unverified is ended all the same: upstream knows it.
#[tokio::test]
async fn a_sign_out_while_the_key_is_missing_reaches_upstream() {
    for path in ["/v1/auth/logout", "/v1/auth/logoutall"] {
        for missing in Missing::ALL {
            for app in [layered, bare] {
                let upstream = Upstream::rotating();
                let descope = ready(&upstream).await;
                missing.begin(&upstream);
                let mut browser = Browser::new(app(&descope));
                browser.sign_in("ann").await.is_ok();
                assert_eq!(upstream.live(), 1);
                browser.post(path, json!({})).await.is_ok();
                assert_eq!(browser.dsr(), "");
                assert_eq!(upstream.live(), 0, "{path} {missing:?}");
            }
        }
    }
}
