//! The session of a request to a route, and the refresh JWT for calls upstream.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap};
use http::request::Parts;

use super::TokenDelivery;
use super::error::RouteError;
use crate::client::has_token_characters;
use crate::project::Project;
use crate::refresh::{Issued, Outcome, Presented};
use crate::session::{RefreshJwt, Session};
use crate::token::RevocationMark;
use crate::wire::LoginOptions;

/// The outcome of the session layer, if one of this handle ran. Otherwise the credentials are read here by the same
/// rules, without a renewal.
pub(super) struct Caller(pub(super) Session, RevocationMark);

impl FromRequestParts<Arc<Project>> for Caller {
    type Rejection = RouteError;

    async fn from_request_parts(
        parts: &mut Parts,
        project: &Arc<Project>,
    ) -> Result<Self, RouteError> {
        let began = project.verifier.revoked.mark();
        if project.delivery == TokenDelivery::Body {
            let headers = body_mode_headers(&parts.headers, project);
            let session = Session::without_renewal(project, &headers).await;
            return Ok(Self(session, began));
        }
        if let Some(session) = parts.extensions.get::<Session>() {
            if Arc::ptr_eq(session.project(), project) {
                return Ok(Self(session.clone(), began));
            }
            session.meet(project);
        }
        let session = Session::without_renewal(project, &parts.headers).await;
        Ok(Self(session, began))
    }
}

impl Caller {
    pub(super) fn project(&self) -> &Arc<Project> {
        self.0.project()
    }

    /// The moment before anything was done for this request. Users may have been revoked since.
    pub(super) fn began(&self) -> RevocationMark {
        self.1
    }

    /// The refresh JWT for a call upstream.
    pub(super) async fn refresh_jwt(&self) -> Result<Presented, RouteError> {
        match self.0.refresh_jwt().await {
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

    /// The session that a sign-in replaces or a sign-out ends. Does not wait for a renewal of another request: that
    /// renewal will find that the session was ended.
    pub(super) async fn previous(&self) -> Previous {
        let presented = self.0.presented().await.ok().flatten();
        let outcome = match (self.0.renewal(), &presented) {
            (Some(renewal), _) => Some(renewal.outcome.clone()),
            (None, Some(token)) => {
                let renewer = &self.0.project().renewer;
                renewer.remembered(token).await
            }
            (None, None) => None,
        };
        let unverified = outcome.as_deref().and_then(Outcome::unverified);
        let kept = unverified.map(|token| Box::from(token.jwt()));
        let live = match outcome.as_deref() {
            None => presented.clone(),
            // The refresh JWT that the browser sent is spent, and its successor cannot be verified yet.
            Some(_) if kept.is_some() => None,
            Some(outcome) => match (outcome.tokens().refresh, outcome) {
                (Some(Issued { jwt, verified }), _) => Some(Presented::new(&jwt, verified)),
                (None, Outcome::Refused { .. }) => None,
                (None, _) => presented.clone(),
            },
        };
        Previous {
            presented,
            live,
            outcome,
            kept,
        }
    }
}

/// The refresh JWTs of the session that the caller had before.
pub(super) struct Previous {
    /// The refresh JWT that the browser sent.
    pub(super) presented: Option<Presented>,
    /// The refresh JWT that a renewal has replaced it with, else the same as `presented`. `None` if upstream has
    /// refused it, or if its successor is in `kept`.
    pub(super) live: Option<Presented>,
    /// The outcome of a renewal of this session, if there was one. No response has to deliver it any more.
    pub(super) outcome: Option<Arc<Outcome>>,
    /// The refresh JWT that a renewal has replaced `presented` with, if its key is missing. It serves only for asking
    /// upstream to end the session.
    pub(super) kept: Option<Box<str>>,
}

impl Previous {
    /// `presented` and `live`; only once if both are the same.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &Presented> {
        let live = self
            .live
            .iter()
            .filter(|live| self.presented.as_ref().map(|token| &token.jwt) != Some(&live.jwt));
        self.presented.iter().chain(live)
    }

    /// The refresh JWT that a renewal brought and that the browser may not have yet.
    pub(super) fn undelivered(&self) -> Option<&Presented> {
        let presented = self.presented.as_ref()?;
        self.live.as_ref().filter(|live| live.jwt != presented.jwt)
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
