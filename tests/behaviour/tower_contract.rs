//! What the layer promises to tower: any body, any service, and the one that was polled ready is the one called.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::support::world::{CookieLine as _, World};
use bytes::Bytes;
use http::header::COOKIE;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_descope::require::{GrpcStatus, NoBody};
use tower_descope::store::{RedisStore, StoreError, StoreKey, Stored};
use tower_descope::{RequireLayer, User};

/// A body that is neither `Default` nor `Send`, and nothing that axum knows.
struct OddBody(Rc<Cell<Option<&'static str>>>);

impl Body for OddBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(
            self.0
                .take()
                .map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
        )
    }
}

fn odd(text: &'static str) -> OddBody {
    OddBody(Rc::new(Cell::new(Some(text))))
}

/// Panics when it is called without having been polled ready; a clone has not been.
struct MustBeReady {
    ready: bool,
    calls: Rc<Cell<u32>>,
}

impl Clone for MustBeReady {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: self.calls.clone(),
        }
    }
}

impl Service<Request<OddBody>> for MustBeReady {
    type Response = Response<OddBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OddBody>) -> Self::Future {
        assert!(self.ready, "called a service that was not polled ready");
        self.ready = false;
        self.calls.set(self.calls.get() + 1);
        let known = User::from_extensions(request.extensions()).is_ok();
        ready(Ok(Response::new(odd(if known {
            "user"
        } else {
            "nobody"
        }))))
    }
}

#[tokio::test]
async fn odd_bodies_and_the_ready_service() {
    let world = World::new().await;
    let fresh = world.sign_in("ann@example.com").await;
    let expired = world.sign_in_long_ago("bob@example.com").await;
    let calls = Rc::new(Cell::new(0));
    let mut service = world.descope.session_layer().layer(MustBeReady {
        ready: false,
        calls: calls.clone(),
    });
    // Without a wait, with a wait for keys, with a wait for a renewal.
    for (cookies, want) in [
        (String::new(), "nobody"),
        (fresh.cookie_line(), "user"),
        (fresh.cookie_line(), "user"),
        (expired.cookie_line(), "user"),
    ] {
        let request = Request::get("/")
            .header(COOKIE, cookies)
            .body(odd(""))
            .unwrap();
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.into_body().0.take(), Some(want));
    }
    assert_eq!(
        (calls.get(), world.key_fetches(), world.refreshes()),
        (4, 1, 1)
    );
}

// A service that has no room now says so; whoever asks a layer around it has to hear it.
#[tokio::test]
async fn no_layer_is_ready_before_the_service_inside() {
    #[derive(Clone)]
    struct Full;

    impl Service<Request<()>> for Full {
        type Response = Response<()>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            unreachable!("it is never ready")
        }
    }

    let world = World::new().await;
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut layered = world.descope.session_layer().layer(Full);
    assert!(layered.poll_ready(&mut context).is_pending());
    let layer = RequireLayer::new().with_rejection(NoBody);
    let mut required = layer.layer(Full);
    assert!(required.poll_ready(&mut context).is_pending());
}

#[tokio::test]
async fn rejections_for_bodies_that_are_only_default() {
    #[derive(Default)]
    struct Empty;

    let world = World::new().await;
    let inner = tower::service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Empty)));
    let response = ServiceBuilder::new()
        .layer(world.descope.session_layer())
        .layer(RequireLayer::new().with_rejection(NoBody))
        .service(inner)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.headers().contains_key("www-authenticate"));

    let response = ServiceBuilder::new()
        .layer(world.descope.session_layer())
        .layer(RequireLayer::new().with_rejection(GrpcStatus))
        .service(inner)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["grpc-status"]
        ),
        (200, &"16".parse().unwrap())
    );
}

