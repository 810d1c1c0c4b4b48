//! Each crate as its own documentation sets it up, with issuer and audience checked.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use serde::Deserialize;
use tower_descope::{Descope, TokenCache, User};
use tower_descope_benches::signer::PROJECT;

use crate::app::App;
use crate::issuer::Issuer;

/// The claims that every crate makes of a token.
#[derive(Clone, Deserialize)]
#[allow(dead_code)]
pub struct Claims {
    iss: String,
    sub: String,
    aud: Vec<String>,
    azp: String,
    jti: String,
    typ: String,
    iat: i64,
    exp: i64,
    drn: String,
    rexp: String,
    amr: Vec<String>,
    permissions: Vec<String>,
    roles: Vec<String>,
    tenants: HashMap<String, Tenant>,
}

/// Those that axum-keycloak-auth does not have fields for.
#[derive(Clone, Deserialize)]
#[allow(dead_code)]
struct Extra {
    drn: String,
    rexp: String,
    amr: Vec<String>,
    permissions: Vec<String>,
    roles: Vec<String>,
    tenants: HashMap<String, Tenant>,
}

#[derive(Clone, Deserialize)]
#[allow(dead_code)]
struct Tenant {
    roles: Vec<String>,
    permissions: Vec<String>,
}

pub fn descope(issuer: &Issuer, cache: TokenCache) -> Descope {
    Descope::builder(PROJECT)
        .base_url(issuer.base())
        .audience(Issuer::AUDIENCE)
        .token_cache(cache)
        .build()
        .expect("a configuration")
}

pub fn user_app() -> Router {
    Router::new().route(
        "/",
        get(async |user: User| {
            black_box(user.id());
            "hello"
        }),
    )
}

pub async fn tower_oauth2(issuer: &Issuer) -> App {
    use tower_oauth2_resource_server::server::OAuth2ResourceServer;
    use tower_oauth2_resource_server::tenant::TenantConfiguration;
    use tower_oauth2_resource_server::validation::ClaimsValidationSpec;

    let audiences = vec![Issuer::AUDIENCE.to_owned()];
    let tenant = TenantConfiguration::builder(issuer.name())
        .jwks_url(issuer.jwks_url())
        .claims_validation(ClaimsValidationSpec::recommended(&issuer.name(), &audiences).nbf(false))
        .build()
        .await
        .expect("a tenant");
    let server = OAuth2ResourceServer::<Claims>::builder()
        .add_tenant(tenant)
        .build()
        .await
        .expect("a configuration");
    let handler = async |Extension(claims): Extension<Claims>| {
        black_box(&claims.sub);
        "hello"
    };
    App::Axum(
        Router::new()
            .route("/", get(handler))
            .layer(server.into_layer()),
    )
}

pub async fn jwt_authorizer(issuer: &Issuer) -> App {
    use jwt_authorizer::{IntoLayer, JwtAuthorizer, JwtClaims, Validation};

    let validation = Validation::new()
        .iss(&[issuer.name()])
        .aud(&[Issuer::AUDIENCE]);
    let authorizer = JwtAuthorizer::<Claims>::from_jwks_url(&issuer.jwks_url())
        .validation(validation)
        .build()
        .await
        .expect("a configuration");
    let handler = |JwtClaims(claims): JwtClaims<Claims>| async move {
        black_box(&claims.sub);
        "hello"
    };
    App::Axum07(
        axum07::Router::new()
            .route("/", axum07::routing::get(handler))
            .layer(authorizer.into_layer()),
    )
}

pub async fn axum_jwks(issuer: &Issuer) -> App {
    use axum_jwks::Jwks;

    #[derive(Clone)]
    struct State(Jwks);

    impl FromRef<State> for Jwks {
        fn from_ref(state: &State) -> Self {
            state.0.clone()
        }
    }

    let keys = Jwks::from_jwks_url(&issuer.jwks_url(), Some(Issuer::AUDIENCE), None)
        .await
        .expect("keys");
    let handler = async |axum_jwks::Claims(claims): axum_jwks::Claims<Claims>| {
        black_box(&claims.sub);
        "hello"
    };
    App::Axum(
        Router::new()
            .route("/", get(handler))
            .with_state(State(keys)),
    )
}

pub async fn axum_keycloak_auth(issuer: &Issuer) -> App {
    use axum_keycloak_auth::decode::KeycloakToken;
    use axum_keycloak_auth::instance::{KeycloakAuthInstance, KeycloakConfig};
    use axum_keycloak_auth::layer::KeycloakAuthLayer;

    let config = KeycloakConfig::builder()
        .server(issuer.base().parse().expect("a URL"))
        .realm(Issuer::REALM.to_owned())
        .build();
    let instance = Arc::new(KeycloakAuthInstance::new(config));
    // It panics when asked before its discovery has begun.
    while !instance.is_operational().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let layer = KeycloakAuthLayer::<String, Extra>::builder()
        .instance(instance)
        .expected_audiences(vec![Issuer::AUDIENCE.to_owned()])
        .build();
    let handler = async |Extension(token): Extension<KeycloakToken<String, Extra>>| {
        black_box(&token.subject);
        "hello"
    };
    App::Axum(Router::new().route("/", get(handler)).layer(layer))
}

pub async fn axum_jwt_auth(issuer: &Issuer) -> App {
    use axum_jwt_auth::{Decoder, RemoteJwksDecoder};
    use jsonwebtoken10::{Algorithm, Validation};

    #[derive(Clone)]
    struct State(Decoder<Claims>);

    impl FromRef<State> for Decoder<Claims> {
        fn from_ref(state: &State) -> Self {
            state.0.clone()
        }
    }

    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[Issuer::AUDIENCE]);
    validation.set_issuer(&[issuer.name()]);
    let decoder = RemoteJwksDecoder::builder()
        .jwks_url(issuer.jwks_url())
        .validation(validation)
        .build()
        .expect("a configuration");
    decoder.initialize().await.expect("keys");
    let handler = async |user: axum_jwt_auth::Claims<Claims>| {
        black_box(&user.claims.sub);
        "hello"
    };
    App::Axum(
        Router::new()
            .route("/", get(handler))
            .with_state(State(Arc::new(decoder))),
    )
}

/// axum-jwks has the application say how it refuses.
pub struct Refused;

impl From<axum_jwks::TokenError> for Refused {
    fn from(_: axum_jwks::TokenError) -> Self {
        Self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

impl axum_jwks::ParseTokenClaims for Claims {
    type Rejection = Refused;
}
