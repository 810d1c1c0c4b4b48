//! Renewals whose process, client or handler goes away midway. What upstream issued must still reach the browser.
//!
//! Security requirement 25.

use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::support::endpoint::Good;
use crate::support::renewal::{COOKIES, OLD, PATH, Site, renewed, trial, unavailable};
use crate::support::upstream::Upstream;
use crate::support::world::Reply;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tower::ServiceExt;
use tower_descope::User;

/// No test takes as long as a caller waits for somebody else's renewal (ten seconds).
const SOON: Duration = Duration::from_secs(3);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("shutdown/in-flight", graceful_shutdown),
        Trial::test("shutdown/runtime-dropped", || {
            runtime_dropped();
            Ok(())
        }),
        trial("cancel/client-disconnect", client_disconnect),
        trial("cancel/leader-timeout", leader_timeout),
        trial("panic/handler", handler_panics),
    ]
}

/// An upstream that renews, each time somebody opens the gate.
struct Gated {
    upstream: Upstream,
    gate: Arc<Semaphore>,
}

impl Gated {
    async fn start() -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let answer = Good::tokens(PATH).answer(&["connection: close"]);
        let upstream = Upstream::start({
            let gate = gate.clone();
            move |mut peer| {
                let (gate, answer) = (gate.clone(), answer.clone());
                async move {
                    peer.read_request().await;
                    gate.acquire().await.unwrap().forget();
                    peer.write(&answer).await;
                }
            }
        })
        .await;
        Self { upstream, gate }
    }

    fn open(&self) {
        self.gate.add_permits(1);
    }

    fn requests(&self) -> usize {
        self.upstream.counts().1
    }

    async fn asked(&self, times: usize) {
        until(|| self.requests() >= times).await;
        assert_eq!(self.requests(), times);
    }
}

/// A server on its way out finishes what it has begun, and then ends.
async fn graceful_shutdown() {
    let gated = Gated::start().await;
    let site = Site::new(&gated.upstream.url());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, site.app.clone()).with_graceful_shutdown(async move {
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request().as_bytes()).await.unwrap();
    gated.asked(1).await;
    stop.send(()).unwrap();
    until_refused(address).await;
    assert!(!server.is_finished(), "a request is under way");
    gated.open();
    let mut answer = String::new();
    let read = client.read_to_string(&mut answer);
    tokio::time::timeout(SOON, read).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("set-cookie: DS=ey"), "{answer}");
    assert!(answer.contains("set-cookie: DSR=ey"), "{answer}");
    assert!(!answer.contains(&*OLD));
    let ended = tokio::time::timeout(SOON, server).await;
    ended.expect("the server ends").unwrap().unwrap();
    assert_eq!(gated.requests(), 1);
}

