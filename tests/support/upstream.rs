//! An upstream that misbehaves on the wire: a plain TCP listener that counts connections and requests.
#![allow(dead_code)]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

pub struct Upstream {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

/// One accepted connection.
pub struct Peer<S = TcpStream> {
    pub stream: S,
    requests: Arc<AtomicUsize>,
    /// How many connections came before.
    pub number: usize,
}

impl Upstream {
    pub async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(Peer) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self::at(listener.local_addr().unwrap());
        upstream.accept(Arc::new(listener), serve);
        upstream
    }

    /// Accepts nothing yet.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            connections: Arc::default(),
            requests: Arc::default(),
        }
    }

    /// Accepts until the task is aborted.
    pub fn accept<F, Fut>(&self, listener: Arc<TcpListener>, serve: F) -> JoinHandle<()>
    where
        F: Fn(Peer) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (connections, requests) = (self.connections.clone(), self.requests.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(Peer {
                    stream,
                    requests: requests.clone(),
                    number: connections.fetch_add(1, Ordering::SeqCst),
                }));
            }
        })
    }

    /// Answers every request with these bytes and closes.
    pub async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        Self::start(move |mut peer| {
            let bytes = bytes.clone();
            async move {
                peer.read_request().await;
                peer.write(&bytes).await;
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections and whole requests so far.
    pub fn counts(&self) -> (usize, usize) {
        (
            self.connections.load(Ordering::SeqCst),
            self.requests.load(Ordering::SeqCst),
        )
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The same connection through something else, such as TLS.
    pub async fn through<T, E>(self, wrap: impl AsyncFnOnce(S) -> Result<T, E>) -> Option<Peer<T>> {
        Some(Peer {
            stream: wrap(self.stream).await.ok()?,
            requests: self.requests,
            number: self.number,
        })
    }

    /// Reads a whole request. `false` when the client closed instead.
    pub async fn read_request(&mut self) -> bool {
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let read = self.stream.read(&mut chunk).await.unwrap_or(0);
            if read == 0 {
                return false;
            }
            seen.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&seen).to_ascii_lowercase();
            let Some(head) = text.find("\r\n\r\n") else {
                continue;
            };
            let length: usize = text
                .split("content-length:")
                .nth(1)
                .and_then(|rest| rest.lines().next()?.trim().parse().ok())
                .unwrap_or(0);
            if seen.len() >= head + 4 + length {
                self.requests.fetch_add(1, Ordering::SeqCst);
                return true;
            }
        }
    }

    // A client that has hung up is no failure here.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    pub async fn drip(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if !self.write(&[*byte]).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Peer {
    /// Ends the connection with RST.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

pub fn http(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A listener that holds next to no connection that nobody accepts.
pub fn short_backlog() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(0).unwrap()
}

/// Fills the backlog, until SYNs are lost. Linux drops those for a listener whose backlog is full.
pub async fn fill_backlog(address: SocketAddr) -> Vec<TcpStream> {
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
    {
        filling.push(stream);
        assert!(filling.len() < 64, "the backlog does not fill");
    }
    filling
}
