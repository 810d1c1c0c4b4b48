//! The session of a request to a route, and the refresh JWT for calls upstream.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap};
use http::request::Parts;
use serde_json::{Map, Value};

use super::TokenDelivery;
use super::error::RouteError;
use crate::client::has_token_characters;
use crate::project::Project;
use crate::project::hooks::Told;
use crate::refresh::Presented;
use crate::session::{RefreshJwt, Session};
use crate::token::RevocationMark;
use crate::wire::LoginOptions;

/// The outcome of the session layer, if one of this handle ran. Otherwise the credentials are read here by the same
/// rules, without a renewal.
pub(super) struct Caller {
    pub(super) session: Session,
    began: RevocationMark,
    /// For the app's hooks, if it has any.
    head: Option<Box<Parts>>,
}

impl FromRequestParts<Arc<Project>> for Caller {
    type Rejection = RouteError;

    async fn from_request_parts(
        parts: &mut Parts,
        project: &Arc<Project>,
    ) -> Result<Self, RouteError> {
        let began = project.verifier.revoked.mark();
        let session = if project.delivery == TokenDelivery::Body {
            let headers = body_mode_headers(&parts.headers, project);
            Session::without_renewal(project, &headers).await
        } else {
            Session::of_request(project, &parts.extensions, &parts.headers).await
        };
        Ok(Self {
            session,
            began,
            head: project.hooks.is_any().then(|| Box::new(parts.clone())),
        })
    }
}

impl Caller {
    pub(super) fn project(&self) -> &Arc<Project> {
        self.session.project()
    }

    /// The moment before anything was done for this request. Users may have been revoked since.
    pub(super) fn began(&self) -> RevocationMark {
        self.began
    }

    /// The head of the request, for the app's hooks.
    pub(super) fn head(&self) -> Option<Parts> {
        self.head.as_deref().cloned()
    }

    /// What the app's hook for sign-ins is told besides the tokens.
    pub(super) fn told(&self, answer: &Map<String, Value>) -> Option<Told> {
        let request = self.head()?;
        let profile = answer.get("user").cloned();
        Some(Told {
            profile: profile.and_then(|user| serde_json::from_value(user).ok()),
            first_seen: answer.get("firstSeen") == Some(&Value::Bool(true)),
            request,
        })
    }

    /// The refresh JWT for a call upstream.
    pub(super) async fn refresh_jwt(&self) -> Result<Presented, RouteError> {
        match self.session.refresh_jwt().await {
            RefreshJwt::Live(presented) => Ok(presented),
            RefreshJwt::Missing => Err(RouteError::unauthorized(false)),
            RefreshJwt::Refused => Err(RouteError::unauthorized(true)),
            RefreshJwt::Unknown { retry_after } => Err(RouteError::unavailable(Some(retry_after))),
        }
    }

    /// The refresh JWT for a sign-in that continues a session: one with `stepup` or `mfa` among its options. Other
    /// sign-ins are sent without a refresh JWT, so that they work whatever became of an earlier session.
    pub(super) async fn step_up(
        &self,
        options: &LoginOptions,
    ) -> Result<Option<Presented>, RouteError> {
        if options.needs_refresh_token() {
            self.refresh_jwt().await.map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The headers of a request under [`TokenDelivery::Body`]. A native app sends its token in the form of Descope's API,
/// `Bearer <project id>:<JWT>`, and cookies do not count. The token is put into both the session cookie and the refresh
/// cookie; verification finds out which kind of token it is.
fn body_mode_headers(headers: &HeaderMap, project: &Project) -> HeaderMap {
    let mut result = HeaderMap::new();
    for field in headers.get_all(AUTHORIZATION) {
        result.append(AUTHORIZATION, field.clone());
    }
    let cookies = &project.cookies;
    if let Some(token) = api_token(&result, project)
        && let Ok(line) = HeaderValue::try_from(format!(
            "{}={token}; {}={token}",
            cookies.session_name(),
            cookies.refresh_name()
        ))
    {
        result.insert(COOKIE, line);
    }
    result
}

fn api_token<'a>(headers: &'a HeaderMap, project: &Project) -> Option<&'a str> {
    let mut fields = headers.get_all(AUTHORIZATION).into_iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let (scheme, rest) = field.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return None;
    }
    let rest = rest
        .trim_matches([' ', '\t'])
        .strip_prefix(project.client.project_id().as_str())?;
    // A management key may follow the token. It is not passed on.
    let token = rest.strip_prefix(':')?.split(':').next()?;
    has_token_characters(token.as_bytes()).then_some(token)
}
