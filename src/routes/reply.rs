//! The responses of the routes, above all those to calls that issued tokens.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderValue, Method};
use serde::Serialize;
use serde_json::{Map, Value};

use super::TokenDelivery;
use super::caller::{Caller, Previous};
use super::error::RouteError;
use super::visible_members::{NATIVE_SESSION, SESSION, Shown};
use crate::client::ClientError;
use crate::headers::{Unwritable, forbid_caching};
use crate::project::Project;
use crate::refresh::{Accepted, Issued, Presented, Tokens};
use crate::token::{Unverified, Verified};
use crate::wire::endpoint::{has_needed, is_blank};
use crate::wire::{Endpoint, JwtResponse};

/// Sends a parsed request upstream.
///
/// `token` need not have been verified here, because upstream verifies it.
pub(super) async fn send<T: Serialize>(
    project: &Project,
    endpoint: &Endpoint,
    path: &str,
    request: &T,
    token: Option<&str>,
) -> Result<Value, ClientError> {
    let (method, body) = match endpoint.method {
        "GET" => (Method::GET, None),
        _ => {
            let body = serde_json::to_vec(request)
                .map_err(|_| ClientError::invalid("the body cannot be written as json"))?;
            (Method::POST, Some(body.into()))
        }
    };
    let reply = project.client.forward(method, path, body, token).await?;
    Ok(reply.body)
}

/// The response to a call that issues no tokens: the members of upstream's answer that the page may see. `None` if the
/// answer is not of the type that the call has.
pub(super) fn plain<A: Shown>(body: Value) -> Option<Response> {
    match body {
        Value::Object(members) if A::MAY_BE_BLANK && is_blank(&members) => Some(empty(Vec::new())),
        Value::Object(mut members) if !A::IS_LIST => {
            A::SHAPE.keep(&mut members);
            has_needed::<A>(&members).then(|| Json(members).into_response())
        }
        Value::Array(mut elements) if A::IS_LIST => {
            A::SHAPE.keep_each(&mut elements);
            Some(Json(elements).into_response())
        }
        _ => None,
    }
}

/// The members of an answer that has to be an object; anything else is answered with 502.
pub(super) fn object(body: Value) -> Result<Map<String, Value>, RouteError> {
    match body {
        Value::Object(body) => Ok(body),
        _ => Err(RouteError::upstream_invalid()),
    }
}

/// A response with cookies and an empty object. Its status is not 204, because the SDKs parse every body.
pub(super) fn empty(cookies: Vec<HeaderValue>) -> Response {
    with_cookies(Map::new(), cookies)
}

/// The response to a call that issued tokens. The tokens are verified and moved into cookies, and the session that they
/// replace is ended.
///
/// `same_user` is the refresh JWT of the session that the call continues, if it continues one: the tokens have to name
/// the same user.
pub(super) async fn signed_in(
    caller: &Caller,
    body: Value,
    same_user: Option<&Presented>,
) -> Result<Response, RouteError> {
    let project = caller.project();
    let mut body = object(body)?;
    let issued = JwtResponse {
        session_jwt: token_member(&body, "sessionJwt")?,
        refresh_jwt: token_member(&body, "refreshJwt")?,
        ..JwtResponse::default()
    };
    if issued.session_jwt.is_empty() && issued.refresh_jwt.is_empty() {
        return Err(RouteError::upstream_invalid());
    }
    let parent = same_user.map(|token| &*token.verified);
    let accepted = project
        .renewer
        .accept(&issued, parent, caller.began())
        .await?;
    let user = user_of(&accepted.tokens, same_user);
    let owner = match (&user, &accepted.unverified) {
        (Some(user), _) => Owner::Known(user),
        (None, Some(token)) => Owner::Claimed(token),
        (None, None) => return Err(RouteError::upstream_invalid()),
    };

    let previous = caller.previous().await;
    let cookies = sign_in_cookies(project, &accepted, &previous, &owner)?;
    settle(project, caller, &accepted, &previous, &owner).await;
    if let Owner::Known(user) = owner {
        project.profiles.invalidate(user.claims.id());
    }

    rewrite(project, &mut body, &accepted.tokens);
    if accepted.lacks_session && project.delivery != TokenDelivery::Body {
        // No session JWT was accepted, so the page must not take the session for renewed.
        for member in ["sessionJwt", "sessionExpiration", "claims"] {
            body.remove(member);
        }
    }
    Ok(with_cookies(body, cookies))
}

