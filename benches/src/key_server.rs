//! A key endpoint on loopback that counts, and hangs when told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::signer::KEYS_PATH;

/// How long a hang lasts.
pub const HANG: Duration = Duration::from_secs(2);

pub struct KeyServer {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    answered: AtomicUsize,
    hangs: AtomicBool,
}

impl KeyServer {
    /// Serves this key set on the current runtime for as long as that lasts.
    pub async fn start(set: String) -> Self {
        let counts = Arc::new(Counts::default());
        let shared = counts.clone();
        let app = Router::new().route(
            KEYS_PATH,
            get(async move || {
                shared.asked.fetch_add(1, Ordering::SeqCst);
                if shared.hangs.load(Ordering::SeqCst) {
                    tokio::time::sleep(HANG).await;
                }
                shared.answered.fetch_add(1, Ordering::SeqCst);
                set
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, counts }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_hanging(&self, hangs: bool) {
        self.counts.hangs.store(hangs, Ordering::SeqCst);
    }

    pub fn asked(&self) -> usize {
        self.counts.asked.load(Ordering::SeqCst)
    }

    pub fn answered(&self) -> usize {
        self.counts.answered.load(Ordering::SeqCst)
    }
}
