//! Connections that outlive their request: when they learn that their session is over.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_core::Stream;
use http::header::COOKIE;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::mpsc;
use tower::ServiceExt;
use tower_descope::clock::{Clock, ManualClock, SystemClock};
use tower_descope::{Descope, Revocation, SessionEnd, SignOut, User};

use crate::support::live::{Browser, Live};
use crate::support::memory_store::MemoryStore;
use crate::support::signer::{PROJECT, Signer, jwks, session};
use crate::support::world::{self, CookieLine as _, World};

pub(super) const LOGOUT: &str = "/v1/auth/logout";
const LOGOUT_ALL: &str = "/v1/auth/logoutall";
/// Of the emulator.
pub(super) const SESSION_LIFE: Duration = Duration::from_secs(600);
/// The default.
pub(super) const LEEWAY: Duration = Duration::from_secs(5);

/// The user of a connection that was opened with these cookies.
pub(super) async fn user(descope: &Descope, cookies: &str) -> User {
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, cookies.parse().unwrap());
    descope.authenticate(&headers).await.unwrap().unwrap()
}

/// A handle that needs no Descope, because the tokens are signed here.
fn signed_here() -> (Signer, Descope) {
    let signer = Signer::new("SK1");
    let builder = Descope::builder(PROJECT).public_key(jwks([&signer]).to_string());
    (signer, builder.build().unwrap())
}

fn now() -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64
}

pub(super) fn cookies(browser: &Browser) -> String {
    format!("DS={}; DSR={}", browser.cookie("DS"), browser.cookie("DSR"))
}

/// Nothing here has to wait for a timer, so a second is long.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(1), future)
        .await
        .expect("within a second")
}

/// Lets everything run that can run, and says whether the future is still pending.
pub(super) async fn goes_on<T>(mut future: Pin<&mut impl Future<Output = T>>) -> bool {
    for _ in 0..20 {
        tokio::task::yield_now().await;
        let mut context = Context::from_waker(Waker::noop());
        if future.as_mut().poll(&mut context).is_ready() {
            return false;
        }
    }
    true
}

/// Lets ten thousand tasks run: the scheduler comes back here after some sixty of them.
async fn run_all() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_session_ends_at_the_moment_at_which_requests_are_refused() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let user = user(&world.descope, &format!("DS={}", ann.session_jwt())).await;
    let mut ended = pin!(user.ended());
    assert!(goes_on(ended.as_mut()).await);
    world
        .clock
        .advance(SESSION_LIFE + LEEWAY - Duration::from_millis(1));
    assert!(goes_on(ended.as_mut()).await);
    assert_eq!(world.ask("/me", &ann).await.status(), 200);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(soon(ended).await, SessionEnd::Expired);
    assert_eq!(world.ask("/me", &ann).await.status(), 401);
    // Whoever asks later is told at once.
    assert_eq!(soon(user.ended()).await, SessionEnd::Expired);
}

#[tokio::test]
async fn without_a_clock_that_wakes_a_timer_does() {
    let world = World::in_real_time().await;
    world
        .emulator
        .configure(|config| config.session_ttl_seconds = 2);
    let ann = world.sign_in("ann@example.com").await;
    let descope = world
        .emulator
        .descope()
        .leeway(Duration::ZERO)
        .build()
        .unwrap();
    let user = descope.validate_session(ann.session_jwt()).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(3), user.ended()).await;
    assert_eq!(end.unwrap(), SessionEnd::Expired);
    assert!(user.expires_at() <= std::time::SystemTime::now());
}

#[tokio::test]
async fn the_mounted_sign_out_ends_the_connections_of_its_session_and_no_others() {
    let live = Live::start().await;
    let mut ann = live.signed_in("ann@example.com").await;
    let elsewhere = live.signed_in("ann@example.com").await;
    let bob = live.signed_in("bob@example.com").await;
    let ended = user(&live.descope, &cookies(&ann)).await.ended();
    let mut of_elsewhere = pin!(user(&live.descope, &cookies(&elsewhere)).await.ended());
    let mut of_bob = pin!(user(&live.descope, &cookies(&bob)).await.ended());
    let ended = tokio::spawn(ended);
    tokio::task::yield_now().await;
    ann.post(LOGOUT, json!({})).await.ok();
    assert_eq!(soon(ended).await.unwrap(), SessionEnd::SignedOut);
    assert!(goes_on(of_elsewhere.as_mut()).await);
    assert!(goes_on(of_bob.as_mut()).await);
}

