//! The session of an access key on outgoing calls. The emulator's count of exchanges is the oracle; the receiver is an
//! app with a session layer.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_descope::User;
use tower_descope::client::{
    AccessKey, AccessKeyError, AccessKeyLayer, AccessKeyService, ClientErrorKind,
};
use tower_descope::emulator::{Fault, NewAccessKey};
use tower_descope::wire::{AccessKeyLoginOptions, api_code};

use crate::support::fake::{Answer, Fake, Gate};
use crate::support::log::Log;
use crate::support::world::World;

const EXCHANGE: &str = "/v1/auth/accesskey/exchange";
/// The life of the emulator's sessions here.
const LIFE: u64 = 600;

struct Machine {
    world: World,
    key: String,
    layer: AccessKeyLayer,
}

impl Machine {
    async fn new() -> Self {
        Self::with_rights(NewAccessKey::new("job")).await
    }

    async fn with_rights(rights: NewAccessKey) -> Self {
        let world = World::new().await;
        world
            .emulator
            .configure(|config| config.session_ttl_seconds = LIFE as u32);
        let key = world.emulator.create_access_key(rights).unwrap();
        Self {
            layer: layer(&world, &key),
            key,
            world,
        }
    }

    fn receiver(&self) -> Router {
        receiver(&self.world)
    }

    fn service(&self) -> AccessKeyService<Router> {
        self.layer.layer(self.receiver())
    }

    fn exchanges(&self) -> u64 {
        self.world.emulator.calls(EXCHANGE)
    }

    fn advance(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
    }

