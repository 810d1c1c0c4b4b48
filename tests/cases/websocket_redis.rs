//! The example `websocket` as two processes, with a real Redis server and one emulator.
//!
//! This binary is also the example: it starts itself again, with [`REPLICA`] in the environment.

use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use futures_core::Stream;
use libtest_mimic::Trial;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::needs;
use crate::support::redis_server::RedisServer;
use crate::support::replica_process;
use crate::support::world::{CookieLine as _, SignedIn, World};

#[allow(dead_code)]
#[path = "../../examples/websocket.rs"]
mod websocket;

const REPLICA: &str = "TOWER_DESCOPE_TEST_WEBSOCKET";

/// What this program does if a test started it as one of the processes.
pub fn replica() -> Option<ExitCode> {
    std::env::var_os(REPLICA)?;
    // Ends with its parent, however that ends.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    websocket::main().unwrap();
    Some(ExitCode::SUCCESS)
}

pub fn trials() -> Vec<Trial> {
    needs::trials("websocket", "redis", RedisServer::find(), |()| {
        vec![
            trial(
                "a_sign_out_at_one_process_closes_the_socket_at_the_other_within_a_second",
                || signed_out("logout"),
            ),
            trial(
                "a_sign_out_everywhere_closes_the_sockets_of_all_browsers_within_a_second",
                || signed_out("logoutall"),
            ),
            trial("a_socket_needs_a_session", strangers),
        ]
    })
}

fn trial<F: Future<Output = ()> + 'static>(name: &str, test: fn() -> F) -> Trial {
    Trial::test(name, move || {
        tokio::runtime::Runtime::new().unwrap().block_on(test());
        Ok(())
    })
}

async fn signed_out(call: &str) {
    let world = World::in_real_time().await;
    let redis = RedisServer::start();
    let [here, there] = [0, 1].map(|_| Replica::start(&world, &redis));
    let ann = world.sign_in("ann@example.com").await;
    let elsewhere = world.sign_in("ann@example.com").await;
    let bob = world.sign_in("bob@example.com").await;
    let mut of_ann = here.open(&ann).await;
    let mut of_elsewhere = here.open(&elsewhere).await;
    let mut of_bob = here.open(&bob).await;
    for (socket, session) in [
        (&mut of_ann, &ann),
        (&mut of_elsewhere, &elsewhere),
        (&mut of_bob, &bob),
    ] {
        let hello = next(socket).await.unwrap().into_text().unwrap();
        assert_eq!(hello.as_str(), format!("hello {}", session.user_id()));
    }

    there.sign_out(call, &ann).await;
    // From here on, because the sign-out everywhere takes up to a second itself where replicas share a store.
    let began = Instant::now();
    expect_close(&mut of_ann, began).await;
    println!("closed {:?} after {call}", began.elapsed());
    if call == "logoutall" {
        expect_close(&mut of_elsewhere, began).await;
    } else {
        expect_open(&mut of_elsewhere).await;
    }
    expect_open(&mut of_bob).await;
}

async fn strangers() {
    let world = World::in_real_time().await;
    let redis = RedisServer::start();
    let here = Replica::start(&world, &redis);
    let ann = world.sign_in("ann@example.com").await;
    let own = format!("http://127.0.0.1:{}", here.port);
    for (cookies, origin, status) in [
        ("", &*own, 401),
        (&*ann.cookie_line(), "http://evil.example", 403),
    ] {
        match here.connect(cookies, origin).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), status),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("a socket without a session"),
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn next(socket: &mut Socket) -> Option<Message> {
    let next = poll_fn(|context| Pin::new(&mut *socket).poll_next(context));
    let next = tokio::time::timeout(Duration::from_secs(5), next).await;
    next.expect("a message").map(Result::unwrap)
}

async fn expect_close(socket: &mut Socket, began: Instant) {
    let Some(Message::Close(Some(frame))) = next(socket).await else {
        panic!("no close frame");
    };
    assert_eq!(frame.code, CloseCode::Policy);
    assert_eq!(frame.reason.as_str(), "the session was signed out");
    // The connection, too.
    assert!(next(socket).await.is_none());
    let after = began.elapsed();
    assert!(after < Duration::from_secs(1), "{after:?}");
}

async fn expect_open(socket: &mut Socket) {
    let next = poll_fn(|context| Pin::new(&mut *socket).poll_next(context));
    let next = tokio::time::timeout(Duration::from_millis(500), next).await;
    assert!(next.is_err(), "{next:?}");
}

struct Replica {
    port: u16,
    process: Child,
}

impl Replica {
    fn start(world: &World, redis: &RedisServer) -> Self {
        let redis = redis.url();
        let (process, line) = replica_process::start([
            (REPLICA, "1"),
            ("DESCOPE_PROJECT_ID", world.emulator.project_id()),
            ("DESCOPE_BASE_URL", world.emulator.base_url()),
            ("REDIS_URL", &redis),
            ("LISTEN", "127.0.0.1:0"),
        ]);
        let (_, port) = line.rsplit_once(':').expect("an address");
        Self {
            port: port.parse().unwrap(),
            process,
        }
    }

    async fn open(&self, session: &SignedIn) -> Socket {
        let origin = format!("http://127.0.0.1:{}", self.port);
        self.connect(&session.cookie_line(), &origin).await.unwrap()
    }

    async fn connect(&self, cookies: &str, origin: &str) -> Result<Socket, Error> {
        let url = format!("ws://127.0.0.1:{}/live", self.port);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("cookie", cookies.parse().unwrap());
        headers.insert("origin", origin.parse().unwrap());
        Ok(connect_async(request).await?.0)
    }

    async fn sign_out(&self, call: &str, session: &SignedIn) {
        let origin = format!("http://127.0.0.1:{}", self.port);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client
            .post(format!("{origin}/auth/v1/auth/{call}"))
            .header("cookie", session.cookies())
            .header("origin", &origin)
            .header("content-type", "application/json")
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