#[tokio::test]
async fn a_sign_out_everywhere_ends_every_connection_of_the_user() {
    let live = Live::start().await;
    let mut ann = live.signed_in("ann@example.com").await;
    let elsewhere = live.signed_in("ann@example.com").await;
    let bob = live.signed_in("bob@example.com").await;
    let mut of_bob = pin!(user(&live.descope, &cookies(&bob)).await.ended());
    let of_ann = tokio::spawn(user(&live.descope, &cookies(&ann)).await.ended());
    let of_elsewhere = user(&live.descope, &cookies(&elsewhere)).await.ended();
    let of_elsewhere = tokio::spawn(of_elsewhere);
    tokio::task::yield_now().await;
    ann.post(LOGOUT_ALL, json!({})).await.ok();
    assert_eq!(soon(of_ann).await.unwrap(), SessionEnd::SignedOut);
    assert_eq!(soon(of_elsewhere).await.unwrap(), SessionEnd::SignedOut);
    assert!(goes_on(of_bob.as_mut()).await);
}

#[tokio::test]
async fn an_end_by_the_handle_ends_connections() {
    let world = World::new().await;
    for which in [SignOut::ThisSession, SignOut::Everywhere] {
        let ann = world.sign_in("ann@example.com").await;
        let ended = tokio::spawn(user(&world.descope, &ann.cookie_line()).await.ended());
        tokio::task::yield_now().await;
        let request = Request::post("/").header(COOKIE, ann.cookies());
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let _ = world.descope.end(&parts, which).await;
        assert_eq!(soon(ended).await.unwrap(), SessionEnd::SignedOut);
        // The next sign-in is not of the same second.
        world.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn every_kind_of_revocation_ends_connections() {
    let world = World::new().await;
    for n in 0..3 {
        let ann = world.sign_in("ann@example.com").await;
        let bob = world.sign_in("bob@example.com").await;
        let mut of_bob = pin!(user(&world.descope, &bob.cookie_line()).await.ended());
        let ended = tokio::spawn(user(&world.descope, &ann.cookie_line()).await.ended());
        tokio::task::yield_now().await;
        let revocation = match n {
            0 => Revocation::session_jwt(ann.session_jwt()),
            1 => Revocation::refresh_jwt(ann.refresh_jwt()),
            _ => Revocation::user(ann.user_id()),
        };
        world.descope.revoke(revocation).await.unwrap();
        assert_eq!(soon(ended).await.unwrap(), SessionEnd::SignedOut, "{n}");
        assert!(goes_on(of_bob.as_mut()).await);
    }
}

// The refresh JWT is all that this replica and the one of the sign-out both know of the session.
#[tokio::test]
async fn a_sign_out_that_names_the_refresh_jwt_alone_ends_connections() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    // This handle has issued nothing.
    let other = world::handle(&world.emulator, world.clock.clone(), |builder| builder);
    let user = user(&other, &ann.cookie_line()).await;
    let ended = tokio::spawn(user.ended());
    tokio::task::yield_now().await;
    other
        .revoke(Revocation::refresh_jwt(ann.refresh_jwt()))
        .await
        .unwrap();
    assert_eq!(soon(ended).await.unwrap(), SessionEnd::SignedOut);
    // It is known also to whoever asks too late.
    assert_eq!(soon(user.ended()).await, SessionEnd::SignedOut);
}

#[tokio::test]
async fn what_another_replica_ends_ends_connections_within_a_second() {
    let world = World::new().await;
    let store = MemoryStore::new(world.clock.clone());
    let replica = || {
        world::handle(&world.emulator, world.clock.clone(), |builder| {
            builder.shared_store(store.clone())
        })
    };
    let (here, there) = (replica(), replica());
    here.ready().await.unwrap();
    there.ready().await.unwrap();
    for n in 0..4 {
        let ann = world.sign_in("ann@example.com").await;
        let ended = tokio::spawn(user(&here, &ann.cookie_line()).await.ended());
        tokio::task::yield_now().await;
        let began = Instant::now();
        match n {
            0 => {
                let request = Request::post("/").header(COOKIE, ann.cookies());
                let (parts, ()) = request.body(()).unwrap().into_parts();
                let _ = there.end(&parts, SignOut::ThisSession).await;
            }
            1 => {
                let revocation = Revocation::refresh_jwt(ann.refresh_jwt());
                there.revoke(revocation).await.unwrap();
            }
            2 => {
                let revocation = Revocation::session_jwt(ann.session_jwt());
                there.revoke(revocation).await.unwrap();
            }
            _ => {
                let revocation = Revocation::user(ann.user_id());
                there.revoke(revocation).await.unwrap();
            }
        }
        assert_eq!(soon(ended).await.unwrap(), SessionEnd::SignedOut, "{n}");
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn of_many_connections_all_of_the_user_end_and_only_those() {
    let (signer, descope) = signed_here();
    let issued = now();
    let ann = signer.sign(&session("ann", issued));
    let user = descope.validate_session(&ann).await.unwrap();
    let of_ann: Vec<_> = (0..1000).map(|_| tokio::spawn(user.ended())).collect();
    // So many users that some of them are woken with every revocation.
    let mut others = Vec::new();
    for n in 0..1000 {
        let jwt = signer.sign(&session(&format!("U{n}"), issued));
        let user = descope.validate_session(&jwt).await.unwrap();
        others.extend((0..9).map(|_| tokio::spawn(user.ended())));
    }
    run_all().await;
    let began = Instant::now();
    let revocation = Revocation::session_jwt(&ann);
    descope.revoke(revocation).await.unwrap();
    for ended in of_ann {
        assert_eq!(ended.await.unwrap(), SessionEnd::SignedOut);
    }
    println!("1,000 of 10,000 connections end in {:?}", began.elapsed());
    let size = size_of_val(&user.ended());
    assert!(size < 1024, "{size} bytes");
    run_all().await;
    assert!(others.iter().all(|ended| !ended.is_finished()));
    others.iter().for_each(|ended| ended.abort());
}

// The revocation comes before, between and after the steps of a task that begins to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_races_with_the_call_is_not_missed() {
    let (signer, descope) = signed_here();
    let issued = now();
    for n in 0..1000 {
        let jwt = signer.sign(&session(&format!("U{n}"), issued));
        let user = descope.validate_session(&jwt).await.unwrap();
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let waiting = tokio::spawn({
            let barrier = barrier.clone();
            async move {
                barrier.wait();
                user.ended().await
            }
        });
        let revoking = tokio::spawn({
            let descope = descope.clone();
            async move {
                barrier.wait();
                (0..n * 10).for_each(|_| std::hint::spin_loop());
                descope.revoke(Revocation::session_jwt(jwt)).await
            }
        });
        revoking.await.unwrap().unwrap();
        assert_eq!(soon(waiting).await.unwrap(), SessionEnd::SignedOut, "{n}");
    }
}

/// A clock that does something when it is looked at.
#[derive(Default)]
struct Trap {
    clock: SystemClock,
    act: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Trap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trap")
    }
}

impl Clock for Trap {
    fn unix(&self) -> Duration {
        let act = self.act.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
        self.clock.unix()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

// After it has looked whether the session is revoked, the task looks at the clock, and then it waits.
#[tokio::test]
async fn a_revocation_between_the_look_and_the_wait_is_not_missed() {
    let signer = Signer::new("SK1");
    let trap = Arc::new(Trap::default());
    let descope = Descope::builder(PROJECT)
        .public_key(jwks([&signer]).to_string())
        .clock(trap.clone())
        .build()
        .unwrap();
    let jwt = signer.sign(&session("ann", now()));
    let user = descope.validate_session(&jwt).await.unwrap();
    let mut ended = pin!(user.ended());
    *trap.act.lock().unwrap() = Some(Box::new(move || {
        let mut revoke = pin!(descope.revoke(Revocation::user("ann")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(revoke.as_mut().poll(&mut context).is_ready());
    }));
    assert_eq!(soon(&mut ended).await, SessionEnd::SignedOut);
    assert!(trap.act.lock().unwrap().is_none());
}

#[tokio::test]
async fn what_happens_between_the_call_and_the_first_poll_counts() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let user = user(&world.descope, &ann.cookie_line()).await;
    let ended = user.ended();
    let revocation = Revocation::user(ann.user_id());
    world.descope.revoke(revocation).await.unwrap();
    assert_eq!(soon(ended).await, SessionEnd::SignedOut);
}

// The refresh JWT of the request that has opened the connection is spent, and no longer remembered.
// Its own refresh JWT is spent then, and forgotten ten seconds after the browser has the new one.
/// What a handler sends, as long as its end is not dropped.
struct Feed(mpsc::UnboundedReceiver<u32>, #[allow(dead_code)] Arc<()>);

impl Stream for Feed {
    type Item = Result<Event, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.0.poll_recv(context);
        next.map(|next| next.map(|number| Ok(Event::default().data(number.to_string()))))
    }
}

#[tokio::test]
async fn server_sent_events_end_with_the_session() {
    for until_over in [false, true] {
        let world = World::new().await;
        let ann = world.sign_in("ann@example.com").await;
        let (sender, receiver) = mpsc::unbounded_channel();
        let kept = Arc::new(());
        let feed = Mutex::new(Some(Feed(receiver, kept.clone())));
        let feed = Arc::new(feed);
        let app = Router::new()
            .route(
                "/events",
                get(async move |user: User| {
                    let feed = feed.lock().unwrap().take().unwrap();
                    Sse::new(match until_over {
                        true => user.watch().until_over(feed),
                        false => user.until_ended(feed),
                    })
                }),
            )
            .layer(world.descope.session_layer());
        let request = Request::get("/events").header(COOKIE, ann.cookies());
        let request = request.body(Body::empty()).unwrap();
        let response = app.oneshot(request).await.unwrap();
        let mut body = response.into_body();
        sender.send(1).unwrap();
        let frame = soon(body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "data: 1\n\n");
        if until_over {
            world.clock.advance(SESSION_LIFE + LEEWAY);
            sender.send(2).unwrap();
            let frame = loop {
                let mut frame = pin!(body.frame());
                if let Ok(frame) = tokio::time::timeout(Duration::from_secs(1), &mut frame).await {
                    break frame;
                }
            };
            assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "data: 2\n\n");
        }
        let rest = tokio::spawn(async move { body.frame().await.is_none() });
        tokio::task::yield_now().await;
        let revocation = Revocation::user(ann.user_id());
        if until_over {
            let request = Request::post("/").header(COOKIE, ann.cookies());
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let _ = world.descope.end(&parts, SignOut::ThisSession).await;
        } else {
            world.descope.revoke(revocation).await.unwrap();
        }
        assert!(soon(rest).await.unwrap(), "no more events");
        assert_eq!(Arc::strong_count(&kept), 1, "and nothing of them is kept");
    }
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_nothing_behind() {
    let signer = Signer::new("SK1");
    let clock = Arc::new(ManualClock::at_unix_seconds(now()));
    let descope = Descope::builder(PROJECT)
        .public_key(jwks([&signer]).to_string())
        .clock(clock.clone())
        .build()
        .unwrap();
    let jwt = signer.sign(&session("ann", now()));
    let user = user(&descope, &format!("DS={jwt}")).await;
    for _ in 0..100 {
        let mut ended = Box::pin(user.ended());
        assert!(goes_on(ended.as_mut()).await);
        let mut watch = user.watch();
        assert!(goes_on(pin!(watch.over())).await);
        let task = tokio::spawn(user.ended());
        tokio::task::yield_now().await;
        task.abort();
        let _ = task.await;
    }
    // The handle, and all that it holds, lives as long as somebody waits, and goes with the last of them.
    let mut ended = Box::pin(user.ended());
    assert!(goes_on(ended.as_mut()).await);
    drop((descope, user));
    assert!(Arc::strong_count(&clock) > 1);
    assert!(goes_on(ended.as_mut()).await);
    drop(ended);
    assert_eq!(Arc::strong_count(&clock), 1);
}
