//! The life of the project's keys, with a clock that is moved by hand.
//!
//! Security requirements 19 to 24, and the `jwks/*` and `clock/*` faults that need time rather than sockets; those of
//! the wire are in `keys_faults.rs`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::support::fake::{Answer, Gate};
use crate::support::faults_with_a_clock;
use crate::support::project::{NOW, Project, keys, retry_after, settle, token, unknown_kid};
use crate::support::signer::{self, KEYS_PATH, Signer};
use serde_json::json;
use tower_descope::client::TransportErrorKind;
use tower_descope::{AuthErrorKind, InvalidToken};

const HOUR: u64 = 3600;
/// The default of `unknown_key_cooldown`, in seconds.
const COOL_DOWN: u64 = 30;

static K1: LazyLock<Signer> = LazyLock::new(|| Signer::new("SK1"));
static K2: LazyLock<Signer> = LazyLock::new(|| Signer::new("SK2"));
static T1: LazyLock<String> = LazyLock::new(|| token(&K1));
static T2: LazyLock<String> = LazyLock::new(|| token(&K2));

fn down() -> Answer {
    Answer::fail(TransportErrorKind::Interrupted)
}

/// The faults of the list that are played here, and the test of each.
const FAULTS: [(&str, fn()); faults_with_a_clock::NAMES.len()] = [
    (
        "jwks/unknown-kty-added",
        other_keys_in_the_set_change_nothing,
    ),
    ("jwks/emptied", a_useless_answer_never_replaces_keys),
    ("jwks/rotate-overlap", rotate_overlap),
    ("jwks/rotate-hard", rotate_hard),
    ("jwks/flip-flop", flip_flop),
    ("jwks/304", not_modified_keeps_the_set_and_resets_its_age),
    ("jwks/cache-control-0", cache_control_is_clamped),
    ("jwks/cache-control-huge", cache_control_is_clamped),
    ("jwks/random-kid-flood", random_kid_flood),
    (
        "jwks/random-kid-flood-while-down",
        random_kid_flood_while_down,
    ),
    ("jwks/bad-sig-flood", bad_signatures_cause_no_fetch),
    ("clock/skew+4s", skew_within_the_leeway),
    ("clock/skew+10min", skew_within_the_leeway),
    ("clock/backwards", the_wall_clock_may_jump),
    ("clock/leap", a_clock_that_stands_still),
];

