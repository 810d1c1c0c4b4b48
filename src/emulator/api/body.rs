//! Request bodies as the SDKs send them: JSON, or nothing at all where nothing is required.

use std::error::Error;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::error::ApiError;
use super::super::server::TooSlow;
use crate::wire::api_code;

/// The longest body that is read.
const LIMIT: usize = 16 * 1024;

/// A JSON object, whatever the content type says. An empty body reads as `{}`: Go, Java and Swift send none.
pub(in super::super) struct Payload<T>(pub(in super::super) T);

impl<S, T> FromRequest<S> for Payload<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        read(request.into_body()).await.map(Self)
    }
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let bytes = axum::body::to_bytes(body, LIMIT).await.map_err(|error| {
        let (status, description) = if is_caused_by::<TooSlow>(&error) {
            (StatusCode::REQUEST_TIMEOUT, "Request body is too slow")
        } else {
            (StatusCode::PAYLOAD_TOO_LARGE, "Request body is too large")
        };
        ApiError::new(status, api_code::BAD_REQUEST, description)
    })?;
    let value = if bytes.is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        // Not with the error's text: it may quote a code or a secret.
        serde_json::from_slice(&bytes).map_err(|_| ApiError::bad_request("Not JSON"))?
    };
    if !value.is_object() {
        return Err(ApiError::bad_request("Not a JSON object"));
    }
    serde_json::from_value(value)
        .map_err(|_| ApiError::bad_request("A member is of the wrong type"))
}

fn is_caused_by<E: Error + 'static>(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{OtpSignInRequest, TenantSelectRequest};

    #[tokio::test]
    async fn bodies_of_all_sdks_are_read() {
        let read_text = |text: &'static str| read::<OtpSignInRequest>(Body::from(text));
        assert_eq!(read_text("").await.unwrap().login_id, "");
        assert_eq!(read_text(" {\"x\": 1}").await.unwrap().login_id, "");
        let request = read_text(r#"{"loginId":"ann","loginOptions":{"customClaims":null}}"#);
        assert_eq!(request.await.unwrap().login_id, "ann");
    }

    #[tokio::test]
    async fn what_is_no_object_is_refused() {
        for text in ["{", "[]", "null", "\"x\"", "{\"tenant\":5}", "{} x"] {
            let refused = read::<TenantSelectRequest>(Body::from(text)).await;
            assert_eq!(refused.unwrap_err().status, 400, "{text}");
        }
        let large = format!("{{\"tenant\":\"{}\"}}", "x".repeat(LIMIT));
        let refused = read::<TenantSelectRequest>(Body::from(large)).await;
        assert_eq!(refused.unwrap_err().status, 413);
    }
}
