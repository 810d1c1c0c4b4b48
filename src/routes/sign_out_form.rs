//! What a sign-out is asked for with: JSON by a script, or a plain HTML form.

use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequest, Request};
use http::header::{CONTENT_TYPE, HeaderMap, ORIGIN};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use super::TokenDelivery;
use super::error::RouteError;
use super::request::Input;
use crate::headers::is_of_type;
use crate::percent;
use crate::project::Project;
use crate::reject::path_on_this_host;
use crate::wire::LogoutRequest;

/// See the module's documentation.
pub(super) enum SignOutInput {
    Json(LogoutRequest),
    Form {
        /// Where the browser goes afterwards: a path on this host.
        next: HeaderValue,
    },
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    next: String,
}

impl FromRequest<Arc<Project>> for SignOutInput {
    type Rejection = RouteError;

    async fn from_request(request: Request, project: &Arc<Project>) -> Result<Self, RouteError> {
        let is_by_page = project.delivery != TokenDelivery::Body;
        if !is_by_page || !is_form(request.headers()) {
            let Input(request) = Input::from_request(request, project).await?;
            return Ok(Self::Json(request));
        }
        // A page of another site can send a form without asking first. The router has refused those whose headers say
        // so; a browser that says nothing about where the form comes from cannot be told from one.
        let headers = request.headers();
        if !headers.contains_key(ORIGIN) && !headers.contains_key("sec-fetch-site") {
            return Err(RouteError::cross_origin());
        }
        let form = Form::<Fields>::from_request(request, project);
        let Form(fields) = tokio::time::timeout(project.body_timeout, form)
            .await
            .map_err(|_| RouteError::request_timeout())?
            .map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => RouteError::body_too_large(),
                _ => RouteError::malformed(),
            })?;
        let next = path_on_this_host(&fields.next).and_then(location);
        Ok(Self::Form {
            next: next.unwrap_or(HeaderValue::from_static("/")),
        })
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let field = headers.get(CONTENT_TYPE);
    field.is_some_and(|field| is_of_type(field, "application/x-www-form-urlencoded"))
}

/// The path as a header field, which is ASCII.
fn location(path: &str) -> Option<HeaderValue> {
    let ascii = percent::encoded(path, |byte| byte.is_ascii_graphic());
    HeaderValue::try_from(ascii).ok()
}