/// The response to a renewal. It is made from the tokens, because many requests share one call upstream.
pub(super) fn renewed(
    project: &Project,
    presented: &Presented,
    tokens: &Tokens,
) -> Result<Response, RouteError> {
    let cookies = match project.delivery {
        TokenDelivery::Body => Vec::new(),
        _ => stores(project, tokens)?,
    };
    let mut body = Map::new();
    // The Swift SDK needs this member, and the Python SDK takes a missing one for `true`.
    body.insert("firstSeen".to_owned(), false.into());
    body.insert(
        "cookieExpiration".to_owned(),
        presented.verified.claims.exp.into(),
    );
    if let Some(seconds) = tokens.next_refresh {
        body.insert("nextRefreshSeconds".to_owned(), seconds.into());
    }
    for (name, issued) in [
        ("sessionJwt", &tokens.session),
        ("refreshJwt", &tokens.refresh),
    ] {
        if let Some(issued) = issued {
            body.insert(name.to_owned(), (*issued.jwt).into());
        }
    }
    if project.delivery == TokenDelivery::Body {
        let token = tokens.refresh.as_ref().map(|issued| &issued.verified);
        let life = project
            .verifier
            .remaining(&token.unwrap_or(&presented.verified).claims);
        body.insert("cookiePath".to_owned(), (*project.cookies.path).into());
        body.insert("cookieMaxAge".to_owned(), life.as_secs().into());
    }
    rewrite(project, &mut body, tokens);
    project.renewer.delivered(presented, tokens);
    Ok(with_cookies(body, cookies))
}

/// `Set-Cookie` values that store the tokens.
pub(super) fn stores(project: &Project, tokens: &Tokens) -> Result<Vec<HeaderValue>, RouteError> {
    let cookies = project.store_cookies(tokens);
    cookies.into_iter().map(writable).collect()
}

/// `Set-Cookie` values that delete the session and refresh cookies under every name that is read.
pub(super) fn sign_out_cookies(caller: &Caller) -> Vec<HeaderValue> {
    let project = caller.project();
    if project.delivery == TokenDelivery::Body {
        return Vec::new();
    }
    // Names and attributes were checked when the handle was built.
    project
        .delete_cookies(caller.0.cookie_lines())
        .into_iter()
        .filter_map(Result::ok)
        .collect()
}

/// The `Set-Cookie` values of a sign-in. Afterwards both cookies are of the user who signed in: a cookie for which no
/// token was issued is deleted, except a refresh cookie of the same user.
fn sign_in_cookies(
    project: &Project,
    accepted: &Accepted,
    previous: &Previous,
    owner: &Owner<'_>,
) -> Result<Vec<HeaderValue>, RouteError> {
    if project.delivery == TokenDelivery::Body {
        return Ok(Vec::new());
    }
    let names = [
        project.cookies.session_name(),
        project.cookies.refresh_name(),
    ];
    let [session_name, refresh_name] = names;
    let tokens = &accepted.tokens;
    let session = match &tokens.session {
        Some(session) => writable(project.store_cookie(session_name, session)),
        None => writable(project.cookies.delete(session_name)),
    };
    let is_users = |token: &&Presented| owner.is_of(&token.verified);
    let refresh = if let Some(refresh) = &tokens.refresh {
        Some(writable(project.store_cookie(refresh_name, refresh)))
    } else if let Some(unverified) = &accepted.unverified {
        let max_age = project.verifier.remaining_of(unverified);
        let cookie = project
            .cookies
            .store(refresh_name, unverified.jwt(), max_age);
        Some(writable(cookie))
    } else if let Some(renewed) = previous.undelivered().filter(is_users) {
        let renewed = Issued::from(renewed.clone());
        Some(writable(project.store_cookie(refresh_name, &renewed)))
    } else if previous.live.as_ref().filter(is_users).is_none() {
        Some(writable(project.cookies.delete(refresh_name)))
    } else {
        None
    };
    // Left-over cookies of earlier configurations are deleted only where a new cookie takes their place: a left-over
    // may hold the refresh JWT that is still in use.
    names
        .into_iter()
        .zip([Some(session), refresh])
        .filter_map(|(name, cookie)| Some((name, cookie?)))
        .flat_map(|(name, cookie)| leftover(project, name).chain([cookie]))
        .collect()
}

