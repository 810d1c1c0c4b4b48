//! Many requests at once. The calls that upstream received are the oracle. Security requirement 25.
//!
//! One trial for each scenario of `race-scenarios.json`; those that concern the mounted endpoints are in
//! `routes_races`, the soak is a program of its own in `benches/`.

use std::collections::HashSet;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::support::needs;
use crate::support::world::{self, CookieLine as _, REFRESH, Reply, World};
use axum::Router;
use axum::body::Body;
use http::Request;
use libtest_mimic::Trial;
use serde_json::json;
use tower::ServiceExt;
use tower_descope::emulator::{Fault, RefreshRotation};
use tower_descope::wire::{DeliveryMethod, OtpSignInRequest, OtpVerifyRequest};

const ROTATIONS: [RefreshRotation; 3] = [
    RefreshRotation::None,
    RefreshRotation::SingleUse,
    RefreshRotation::ReuseInterval,
];

/// Scenarios that are played elsewhere.
const ELSEWHERE: [&str; 4] = [
    "logout-vs-refresh",
    "login-as-other-vs-refresh",
    "layer-outside-routes",
    "soak",
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("stampede-10k", stampede),
        trial("late-arrivals", late_arrivals),
        trial("late-arrivals-after-grace", late_arrivals_after_grace),
        trial("loser-must-not-clear", loser_must_not_clear),
        trial("two-users", two_users),
        trial("leader-cancelled", leader_cancelled),
        trial("refresh-fails-once", refresh_fails_once),
        trial("refresh-hangs", refresh_hangs),
        trial("rotation-chain", rotation_chain),
        trial("theft-replay", theft_replay),
        trial("jwks-cold-stampede", cold_keys),
        trial("otp-parallel-guess", parallel_guesses),
        trial("otp-parallel-same-right-code", parallel_right_codes),
        trial("nobody-there", nobody_there),
    ];
    let names: HashSet<String> = trials.iter().map(|trial| trial.name().to_owned()).collect();
    let vectors = needs::vectors("race-scenarios.json");
    trials.extend(needs::trials(
        "all scenarios",
        "vectors",
        vectors,
        |vectors| {
            vec![Trial::test("all scenarios", move || {
                for case in vectors["cases"].as_array().ok_or("no cases")? {
                    let name = case["name"].as_str().ok_or("no name")?;
                    if !names.contains(name) && !ELSEWHERE.contains(&name) {
                        return Err(format!("{name} is not played").into());
                    }
                }
                Ok(())
            })]
        },
    ));
    trials
}

fn trial<F>(name: &str, play: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        tokio::runtime::Runtime::new()?.block_on(play());
        Ok(())
    })
}

/// Sends the same request many times at once.
async fn burst(app: &Router, count: usize, cookies: impl Fn(usize) -> String) -> Vec<Reply> {
    let mut requests = tokio::task::JoinSet::new();
    for n in 0..count {
        let request = Request::get("/me")
            .header("cookie", cookies(n))
            .body(Body::empty())
            .unwrap();
        let app = app.clone();
        requests.spawn(async move { (n, Reply::read(app.oneshot(request).await.unwrap()).await) });
    }
    let mut replies = requests.join_all().await;
    replies.sort_by_key(|(n, _)| *n);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

/// Lets the session JWT run out, here and upstream.
fn expire(world: &World) {
    world.clock.advance(Duration::from_secs(660));
}

/// A debug build on a busy machine takes its time for 10,000 requests; connections and calls may wait for it.
async fn patient() -> World {
    let patience = Duration::from_secs(30);
    let transport = reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(patience)
        .build()
        .unwrap();
    World::with(|builder| {
        builder
            .deadline(patience)
            .transport(transport)
            // The clock of the app stands still meanwhile.
            .leeway(Duration::from_secs(60))
    })
    .await
}

async fn stampede() {
    for rotation in ROTATIONS {
        let world = patient().await;
        world.rotation(rotation);
        let ann = world.sign_in_long_ago("ann@example.com").await;
        world.emulator.configure(|config| config.latency_ms = 200);
        let replies = burst(&world.app, 10_000, |_| ann.cookie_line()).await;
        let pairs: HashSet<_> = replies
            .iter()
            .map(|reply| (reply.cookie("DS"), reply.cookie("DSR")))
            .collect();
        assert!(replies.iter().all(|reply| reply.status() == 200));
        assert_eq!(pairs.len(), 1, "every response sets the same pair");
        assert_eq!(world.refreshes(), 1);
    }
}

async fn late_arrivals() {
    for rotation in ROTATIONS {
        let world = World::new().await;
        world.rotation(rotation);
        let ann = world.sign_in_long_ago("ann@example.com").await;
        let first = world.browse("/me", &ann).await;
        for _ in 0..9 {
            world.clock.advance(Duration::from_secs(1));
            let late = world.browse("/me", &ann).await;
            assert_eq!(
                (late.status(), late.cookie("DSR")),
                (200, first.cookie("DSR"))
            );
        }
        assert_eq!(world.refreshes(), 1);
    }
}

async fn late_arrivals_after_grace() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    world.browse("/me", &ann).await;
    world.clock.advance(Duration::from_secs(11));
    let late = world.browse("/me", &ann).await;
    assert_eq!((late.status(), late.set_cookies().len()), (401, 0));
    assert_eq!(world.refreshes(), 2, "went upstream");
    let later = world.browse("/me", &ann).await;
    assert_eq!(
        (later.status(), later.set_cookies().len(), world.refreshes()),
        (401, 0, 2)
    );
    world.clock.advance(Duration::from_secs(11));
    let last = world.browse("/me", &ann).await;
    assert_eq!(
        (last.status(), last.cookie("DSR").as_deref()),
        (401, Some(""))
    );
}

