//! A key endpoint that can be broken and mended while a client talks to it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::signer::{self, Signer};
use super::tls::Authority;
use super::upstream::{Peer, Upstream, fill_backlog, http, short_backlog};

/// The key that it publishes.
pub static KEY: LazyLock<Signer> = LazyLock::new(|| Signer::new("SK1"));

pub type Serve = Arc<dyn Fn(Peer) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What is wrong while it is broken.
pub enum Fault {
    /// The server behaves like this.
    Serve(Serve),
    /// It sends these bytes and closes.
    Bytes(Vec<u8>),
    /// It asks for a pause of so many seconds, as we are to understand it.
    Pause(Vec<u8>, u64),
    /// It sends us to a server that must not see us.
    Redirect(&'static str, &'static str),
    Refused,
    Blackhole,
    NameUnknown,
    NameHangs,
    /// The certificate is for this host and until the end of this year.
    Certificate(&'static str, i32),
    PlainOnTlsPort,
}

impl Fault {
    /// What clients are told to wait.
    pub fn pause(&self) -> u64 {
        match self {
            Self::Pause(_, seconds) => *seconds,
            _ => 1,
        }
    }
}

pub struct Endpoint {
    pub url: String,
    pub transport: Option<reqwest::Client>,
    switch: Switch,
    strayed: Arc<AtomicUsize>,
}

enum Switch {
    Flag(Arc<AtomicBool>),
    /// Nobody listens while it is broken.
    Listener(SocketAddr, Option<JoinHandle<()>>),
    /// Nobody accepts while it is broken, and the backlog is full.
    Backlog(Arc<TcpListener>, Option<JoinHandle<()>>, Vec<TcpStream>),
}

/// The good answer.
pub fn keys(headers: &[&str]) -> Vec<u8> {
    let jwks = signer::jwks([&*KEY]).to_string();
    http("200 OK", headers, jwks.as_bytes())
}

impl Endpoint {
    pub async fn start(fault: &Fault) -> Self {
        match fault {
            Fault::Serve(serve) => Self::switched(serve.clone()).await,
            Fault::Bytes(bytes) | Fault::Pause(bytes, _) => {
                Self::switched(answering(bytes.clone())).await
            }
            Fault::Redirect(status, to) => Self::redirecting(status, to).await,
            Fault::Refused => {
                let mut endpoint = Self {
                    url: String::new(),
                    transport: None,
                    switch: Switch::Listener("127.0.0.1:0".parse().unwrap(), None),
                    strayed: Arc::default(),
                };
                endpoint.set_broken(false).await;
                if let Switch::Listener(address, _) = &endpoint.switch {
                    endpoint.url = format!("http://{address}");
                }
                endpoint
            }
            Fault::Blackhole => {
                let listener = short_backlog();
                let mut endpoint = Self {
                    url: format!("http://{}", listener.local_addr().unwrap()),
                    transport: None,
                    switch: Switch::Backlog(listener.into(), None, Vec::new()),
                    strayed: Arc::default(),
                };
                endpoint.set_broken(false).await;
                endpoint
            }
            Fault::NameUnknown => Self::named(false).await,
            Fault::NameHangs => Self::named(true).await,
            Fault::Certificate(host, year) => Self::tls(Some((host, *year))).await,
            Fault::PlainOnTlsPort => Self::tls(None).await,
        }
    }

    pub async fn set_broken(&mut self, broken: bool) {
        match &mut self.switch {
            Switch::Flag(flag) => flag.store(broken, Ordering::SeqCst),
            Switch::Listener(_, server) if broken => stop(server.take()).await,
            Switch::Listener(address, server) => {
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_reuseaddr(true).unwrap();
                socket.bind(*address).unwrap();
                let listener = socket.listen(64).unwrap();
                *address = listener.local_addr().unwrap();
                *server = Some(tokio::spawn(serve_keys(listener.into())));
            }
            Switch::Backlog(listener, server, filling) => {
                stop(server.take()).await;
                if broken {
                    *filling = fill_backlog(listener.local_addr().unwrap()).await;
                } else {
                    filling.clear();
                    *server = Some(tokio::spawn(serve_keys(listener.clone())));
                }
            }
        }
    }

    /// Connections to where a redirect pointed.
    pub fn strayed(&self) -> usize {
        self.strayed.load(Ordering::SeqCst)
    }

