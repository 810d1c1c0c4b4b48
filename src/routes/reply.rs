//! The responses of the routes, above all those to calls that issued tokens.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderValue, Method};
use serde::Serialize;
use serde_json::{Map, Value};

use super::TokenDelivery;
use super::caller::Caller;
use super::error::RouteError;
use super::visible_members::{NATIVE_SESSION, SESSION, Shown};
use crate::client::ClientError;
use crate::headers::{Unwritable, forbid_caching};
use crate::project::Project;
use crate::refresh::{Presented, Tokens};
use crate::session::Store;
use crate::wire::endpoint::{has_needed, is_blank};
use crate::wire::{Endpoint, JwtResponse, Purpose};

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
/// the same user. A session that is only moved into another tenant (`Purpose::Renew`) is not asked about.
pub(super) async fn signed_in(
    caller: &Caller,
    purpose: Purpose,
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
        .accept(&issued, parent, Some(caller.began()))
        .await?;
    let told = match purpose {
        Purpose::Renew => None,
        _ => caller.told(&body),
    };
    let store = match project.delivery {
        TokenDelivery::Body => Store::Elsewhere,
        _ => Store::Cookies,
    };
    let cookies = caller
        .session
        .start(&accepted, same_user, store, told)
        .await?;

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
    caller.session.deletion()
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

pub(super) fn with_cookies(body: Map<String, Value>, cookies: Vec<HeaderValue>) -> Response {
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
pub(super) fn rewrite(project: &Project, body: &mut Map<String, Value>, tokens: &Tokens) {
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