/// Two instances without shared state.
async fn loser_must_not_clear() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let other = world::app(&world::handle(
        &world.emulator,
        world.clock.clone(),
        |builder| builder,
    ));
    let ann = world.sign_in_long_ago("ann@example.com").await;
    world.emulator.configure(|config| config.latency_ms = 100);
    let (here, there) = tokio::join!(
        burst(&world.app, 20, |_| ann.cookie_line()),
        burst(&other, 20, |_| ann.cookie_line()),
    );
    let won = if here[0].status() == 200 {
        &here
    } else {
        &there
    };
    let lost = if here[0].status() == 200 {
        &there
    } else {
        &here
    };
    assert!(won.iter().all(|reply| reply.status() == 200));
    for reply in lost {
        assert!(matches!(reply.status(), 401 | 503), "{}", reply.status());
        assert!(
            reply.set_cookies().is_empty(),
            "the winner's cookies survive"
        );
    }
    assert_eq!(world.refreshes(), 2);
    // The browser holds the winner's cookies, whichever instance it meets next.
    let ann = ann.after(&won[0].response);
    for app in [&world.app, &other] {
        assert_eq!(burst(app, 1, |_| ann.cookie_line()).await[0].status(), 200);
    }
}

async fn two_users() {
    let world = patient().await;
    world.rotation(RefreshRotation::SingleUse);
    let mut users = Vec::new();
    for n in 0..500 {
        users.push(
            world
                .sign_in_long_ago(&format!("user{n}@example.com"))
                .await,
        );
    }
    world.emulator.configure(|config| config.latency_ms = 50);
    let replies = burst(&world.app, 10_000, |n| users[n % 500].cookie_line()).await;
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(
            (reply.status(), &reply.json()["id"]),
            (200, &json!(users[n % 500].user_id()))
        );
    }
    assert_eq!(world.refreshes(), 500);
}

async fn leader_cancelled() {
    for rotation in ROTATIONS {
        let world = World::new().await;
        world.rotation(rotation);
        let ann = world.sign_in_long_ago("ann@example.com").await;
        world.descope.ready().await.unwrap();
        world.emulator.configure(|config| config.latency_ms = 200);
        let cookies = ann.cookie_line();
        let leader = world.get("/me", &cookies);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), leader)
                .await
                .is_err()
        );
        let replies = burst(&world.app, 50, |_| ann.cookie_line()).await;
        assert!(replies.iter().all(|reply| reply.status() == 200));
        assert_eq!(world.refreshes(), 1);
    }
}

async fn refresh_fails_once() {
    let world = World::new().await;
    let ann = world.sign_in_long_ago("ann@example.com").await;
    world.emulator.configure(|config| config.latency_ms = 100);
    world
        .emulator
        .fault(Fault::status(REFRESH, 503).retry_after(1));
    let replies = burst(&world.app, 1_000, |_| ann.cookie_line()).await;
    assert!(
        replies
            .iter()
            .all(|reply| matches!(reply.status(), 200 | 503))
    );
    assert!(replies.iter().all(|reply| reply.cookie("DSR").is_none()));
    assert!(
        world.refreshes() <= 2,
        "no retry storm: {}",
        world.refreshes()
    );
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.browse("/me", &ann).await.status(), 200);
}

async fn refresh_hangs() {
    let world = World::with(|builder| builder.deadline(Duration::from_millis(500))).await;
    let ann = world.sign_in_long_ago("ann@example.com").await;
    world.descope.ready().await.unwrap();
    // So many requests take seconds by themselves on a busy machine.
    let bob = world.sign_in_long_ago("bob@example.com").await;
    let began = Instant::now();
    let replies = burst(&world.app, 10_000, |_| bob.cookie_line()).await;
    assert!(replies.iter().all(|reply| reply.status() == 200));
    let without_a_hang = began.elapsed();
    world.emulator.fault(Fault::hang(REFRESH).times(10));
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let began = Instant::now();
    let replies = burst(&world.app, 10_000, |_| ann.cookie_line()).await;
    let elapsed = began.elapsed();
    assert!(
        elapsed < Duration::from_secs(5) + 2 * without_a_hang,
        "{elapsed:?}, and {without_a_hang:?} without a hang"
    );
    assert!(
        replies
            .iter()
            .all(|reply| reply.status() == 503 && reply.set_cookies().is_empty())
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        tasks() <= before + 5,
        "{} tasks before, {} after",
        before,
        tasks()
    );
}

