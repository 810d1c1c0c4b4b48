//! One path of upstream, over real sockets, that can be broken and mended while a client calls it.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::project::NOW;
use super::signer::{self, KEYS_PATH, Signer};
use super::tls::Authority;
use super::upstream::{Peer, Upstream, fill_backlog, http, short_backlog};

/// The key that signs for it.
pub static KEY: LazyLock<Signer> = LazyLock::new(|| Signer::new("SK1"));

/// A path, and what it answers in good days.
#[derive(Clone)]
pub struct Good {
    pub path: &'static str,
    /// The member of the body that counts.
    pub member: &'static str,
    pub body: String,
}

pub type Serve = Arc<dyn Fn(Peer) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What is wrong while it is broken.
pub enum Fault {
    /// The server behaves like this.
    Serve(Serve),
    /// The same, and for longer than anybody waits.
    Slow(Serve),
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
    /// It accepts and closes.
    Closed,
}

impl Fault {
    /// What it asks for.
    pub fn pause(&self) -> Option<u64> {
        match self {
            Self::Pause(_, seconds) => Some(*seconds),
            _ => None,
        }
    }

    /// Whether only a deadline ends the call.
    pub fn outlasts_the_deadline(&self) -> bool {
        matches!(self, Self::Slow(_) | Self::Blackhole | Self::NameHangs)
    }

    /// Whether no connection comes about.
    pub fn prevents_connections(&self) -> bool {
        matches!(
            self,
            Self::Refused | Self::NameUnknown | Self::Certificate(..) | Self::PlainOnTlsPort
        )
    }

    /// Connections and whole requests of one call that is repeated only if nothing was sent.
    pub fn cost(&self) -> (usize, usize) {
        match self {
            Self::Refused | Self::Blackhole | Self::NameUnknown | Self::NameHangs => (0, 0),
            Self::Certificate(..) | Self::PlainOnTlsPort => (2, 0),
            Self::Closed => (1, 0),
            _ => (1, 1),
        }
    }
}

impl Good {
    pub fn keys() -> Self {
        Self {
            path: KEYS_PATH,
            member: "keys",
            body: signer::jwks([&*KEY]).to_string(),
        }
    }

    /// The answer to a renewal or a verification: a session and a refresh JWT of U1, issued now.
    pub fn tokens(path: &'static str) -> Self {
        Self::with_tokens(path, |_| {})
    }

    /// The same, changed.
    pub fn with_tokens(path: &'static str, change: impl FnOnce(&mut Value)) -> Self {
        let mut body = json!({
            "sessionJwt": KEY.sign(&signer::session("U1", NOW)),
            "refreshJwt": KEY.sign(&signer::refresh("U1", NOW)),
            "cookieDomain": "",
            "cookiePath": "/",
            "cookieMaxAge": 28 * 24 * 3600,
            "cookieExpiration": NOW + 28 * 24 * 3600,
            "firstSeen": false,
        });
        change(&mut body);
        Self {
            path,
            member: "sessionJwt",
            body: body.to_string(),
        }
    }

    /// The answer to the sending of a code by e-mail.
    pub fn sent(path: &'static str) -> Self {
        Self {
            path,
            member: "maskedEmail",
            body: json!({"maskedEmail": "a***@example.com"}).to_string(),
        }
    }

    pub fn answer(&self, headers: &[&str]) -> Vec<u8> {
        http("200 OK", headers, self.body.as_bytes())
    }

    fn serve(&self) -> Serve {
        answering(self.answer(&["connection: close"]))
    }
}

pub struct Endpoint {
    pub url: String,
    pub transport: Option<reqwest::Client>,
    upstream: Upstream,
    good: Serve,
    switch: Switch,
    strayed: Arc<AtomicUsize>,
}

enum Switch {
    Flag(Arc<AtomicBool>),
    /// Nobody listens while it is broken; the address stays taken.
    Listener(Option<TcpSocket>, Option<JoinHandle<()>>),
    /// Nobody accepts while it is broken, and the backlog is full.
    Backlog(Arc<TcpListener>, Option<JoinHandle<()>>, Vec<TcpStream>),
}

impl Endpoint {
    pub async fn start(fault: &Fault, good: &Good) -> Self {
        match fault {
            Fault::Serve(serve) | Fault::Slow(serve) => Self::switched(good, serve.clone()).await,
            Fault::Bytes(bytes) | Fault::Pause(bytes, _) => {
                Self::switched(good, answering(bytes.clone())).await
            }
            Fault::Closed => Self::switched(good, Arc::new(|_| Box::pin(async {}))).await,
            Fault::Redirect(status, to) => Self::redirecting(good, status, to).await,
            Fault::Refused => {
                let socket = bound("127.0.0.1:0".parse().unwrap());
                let upstream = Upstream::at(socket.local_addr().unwrap());
                let switch = Switch::Listener(Some(socket), None);
                Self::mended(good, upstream, switch).await
            }
            Fault::Blackhole => {
                let listener = short_backlog();
                let upstream = Upstream::at(listener.local_addr().unwrap());
                let switch = Switch::Backlog(listener.into(), None, Vec::new());
                Self::mended(good, upstream, switch).await
            }
            Fault::NameUnknown => Self::named(good, false).await,
            Fault::NameHangs => Self::named(good, true).await,
            Fault::Certificate(host, year) => Self::tls(good, Some((host, *year))).await,
            Fault::PlainOnTlsPort => Self::tls(good, None).await,
        }
    }

