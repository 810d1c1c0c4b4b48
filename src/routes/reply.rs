//! Answers, above all those with tokens in them.

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

/// Makes a call upstream with what is left of a request after parsing.
///
/// The token need not be verified, because upstream is the one to know it.
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

/// The answer of a call that issued no tokens: what the page may see of it. `None` if it is an answer to something
/// else.
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

/// Anything else than an object is no answer of the API.
pub(super) fn object(body: Value) -> Result<Map<String, Value>, RouteError> {
    match body {
        Value::Object(body) => Ok(body),
        _ => Err(RouteError::upstream_invalid()),
    }
}

/// An answer that has nothing to say but cookies. Never 204: the SDKs parse every body.
pub(super) fn empty(cookies: Vec<HeaderValue>) -> Response {
    with_cookies(Map::new(), cookies)
}

/// The answer to a call that issued tokens: verified, moved into cookies, and the session before them ended.
///
/// `same_user` is whose session it was, for calls that continue one.
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
        // The page has no such session.
        for member in ["sessionJwt", "sessionExpiration", "claims"] {
            body.remove(member);
        }
    }
    Ok(with_cookies(body, cookies))
}

/// The answer to a renewal. It is made from the tokens, because many calls share one of upstream.
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
    // The Swift SDK cannot do without it, and Python takes a missing one for `true`.
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

/// `Set-Cookie` values for what was issued.
pub(super) fn stores(project: &Project, tokens: &Tokens) -> Result<Vec<HeaderValue>, RouteError> {
    let cookies = project.store_cookies(tokens);
    cookies.into_iter().map(writable).collect()
}

/// `Set-Cookie` values that delete the session under every name.
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

/// Both cookies belong to who signed in: what was not issued is deleted, unless it is the same user's.
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
    // A left-over goes only where a cookie takes its place: it may be the one that lives.
    names
        .into_iter()
        .zip([Some(session), refresh])
        .filter_map(|(name, cookie)| Some((name, cookie?)))
        .flat_map(|(name, cookie)| leftover(project, name).chain([cookie]))
        .collect()
}

/// Ends what the sign-in replaces: another user's session altogether, of the same user's what a late renewal would
/// write over the new cookies.
///
/// That goes for a user who is only claimed, too: what is ended is what this caller presented, whose cookies are
/// replaced in any case, and nothing that others hold.
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
    /// As a token says whose key is missing.
    Claimed(&'a Unverified),
}

impl Owner<'_> {
    /// Whether this token is of the same user.
    fn is_of(&self, token: &Verified) -> bool {
        match self {
            Self::Known(user) => user.claims.same_user(&token.claims),
            Self::Claimed(unverified) => unverified.claims_user(&token.claims),
        }
    }
}

/// Whose tokens these are: all name the same user.
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

/// What the browser's SDK needs, and nothing that script could sign in with.
fn rewrite(project: &Project, body: &mut Map<String, Value>, tokens: &Tokens) {
    // Those of the session JWT take their place.
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
            // Without it the SDK's own cookie lands on the page's directory and shadows ours.
            body.insert("cookiePath".to_owned(), (*project.cookies.path).into());
        }
    }
    for (name, issued) in [
        ("sessionExpiration", &tokens.session),
        ("cookieExpiration", &tokens.refresh),
    ] {
        // Anything but a number of seconds sends the SDK into a loop.
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