/// A day: 144 expiries with 50 requests each.
async fn rotation_chain() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let mut ann = world.sign_in("ann@example.com").await;
    for generation in 1..=144 {
        expire(&world);
        let replies = burst(&world.app, 50, |_| ann.cookie_line()).await;
        assert!(replies.iter().all(|reply| reply.status() == 200));
        ann = ann.after(&replies[0].response);
        assert_eq!(world.refreshes(), generation);
    }
}

async fn theft_replay() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let oldest = world.sign_in_long_ago("ann@example.com").await;
    let older = oldest.after(&world.browse("/me", &oldest).await.response);
    // The next generation within the window of the first.
    let newest = world.get("/me", &older.refresh_cookie()).await;
    assert_eq!(newest.status(), 200);
    let thief = world.get("/me", &oldest.refresh_cookie()).await;
    assert_eq!((thief.status(), thief.set_cookies().len()), (401, 0));
    let twin = world.get("/me", &older.refresh_cookie()).await;
    assert_eq!(
        (twin.status(), twin.cookie("DSR")),
        (200, newest.cookie("DSR")),
        "the immediate predecessor"
    );
}

async fn cold_keys() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    world.emulator.configure(|config| config.latency_ms = 300);
    let replies = burst(&world.app, 10_000, |_| ann.cookie_line()).await;
    assert!(replies.iter().all(|reply| reply.status() == 200));
    assert_eq!(world.key_fetches(), 1);
}

async fn parallel_guesses() {
    let world = World::new().await;
    let request = OtpSignInRequest::new("ann@example.com");
    let client = world.descope.client().clone();
    client
        .otp()
        .sign_up_or_in(DeliveryMethod::Email, &request, None)
        .await
        .unwrap();
    let code = world.emulator.last_code("ann@example.com").unwrap();
    let mut guesses = tokio::task::JoinSet::new();
    for n in 0..1_000 {
        let guess = format!("{n:06}");
        if guess == code {
            continue;
        }
        let client = client.clone();
        guesses.spawn(async move {
            let request = OtpVerifyRequest::new("ann@example.com", guess);
            let error = client
                .otp()
                .verify(DeliveryMethod::Email, &request)
                .await
                .unwrap_err();
            error.code().map(str::to_owned)
        });
    }
    let answers = guesses.join_all().await;
    let evaluated = answers
        .iter()
        .filter(|code| code.as_deref() == Some("E061102"))
        .count();
    assert!(
        (1..=5).contains(&evaluated),
        "{evaluated} guesses were evaluated"
    );
    let right = OtpVerifyRequest::new("ann@example.com", code);
    let error = client
        .otp()
        .verify(DeliveryMethod::Email, &right)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("E061103"), "even the right code fails");
}

async fn parallel_right_codes() {
    let world = World::new().await;
    let client = world.descope.client().clone();
    let request = OtpSignInRequest::new("ann@example.com");
    client
        .otp()
        .sign_up_or_in(DeliveryMethod::Email, &request, None)
        .await
        .unwrap();
    let code = world.emulator.last_code("ann@example.com").unwrap();
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (client, code) = (client.clone(), code.clone());
        tries.spawn(async move {
            let request = OtpVerifyRequest::new("ann@example.com", code);
            client
                .otp()
                .verify(DeliveryMethod::Email, &request)
                .await
                .is_ok()
        });
    }
    let sessions = tries.join_all().await.into_iter().filter(|ok| *ok).count();
    assert_eq!(sessions, 1);
}

async fn nobody_there() {
    let world = World::new().await;
    world.rotation(RefreshRotation::SingleUse);
    let ann = world.sign_in_long_ago("ann@example.com").await;
    world.descope.ready().await.unwrap();
    world.emulator.configure(|config| config.latency_ms = 200);
    let cookies = ann.cookie_line();
    let hangs_up = world.get("/me", &cookies);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), hangs_up)
            .await
            .is_err()
    );
    world.emulator.configure(|config| config.latency_ms = 0);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(
        world.refreshes(),
        1,
        "the renewal went on without its client"
    );
    world.clock.advance(Duration::from_secs(590));
    let reply = world.browse("/me", &ann).await;
    assert_eq!(reply.status(), 200);
    assert_ne!(ann.after(&reply.response).refresh_jwt(), ann.refresh_jwt());
    assert_eq!(world.refreshes(), 1);
}
