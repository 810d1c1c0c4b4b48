//! Accepting connections. hyper is used directly, because a fault may have to break the connection itself.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http_body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Sleep;

use super::api::Peer;
use super::edge::{ConnectionReset, Edge};

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For the head of a request, the wait for its first byte included.
    pub(crate) head: Duration,
    /// For its body.
    pub(crate) body: Duration,
}

/// Serves until the future is dropped; all connections end with it.
pub(crate) async fn serve(listener: TcpListener, edge: Edge, limits: Limits) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                connections.spawn(serve_connection(stream, peer, edge.clone(), limits));
            }
            Err(error) => {
                tracing::warn!(%error, "the emulator could not accept a connection");
                // Out of file descriptors, most likely: trying again at once would not help.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, edge: Edge, limits: Limits) {
    // Answers are small; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let is_reset = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let is_reset = Arc::clone(&is_reset);
        let answer = edge.clone().answer(
            request.map(|body| Body::new(InTime::new(body, limits.body))),
            Peer(peer),
        );
        Box::pin(async move {
            answer.await.map_err(|ConnectionReset| {
                is_reset.store(true, Ordering::Relaxed);
                std::io::Error::from(std::io::ErrorKind::ConnectionReset)
            })
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(stream), service);
    // An error comes from the client or from an ordered fault. In both cases this connection has ended.
    let _ = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let stream = connection.into_parts().io.into_inner();
    if is_reset.load(Ordering::Relaxed) {
        // Closing without lingering sends RST instead of FIN.
        let _ = stream.set_zero_linger();
    }
}

pin_project! {
    /// A body that fails when it is not complete in time.
    struct InTime<B> {
        #[pin]
        body: B,
        #[pin]
        deadline: Sleep,
    }
}

impl<B> InTime<B> {
    fn new(body: B, limit: Duration) -> Self {
        Self {
            body,
            deadline: tokio::time::sleep(limit),
        }
    }
}

/// The body was not complete in time.
#[derive(Debug)]
pub(crate) struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body did not arrive in time")
    }
}

impl Error for TooSlow {}

impl<B> http_body::Body for InTime<B>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = self.project();
        match this.body.poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|result| result.map_err(Into::into))),
            Poll::Pending => this.deadline.poll(cx).map(|()| Some(Err(TooSlow.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
