//! Answers, above all those with tokens in them.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::SET_COOKIE;
use http::{HeaderValue, Method};
use serde::Serialize;
use serde_json::{Map, Value};

use super::TokenDelivery;
use super::caller::{Caller, Previous};
use super::error::RouteError;
use crate::client::ClientError;
use crate::descope::{Descope, Inner};
use crate::refresh::{Issued, Presented, Tokens};
use crate::session::cookies::Unwritable;
use crate::session::write_back::{deletions, forbid_caching};
use crate::token::Verified;
use crate::wire::JwtResponse;

/// Makes a call upstream with what is left of a request after parsing.
pub(super) async fn post<T: Serialize>(
    descope: &Descope,
    path: &str,
    request: &T,
    token: Option<&Presented>,
) -> Result<Value, ClientError> {
    let body = serde_json::to_vec(request)
        .map_err(|_| ClientError::invalid("the body cannot be written as json"))?;
    let client = descope.client();
    let reply = client
        .forward(
            Method::POST,
            path,
            Some(body.into()),
            token.map(|token| &*token.jwt),
        )
        .await?;
    Ok(reply.body)
}

/// The answer of a call that is no sign-in: an object without tokens.
pub(super) fn plain(body: Value) -> Result<Response, RouteError> {
    let mut body = object(body)?;
    for name in TOKENS {
        body.remove(name);
    }
    Ok(Json(body).into_response())
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
    descope: &Descope,
    caller: &Caller,
    body: Value,
    same_user: Option<&Presented>,
) -> Result<Response, RouteError> {
    let inner = descope.inner();
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
    let tokens = inner
        .renewer
        .accept(&issued, parent, caller.began())
        .await?;
    let Some(user) = user_of(&tokens, same_user) else {
        return Err(RouteError::upstream_invalid());
    };

    let previous = caller.previous().await;
    let cookies = sign_in_cookies(inner, &tokens, &previous, &user)?;
    settle(inner, caller, &tokens, &previous, &user).await;
    inner.profiles.invalidate(user.claims.id());

    rewrite(inner, &mut body, &tokens);
    Ok(with_cookies(body, cookies))
}