    /// Good until the flag is set, then as `broken` has it.
    async fn switched(broken: Serve) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let upstream = Upstream::start({
            let flag = flag.clone();
            let good = answering(keys(&["connection: close"]));
            move |peer| {
                if flag.load(Ordering::SeqCst) {
                    broken(peer)
                } else {
                    good(peer)
                }
            }
        })
        .await;
        Self {
            url: upstream.url(),
            transport: None,
            switch: Switch::Flag(flag),
            strayed: Arc::default(),
        }
    }

    async fn redirecting(status: &'static str, to: &str) -> Self {
        let strayed = Arc::new(AtomicUsize::new(0));
        let elsewhere = Upstream::start({
            let strayed = strayed.clone();
            let good = answering(keys(&["connection: close"]));
            move |peer| {
                strayed.fetch_add(1, Ordering::SeqCst);
                good(peer)
            }
        })
        .await;
        let location = format!("location: {}", to.replace("ELSEWHERE", &elsewhere.url()));
        let answer = http(status, &[&location, "connection: close"], b"");
        Self {
            strayed,
            ..Self::switched(answering(answer)).await
        }
    }

    /// An endpoint that is found by name; the resolver is what breaks.
    async fn named(hangs: bool) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let upstream = Upstream::answering(keys(&["connection: close"])).await;
        let resolver = Resolver {
            broken: flag.clone(),
            hangs,
            address: upstream.address,
        };
        let transport = client().dns_resolver(resolver).build().unwrap();
        Self {
            url: format!("http://localhost:{}", upstream.address.port()),
            transport: Some(transport),
            switch: Switch::Flag(flag),
            strayed: Arc::default(),
        }
    }

    /// An endpoint behind TLS whose certificate breaks, or that speaks plain HTTP then.
    async fn tls(broken: Option<(&str, i32)>) -> Self {
        let authority = Authority::new();
        let good = authority.acceptor("localhost", 2100);
        let bad = broken.map(|(host, year)| authority.acceptor(host, year));
        let flag = Arc::new(AtomicBool::new(false));
        let upstream = Upstream::start({
            let flag = flag.clone();
            move |peer| {
                let acceptor = if flag.load(Ordering::SeqCst) {
                    bad.clone()
                } else {
                    Some(good.clone())
                };
                serve_tls(peer, acceptor)
            }
        })
        .await;
        let trusted = reqwest::Certificate::from_der(authority.der()).unwrap();
        let transport = client()
            .tls_certs_only([trusted])
            .resolve("localhost", upstream.address)
            .build()
            .unwrap();
        Self {
            url: format!("https://localhost:{}", upstream.address.port()),
            transport: Some(transport),
            switch: Switch::Flag(flag),
            strayed: Arc::default(),
        }
    }
}

/// What the documentation asks of a transport of one's own.
fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // The other one may be compiled in, too.
        .tls_backend_rustls()
        .tls_certs_only([])
        .no_proxy()
}

struct Resolver {
    broken: Arc<AtomicBool>,
    hangs: bool,
    address: SocketAddr,
}

impl Resolve for Resolver {
    fn resolve(&self, _: Name) -> Resolving {
        let broken = self.broken.load(Ordering::SeqCst);
        let (hangs, address) = (self.hangs, self.address);
        Box::pin(async move {
            if broken && hangs {
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
            if broken {
                return Err("no such name".into());
            }
            let addresses: Addrs = Box::new(std::iter::once(address));
            Ok(addresses)
        })
    }
}

pub fn answering(bytes: Vec<u8>) -> Serve {
    Arc::new(move |mut peer| {
        let bytes = bytes.clone();
        Box::pin(async move {
            peer.read_request().await;
            peer.write(&bytes).await;
        })
    })
}

async fn serve_keys(listener: Arc<TcpListener>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let _ = stream.write_all(&keys(&["connection: close"])).await;
            }
        });
    }
}

async fn serve_tls(mut peer: Peer, acceptor: Option<TlsAcceptor>) {
    let Some(acceptor) = acceptor else {
        let mut hello = [0; 16];
        let _ = peer.stream.read(&mut hello).await;
        peer.write(&http("400 Bad Request", &[], b"plain")).await;
        return;
    };
    // A client that does not like the certificate ends this.
    if let Ok(mut stream) = acceptor.accept(peer.stream).await {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(&keys(&["connection: close"])).await;
        let _ = stream.shutdown().await;
    }
}

async fn stop(server: Option<JoinHandle<()>>) {
    if let Some(server) = server {
        server.abort();
        let _ = server.await;
    }
}
