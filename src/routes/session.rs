//! The handlers of the calls that are not just passed on: renewing, signing out, and validating a session.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use serde_json::{Map, Value};

use super::TokenDelivery;
use super::caller::Caller;
use super::error::RouteError;
use super::reply::{empty, object, renewed, send, sign_out_cookies, stores};
use super::request::Input;
use super::shape::without_tokens;
use super::sign_out_form::SignOutInput;
use crate::headers::Bearer;
use crate::project::Project;
use crate::refresh::{Issued, Outcome, Presented, Renewer, Tokens};
use crate::session::SignOut;
use crate::wire::endpoint::Call;
use crate::wire::session::ValidateRequest;
use crate::wire::{LogoutRequest, RefreshRequest, session};

pub(super) async fn refresh(
    State(project): State<Arc<Project>>,
    caller: Caller,
    Input(_): Input<RefreshRequest>,
) -> Result<Response, RouteError> {
    match renew(&project, &caller).await {
        Renewal::Renewed { presented, tokens } => renewed(&project, &presented, &tokens),
        Renewal::Missing => Err(RouteError::unauthorized(false)),
        Renewal::Refused { clear } => {
            let error = RouteError::unauthorized(true);
            Err(match clear {
                true => error.with_cookies(sign_out_cookies(&caller)),
                false => error,
            })
        }
        Renewal::Unavailable(unavailable) => Err(unavailable.into_error(&project)),
    }
}

/// Like [`refresh`], for pages that do not know whether anybody is signed in: without a session the answer is an empty
/// object, not an error.
pub(super) async fn try_refresh(
    State(project): State<Arc<Project>>,
    caller: Caller,
    Input(_): Input<RefreshRequest>,
) -> Result<Response, RouteError> {
    match renew(&project, &caller).await {
        Renewal::Renewed { presented, tokens } => renewed(&project, &presented, &tokens),
        Renewal::Missing | Renewal::Refused { clear: false } => Ok(empty(Vec::new())),
        Renewal::Refused { clear: true } => Ok(empty(sign_out_cookies(&caller))),
        Renewal::Unavailable(unavailable) => Err(unavailable.into_error(&project)),
    }
}

enum Renewal {
    Renewed {
        presented: Presented,
        tokens: Tokens,
    },
    Missing,
    Refused {
        clear: bool,
    },
    Unavailable(Unavailable),
}

struct Unavailable {
    retry_after: Duration,
    /// The old refresh JWT, and a new one that has to reach the browser although the renewal failed.
    rescued: Option<(Presented, Issued)>,
}

impl Unavailable {
    fn into_error(self, project: &Arc<Project>) -> RouteError {
        let error = RouteError::unavailable(Some(self.retry_after));
        let Some((presented, rescued)) = self.rescued else {
            return error;
        };
        let tokens = Tokens {
            refresh: Some(rescued),
            ..Tokens::default()
        };
        match stores(project, &tokens) {
            Ok(cookies) => {
                project.renewer.delivered(&presented, &tokens);
                error.with_cookies(cookies)
            }
            Err(_) => error,
        }
    }
}

/// The outcome of the renewal that the session layer made for this request, else of one that is made now and shared
/// with all requests that carry the same refresh JWT.
async fn renew(project: &Arc<Project>, caller: &Caller) -> Renewal {
    let renewer = &project.renewer;
    let (presented, outcome) = match caller.session.renewal() {
        Some(renewal) => (renewal.presented.clone(), renewal.outcome.clone()),
        None => match caller.session.presented().await {
            Ok(Some(presented)) => {
                let outcome = renewer.renew(&presented).await;
                (presented, outcome)
            }
            Ok(None) => return Renewal::Missing,
            Err(retry_after) => {
                return Renewal::Unavailable(Unavailable {
                    retry_after,
                    rescued: None,
                });
            }
        },
    };
    match &*outcome {
        Outcome::Renewed(tokens) => Renewal::Renewed {
            presented,
            tokens: tokens.clone(),
        },
        Outcome::Refused { clear } => Renewal::Refused { clear: *clear },
        Outcome::Unavailable {
            retry_after,
            rescued,
            ..
        } => match rescued {
            Some(rescued) if project.delivery == TokenDelivery::Body => {
                use_rescued(renewer, presented, rescued, *retry_after).await
            }
            _ => Renewal::Unavailable(Unavailable {
                retry_after: *retry_after,
                rescued: rescued.clone().map(|rescued| (presented, rescued)),
            }),
        },
    }
}