#[test]
fn every_fault_that_needs_a_clock_has_its_test() {
    assert_eq!(FAULTS.map(|(name, _)| name), faults_with_a_clock::NAMES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold_start_stampede() {
    let project = Project::new();
    let gate = Gate::new();
    project.answer(keys([&*K1]).behind(&gate));
    let all = project.check_all(std::iter::repeat_n(T1.clone(), 10_000));
    let open = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        gate.open();
    };
    let (verdicts, ()) = tokio::join!(all, open);
    assert_eq!(verdicts.len(), 10_000);
    for verdict in verdicts {
        assert_eq!(verdict.unwrap().id(), "U1");
    }
    assert_eq!(project.fetches(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold_start_stampede_on_a_dead_endpoint() {
    let project = Project::new();
    // The client repeats a GET once when the connection broke; a time-out it does not.
    project.answer(Answer::fail(TransportErrorKind::Timeout).after(Duration::from_millis(100)));
    for verdict in project
        .check_all(std::iter::repeat_n(T1.clone(), 10_000))
        .await
    {
        assert_eq!(retry_after(&verdict.unwrap_err()), 1);
    }
    assert_eq!(project.fetches(), 1);
    // Still within the pause: no call, and the same answer.
    assert_eq!(project.cannot_say(&T1).await, 1);
    assert_eq!(project.fetches(), 1);

    // Recovery: the endpoint is back, the pause of one second is over.
    project.publish([&*K1]);
    project.advance(1);
    project.accepts(&T1).await;
    assert_eq!(project.fetches(), 2);
}

/// 10,000 kids within one cool-down, and the fetches that they caused.
async fn flood(project: &Project, round: usize) -> (usize, Vec<tower_descope::AuthError>) {
    let before = project.fetches();
    let tokens = (0..10_000).map(|number| unknown_kid(round * 10_000 + number));
    let errors = project
        .check_all(tokens)
        .await
        .into_iter()
        .map(|verdict| verdict.unwrap_err())
        .collect();
    (project.fetches() - before, errors)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kid_flood() {
    let project = Project::loaded([&*K1]).await;
    for (round, (after, fetches)) in [(0, 1), (0, 0), (COOL_DOWN - 1, 0), (1, 1), (COOL_DOWN, 1)]
        .into_iter()
        .enumerate()
    {
        project.advance(after);
        let (caused, errors) = flood(&project, round).await;
        assert_eq!(caused, fetches, "round {round}");
        for error in errors {
            assert_eq!(error.invalid_token(), Some(InvalidToken::UnknownKey));
        }
        project.accepts(&T1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kid_flood_while_down() {
    for answer in [
        Answer::fail(TransportErrorKind::Timeout),
        Answer::json(r#"{"keys":[]}"#),
        Answer::json("not json"),
        Answer::status(500, ""),
    ] {
        let project = Project::loaded([&*K1]).await;
        project.answer(answer);
        for (round, (after, fetches)) in
            [(0, 1), (COOL_DOWN - 1, 0), (1, 1)].into_iter().enumerate()
        {
            project.advance(after);
            let (caused, errors) = flood(&project, round).await;
            assert_eq!(caused, fetches, "round {round}");
            for error in errors {
                // Any of them could be a new key: an outage is a 503, not a 401.
                let wait = retry_after(&error);
                assert!((1..=COOL_DOWN).contains(&wait), "{wait}");
            }
            project.accepts(&T1).await;
        }
    }
}

#[tokio::test]
async fn bad_signatures_cause_no_fetch() {
    let project = Project::loaded([&*K1]).await;
    let evil = token(&Signer::new("SK1"));
    for _ in 0..1000 {
        project.refuses(&evil, InvalidToken::Signature).await;
    }
    assert_eq!(project.fetches(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotate_overlap() {
    let project = Project::loaded([&*K1]).await;
    project.publish([&*K1, &*K2]);
    let tokens = (0..1000).map(|n| if n % 2 == 0 { T1.clone() } else { T2.clone() });
    for verdict in project.check_all(tokens).await {
        verdict.unwrap();
    }
    assert_eq!(project.fetches(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotate_hard() {
    let project = Project::loaded([&*K1]).await;
    project.publish([&*K2]);
    let tokens = (0..1000).map(|n| if n % 2 == 0 { T1.clone() } else { T2.clone() });
    for verdict in project.check_all(tokens).await {
        match verdict {
            Ok(_) => {}
            // K1 left the set.
            Err(error) => assert_eq!(error.invalid_token(), Some(InvalidToken::UnknownKey)),
        }
    }
    project.accepts(&T2).await;
    project.advance(COOL_DOWN);
    project.refuses(&T1, InvalidToken::UnknownKey).await;
    assert!(project.fetches() <= 3);
}

// "Keys that leave the set stop verifying at the next refresh" (security requirement 24), however quiet K2 is.
#[tokio::test]
async fn a_removed_key_is_gone_within_the_hour() {
    let project = Project::loaded([&*K1]).await;
    project.publish([&*K2]);
    project.advance(HOUR);
    project.refuses(&T1, InvalidToken::UnknownKey).await;
}

// jwks/unknown-kty-added, security requirement 23.
#[tokio::test]
async fn other_keys_in_the_set_change_nothing() {
    let project = Project::loaded([&*K1]).await;
    let mut set = signer::jwks([&*K1]);
    let keys = set["keys"].as_array_mut().unwrap();
    for other in [
        json!({"kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AAAA"}),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "AAAA"}),
        json!({"kty": "oct", "kid": "SK1", "alg": "RS256", "k": "AAAA"}),
        json!(null),
        json!({"kty": "RSA", "kid": "broken", "n": "AQ", "e": "AQAB"}),
    ] {
        keys.insert(0, other);
    }
    project.answer(Answer::json(set));
    project.descope.refresh_keys().await.unwrap();
    assert_eq!(project.descope.key_age(), Some(Duration::ZERO));
    project.accepts(&T1).await;
}

#[tokio::test]
async fn flip_flop() {
    let project = Project::loaded([&*K1, &*K2]).await;
    let mut refused_since = None;
    for second in 0..(3 * HOUR) {
        // Two replicas of the endpoint that take turns.
        match project.fetches() % 2 {
            0 => project.publish([&*K1]),
            _ => project.publish([&*K1, &*K2]),
        }
        project.accepts(&T1).await;
        match project.check(&T2).await {
            Ok(_) => refused_since = None,
            Err(error) => {
                assert_eq!(error.invalid_token(), Some(InvalidToken::UnknownKey));
                let since = *refused_since.get_or_insert(second);
                assert!(
                    second - since <= COOL_DOWN,
                    "refused for {} s",
                    second - since
                );
            }
        }
        settle().await;
        project.advance(1);
    }
}

#[tokio::test]
async fn a_useless_answer_never_replaces_keys() {
    let project = Project::loaded([&*K1]).await;
    for answer in [
        r#"{"keys":[]}"#.to_owned(),
        r#"{"keys":[{"kty":"oct","kid":"SK1","k":"AAAA"}]}"#.to_owned(),
        r#"{"keys":{}}"#.to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "not json".to_owned(),
        String::new(),
        // Half of a good one.
        signer::jwks([&*K2]).to_string()[..200].to_owned(),
    ] {
        project.answer(Answer::json(answer));
        project.descope.refresh_keys().await.unwrap();
        project.accepts(&T1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_of_outage_and_the_end_of_it() {
    let mut waited = Duration::ZERO;
    let project = Project::loaded([&*K1]).await;
    // The worst kind: an endpoint that takes the whole deadline of five seconds to fail.
    project.answer(Answer::hang());
    for _ in 0..(24 * 60 - 1) {
        project.advance(60);
        let started = tokio::time::Instant::now();
        project.accepts(&T1).await;
        waited += started.elapsed();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    // The refreshes beside the requests know of the outage before anybody would have to wait for one.
    assert_eq!(waited, Duration::ZERO);
    assert_eq!(project.descope.key_age().unwrap().as_secs(), 24 * HOUR - 60);
    assert!(project.fetches() < 24 * 60, "not more than one a minute");

    project.answer(down());
    project.advance(60);
    assert_eq!(project.cannot_say(&T1).await, 1);
    let error = project.descope.ready().await.unwrap_err();
    assert!(matches!(error.kind(), AuthErrorKind::Unavailable { .. }));

    project.publish([&*K1]);
    project.advance(1);
    project.accepts(&T1).await;
    assert_eq!(project.descope.key_age().unwrap().as_secs(), 0);
}

#[tokio::test]
async fn the_limit_of_stale_keys_can_be_set() {
    let project = Project::with(|builder| builder.stale_keys_for(Duration::from_secs(300)));
    project.publish([&*K1]);
    project.accepts(&T1).await;
    project.answer(down());
    project.advance(299);
    project.accepts(&T1).await;
    project.advance(1);
    project.cannot_say(&T1).await;
}

#[tokio::test]
async fn refresh_ahead_runs_once_and_beside_requests() {
    let project = Project::loaded([&*K1]).await;
    let gate = Gate::new();
    project.answer(keys([&*K1, &*K2]).behind(&gate));
    // With jitter the refresh is due between 8 and 10 minutes.
    project.advance(8 * 60 - 1);
    project.accepts(&T1).await;
    settle().await;
    assert_eq!(project.fetches(), 1);
    project.advance(2 * 60 + 1);
    for _ in 0..100 {
        project.accepts(&T1).await;
    }
    settle().await;
    assert_eq!(project.fetches(), 2);
    assert_eq!(project.descope.key_age().unwrap().as_secs(), 10 * 60);
    gate.open();
    settle().await;
    assert_eq!(project.descope.key_age().unwrap().as_secs(), 0);
    project.accepts(&T2).await;
    assert_eq!(project.fetches(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_idling_requests_wait_for_the_refresh() {
    let project = Project::loaded([&*K1]).await;
    project.answer(keys([&*K2]).after(Duration::from_millis(50)));
    project.advance(2 * HOUR);
    for verdict in project
        .check_all(std::iter::repeat_n(T1.clone(), 100))
        .await
    {
        let error = verdict.unwrap_err();
        assert_eq!(error.invalid_token(), Some(InvalidToken::UnknownKey));
    }
    // One for the age of the keys, one for the kid that was not among the new ones.
    assert!(project.fetches() <= 3, "{}", project.fetches());

    let project = Project::loaded([&*K1]).await;
    project.answer(Answer::fail(TransportErrorKind::Timeout).after(Duration::from_millis(50)));
    project.advance(2 * HOUR);
    for verdict in project
        .check_all(std::iter::repeat_n(T1.clone(), 100))
        .await
    {
        verdict.unwrap();
    }
    assert_eq!(project.fetches(), 2);
}

#[tokio::test]
async fn cache_control_is_clamped() {
    let age_at_refresh = async |cache_control: &str| {
        let project = Project::new();
        let answer = keys([&*K1]).header("cache-control", cache_control);
        project.answer(answer);
        project.accepts(&T1).await;
        for second in 1..(2 * HOUR) {
            project.advance(1);
            project.accepts(&T1).await;
            settle().await;
            if project.fetches() > 1 {
                return second;
            }
        }
        panic!("no refresh with {cache_control}");
    };
    for (cache_control, least, most) in [
        ("max-age=0", 48, 60),
        ("no-store", 480, 600),
        ("max-age=300", 240, 300),
        ("public, max-age=31536000", 2880, HOUR),
        ("max-age=99999999999999999999999", 480, 600),
    ] {
        let age = age_at_refresh(cache_control).await;
        assert!((least..=most).contains(&age), "{cache_control}: {age} s");
    }
}

#[tokio::test]
async fn not_modified_keeps_the_set_and_resets_its_age() {
    let project = Project::loaded([&*K1]).await;
    project.answer(Answer::status(304, ""));
    project.advance(500);
    project.descope.refresh_keys().await.unwrap();
    assert_eq!(project.descope.key_age(), Some(Duration::ZERO));
    project.accepts(&T1).await;

    // Without keys there is nothing that it could confirm.
    let project = Project::new();
    project.answer(Answer::status(304, ""));
    project.cannot_say(&T1).await;
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_a_minute() {
    for (value, pause) in [
        ("7", 7),
        ("999999999", 60),
        ("-1", 60),
        ("soon", 60),
        ("0", 1),
    ] {
        let project = Project::new();
        project.answer(Answer::status(429, "").header("retry-after", value));
        assert_eq!(project.cannot_say(&T1).await, pause, "{value}");
        project.publish([&*K1]);
        project.advance(pause - 1);
        assert_eq!(project.cannot_say(&T1).await, 1, "{value}");
        assert_eq!(project.fetches(), 1, "{value}");
        project.advance(1);
        project.accepts(&T1).await;
        assert_eq!(project.fetches(), 2, "{value}");
    }

    // Unknown kids wait, too.
    let project = Project::loaded([&*K1]).await;
    project.answer(Answer::status(503, "").header("retry-after", "50"));
    assert_eq!(project.cannot_say(&T2).await, 50);
    project.publish([&*K1, &*K2]);
    project.advance(COOL_DOWN);
    assert_eq!(project.cannot_say(&T2).await, 20);
    assert_eq!(project.fetches(), 2);
    project.accepts(&T1).await;
    project.advance(20);
    project.accepts(&T2).await;
    assert_eq!(project.fetches(), 3);
}

// clock/backwards: ages are monotonic.
#[tokio::test]
async fn the_wall_clock_may_jump() {
    let project = Project::loaded([&*K1]).await;
    let short = K1.sign(&signer::session("U1", NOW));
    project.accepts(&short).await;
    project.clock.jump(-(HOUR as i64));
    // Issued in what is now the future.
    project.refuses(&short, InvalidToken::NotYetValid).await;
    assert_eq!(project.descope.key_age(), Some(Duration::ZERO));
    project.advance(2 * HOUR + 5);
    let error = project.check(&short).await.unwrap_err();
    assert_eq!(
        *error.kind(),
        AuthErrorKind::ExpiredToken,
        "nothing lives forever"
    );
    assert_eq!(project.fetches(), 2, "keys age by the monotonic clock");
    project.clock.jump(-NOW * 2);
    assert!(project.check(&short).await.is_err());
}

// clock/leap
#[tokio::test]
async fn a_clock_that_stands_still() {
    let project = Project::new();
    project.answer(down());
    for _ in 0..100 {
        assert_eq!(project.cannot_say(&T1).await, 1);
    }
    // The first call, and its repetition after the connection broke.
    assert_eq!(project.fetches(), 2);
    project.publish([&*K1]);
    project.advance(1);
    for _ in 0..100 {
        project.accepts(&T1).await;
    }
    assert_eq!(project.fetches(), 3);
}

#[tokio::test]
async fn skew_within_the_leeway() {
    for (skew, accepted) in [
        (4, true),
        (-4, true),
        (5, true),
        (-5, true),
        (-6, false),
        (600, true),
        (-600, false),
    ] {
        let project = Project::loaded([&*K1]).await;
        let fresh = K1.sign(&signer::session("U1", NOW));
        project.clock.jump(skew);
        assert_eq!(project.check(&fresh).await.is_ok(), accepted, "{skew} s");
    }
    // The other end of a token's life.
    for (skew, accepted) in [(4, true), (-4, true), (5, false), (600, false)] {
        let project = Project::loaded([&*K1]).await;
        let ending = K1.sign(&signer::session("U1", NOW - 3600));
        project.clock.jump(skew);
        assert_eq!(project.check(&ending).await.is_ok(), accepted, "{skew} s");
    }
}

#[tokio::test]
async fn a_fetch_keeps_no_handle_alive() {
    let project = Project::new();
    let gate = Gate::new();
    project.answer(keys([&*K1]).behind(&gate));
    let clock = Arc::downgrade(&project.clock);
    let waiting = tokio::spawn({
        let descope = project.descope.clone();
        async move { descope.ready().await }
    });
    settle().await;
    waiting.abort();
    let fake = project.fake.clone();
    drop(project);
    gate.open();
    settle().await;
    let _ = waiting.await;
    settle().await;
    assert_eq!(fake.calls(), 1);
    assert_eq!(clock.strong_count(), 0, "something holds on to the handle");
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_the_fetch_for_nobody() {
    let project = Project::new();
    let gate = Gate::new();
    project.answer(keys([&*K1]).behind(&gate));
    let check = || {
        let descope = project.descope.clone();
        tokio::spawn(async move { descope.validate_session(&T1).await })
    };
    let leader = check();
    settle().await;
    let follower = check();
    settle().await;
    leader.abort();
    gate.open();
    follower.await.unwrap().unwrap();
    assert_eq!(project.fetches(), 1);
}

#[test]
fn a_runtime_that_goes_away_leaves_nothing_stuck() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let project = Project::new();
    project.answer(Answer::hang());

    // Without keys: while they are fetched, and the next runtime fetches them.
    let first = runtime();
    first.spawn({
        let descope = project.descope.clone();
        async move { descope.ready().await }
    });
    first.block_on(settle());
    assert_eq!(project.fetches(), 1);
    drop(first);
    let second = runtime();
    project.publish([&*K1]);
    second.block_on(project.accepts(&T1));
    assert_eq!(project.fetches(), 2);

    // With keys: during a refresh in the background.
    project.answer(Answer::hang());
    project.advance(10 * 60);
    second.block_on(async {
        project.accepts(&T1).await;
        settle().await;
    });
    assert_eq!(project.fetches(), 3);
    drop(second);
    let third = runtime();
    project.publish([&*K1, &*K2]);
    project.advance(COOL_DOWN);
    third.block_on(async {
        project.accepts(&T1).await;
        settle().await;
        assert_eq!(project.fetches(), 4, "the next background refresh");
        project.accepts(&T2).await;
    });
    assert_eq!(project.fetches(), 4);
}

#[tokio::test]
async fn given_keys_are_never_fetched() {
    let project = Project::with(|builder| builder.public_key(K1.jwk().to_string()));
    project.descope.ready().await.unwrap();
    project.descope.refresh_keys().await.unwrap();
    project.accepts(&T1).await;
    project.advance(400 * 24 * HOUR);
    project.descope.ready().await.unwrap();
    for number in 0..100 {
        project
            .refuses(&unknown_kid(number), InvalidToken::UnknownKey)
            .await;
    }
    assert_eq!(project.descope.key_age(), None);
    assert_eq!(project.fetches(), 0);
}

#[tokio::test]
async fn the_handle_shows_what_the_keys_do() {
    let project = Project::new();
    assert_eq!(project.descope.key_age(), None);
    project.answer(down());
    let error = project.descope.ready().await.unwrap_err();
    assert_eq!(retry_after(&error), 1);
    assert_eq!(project.descope.key_age(), None);

    project.advance(1);
    project.publish([&*K1]);
    project.descope.ready().await.unwrap();
    let fetches = project.fetches();
    project.advance(60);
    project.descope.ready().await.unwrap();
    assert_eq!(project.fetches(), fetches, "they are there");
    assert_eq!(project.descope.key_age().unwrap().as_secs(), 60);

    // An emergency: K1 is gone at once, without any cool-down.
    for signers in [vec![&*K2], vec![&*K1], vec![&*K2]] {
        project.publish(signers);
        project.descope.refresh_keys().await.unwrap();
    }
    project.refuses(&T1, InvalidToken::UnknownKey).await;
    project.accepts(&T2).await;
}

#[tokio::test]
async fn a_forced_refresh_does_not_settle_for_an_answer_that_was_on_its_way() {
    let project = Project::new();
    let gate = Gate::new();
    // Asked before the rotation, answered after it.
    project.fake.once(KEYS_PATH, keys([&*K1]).behind(&gate));
    project.publish([&*K2]);
    let early = tokio::spawn({
        let descope = project.descope.clone();
        async move { descope.ready().await }
    });
    settle().await;
    let forced = tokio::spawn({
        let descope = project.descope.clone();
        async move { descope.refresh_keys().await }
    });
    settle().await;
    gate.open();
    early.await.unwrap().unwrap();
    forced.await.unwrap().unwrap();
    assert_eq!(project.fetches(), 2);
    project.refuses(&T1, InvalidToken::UnknownKey).await;
    project.accepts(&T2).await;
}

#[tokio::test]
async fn settings_at_their_limits_do_not_panic() {
    let project = Project::with(|builder| {
        builder
            .unknown_key_cooldown(Duration::MAX)
            .stale_keys_for(Duration::MAX)
            .keep_renewals_for(Duration::MAX)
            .early_renewal(Duration::MAX)
            .deadline(Duration::MAX)
    });
    project.publish([&*K1]);
    project.accepts(&T1).await;
    project
        .refuses(&unknown_kid(1), InvalidToken::UnknownKey)
        .await;
    let mut refresh = signer::session("U1", NOW);
    refresh["drn"] = json!("DSR");
    let refusal = Answer::status(401, r#"{"errorCode":"E061005"}"#);
    project.fake.always("/v1/auth/refresh", refusal);
    let cookies = format!("DS={}; DSR={}", *T1, K1.sign(&refresh));
    let headers = http::HeaderMap::from_iter([(
        http::header::COOKIE,
        http::HeaderValue::from_str(&cookies).unwrap(),
    )]);
    for _ in 0..3 {
        let user = project.descope.authenticate(&headers).await.unwrap();
        assert_eq!(user.unwrap().id(), "U1");
        settle().await;
        project.advance(600);
    }
    assert!(project.fake.calls_of("/v1/auth/refresh") >= 1);
}
