//! What tests of the mounted routes share.
#![allow(dead_code, unused_imports)]

pub mod browser;
pub mod upstream;

use axum::Router;
use axum::routing::get;
use tower_descope::{Descope, DescopeBuilder, User};

pub use self::browser::Browser;
pub use self::upstream::{CODE, Fault, Upstream, error_body};
pub use super::signer::claims;

pub const PROJECT: &str = "P2aTestProject000000000000001";

pub fn builder(upstream: &Upstream) -> DescopeBuilder {
    Descope::builder(PROJECT)
        .clock(upstream.clock.clone())
        .transport(upstream.clone())
}

pub fn descope(upstream: &Upstream) -> Descope {
    builder(upstream).build().unwrap()
}

/// The routes alone.
pub fn bare(descope: &Descope) -> Router {
    Router::new().nest("/auth", descope.routes())
}

/// An app with a page and the routes, all inside the session layer.
pub fn layered(descope: &Descope) -> Router {
    Router::new()
        .route("/page", get(async |user: User| user.id().to_owned()))
        .nest("/auth", descope.routes())
        .layer(descope.session_layer())
}