/// How many times [`use_rescued`] looks for the successor of a refresh JWT. Each look follows all renewals that this
/// replica knows, so further looks find only renewals of other replicas. The limit also ends a circle of refresh JWTs
/// that replace each other, which upstream could make.
const MOST_RESCUED: usize = 8;

/// Renews with a rescued refresh JWT. Under [`TokenDelivery::Body`] an error response cannot carry the rescued token,
/// and the app's own refresh JWT is spent, so the rescued one is used for another renewal at once.
async fn use_rescued(
    renewer: &Arc<Renewer>,
    presented: Presented,
    rescued: &Issued,
    retry_after: Duration,
) -> Renewal {
    let mut rescued = rescued.clone();
    let mut next = Presented::new(&rescued.jwt, rescued.verified.clone());
    // The rescued refresh JWT may have been spent by an earlier renewal that failed too.
    for _ in 0..MOST_RESCUED {
        let outcome = renewer.remembered(&next).await;
        let Some(newer) = outcome.and_then(|outcome| match &*outcome {
            Outcome::Unavailable { rescued, .. } => rescued.clone(),
            _ => None,
        }) else {
            break;
        };
        next = Presented::new(&newer.jwt, newer.verified.clone());
        rescued = newer;
    }
    match &*renewer.renew(&next).await {
        Outcome::Renewed(tokens) => {
            renewer.delivered(&next, tokens);
            let refresh = tokens.refresh.clone().or(Some(rescued));
            let tokens = Tokens {
                refresh,
                ..tokens.clone()
            };
            Renewal::Renewed { presented, tokens }
        }
        _ => Renewal::Unavailable(Unavailable {
            retry_after,
            rescued: None,
        }),
    }
}

pub(super) async fn logout(caller: Caller, input: SignOutInput) -> Response {
    sign_out(&caller, SignOut::ThisSession, input).await
}

pub(super) async fn logout_all(caller: Caller, input: SignOutInput) -> Response {
    sign_out(&caller, SignOut::Everywhere, input).await
}

/// Whatever Descope says, the browser is signed out.
async fn sign_out(caller: &Caller, which: SignOut, input: SignOutInput) -> Response {
    let (request, next) = match input {
        SignOutInput::Json(request) => (request, None),
        SignOutInput::Form { next } => (LogoutRequest::default(), Some(next)),
    };
    caller.session.end(which, &request, caller.head()).await;
    let mut response = empty(sign_out_cookies(caller));
    if let Some(next) = next {
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(LOCATION, next);
        response.headers_mut().remove(CONTENT_TYPE);
        *response.body_mut() = Body::empty();
    }
    response
}

/// Asks Descope to validate the session JWT. All other calls send a refresh JWT or no token.
pub(super) async fn validate(
    State(project): State<Arc<Project>>,
    headers: HeaderMap,
    caller: Caller,
    Input(request): Input<ValidateRequest>,
) -> Result<Response, RouteError> {
    let verified = caller.session.require()?;
    let renewed = caller.session.renewal();
    let issued = match renewed.and_then(|renewal| renewal.outcome.tokens().session) {
        Some(session) => Some(session),
        None => caller.session.session_cookies().await.into_iter().next(),
    };
    let token = match (&issued, project.credentials(&headers).bearer) {
        (Some(issued), _) => Some(&*issued.jwt),
        (None, Bearer::Token(token)) => std::str::from_utf8(token).ok(),
        (None, _) => None,
    };
    let token = token.ok_or_else(|| RouteError::unauthorized(false))?;
    let endpoint = session::Validate::ENDPOINT;
    let reply = send(&project, &endpoint, endpoint.path, &request, Some(token)).await;
    let reply = reply.map_err(|error| RouteError::upstream(&error))?;
    let mut claims = object(reply)?;
    // Claims may have any name and any value. Only those pass that the session JWT has, which was verified here.
    let own: Map<String, Value> = verified.decode().unwrap_or_default();
    claims.retain(|name, value| own.contains_key(name) && without_tokens(value));
    if claims.is_empty() {
        return Err(RouteError::upstream_invalid());
    }
    Ok(Json(claims).into_response())
}
