//! Accepting connections. hyper is used directly, because a fault may have to break the connection itself.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::api::Peer;
use super::edge::{ConnectionReset, Edge};

/// Serves until the future is dropped; all connections end with it.
pub(crate) async fn serve(listener: TcpListener, edge: Edge) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                connections.spawn(serve_connection(stream, peer, edge.clone()));
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

async fn serve_connection(stream: TcpStream, peer: SocketAddr, edge: Edge) {
    // Answers are small; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let is_reset = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let is_reset = Arc::clone(&is_reset);
        let answer = edge.clone().answer(request.map(Body::new), Peer(peer));
        Box::pin(async move {
            answer.await.map_err(|ConnectionReset| {
                is_reset.store(true, Ordering::Relaxed);
                std::io::Error::from(std::io::ErrorKind::ConnectionReset)
            })
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // An error here is the client's or an ordered one; either way this connection is over.
    let _ = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let stream = connection.into_parts().io.into_inner();
    if is_reset.load(Ordering::Relaxed) {
        // Closing without lingering sends RST instead of FIN.
        let _ = stream.set_zero_linger();
    }
}
