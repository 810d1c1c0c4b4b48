//! `POST session`: tokens that a page has from elsewhere become the session of its browser.
//!
//! What a page sends is worth no more than its cookies, so the tokens are verified like those. The router has refused
//! pages of other sites, which could otherwise sign somebody in to an account of theirs.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::caller::Caller;
use super::error::RouteError;
use super::reply::{rewrite, with_cookies};
use super::request::Input;
use crate::error::AuthError;
use crate::session::Store;
use crate::wire::endpoint::Request;
use crate::wire::{JwtResponse, nullable};

/// Where it is mounted. Not a path of Descope's API.
pub(super) const PATH: &str = "/session";

#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AdoptRequest {
    #[serde(deserialize_with = "nullable")]
    session_jwt: String,
    #[serde(deserialize_with = "nullable")]
    refresh_jwt: String,
}

impl Request for AdoptRequest {}

pub(super) async fn adopt(
    caller: Caller,
    Input(request): Input<AdoptRequest>,
) -> Result<Response, RouteError> {
    let project = caller.project();
    let tokens = JwtResponse {
        session_jwt: request.session_jwt,
        refresh_jwt: request.refresh_jwt,
        ..JwtResponse::default()
    };
    if tokens.session_jwt.is_empty() && tokens.refresh_jwt.is_empty() {
        return Err(RouteError::required("sessionJwt or refreshJwt"));
    }
    let mut body = Map::new();
    let told = caller.told(&body);
    let accepted = project.renewer.examine(&tokens).await;
    let accepted = accepted.map_err(AuthError::from)?;
    let cookies = caller
        .session
        .start(&accepted, None, Store::Cookies, told)
        .await?;
    rewrite(project, &mut body, &accepted.tokens);
    Ok(with_cookies(body, cookies))
}