/// The answer to a renewal. It is made from the tokens, because many calls share one of upstream.
pub(super) fn renewed(
    inner: &Inner,
    presented: &Presented,
    tokens: &Tokens,
) -> Result<Response, RouteError> {
    let cookies = match inner.delivery {
        TokenDelivery::Body => Vec::new(),
        _ => stores(inner, tokens)?,
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
    if inner.delivery == TokenDelivery::Body {
        let token = tokens.refresh.as_ref().map(|issued| &issued.verified);
        let life = inner
            .verifier
            .remaining(&token.unwrap_or(&presented.verified).claims);
        body.insert("cookiePath".to_owned(), (*inner.cookies.path).into());
        body.insert("cookieMaxAge".to_owned(), life.as_secs().into());
    }
    rewrite(inner, &mut body, tokens);
    inner.renewer.delivered(presented);
    Ok(with_cookies(body, cookies))
}

/// `Set-Cookie` values for what was issued.
pub(super) fn stores(inner: &Inner, tokens: &Tokens) -> Result<Vec<HeaderValue>, RouteError> {
    let names = &inner.cookies;
    [
        (names.session_name(), &tokens.session),
        (names.refresh_name(), &tokens.refresh),
    ]
    .into_iter()
    .filter_map(|(name, issued)| Some((name, issued.as_ref()?)))
    .flat_map(|(name, issued)| leftover(inner, name).chain([store(inner, name, issued)]))
    .collect()
}

/// `Set-Cookie` values that delete the session under every name.
pub(super) fn sign_out_cookies(caller: &Caller) -> Vec<HeaderValue> {
    let inner = caller.0.descope().inner();
    if inner.delivery == TokenDelivery::Body {
        return Vec::new();
    }
    // Names and attributes were checked when the handle was built.
    deletions(&caller.0)
        .into_iter()
        .filter_map(Result::ok)
        .collect()
}

/// Both cookies belong to who signed in: what was not issued is deleted, unless it is the same user's.
fn sign_in_cookies(
    inner: &Inner,
    tokens: &Tokens,
    previous: &Previous,
    user: &Verified,
) -> Result<Vec<HeaderValue>, RouteError> {
    if inner.delivery == TokenDelivery::Body {
        return Ok(Vec::new());
    }
    let names = [inner.cookies.session_name(), inner.cookies.refresh_name()];
    let [session_name, refresh_name] = names;
    let session = match &tokens.session {
        Some(session) => store(inner, session_name, session),
        None => deletion(inner, session_name),
    };
    let is_users = |token: &&Presented| token.verified.claims.sub() == user.claims.sub();
    let refresh = if let Some(refresh) = &tokens.refresh {
        Some(store(inner, refresh_name, refresh))
    } else if let Some(renewed) = previous.undelivered().filter(is_users) {
        let renewed = Issued::from(renewed.clone());
        Some(store(inner, refresh_name, &renewed))
    } else if previous.live.as_ref().filter(is_users).is_none() {
        Some(deletion(inner, refresh_name))
    } else {
        None
    };
    // A left-over goes only where a cookie takes its place: it may be the one that lives.
    names
        .into_iter()
        .zip([Some(session), refresh])
        .filter_map(|(name, cookie)| Some((name, cookie?)))
        .flat_map(|(name, cookie)| leftover(inner, name).chain([cookie]))
        .collect()
}

/// Ends what the sign-in replaces: another user's session altogether, of the same user's what a late renewal would
/// write over the new cookies.
async fn settle(
    inner: &Inner,
    caller: &Caller,
    tokens: &Tokens,
    previous: &Previous,
    user: &Verified,
) {
    for token in previous.tokens() {
        if token.verified.claims.sub() != user.claims.sub() {
            inner.end_session(Some(token), None);
        } else if tokens.refresh.is_some() {
            inner.renewer.forget(token);
        }
    }
    for session in caller.0.session_cookies().await {
        if session.verified.claims.sub() != user.claims.sub() {
            inner.end_session(None, Some(&session.verified));
        }
    }
    if let Some(presented) = &previous.presented {
        inner.renewer.delivered(presented);
    }
}

/// Whose tokens these are: all name the same user.
fn user_of(tokens: &Tokens, same_user: Option<&Presented>) -> Option<Arc<Verified>> {
    let issued = tokens.session.as_ref().or(tokens.refresh.as_ref());
    issued
        .map(|issued| issued.verified.clone())
        .or_else(|| same_user.map(|token| token.verified.clone()))
}

fn store(inner: &Inner, name: &str, issued: &Issued) -> Result<HeaderValue, RouteError> {
    let max_age = inner.verifier.remaining(&issued.verified.claims);
    writable(inner.cookies.store(name, &issued.jwt, max_age))
}

fn leftover(
    inner: &Inner,
    name: &str,
) -> impl Iterator<Item = Result<HeaderValue, RouteError>> + use<> {
    let leftovers = inner.cookies.delete_leftovers(name);
    leftovers.into_iter().map(writable)
}

fn deletion(inner: &Inner, name: &str) -> Result<HeaderValue, RouteError> {
    writable(inner.cookies.delete(name))
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
fn rewrite(inner: &Inner, body: &mut Map<String, Value>, tokens: &Tokens) {
    // A null where the SDK expects text stops its timer.
    body.retain(|_, value| !value.is_null());
    if inner.delivery != TokenDelivery::Body {
        let session = match inner.delivery {
            TokenDelivery::CookiesAndSession => body.remove("sessionJwt"),
            _ => None,
        };
        for name in TOKENS.into_iter().chain(COOKIE_ATTRIBUTES) {
            body.remove(name);
        }
        for (name, value) in body.iter_mut() {
            // The user's attributes and the token's claims are the app's own data.
            if name != "user" && name != "claims" {
                drop_tokens(value);
            }
        }
        body.retain(|_, value| !is_token(value));
        if let Some(session) = session {
            body.insert("sessionJwt".to_owned(), session);
            // Without it the SDK's own cookie lands on the page's directory and shadows ours.
            body.insert("cookiePath".to_owned(), (*inner.cookies.path).into());
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

/// Removes members and elements that are JWTs, at any depth.
fn drop_tokens(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !is_token(value));
            members.values_mut().for_each(drop_tokens);
        }
        Value::Array(elements) => {
            elements.retain(|value| !is_token(value));
            elements.iter_mut().for_each(drop_tokens);
        }
        _ => {}
    }
}

/// Whether this is a JWS or JWE: parts of base64url, the first a JSON object with `alg` (RFC 7515, RFC 7516).
fn is_token(value: &Value) -> bool {
    let Value::String(text) = value else {
        return false;
    };
    let Some((header, rest)) = text.split_once('.') else {
        return false;
    };
    rest.contains('.')
        && URL_SAFE_NO_PAD
            .decode(header)
            .ok()
            .and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok())
            .is_some_and(|header| header.contains_key("alg"))
}

/// Members that sign in whoever has them.
const TOKENS: [&str; 4] = [
    "sessionJwt",
    "refreshJwt",
    "externalToken",
    "trustedDeviceJwt",
];

/// What the SDK would write cookies of its own with.
const COOKIE_ATTRIBUTES: [&str; 6] = [
    "cookieDomain",
    "cookieName",
    "cookiePath",
    "cookieMaxAge",
    "sessionCookieName",
    "sessionCookieDomain",
];
