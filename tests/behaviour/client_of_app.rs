//! A handle on a client that the app has already: what it takes from the client, and what contradicts it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use tower_descope::client::{
    AccessKey, ClientBuilder, RefreshToken, Transport, TransportFuture, UnavailableReason,
};
use tower_descope::clock::{ManualClock, SystemClock};
use tower_descope::emulator::TokenDelivery;
use tower_descope::{Client, ConfigError, Descope, DescopeBuilder};

use crate::support::fake::{Answer, Fake};
use crate::support::world::{self, REFRESH, World};

const PROJECT: &str = "P2abcdefghijklmnopqrstuvwxyz1";
const JWT: &str = "e30.e30.c2ln";

fn client() -> ClientBuilder {
    Client::builder(PROJECT.parse().unwrap())
}

fn token() -> RefreshToken {
    RefreshToken::new(JWT).unwrap()
}

#[tokio::test]
async fn sessions_are_verified_and_renewed_through_it() {
    let mut world = World::new().await;
    let client = Client::builder(world.emulator.project_id().parse().unwrap())
        .base_url(world.emulator.base_url().parse().unwrap())
        .clock(world.clock.clone())
        .build()
        .unwrap();
    // Also where the project delivers tokens in cookies, under Descope's names.
    for delivery in [TokenDelivery::Body, TokenDelivery::Cookies] {
        world
            .emulator
            .configure(|config| config.token_delivery = delivery);
        world.descope = Descope::builder(world.emulator.project_id())
            .client(client.clone())
            .session_cookies(["app_session"])
            .refresh_cookies(["app_refresh"])
            .build()
            .unwrap();
        world.app = world::app(&world.descope);
        let before = world.refreshes();
        let ann = world.sign_in("ann@example.com").await;
        world.clock.advance(Duration::from_secs(7200));
        // By the client's clock the session is over, which the system's clock does not know.
        let over = format!("app_session={}", ann.session_jwt());
        assert_eq!(world.get("/me", &over).await.status(), 401);
        let cookie = format!("app_refresh={}", ann.refresh_jwt());
        let reply = world.get("/me", &cookie).await;
        assert_eq!(reply.status(), 200, "{}", reply.body);
        assert!(reply.cookie("app_session").is_some());
        assert_eq!(world.refreshes(), before + 1);
    }
}

/// Notes the credential of each call.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<Vec<String>>>);

impl Transport for Noting {
    fn send(&self, request: Request<Bytes>, _limit: usize) -> TransportFuture<'_> {
        let credential = request.headers()[AUTHORIZATION].to_str().unwrap();
        self.0
            .lock()
            .unwrap()
            .push(format!("{} {credential}", request.uri()));
        Box::pin(async { Ok(http::Response::new("{}".into())) })
    }
}

#[tokio::test]
async fn its_transport_base_url_and_management_key_count() {
    let noting = Noting::default();
    let client = client()
        .base_url("https://auth.example.com".parse().unwrap())
        .transport(noting.clone())
        .auth_management_key(AccessKey::new("Kmanagement").unwrap())
        .build()
        .unwrap();
    let builder = Descope::builder(PROJECT).client(client);
    assert!(!format!("{builder:?}").contains("Kmanagement"));
    let descope = builder.build().unwrap();
    assert_eq!(
        descope.client().base_url().as_str(),
        "https://auth.example.com"
    );
    let _ = descope.client().session().refresh(&token()).await;
    assert_eq!(
        *noting.0.lock().unwrap(),
        [format!(
            "https://auth.example.com{REFRESH} Bearer {PROJECT}:{JWT}:Kmanagement"
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn its_deadline_and_limit_count() {
    let fake = Fake::new();
    fake.once(REFRESH, Answer::hang())
        .once(REFRESH, Answer::json("x".repeat(100)));
    let client = client().transport(fake).deadline(Duration::from_secs(2));
    let client = client.max_body(99).build().unwrap();
    let descope = Descope::builder(PROJECT).client(client).build().unwrap();
    let began = tokio::time::Instant::now();
    for (reason, seconds) in [
        (UnavailableReason::Timeout, 2),
        (UnavailableReason::TooLarge, 2),
    ] {
        let error = descope.client().session().refresh(&token()).await;
        assert_eq!(error.unwrap_err().unavailable_reason(), Some(reason));
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
}

#[tokio::test]
async fn tokens_are_found_in_cookies_of_the_names_of_both() {
    let fake = Fake::new();
    let app = client().transport(fake.clone());
    let app = app.session_cookie_name("client_session").build().unwrap();
    let descope = Descope::builder(PROJECT)
        .client(app.clone())
        .session_cookies(["__Host-app", "app"])
        .build()
        .unwrap();
    let answer = |names: &[&str]| {
        let answer = Answer::json(r#"{"sessionJwt":"","refreshJwt":""}"#);
        let numbered = names.iter().enumerate();
        numbered.fold(answer, |answer, (at, name)| {
            answer.header("set-cookie", format!("{name}=e30.e30.{at}; Secure"))
        })
    };
    for (names, found) in [
        (&["app"][..], Some("e30.e30.0")),
        (&["client_session"], Some("e30.e30.0")),
        (&["DS"], Some("e30.e30.0")),
        // Those of the handle come first, and Descope's own last.
        (
            &["DS", "client_session", "app", "__Host-app"],
            Some("e30.e30.3"),
        ),
        (&["DS", "client_session"], Some("e30.e30.1")),
        (&["other"], None),
    ] {
        fake.always(REFRESH, answer(names));
        let reply = descope.client().session().refresh(&token()).await;
        assert_eq!(reply.ok().map(|reply| reply.session_jwt).as_deref(), found);
    }
    // The app's own client stays as it is.
    fake.always(REFRESH, answer(&["app"]));
    assert!(app.session().refresh(&token()).await.is_err());
}

#[test]
fn what_contradicts_it_is_named() {
    let clock = Arc::new(ManualClock::at_unix_seconds(0));
    let given = || client().transport(Fake::new()).clock(clock.clone());
    type Change = fn(DescopeBuilder) -> DescopeBuilder;
    let changes: [(Change, &str); 5] = [
        (|it| it.base_url("https://api.descope.com"), "base_url()"),
        (|it| it.transport(Fake::new()), "transport()"),
        (|it| it.deadline(Duration::from_secs(5)), "deadline()"),
        (
            |it| it.auth_management_key(AccessKey::new("Ksecret").unwrap()),
            "auth_management_key()",
        ),
        (
            |it| it.clock(Arc::new(SystemClock::new())),
            "another clock()",
        ),
    ];
    let why = |builder: DescopeBuilder| match builder.build() {
        Err(ConfigError::Client(why)) => why,
        other => panic!("{:?}", other.map(|_| ())),
    };
    for (change, option) in changes {
        let (before, after) = (
            change(Descope::builder(PROJECT)).client(given().build().unwrap()),
            change(Descope::builder(PROJECT).client(given().build().unwrap())),
        );
        for builder in [before, after] {
            let why = why(builder);
            assert!(why.starts_with("client() and "), "{why}");
            assert!(why.contains(option), "{why}");
            assert!(!why.contains("Ksecret"), "{why}");
        }
    }
    let other = Descope::builder("P2other").client(given().build().unwrap());
    assert_eq!(
        why(other),
        format!("the client given to client() is of project {PROJECT}, and the handle of P2other")
    );
    // The same clock is no contradiction.
    let same = Descope::builder(PROJECT).client(given().build().unwrap());
    same.clock(clock.clone()).build().unwrap();
}