    pub async fn set_broken(&mut self, broken: bool) {
        let good = self.good.clone();
        let serve = move |peer| good(peer);
        match &mut self.switch {
            Switch::Flag(flag) => flag.store(broken, Ordering::SeqCst),
            Switch::Listener(idle, server) if broken => {
                stop(server.take()).await;
                *idle = Some(bound(self.upstream.address));
            }
            Switch::Listener(idle, server) => {
                if let Some(socket) = idle.take() {
                    let listener = Arc::new(socket.listen(64).unwrap());
                    *server = Some(self.upstream.accept(listener, serve));
                }
            }
            Switch::Backlog(listener, server, filling) => {
                stop(server.take()).await;
                if broken {
                    *filling = fill_backlog(self.upstream.address).await;
                } else {
                    filling.clear();
                    *server = Some(self.upstream.accept(listener.clone(), serve));
                }
            }
        }
    }

    /// Connections and whole requests so far.
    pub fn counts(&self) -> (usize, usize) {
        self.upstream.counts()
    }

    /// Connections to where a redirect pointed.
    pub fn strayed(&self) -> usize {
        self.strayed.load(Ordering::SeqCst)
    }

    fn new(good: &Good, upstream: Upstream, switch: Switch) -> Self {
        Self {
            url: upstream.url(),
            transport: None,
            upstream,
            good: good.serve(),
            switch,
            strayed: Arc::default(),
        }
    }

    async fn mended(good: &Good, upstream: Upstream, switch: Switch) -> Self {
        let mut endpoint = Self::new(good, upstream, switch);
        endpoint.set_broken(false).await;
        endpoint
    }

    /// Good until the flag is set, then as `broken` has it.
    async fn switched(good: &Good, broken: Serve) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let upstream = Upstream::start({
            let (flag, good) = (flag.clone(), good.serve());
            move |peer| {
                if flag.load(Ordering::SeqCst) {
                    broken(peer)
                } else {
                    good(peer)
                }
            }
        })
        .await;
        Self::new(good, upstream, Switch::Flag(flag))
    }

    /// `to`: `SELF` is this path, `ELSEWHERE` the authority of another server by another name.
    async fn redirecting(good: &Good, status: &'static str, to: &str) -> Self {
        let strayed = Arc::new(AtomicUsize::new(0));
        let elsewhere = Upstream::start({
            let (strayed, good) = (strayed.clone(), good.serve());
            move |peer| {
                strayed.fetch_add(1, Ordering::SeqCst);
                good(peer)
            }
        })
        .await;
        let authority = format!("localhost:{}", elsewhere.address.port());
        let to = to
            .replace("SELF", good.path)
            .replace("ELSEWHERE", &authority);
        let location = format!("location: {to}");
        let answer = http(status, &[&location, "connection: close"], b"");
        Self {
            strayed,
            ..Self::switched(good, answering(answer)).await
        }
    }

    /// An endpoint that is found by name; the resolver is what breaks.
    async fn named(good: &Good, hangs: bool) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let serve = good.serve();
        let upstream = Upstream::start(move |peer| serve(peer)).await;
        let resolver = Resolver {
            broken: flag.clone(),
            hangs,
            address: upstream.address,
        };
        let transport = client().dns_resolver(resolver).build().unwrap();
        Self {
            url: format!("http://localhost:{}", upstream.address.port()),
            transport: Some(transport),
            ..Self::new(good, upstream, Switch::Flag(flag))
        }
    }

    /// An endpoint behind TLS whose certificate breaks, or that speaks plain HTTP then.
    async fn tls(good: &Good, broken: Option<(&str, i32)>) -> Self {
        let authority = Authority::new();
        let trusted = authority.acceptor("localhost", 2100);
        let bad = broken.map(|(host, year)| authority.acceptor(host, year));
        let flag = Arc::new(AtomicBool::new(false));
        let answer = good.answer(&["connection: close"]);
        let upstream = Upstream::start({
            let flag = flag.clone();
            move |peer| {
                let acceptor = if flag.load(Ordering::SeqCst) {
                    bad.clone()
                } else {
                    Some(trusted.clone())
                };
                serve_tls(peer, acceptor, answer.clone())
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
            ..Self::new(good, upstream, Switch::Flag(flag))
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

fn answering(bytes: Vec<u8>) -> Serve {
    Arc::new(move |mut peer| {
        let bytes = bytes.clone();
        Box::pin(async move {
            peer.read_request().await;
            peer.write(&bytes).await;
        })
    })
}

async fn serve_tls(mut peer: Peer, acceptor: Option<TlsAcceptor>, answer: Vec<u8>) {
    let Some(acceptor) = acceptor else {
        let mut hello = [0; 16];
        let _ = peer.stream.read(&mut hello).await;
        peer.write(&http("400 Bad Request", &[], b"plain")).await;
        return;
    };
    // A client that does not like the certificate ends this.
    let tls = peer.through(async |stream| acceptor.accept(stream).await);
    if let Some(mut peer) = tls.await {
        peer.read_request().await;
        peer.write(&answer).await;
        let _ = peer.stream.shutdown().await;
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn stop(server: Option<JoinHandle<()>>) {
    if let Some(server) = server {
        server.abort();
        let _ = server.await;
    }
}
