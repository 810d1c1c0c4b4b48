//! Checks and parses a request before any part of it is sent upstream.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;

use super::error::RouteError;
use crate::headers::is_of_type;
use crate::project::Project;
use crate::wire::endpoint::{self, Call, Parameter, Request as RequestType};

/// Largest body that is read, in bytes. The largest body of the SDKs, a sign-up with custom claims, has a tenth of it.
pub(super) const MAX_BODY: usize = 16 * 1024;

/// The body of a request, parsed as a type of the API. Members that the type does not have are dropped.
pub(super) struct Input<T>(pub(super) T);

impl<T: RequestType> FromRequest<Arc<Project>> for Input<T> {
    type Rejection = RouteError;

    async fn from_request(request: Request, project: &Arc<Project>) -> Result<Self, RouteError> {
        if T::BODY == endpoint::Body::None {
            return Ok(Self(T::default()));
        }
        let is_optional = T::BODY == endpoint::Body::Optional;
        let is_json = content_type(request.headers())? == ContentType::Json;
        if !is_json && !is_optional {
            return Err(RouteError::unsupported_media_type());
        }
        let body = read(request, project).await?;
        if is_optional && body.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json {
            return Err(RouteError::unsupported_media_type());
        }
        Ok(Self(parse(&body)?))
    }
}

#[derive(PartialEq)]
enum ContentType {
    Json,
    Missing,
}

/// Accepts no content type but JSON: pages of other origins can send forms and plain text without a CORS preflight, so
/// bodies of these types are not read as JSON.
fn content_type(headers: &HeaderMap) -> Result<ContentType, RouteError> {
    let mut fields = headers.get_all(CONTENT_TYPE).into_iter();
    let Some(field) = fields.next() else {
        return Ok(ContentType::Missing);
    };
    if is_of_type(field, "application/json") && fields.next().is_none() {
        Ok(ContentType::Json)
    } else {
        Err(RouteError::unsupported_media_type())
    }
}

/// Reads the body, of which the router allows [`MAX_BODY`] bytes. The whole body has to arrive within `body_timeout`: a
/// client that sends a byte now and then could otherwise hold the connection and the task without end.
async fn read(request: Request, project: &Arc<Project>) -> Result<Bytes, RouteError> {
    let body = Bytes::from_request(request, project);
    tokio::time::timeout(project.body_timeout, body)
        .await
        .map_err(|_| RouteError::request_timeout())?
        .map_err(|rejection| match rejection.status() {
            http::StatusCode::PAYLOAD_TOO_LARGE => RouteError::body_too_large(),
            _ => RouteError::malformed(),
        })
}

fn parse<T: RequestType>(body: &[u8]) -> Result<T, RouteError> {
    // serde would accept an array for a struct as well.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(RouteError::malformed());
    }
    let mut request: T = serde_json::from_slice(body).map_err(|_| RouteError::malformed())?;
    if let Some(login_id) = request.login_id_mut() {
        trim(login_id);
    }
    match request.missing() {
        Some(missing) => Err(RouteError::required(missing.member)),
        None => Ok(request),
    }
}

/// The path of a call at Descope, with the parameter from the request's path. A value that the parameter does not allow
/// is answered with 404, so that a client cannot put text of its own into a path upstream.
pub(super) struct Upstream<C> {
    pub(super) path: Cow<'static, str>,
    call: PhantomData<fn() -> C>,
}

impl<C: Call, S: Send + Sync> FromRequestParts<S> for Upstream<C> {
    type Rejection = RouteError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RouteError> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| RouteError::not_found())?;
        let name = C::ENDPOINT.parameter().map(Parameter::name);
        // The prefix of the mounted routes may have a parameter of the same name; that of the call comes last.
        let value = params.iter().filter(|(key, _)| Some(*key) == name).last();
        let path = C::ENDPOINT.path_with(value.map(|(_, text)| text));
        Ok(Self {
            path: path.ok_or_else(RouteError::not_found)?,
            call: PhantomData,
        })
    }
}

fn trim(login_id: &mut String) {
    let trimmed = login_id.trim();
    if trimmed.len() != login_id.len() {
        *login_id = trimmed.to_owned();
    }
}
