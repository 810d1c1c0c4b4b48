use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION, VARY};
use http::{HeaderValue, Response, StatusCode};

use super::next::path_on_this_host;
use super::{Memo, ProblemJson, Reject, Rejected};

/// Redirects browsers that are not signed in to a login page: 303, with the requested page in the query as `next`.
///
/// Only navigations are redirected (`Sec-Fetch-Mode: navigate`, else `Accept: text/html`); scripts and API clients
/// get the problem document of [`ProblemJson`]. So does everybody whose rejection has another status than 401.
///
/// `next` is a path on this host, with its query, and stays one however it is normalised: it has no `//`, no backslash,
/// no `.` or `..` segment and no control character, not even percent-encoded, and at most 2048 bytes. For any other
/// path the redirect has no `next`, and the login page should go on with a page of its own choice.
///
/// The login page must still treat `next` as untrusted input, because anybody can link to the login page with another
/// `next`. It should follow a `next` only if that keeps the same rules.
///
/// Set this renderer on the session layer, which sees the whole path: inside a nested router the path lacks its prefix.
///
/// ```
/// # fn f(descope: tower_descope::Descope) {
/// use tower_descope::require::RedirectToLogin;
///
/// let layer = descope.session_layer().with_rejection(RedirectToLogin::new("/login"));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedirectToLogin {
    login: Arc<str>,
}

impl RedirectToLogin {
    /// Redirects to the app's own login page, given as a path or URL.
    pub fn new(login: impl Into<Arc<str>>) -> Self {
        Self {
            login: login.into(),
        }
    }

    fn location(&self, request: &Memo) -> Option<HeaderValue> {
        let location = match path_on_this_host(request.path_and_query()) {
            Some(next) => {
                let separator = if self.login.contains('?') { '&' } else { '?' };
                format!("{}{separator}next={}", self.login, query_value(next))
            }
            None => self.login.to_string(),
        };
        HeaderValue::try_from(location).ok()
    }
}

impl<B: From<Bytes>> Reject<B> for RedirectToLogin {
    fn reject(&self, rejected: Rejected<'_>) -> Response<B> {
        let location = match rejected.request {
            Some(request)
                if request.is_navigation()
                    && rejected.error.status() == StatusCode::UNAUTHORIZED =>
            {
                self.location(request)
            }
            _ => None,
        };
        let Some(location) = location else {
            return ProblemJson.reject(rejected);
        };
        let mut response = Response::new(B::from(Bytes::new()));
        *response.status_mut() = StatusCode::SEE_OTHER;
        let headers = response.headers_mut();
        headers.insert(LOCATION, location);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            VARY,
            HeaderValue::from_static("Accept, Cookie, Sec-Fetch-Mode"),
        );
        response
    }

    fn wants_request(&self) -> bool {
        true
    }
}

/// Percent-encodes everything but unreserved characters and `/`.
fn query_value(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::error::{AuthError, AuthErrorKind};

    fn answer(path: &str, accept: &str, kind: AuthErrorKind) -> Response<Bytes> {
        let request = Request::get(path)
            .header("accept", accept)
            .body(())
            .unwrap();
        let memo = Memo::of(&request);
        RedirectToLogin::new("/login?lang=en").reject(Rejected {
            error: &AuthError::new(kind),
            request: Some(&memo),
        })
    }

    #[test]
    fn only_navigations_without_a_session_are_redirected() {
        let response = answer(
            "/a?b=c&d",
            "text/html,*/*",
            AuthErrorKind::MissingCredentials,
        );
        assert_eq!(response.status(), 303);
        assert_eq!(
            response.headers()["location"],
            "/login?lang=en&next=/a%3Fb%3Dc%26d"
        );
        assert_eq!(
            answer("/a", "*/*", AuthErrorKind::MissingCredentials).status(),
            401
        );
        assert_eq!(
            answer("/a", "text/html", AuthErrorKind::Forbidden).status(),
            403
        );
    }

    #[test]
    fn next_is_never_another_host() {
        let response = answer("//evil.example", "text/html", AuthErrorKind::ExpiredToken);
        assert_eq!(response.headers()["location"], "/login?lang=en");
    }
}
