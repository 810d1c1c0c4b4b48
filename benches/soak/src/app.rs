//! The app under test.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::get;
use tower_descope::{Descope, ProfileError, TokenCache, User};

use crate::SESSION;
use crate::upstream::Upstream;

pub struct App {
    pub origin: String,
    descope: Descope,
}

impl App {
    pub async fn start(upstream: &Upstream) -> Self {
        let descope = Descope::builder(upstream.project_id())
            .base_url(upstream.base_url())
            .transport(upstream.watched())
            .early_renewal(SESSION / 3)
            // The default takes hours to fill, and growing until then is no leak.
            .token_cache(TokenCache::new().entries(1_000))
            .dangerous_insecure_cookies()
            .build()
            .expect("a configuration");
        let router = Router::new()
            .route("/me", get(async |user: User| user.id().to_owned()))
            .route("/profile", get(profile))
            .route(
                "/",
                get(async |user: Option<User>| user.is_some().to_string()),
            )
            .nest("/auth", descope.routes())
            .layer(descope.session_layer());
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, descope }
    }

    /// What the handle holds.
    pub fn line(&self) -> String {
        let stats = self.descope.stats();
        format!(
            "{} cached sessions, {} remembered renewals",
            stats.cached_sessions, stats.remembered_renewals
        )
    }
}

async fn profile(user: User) -> Result<String, http::StatusCode> {
    match user.profile().await {
        Ok(profile) => Ok(profile.user_id.clone()),
        Err(ProfileError::Call(error)) if error.is_definite_refusal() => {
            Err(http::StatusCode::UNAUTHORIZED)
        }
        Err(_) => Err(http::StatusCode::SERVICE_UNAVAILABLE),
    }
}