#[tokio::test]
async fn layers_of_two_handles_and_of_one() {
    let world = World::new().await;
    let other = World::with_other_keys().await;
    let ann = world.sign_in("ann@example.com").await;
    let inner = tower::service_fn(async |request: Request<()>| {
        let id = User::from_extensions(request.extensions()).map(|user| user.id().to_owned());
        Ok::<_, Infallible>(Response::new(id.unwrap_or_default()))
    });
    let ask = async |outer: &World, within: &World| {
        let service = ServiceBuilder::new()
            .layer(outer.descope.session_layer())
            .layer(within.descope.session_layer())
            .service(inner);
        let request = Request::get("/")
            .header(COOKIE, ann.cookies())
            .body(())
            .unwrap();
        service.oneshot(request).await.unwrap().into_body()
    };
    assert_eq!(ask(&world, &world).await, ann.user_id());
    assert_eq!(
        ask(&other, &world).await,
        ann.user_id(),
        "the nearest counts"
    );
    assert_eq!(ask(&world, &other).await, "", "the nearest counts");
}

#[tokio::test]
async fn a_bare_hyper_service() {
    use http_body_util::{BodyExt, Empty, Full};
    use hyper::body::Incoming;
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;

    let world = World::new().await;
    let ann = world.sign_in_long_ago("ann@example.com").await;
    let service = ServiceBuilder::new()
        .layer(world.descope.session_layer())
        .service(tower::service_fn(async |request: Request<Incoming>| {
            let id = User::from_extensions(request.extensions()).map(|user| user.id().to_owned());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(
                id.unwrap_or_default(),
            ))))
        }));

    let (client, server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(service)),
    );
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("/")
        .header("host", "localhost")
        .header(COOKIE, ann.cookies())
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 1);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, ann.user_id());
}

// Security requirement 41: what a log shows of our types is their names, and what helps without being secret.
#[tokio::test]
async fn debug_output_names_the_type_and_shows_no_secret() {
    let world = World::new().await;
    let ann = world.sign_in("ann@example.com").await;
    let user = world
        .descope
        .validate_session(ann.session_jwt())
        .await
        .unwrap();
    let redis = "redis://:hunter2@127.0.0.1:1/";
    let key = StoreKey::new([0xab; 32]);
    let stored = Stored::new(b"hunter2".to_vec(), std::time::Duration::from_secs(7));
    let mut layered =
        world
            .descope
            .session_layer()
            .layer(tower::service_fn(async |_: Request<OddBody>| {
                Ok::<_, Infallible>(Response::new(odd("")))
            }));
    let layered = layered.ready().await.unwrap().call(Request::new(odd("")));
    let mut required = RequireLayer::new()
        .with_rejection(NoBody)
        .layer(tower::service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(()))
        }));
    let required = required.ready().await.unwrap().call(Request::new(()));
    let mut routes = world.descope.routes_service();
    let request = Request::new(axum::body::Body::empty());
    let call = Service::<Request<axum::body::Body>>::call(&mut routes, request);
    for (shown, words) in [
        (format!("{user:?}"), &["User", ann.user_id()][..]),
        (format!("{key:?}"), &["StoreKey(abab"]),
        (format!("{stored:?}"), &["Stored", "bytes: 7", "7s"]),
        (
            format!("{:?}", RedisStore::open(redis, "ns").unwrap()),
            &["RedisStore", "ns"],
        ),
        (format!("{layered:?}"), &["ResponseFuture"]),
        (format!("{required:?}"), &["ResponseFuture"]),
        (format!("{routes:?}"), &["RoutesService"]),
        (format!("{call:?}"), &["RoutesFuture"]),
    ] {
        for word in words {
            assert!(shown.contains(word), "{word} in {shown:?}");
        }
        for secret in ["hunter2", ann.session_jwt(), ann.refresh_jwt()] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn the_error_of_a_store_leads_to_its_cause() {
    #[derive(Debug)]
    struct Cause;

    impl std::fmt::Display for Cause {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no answer")
        }
    }

    impl std::error::Error for Cause {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&std::fmt::Error)
        }
    }

    let error = StoreError::new(Cause);
    assert_eq!(error.to_string(), "shared store: no answer");
    assert!(std::error::Error::source(&error).is_some_and(|source| source.is::<std::fmt::Error>()));
}