/// Ends what the sign-in replaces. If the earlier session was of another user, it is ended. If it was of the same user,
/// the outcomes of its renewals are dropped, so that a late renewal does not overwrite the new cookies.
///
/// This applies also to an [`Owner::Claimed`]: only tokens that this caller presented are ended, and their cookies are
/// replaced in any case.
async fn settle(
    project: &Project,
    caller: &Caller,
    accepted: &Accepted,
    previous: &Previous,
    owner: &Owner<'_>,
) {
    let has_refresh = accepted.tokens.refresh.is_some() || accepted.unverified.is_some();
    for token in previous.tokens() {
        if !owner.is_of(&token.verified) {
            project.end_session(Some(token), None);
        } else if has_refresh {
            project.renewer.forget(token);
        }
    }
    for session in caller.0.session_cookies().await {
        if !owner.is_of(&session.verified) {
            project.end_session(None, Some(&session.verified));
        }
    }
    if let (Some(presented), Some(outcome)) = (&previous.presented, &previous.outcome) {
        project.renewer.delivered(presented, &outcome.tokens());
    }
}

/// Who signed in.
enum Owner<'a> {
    Known(&'a Verified),
    /// The user that a token claims whose key is missing.
    Claimed(&'a Unverified),
}

impl Owner<'_> {
    /// Whether `token` names the same user.
    fn is_of(&self, token: &Verified) -> bool {
        match self {
            Self::Known(user) => user.claims.same_user(&token.claims),
            Self::Claimed(unverified) => unverified.claims_user(&token.claims),
        }
    }
}

/// A token of the user who signed in. All tokens name the same user.
fn user_of(tokens: &Tokens, same_user: Option<&Presented>) -> Option<Arc<Verified>> {
    let issued = tokens.session.as_ref().or(tokens.refresh.as_ref());
    issued
        .map(|issued| issued.verified.clone())
        .or_else(|| same_user.map(|token| token.verified.clone()))
}

fn leftover(
    project: &Project,
    name: &str,
) -> impl Iterator<Item = Result<HeaderValue, RouteError>> + use<> {
    let leftovers = project.cookies.delete_leftovers(name);
    leftovers.into_iter().map(writable)
}

fn writable(cookie: Result<HeaderValue, Unwritable>) -> Result<HeaderValue, RouteError> {
    cookie.map_err(|unwritable| {
        tracing::error!(
            ?unwritable,
            "a session does not fit into a cookie; trim the claims of the JWT"
        );
        RouteError::cookie_too_large()
    })
}

fn with_cookies(body: Map<String, Value>, cookies: Vec<HeaderValue>) -> Response {
    let mut response = Json(body).into_response();
    if !cookies.is_empty() {
        let headers = response.headers_mut();
        for cookie in cookies {
            headers.append(SET_COOKIE, cookie);
        }
        forbid_caching(headers);
    }
    response
}

fn token_member(body: &Map<String, Value>, name: &str) -> Result<String, RouteError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(token)) => Ok(token.clone()),
        Some(_) => Err(RouteError::upstream_invalid()),
    }
}

/// Leaves the members that the caller may see, and sets those that are made from the tokens. Under
/// [`TokenDelivery::Cookies`] no token is left.
fn rewrite(project: &Project, body: &mut Map<String, Value>, tokens: &Tokens) {
    // The claims of the session JWT take the place of those that upstream sent.
    body.remove("claims");
    if project.delivery == TokenDelivery::Body {
        NATIVE_SESSION.keep(body);
    } else {
        let session = match project.delivery {
            TokenDelivery::CookiesAndSession => body.remove("sessionJwt"),
            _ => None,
        };
        SESSION.keep(body);
        if let Some(session) = session {
            body.insert("sessionJwt".to_owned(), session);
            // Without `cookiePath` the SDK would set its own cookie for the page's directory, where it would hide ours.
            body.insert("cookiePath".to_owned(), (*project.cookies.path).into());
        }
    }
    for (name, issued) in [
        ("sessionExpiration", &tokens.session),
        ("cookieExpiration", &tokens.refresh),
    ] {
        // The SDK would loop on anything but a number of seconds.
        let seconds = match (issued, body.get(name)) {
            (Some(issued), _) => Some(issued.verified.claims.exp),
            (None, Some(Value::Number(seconds))) => seconds.as_i64(),
            (None, Some(Value::String(seconds))) => seconds.parse().ok(),
            (None, _) => None,
        };
        match seconds {
            Some(seconds) => body.insert(name.to_owned(), seconds.into()),
            None => body.remove(name),
        };
    }
    if let Some(session) = &tokens.session
        && let Ok(claims) = session.verified.decode::<Map<String, Value>>()
    {
        body.insert("claims".to_owned(), Value::Object(claims));
    }
}
