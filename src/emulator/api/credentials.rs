//! The credentials of a call: the bearer token, whose parts are joined by colons, and the cookies.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;

use super::super::error::ApiError;
use super::super::instance::Instance;
use super::super::state::Presented;
use super::super::token;

/// The credentials of a call that names this project: `PID`, `PID:JWT`, `PID:KEY` or `PID:JWT:MANAGEMENTKEY`.
pub(super) struct Credentials {
    /// The part after the project id: a JWT, an access key or a management key.
    second: Option<String>,
    cookies: Vec<String>,
}

impl Credentials {
    /// The refresh JWTs to try. A JWT in the bearer token has precedence over cookies, because one of Descope's clients
    /// keeps a single cookie jar for all its users.
    pub(super) fn presented(&self) -> Presented {
        match self.jwt() {
            Some(jwt) => Presented::new([jwt.to_owned()]),
            None => Presented::new(self.cookies.iter().cloned()),
        }
    }

    pub(super) fn jwt(&self) -> Option<&str> {
        self.second
            .as_deref()
            .filter(|second| second.bytes().filter(|byte| *byte == b'.').count() == 2)
    }

    pub(super) fn access_key(&self) -> Option<&str> {
        self.second.as_deref()
    }

    fn read(headers: &HeaderMap, project_id: &str) -> Result<Self, ApiError> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values
            .next()
            .ok_or_else(|| ApiError::invalid_token("No Authorization header"))?;
        if values.next().is_some() {
            return Err(ApiError::invalid_token("Several Authorization headers"));
        }
        let bearer = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, bearer)| bearer.trim_matches(' '))
            .ok_or_else(|| ApiError::invalid_token("Not a bearer token"))?;
        let mut parts = bearer.split(':');
        match parts.next() {
            Some(first) if first == project_id => {}
            Some(first) if looks_like_project_id(first) => {
                return Err(ApiError::not_found("Project not found"));
            }
            _ => {
                return Err(ApiError::invalid_token(
                    "The bearer begins with the project id",
                ));
            }
        }
        let second = parts
            .next()
            .filter(|second| !second.is_empty())
            .map(str::to_owned);
        Ok(Self {
            second,
            cookies: refresh_cookies(headers),
        })
    }
}

fn looks_like_project_id(text: &str) -> bool {
    text.len() >= 28 && text.starts_with('P') && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// All `DSR` cookies. Names are compared byte by byte and nothing is decoded.
fn refresh_cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| {
            let pair = trim_blanks(pair);
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (
                trim_blanks(&pair[..equals]),
                trim_blanks(&pair[equals + 1..]),
            );
            (name == token::REFRESH.as_bytes() && !value.is_empty())
                .then(|| String::from_utf8(value.to_vec()).ok())?
        })
        .collect()
}

fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

impl FromRequestParts<Arc<Instance>> for Credentials {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        instance: &Arc<Instance>,
    ) -> Result<Self, ApiError> {
        let project_id = instance.state().project_id().to_owned();
        Self::read(&parts.headers, &project_id)
    }
}

/// The other end of the connection, for the sign-in history.
#[derive(Clone, Copy)]
pub(in super::super) struct Peer(pub(in super::super) SocketAddr);

impl Peer {
    pub(super) fn ip(self) -> String {
        self.0.ip().to_string()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .extensions
            .get()
            .copied()
            .ok_or_else(|| ApiError::internal("the peer is unknown"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: &str = "P2DevelopmentEmulator0000001";

    fn read(authorization: &str, cookie: &str) -> Result<Credentials, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        headers.insert(COOKIE, cookie.parse().unwrap());
        Credentials::read(&headers, PID)
    }

    #[test]
    fn all_forms_of_the_bearer() {
        let jwt = |text: &str| {
            read(&format!("Bearer {text}"), "")
                .unwrap()
                .jwt()
                .map(str::to_owned)
        };
        assert_eq!(jwt(PID), None);
        assert_eq!(jwt(&format!("{PID}:")), None);
        assert_eq!(jwt(&format!("{PID}:KEY")), None);
        assert_eq!(jwt(&format!("{PID}:a.b.c")).as_deref(), Some("a.b.c"));
        assert_eq!(jwt(&format!("{PID}:a.b.c:KEY")).as_deref(), Some("a.b.c"));
        let key = read(&format!("bearer {PID}:KEY"), "").unwrap();
        assert_eq!(key.access_key(), Some("KEY"));
    }

    #[test]
    fn other_bearers_are_refused() {
        let status = |text: &str| read(text, "").err().unwrap().status.as_u16();
        assert_eq!(status("Bearer nonsense"), 401);
        assert_eq!(status("Bearer "), 401);
        assert_eq!(status(&format!("Bearer :{PID}")), 401);
        assert_eq!(status(&format!("Basic {PID}")), 401);
        assert_eq!(status(PID), 401);
        assert_eq!(status("Bearer P2DevelopmentEmulator0000002"), 404);
    }

    #[test]
    fn cookies_are_compared_byte_by_byte() {
        let cookies = |text| read(&format!("Bearer {PID}"), text).unwrap().cookies;
        assert_eq!(cookies("x=1; DSR=a.b.c ;DSR=d"), ["a.b.c", "d"]);
        assert!(cookies("dsr=a; D%53R=b; DSR=; DS=c; DSRx=d").is_empty());
    }
}
