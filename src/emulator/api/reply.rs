//! Answers. Each of them has a JSON body: some SDKs fail on an empty one, whatever the status says.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::super::config::TokenDelivery;
use super::super::error::ApiError;
use super::super::state::Grant;
use super::super::token;
use super::Reply;

/// 200 with this body.
pub(in super::super) fn json<T: Serialize>(body: &T) -> Response {
    with_status(StatusCode::OK, body)
}

/// 200 with `{}`.
pub(in super::super) fn empty_object() -> Response {
    json(&json!({}))
}

fn with_status<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (
            status,
            [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            body,
        )
            .into_response(),
        Err(error) => ApiError::internal(error.to_string()).into_response(),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = with_status(self.status, &self.body);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Signs the tokens and sends them the way the project is set up for.
pub(super) fn tokens(grant: Grant) -> Reply {
    let delivery = grant.delivery;
    let mut body = grant.sign()?;
    if delivery == TokenDelivery::Body {
        return Ok(json(&body));
    }
    let refresh_jwt = std::mem::take(&mut body.refresh_jwt);
    let session_jwt = std::mem::take(&mut body.session_jwt);
    let max_age = body.cookie_max_age;
    let mut response = json(&body);
    append_cookie(&mut response, token::SESSION, &session_jwt, max_age)?;
    if !refresh_jwt.is_empty() {
        append_cookie(&mut response, token::REFRESH, &refresh_jwt, max_age)?;
    }
    Ok(response)
}

/// `{}`, and for a project that delivers tokens as cookies also the deletion of those cookies.
pub(super) fn signed_out(delivery: TokenDelivery) -> Reply {
    let mut response = empty_object();
    if delivery == TokenDelivery::Cookies {
        append_cookie(&mut response, token::SESSION, "", 0)?;
        append_cookie(&mut response, token::REFRESH, "", 0)?;
    }
    Ok(response)
}

/// Sets a cookie as Descope does, but without `Secure`, because the emulator speaks plain HTTP.
fn append_cookie(
    response: &mut Response,
    name: &str,
    value: &str,
    max_age: i64,
) -> Result<(), ApiError> {
    let cookie = format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict");
    let cookie = HeaderValue::try_from(cookie)
        .map_err(|_| ApiError::internal("a token does not fit into a cookie"))?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(())
}
