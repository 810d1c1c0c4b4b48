//! What is compared.

use axum::Router;
use axum::routing::get;
use tower::Layer;
use tower_descope::TokenCache;

use crate::Issuer;
use crate::app::App;
use crate::set_up::{self, descope, user_app};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// axum 0.8 with the same header and nobody to look at it.
    Floor,
    /// The same on axum 0.7, where jwt-authorizer is.
    Floor07,
    /// `Router::layer` and the extractor `User`.
    Ours,
    /// The layer around the router.
    OursOutside,
    /// `Router::layer`, every session a new one.
    OursUncached,
    TowerOauth2,
    /// With its default features: RustCrypto.
    TowerOauth2Default,
    JwtAuthorizer,
    AxumJwks,
    AxumKeycloakAuth,
    AxumJwtAuth,
}

impl Contender {
    pub const ALL: [Self; 11] = [
        Self::Floor,
        Self::Floor07,
        Self::Ours,
        Self::OursOutside,
        Self::OursUncached,
        Self::TowerOauth2,
        Self::TowerOauth2Default,
        Self::JwtAuthorizer,
        Self::AxumJwks,
        Self::AxumKeycloakAuth,
        Self::AxumJwtAuth,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "axum without sign-in (floor)",
            Self::Floor07 => "axum 0.7 without sign-in",
            Self::Ours => "tower-descope, known session",
            Self::OursOutside => "tower-descope around the router, known session",
            Self::OursUncached => "tower-descope, new session",
            Self::TowerOauth2 => "tower-oauth2-resource-server 0.12, aws-lc-rs",
            Self::TowerOauth2Default => "tower-oauth2-resource-server 0.12, its default",
            Self::JwtAuthorizer => "jwt-authorizer 0.15",
            Self::AxumJwks => "axum-jwks 0.12",
            Self::AxumKeycloakAuth => "axum-keycloak-auth 0.8",
            Self::AxumJwtAuth => "axum-jwt-auth 0.7",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    pub fn is_peer(self) -> bool {
        matches!(
            self,
            Self::TowerOauth2
                | Self::TowerOauth2Default
                | Self::JwtAuthorizer
                | Self::AxumJwks
                | Self::AxumKeycloakAuth
                | Self::AxumJwtAuth
        )
    }

    /// The same app without sign-in.
    pub fn floor(self) -> Self {
        match self {
            Self::Floor07 | Self::JwtAuthorizer => Self::Floor07,
            _ => Self::Floor,
        }
    }

    /// Settles which backend jsonwebtoken 11 uses, for the whole process and once. Both are compiled in here.
    pub fn choose_backend(self) {
        let provider = match self {
            Self::TowerOauth2Default => &jsonwebtoken11::crypto::rust_crypto::DEFAULT_PROVIDER,
            _ => &jsonwebtoken11::crypto::aws_lc::DEFAULT_PROVIDER,
        };
        provider.install_default().expect("chosen once");
    }

    pub async fn app(self, issuer: &Issuer) -> App {
        match self {
            Self::Floor => App::Axum(Router::new().route("/", get(async || "hello"))),
            Self::Floor07 => App::Axum07(
                axum07::Router::new().route("/", axum07::routing::get(|| async { "hello" })),
            ),
            Self::Ours => {
                App::Axum(user_app().layer(descope(issuer, TokenCache::new()).session_layer()))
            }
            Self::OursOutside => {
                let descope = descope(issuer, TokenCache::new());
                App::Outside(descope.session_layer().layer(user_app()))
            }
            Self::OursUncached => {
                App::Axum(user_app().layer(descope(issuer, TokenCache::disabled()).session_layer()))
            }
            Self::TowerOauth2 | Self::TowerOauth2Default => set_up::tower_oauth2(issuer).await,
            Self::JwtAuthorizer => set_up::jwt_authorizer(issuer).await,
            Self::AxumJwks => set_up::axum_jwks(issuer).await,
            Self::AxumKeycloakAuth => set_up::axum_keycloak_auth(issuer).await,
            Self::AxumJwtAuth => set_up::axum_jwt_auth(issuer).await,
        }
    }
}