/// Not in the list: the runtime on which a renewal runs goes away at once. Those who wait on another one are told so
/// at once, and the next request renews.
fn runtime_dropped() {
    let doomed = runtime();
    let runtime = runtime();
    let (gated, site) = runtime.block_on(async {
        let gated = Gated::start().await;
        let site = Site::new(&gated.upstream.url());
        (gated, site)
    });
    let leader = doomed.spawn(ask(&site.app));
    runtime.block_on(async {
        gated.asked(1).await;
        let mut follower = pin!(ask(&site.app));
        assert!(is_pending(&mut follower), "it has joined the renewal");
        let began = Instant::now();
        doomed.shutdown_background();
        let reply = tokio::time::timeout(SOON, follower).await.unwrap();
        assert_eq!(unavailable(&reply), 5);
        assert!(began.elapsed() < SOON);
        assert!(leader.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(gated.requests(), 1);

        // One for the connection that nobody reads any more.
        gated.open();
        gated.open();
        let reply = tokio::time::timeout(SOON, site.get()).await.unwrap();
        renewed(&reply);
        assert_eq!(gated.requests(), 2);
    });
}

/// Over a real connection, that the client closes.
async fn client_disconnect() {
    let gated = Gated::start().await;
    let site = Site::new(&gated.upstream.url());
    let gone = Arc::new(AtomicUsize::new(0));
    let app = site.app.clone().layer(axum::middleware::from_fn({
        let gone = gone.clone();
        move |request, next: axum::middleware::Next| {
            let counted = Counted(gone.clone());
            async move {
                let response = next.run(request).await;
                drop(counted);
                response
            }
        }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request().as_bytes()).await.unwrap();
    gated.asked(1).await;
    let mut follower = pin!(ask(&site.app));
    assert!(is_pending(&mut follower), "it has joined the renewal");
    drop(client);
    until(|| gone.load(Ordering::SeqCst) == 1).await;
    gated.open();
    let first = renewed(&follower.await);
    // The very client comes back.
    assert_eq!(renewed(&site.get().await), first);
    assert_eq!(gated.requests(), 1);
}

/// Counts when it goes away.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The first request to come has a time limit of its own, the others have not.
async fn leader_timeout() {
    let gated = Gated::start().await;
    let site = Site::new(&gated.upstream.url());
    let mut leader = Box::pin(ask(&site.app));
    assert!(is_pending(&mut leader));
    let mut followers: Vec<_> = (0..10).map(|_| Box::pin(ask(&site.app))).collect();
    assert!(followers.iter_mut().all(is_pending));
    gated.asked(1).await;
    let limited = tokio::time::timeout(Duration::from_millis(20), leader);
    assert!(limited.await.is_err());
    gated.open();
    let mut pairs = Vec::new();
    for follower in followers {
        pairs.push(renewed(&follower.await));
    }
    pairs.dedup();
    assert_eq!(pairs.len(), 1, "all get the same");
    assert_eq!(gated.requests(), 1);
}

/// A handler panics, with a session that is known and with one that was just renewed.
async fn handler_panics() {
    let gated = Gated::start().await;
    let site = Site::new(&gated.upstream.url());
    let app = Router::new()
        // Without the hook, which would write to the terminal.
        .route(
            "/me",
            get(async |_: User| -> String { std::panic::resume_unwind(Box::new(())) }),
        )
        .layer(site.descope.session_layer());
    let panics = async |cookies: String| {
        let request = Request::get("/me").header("cookie", cookies);
        let call = app.clone().oneshot(request.body(Body::empty()).unwrap());
        let error = tokio::spawn(call).await.unwrap_err();
        assert!(error.is_panic());
    };
    gated.open();
    panics(COOKIES.clone()).await;
    // The response with the new cookies is lost. They are found again, not asked for again.
    let (session, refresh) = renewed(&site.get().await);
    assert_ne!(refresh.as_ref(), Some(&*OLD));
    let cookies = format!("DS={session}; DSR={}", refresh.unwrap());
    panics(cookies.clone()).await;
    let reply = site.get_with(&cookies).await;
    assert_eq!((reply.status(), reply.set_cookies().len()), (200, 0));
    assert_eq!(gated.requests(), 1);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn ask(app: &Router) -> impl Future<Output = Reply> + Send + use<> {
    let request = Request::get("/me").header("cookie", &*COOKIES);
    let request = request.body(Body::empty()).unwrap();
    let call = app.clone().oneshot(request);
    async { Reply::read(call.await.unwrap()).await }
}

fn request() -> String {
    format!(
        "GET /me HTTP/1.1\r\nhost: app.example\r\ncookie: {}\r\nconnection: close\r\n\r\n",
        *COOKIES
    )
}

fn is_pending<F: Future>(future: &mut Pin<impl std::ops::DerefMut<Target = F>>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(future.as_mut().poll(&mut context), Poll::Pending)
}

async fn until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < SOON, "it never comes");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_refused(address: std::net::SocketAddr) {
    let began = Instant::now();
    while TcpStream::connect(address).await.is_ok() {
        assert!(began.elapsed() < SOON, "it goes on listening");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
