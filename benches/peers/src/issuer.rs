//! Who issues the tokens: a key endpoint on loopback, in a thread of its own.

use std::net::SocketAddr;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tower_descope_benches::fixture;
use tower_descope_benches::signer::{KEYS_PATH, PROJECT, Signer, jwks};

/// Where the keys are, and what the tokens say.
#[derive(Clone, Debug)]
pub struct Issuer {
    base: String,
}

impl Issuer {
    pub const AUDIENCE: &str = "account";
    pub const REALM: &str = "bench";

    /// Serves the key, and a second one as during a rotation.
    pub fn start(signer: &Signer) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket");
        let issuer = Self::at(format!("http://{address}"));
        let app = issuer.endpoints(jwks([signer, &Signer::new("SK2")]));
        std::thread::spawn(move || {
            current_thread().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, app).await
            })
        });
        issuer
    }

    /// One that another process serves.
    pub fn at(base: impl Into<String>) -> Self {
        Self { base: base.into() }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn jwks_url(&self) -> String {
        format!("{}{KEYS_PATH}", self.base)
    }

    /// What `iss` says.
    pub fn name(&self) -> String {
        format!("{}/{PROJECT}", self.base)
    }

    /// A session's claims, and beside them what axum-keycloak-auth insists on.
    pub fn claims(&self, n: usize, now: i64) -> Value {
        let mut claims = fixture::claims(n, now);
        claims["iss"] = json!(self.name());
        claims["aud"] = json!([Self::AUDIENCE]);
        claims["azp"] = json!("bench");
        claims["jti"] = json!(format!("{n:032x}"));
        claims["typ"] = json!("Bearer");
        claims
    }

    pub fn sign(&self, signer: &Signer, count: usize) -> Vec<String> {
        let now = fixture::unix_now();
        fixture::sign_each(signer, 0..count, |n| self.claims(n, now))
    }

    fn endpoints(&self, keys: Value) -> Router {
        let discovery = json!({
            "issuer": self.name(),
            "authorization_endpoint": format!("{}/authorize", self.base),
            "jwks_uri": self.jwks_url(),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        let realm = Self::REALM;
        Router::new()
            .route(KEYS_PATH, get(async move || Json(keys)))
            .route(
                &format!("/realms/{realm}/.well-known/openid-configuration"),
                get(async move || Json(discovery)),
            )
    }
}

pub fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
