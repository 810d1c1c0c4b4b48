//! Stacks that people build, which have to compile and to answer: other layers inside and outside, a proxy, tonic.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_descope::require::{GrpcStatus, RedirectToLogin};
use tower_descope::testing::TestDescope;
use tower_descope::{RequireLayer, User};
use tower_http::compression::CompressionLayer;
use tower_http::trace::TraceLayer;

async fn greet(request: Request<String>) -> Result<Response<Full<Bytes>>, Infallible> {
    let user = User::from_extensions(request.extensions()).unwrap();
    let greeting = format!("hello {}, ", user.id()).repeat(20);
    Ok(Response::new(Full::new(greeting.into())))
}

async fn text<B>(response: Response<B>) -> (u16, String)
where
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Security requirement 41 holds whatever changes the body inside.
#[tokio::test]
async fn outside_of_layers_that_change_the_body() {
    let test = TestDescope::new();
    let session = test
        .descope()
        .session_layer()
        .with_rejection(RedirectToLogin::new("/login"));
    let stack = ServiceBuilder::new()
        .layer(session.clone())
        .layer(RequireLayer::new())
        .layer(TraceLayer::new_for_http())
        .layer(CompressionLayer::new())
        .service_fn(greet);
    let (status, body) = text(
        stack
            .clone()
            .oneshot(test.user("ann").get("/"))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!((status, &body[..10]), (200, "hello ann,"));
    let (status, body) = text(stack.oneshot(test.nobody("/")).await.unwrap()).await;
    assert_eq!(status, 401);
    assert!(body.contains("missing_credentials"));

    let between = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(session)
        .layer(CompressionLayer::new())
        .layer(RequireLayer::new().with_rejection(RedirectToLogin::new("/login")))
        .service_fn(greet);
    let (status, body) = text(between.oneshot(test.nobody("/")).await.unwrap()).await;
    assert_eq!(status, 401);
    assert!(body.contains("missing_credentials"));
}

/// The body of a proxied response cannot be made from anything.
#[tokio::test]
async fn before_a_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let behind = axum::Router::new().fallback(async || "from behind");
    tokio::spawn(async move { axum::serve(listener, behind).await });

    let test = TestDescope::new();
    let proxy = ServiceBuilder::new()
        .layer(test.descope().session_layer())
        .layer(RequireLayer::new())
        .service(service_fn(move |_: Request<String>| async move {
            let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            tokio::spawn(connection);
            let request = Request::get("/").header("host", "localhost");
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let response: Response<Incoming> = sender.send_request(request).await?;
            Ok::<_, hyper::Error>(response)
        }));
    let known = proxy
        .clone()
        .oneshot(test.user("ann").get("/"))
        .await
        .unwrap();
    assert_eq!(text(known).await, (200, "from behind".to_owned()));
    let response = proxy.oneshot(test.nobody("/")).await.unwrap();
    assert_eq!(response.status(), 401);
}

/// A gRPC service without generated code: it answers with the id of the user as a message of its own.
#[derive(Clone)]
struct WhoAmI;

impl NamedService for WhoAmI {
    const NAME: &'static str = "test.WhoAmI";
}

impl Service<Request<tonic::body::Body>> for WhoAmI {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let user = User::from_extensions(request.extensions());
        Box::pin(async move {
            let id = user.map(|user| user.id().to_owned()).unwrap_or_default();
            let response = Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "0")
                .header("user-id", id);
            Ok(response.body(tonic::body::Body::empty()).unwrap())
        })
    }
}

#[tokio::test]
async fn under_tonic() {
    let test = TestDescope::new();
    let session = test.descope().session_layer().with_rejection(GrpcStatus);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .layer(session)
        .layer(RequireLayer::new())
        .add_service(WhoAmI);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let executor = TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    let call = async |bearer: Option<http::HeaderValue>| {
        let mut request = Request::post(format!("http://{address}/test.WhoAmI/Ask"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(&[0; 5])))
            .unwrap();
        if let Some(bearer) = bearer {
            request.headers_mut().insert("authorization", bearer);
        }
        let response = sender.clone().send_request(request).await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(response.status(), 200);
        (
            header("grpc-status").unwrap(),
            header("grpc-message"),
            header("user-id"),
        )
    };
    let ann = test.user("ann");
    let (status, _, id) = call(Some(ann.bearer())).await;
    assert_eq!((&*status, id.as_deref()), ("0", Some("ann")));
    let refused = |code: &str| ("16".to_owned(), Some(code.to_owned()), None);
    assert_eq!(call(None).await, refused("missing_credentials"));
    assert_eq!(
        call(Some(ann.expired().bearer())).await,
        refused("session_expired")
    );
}

/// Without a renderer for gRPC it compiles too, and answers over HTTP.
#[tokio::test]
async fn under_tonic_with_defaults() {
    let test = TestDescope::new();
    let service = ServiceBuilder::new()
        .layer(test.descope().session_layer())
        .layer(RequireLayer::new())
        .service(WhoAmI);
    let request = test.nobody("/test.WhoAmI/Ask");
    let request = request.map(|_| tonic::body::Body::empty());
    let (status, body) = text(service.oneshot(request).await.unwrap()).await;
    assert_eq!(status, 401);
    assert!(body.contains("missing_credentials"));
}