    /// Returns when so many exchanges were answered and what came of them is known to the layer.
    async fn settle(&self, exchanges: u64) {
        for _ in 0..500 {
            if self.exchanges() >= exchanges {
                // The answer is on its way.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} exchanges", self.exchanges());
    }
}

fn layer(world: &World, key: &str) -> AccessKeyLayer {
    AccessKeyLayer::new(world.descope.client().clone(), AccessKey::new(key).unwrap())
}

/// Answers with who calls and in which tenant, and with the token.
fn receiver(world: &World) -> Router {
    Router::new()
        .route(
            "/",
            get(async |user: User| {
                let tenant = user.current_tenant().unwrap_or_default().to_owned();
                let jwt = user.session_jwt().expose().to_owned();
                format!("{} {tenant} {jwt}", user.id())
            }),
        )
        .layer(world.descope.session_layer())
}

fn request() -> Request<Body> {
    Request::get("/").body(Body::empty()).unwrap()
}

type Called = Result<(u16, String), AccessKeyError<Infallible>>;

async fn call(service: AccessKeyService<Router>) -> Called {
    let response = service.oneshot(request()).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// The session JWT with which the call arrived.
async fn jwt(service: AccessKeyService<Router>) -> String {
    let (status, body) = call(service).await.unwrap();
    assert_eq!(status, 200, "{body}");
    body.rsplit(' ').next().unwrap().to_owned()
}

fn refusal(called: Called) -> (ClientErrorKind, Option<String>) {
    match called {
        Err(AccessKeyError::Exchange(error)) => (error.kind(), error.code().map(str::to_owned)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn fifty_parallel_calls_of_clones_make_one_exchange() {
    let machine = Machine::new().await;
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        calls.spawn(jwt(machine.layer.clone().layer(machine.receiver())));
    }
    let mut tokens = calls.join_all().await;
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    assert_eq!(machine.exchanges(), 1);
    assert_eq!(jwt(machine.service()).await, tokens[0]);
    assert_eq!(machine.exchanges(), 1);
}

#[tokio::test]
async fn near_the_end_one_exchange_runs_beside_the_calls_and_nobody_waits() {
    let machine = Machine::new().await;
    let first = jwt(machine.service()).await;
    machine.advance(LIFE - 61);
    assert_eq!(jwt(machine.service()).await, first);
    assert_eq!(machine.exchanges(), 1, "not due");

    machine.advance(1);
    // Whoever waited for this exchange would wait for the client's deadline of two seconds.
    machine.world.emulator.fault(Fault::hang(EXCHANGE));
    let calls = async {
        for _ in 0..20 {
            assert_eq!(jwt(machine.service()).await, first);
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(1), calls).await;
    in_time.expect("no call waits");
    machine.settle(2).await;
    assert_eq!(machine.exchanges(), 2);
}

#[tokio::test]
async fn what_the_exchange_in_the_background_brings_is_used() {
    let machine = Machine::new().await;
    let first = jwt(machine.service()).await;
    machine.advance(LIFE - 60);
    assert_eq!(jwt(machine.service()).await, first);
    machine.settle(2).await;
    let second = jwt(machine.service()).await;
    assert_ne!(second, first);
    machine.advance(LIFE - 61);
    assert_eq!(jwt(machine.service()).await, second);
    assert_eq!(machine.exchanges(), 2);
}

#[tokio::test]
async fn a_session_that_may_run_out_on_the_way_is_waited_for() {
    let machine = Machine::new().await;
    let first = jwt(machine.service()).await;
    for rest in [5, 0] {
        machine.advance(LIFE - rest);
        let mut calls = JoinSet::new();
        for _ in 0..10 {
            calls.spawn(jwt(machine.service()));
        }
        let mut tokens = calls.join_all().await;
        tokens.dedup();
        assert_eq!(tokens.len(), 1);
        assert_ne!(tokens[0], first);
    }
    assert_eq!(machine.exchanges(), 3);
}

#[tokio::test]
async fn in_an_outage_a_good_session_is_used_to_its_end() {
    let log = Log::start();
    let machine = Machine::new().await;
    let first = jwt(machine.service()).await;
    machine
        .world
        .emulator
        .fault(Fault::status(EXCHANGE, 503).times(100));
    machine.advance(LIFE - 60);
    for attempt in [2, 3, 4] {
        assert_eq!(jwt(machine.service()).await, first);
        machine.settle(attempt).await;
        assert_eq!(jwt(machine.service()).await, first);
        assert_eq!(machine.exchanges(), attempt, "no attempt within the pause");
        machine.advance(8);
    }
    // The last seconds, and the last one.
    machine.advance(60 - 24 - 5);
    for rest in [5, 1] {
        assert_eq!(jwt(machine.service()).await, first, "{rest}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        machine.advance(rest - 1);
    }
    machine.advance(1);
    let called = call(machine.service()).await;
    assert_eq!(refusal(called).0, ClientErrorKind::Unavailable);
    let text = log.text();
    assert!(text.contains("access_key.exchange_failed"), "{text}");
    assert!(!text.contains(&machine.key), "{text}");
}

#[tokio::test]
async fn a_call_that_waits_gets_the_session_that_is_still_good_when_the_exchange_fails() {
    let machine = Machine::new().await;
    let first = jwt(machine.service()).await;
    machine.advance(LIFE - 3);
    machine.world.emulator.fault(Fault::status(EXCHANGE, 500));
    assert_eq!(jwt(machine.service()).await, first);
    assert_eq!(machine.exchanges(), 2);
}

#[tokio::test]
async fn a_refused_key_is_a_typed_error_and_asked_about_ever_more_rarely() {
    let machine = Machine::new().await;
    let wrong = layer(&machine.world, "Kwrong").layer(machine.receiver());
    let mut exchanges = 0;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        let mut calls = JoinSet::new();
        for _ in 0..10 {
            calls.spawn(call(wrong.clone()));
        }
        for called in calls.join_all().await {
            assert_eq!(
                refusal(called),
                (
                    ClientErrorKind::Api,
                    Some(api_code::INVALID_ACCESS_KEY.to_owned())
                )
            );
        }
        exchanges += 1;
        assert_eq!(machine.exchanges(), exchanges);
        machine.advance(pause - 1);
        refusal(call(wrong.clone()).await);
        assert_eq!(
            machine.exchanges(),
            exchanges,
            "within the pause of {pause} s"
        );
        machine.advance(1);
    }
}

#[tokio::test]
async fn retry_after_is_honoured_and_a_success_ends_the_pauses() {
    let machine = Machine::new().await;
    let busy = Fault::status(EXCHANGE, 429).retry_after(30);
    machine.world.emulator.fault(busy);
    let called = call(machine.service()).await;
    assert_eq!(refusal(called).0, ClientErrorKind::RateLimited);
    machine.advance(29);
    let called = call(machine.service()).await;
    assert_eq!(refusal(called).0, ClientErrorKind::RateLimited);
    assert_eq!(machine.exchanges(), 1);
    machine.advance(1);
    jwt(machine.service()).await;
    assert_eq!(machine.exchanges(), 2);
}

#[tokio::test]
async fn the_exchange_survives_the_caller_who_began_it() {
    let machine = Machine::new().await;
    let slow = Fault::slow(EXCHANGE, Duration::from_millis(200));
    machine.world.emulator.fault(slow);
    let first = tokio::spawn(call(machine.service()));
    machine.settle(1).await;
    let second = tokio::spawn(jwt(machine.service()));
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    second.await.unwrap();
    assert_eq!(machine.exchanges(), 1);
}

#[test]
fn an_exchange_that_ended_with_its_runtime_is_made_again() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let fake = Fake::new();
    let gate = Gate::new();
    let jwt = "e30.eyJpYXQiOjEwMDAsImV4cCI6MTYwMH0.c2ln";
    let answer = serde_json::json!({"sessionJwt": jwt});
    fake.always(EXCHANGE, Answer::json(answer));
    fake.once(EXCHANGE, Answer::status(500, "").behind(&gate));
    let client = tower_descope::Client::builder("P2abc".parse().unwrap());
    let client = client.transport(fake.clone()).build().unwrap();
    let layer = AccessKeyLayer::new(client, AccessKey::new("K2abc").unwrap());
    let send = || {
        let echo = service_fn(async |request: Request<()>| {
            Ok::<_, Infallible>(Response::new(request.headers()[AUTHORIZATION].clone()))
        });
        layer.layer(echo).oneshot(Request::new(()))
    };
    let first = runtime();
    first.block_on(async {
        let waiting = tokio::time::timeout(Duration::from_millis(50), send());
        assert!(waiting.await.is_err());
    });
    drop(first);
    let sent = runtime().block_on(send()).unwrap().into_body();
    assert_eq!(sent, format!("Bearer {jwt}"));
    assert_eq!(fake.calls(), 2);
}

#[tokio::test]
async fn two_keys_do_not_mix() {
    let machine = Machine::new().await;
    let key = machine
        .world
        .emulator
        .create_access_key(NewAccessKey::new("other"))
        .unwrap();
    let other = layer(&machine.world, &key).layer(machine.receiver());
    let id = |body: String| body.split(' ').next().unwrap().to_owned();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(id(call(machine.service()).await.unwrap().1));
        ids.push(id(call(other.clone()).await.unwrap().1));
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[..2], ids[2..]);
    assert_eq!(machine.exchanges(), 2);
}

#[tokio::test]
async fn options_choose_the_tenant_and_have_a_session_of_their_own() {
    let tenants = ["T1", "T2"].map(|id| serde_json::json!({"tenantId": id}));
    let mut rights = NewAccessKey::new("job");
    rights.user_tenants = serde_json::from_value(tenants.into()).unwrap();
    let machine = Machine::with_rights(rights).await;
    let mut options = AccessKeyLoginOptions::default();
    options.selected_tenant = "T2".to_owned();
    options
        .custom_claims
        .insert("job".to_owned(), serde_json::json!("night"));
    // The emulator reads with the same type as the client writes, so the names of the API are spelled out here.
    assert_eq!(
        serde_json::to_value(&options).unwrap(),
        serde_json::json!({"customClaims": {"job": "night"}, "selectedTenant": "T2"})
    );
    let in_tenant = machine.layer.clone().login_options(options);
    let tenant = |body: String| body.split(' ').nth(1).unwrap().to_owned();
    let called = call(in_tenant.layer(machine.receiver())).await.unwrap();
    assert_eq!(tenant(called.1), "T2");
    assert_eq!(tenant(call(machine.service()).await.unwrap().1), "");
    assert_eq!(machine.exchanges(), 2);
}

#[tokio::test]
async fn the_header_replaces_what_is_there_and_is_sensitive() {
    let machine = Machine::new().await;
    let look = service_fn(async |request: Request<Body>| {
        let values = request.headers().get_all(AUTHORIZATION);
        let values: Vec<_> = values.iter().cloned().collect();
        Ok::<_, Infallible>(values)
    });
    // Once with a wait and once without.
    for _ in 0..2 {
        let mut request = request();
        let headers = request.headers_mut();
        headers.append(AUTHORIZATION, "Bearer one".parse().unwrap());
        headers.append(AUTHORIZATION, "Basic two".parse().unwrap());
        let values = machine.layer.layer(look).oneshot(request).await.unwrap();
        assert_eq!(values.len(), 1);
        assert!(values[0].is_sensitive());
        assert!(values[0].to_str().unwrap().starts_with("Bearer ey"));
    }
}

/// Panics when it is called without having been polled ready. A clone is not ready.
#[derive(Default)]
struct Polled(bool);

impl Clone for Polled {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<Request<Body>> for Polled {
    type Response = ();
    type Error = Infallible;
    type Future = std::future::Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "called without poll_ready");
        std::future::ready(Ok(()))
    }
}

#[tokio::test]
async fn the_service_that_was_polled_ready_is_called() {
    let machine = Machine::new().await;
    let mut service = machine.layer.layer(Polled::default());
    for _ in 0..3 {
        service
            .ready()
            .await
            .unwrap()
            .call(request())
            .await
            .unwrap();
    }
    machine.advance(LIFE);
    service
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap();
    assert_eq!(machine.exchanges(), 2);
}

#[tokio::test]
async fn a_call_that_has_no_session_is_not_sent() {
    let machine = Machine::new().await;
    let called = Arc::new(AtomicBool::new(false));
    let seen = called.clone();
    let inner = service_fn(move |_: Request<Body>| {
        seen.store(true, Ordering::SeqCst);
        async { Ok::<_, Infallible>(()) }
    });
    let service = layer(&machine.world, "Kwrong").layer(inner);
    for _ in 0..2 {
        assert!(service.clone().oneshot(request()).await.is_err());
    }
    assert!(!called.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_answer_without_a_session_that_lives_is_an_error_with_a_pause() {
    for answer in [
        r#"{"sessionJwt":"opaque"}"#,
        r#"{"sessionJwt":"e30.eyJpYXQiOjE2MDAsImV4cCI6MTYwMH0.c2ln"}"#,
        r#"{"sessionJwt":"a b","expiration":9000000000}"#,
        "{}",
    ] {
        let fake = Fake::new();
        fake.always(EXCHANGE, Answer::json(answer));
        let client = tower_descope::Client::builder("P2abc".parse().unwrap());
        let client = client.transport(fake.clone()).build().unwrap();
        let layer = AccessKeyLayer::new(client, AccessKey::new("K2abc").unwrap());
        let service = layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(())));
        for _ in 0..3 {
            let error = service.clone().oneshot(Request::new(())).await.unwrap_err();
            assert!(matches!(&error, AccessKeyError::Exchange(error)
                if error.kind() == ClientErrorKind::Unavailable));
        }
        assert_eq!(fake.calls(), 1, "{answer}");
    }
}

#[tokio::test]
async fn errors_have_a_text_and_a_source_and_nothing_shows_a_secret() {
    let machine = Machine::new().await;
    let jwt = jwt(machine.service()).await;
    let broken = service_fn(async |_: Request<Body>| Err::<(), _>(std::io::Error::other("cut")));
    let error = machine.layer.layer(broken).oneshot(request()).await;
    let error = error.unwrap_err();
    assert!(matches!(error, AccessKeyError::Call(_)));
    assert_eq!(error.to_string(), "cut");

    let wrong = layer(&machine.world, "Kwrong");
    let error = call(wrong.layer(machine.receiver())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the access key could not be exchanged for a session"
    );
    let source = error.source().unwrap().to_string();
    assert!(source.contains(api_code::INVALID_ACCESS_KEY), "{source}");

    let mut waiting = machine.layer.layer(Polled::default());
    let future = waiting.ready().await.unwrap().call(request());
    let shown = format!(
        "{:?} {:?} {wrong:?} {error:?} {error:#?} {source} {future:?}",
        machine.layer,
        machine.layer.layer(1),
    );
    let secrets = jwt.split('.').chain([&*machine.key, "Kwrong"]);
    for secret in secrets {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn calls_outside_a_runtime_use_a_session_that_is_good() {
    let machine = Machine::new().await;
    jwt(machine.service()).await;
    machine.advance(LIFE - 60);
    let mut service = machine.layer.layer(Polled::default());
    service.ready().await.unwrap();
    let outside = std::thread::spawn(move || {
        // A call begins the exchange when it is made and not when it is polled.
        drop(service.call(request()));
    });
    outside.join().unwrap();
    assert_eq!(machine.exchanges(), 1);
    jwt(machine.service()).await;
    machine.settle(2).await;
}

#[tokio::test]
async fn the_future_may_move_to_another_thread() {
    fn is_send<T: Send>(it: T) -> T {
        it
    }
    let machine = Machine::new().await;
    let (ready, mut wait) = watch::channel(false);
    let call = is_send(call(machine.service()));
    tokio::spawn(async move {
        call.await.unwrap();
        ready.send_replace(true);
    });
    wait.wait_for(|ready| *ready).await.unwrap();
}
