use std::sync::Arc;

use bytes::Bytes;
use http::header::{LOCATION, VARY};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::next::path_on_this_host;
use super::{Reject, Rejected, problem};
use crate::headers::{PageField, RequestHead};
use crate::percent;

const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// Sends browsers that are not signed in to a login page, with the requested page in the query as `next`.
///
/// | request | answer |
/// |---|---|
/// | a navigation: GET, HEAD, or a form that was posted | 303 to the login page |
/// | a script of htmx (`HX-Request: true`) | 401 with `HX-Redirect`, so that the whole page changes and not a part of it |
/// | any other script or client | 401, the problem document of [`ProblemJson`](super::ProblemJson) |
///
/// What counts as a navigation says [`RequestHead::is_navigation`]. A rejection with another status than 401 is answered
/// with the problem document in all cases, because signing in would not help. A step-up that is missing is a 401 too, so
/// the login page must not send those back at once who are signed in.
///
/// `next` is the page to go on with: that which was asked for, or, for a form and for htmx, the page that has made the
/// request, if its `Referer` or `HX-Current-URL` names this host. It is a path on this host, with its query, and stays one
/// however it is normalised: it has no `//`, no backslash, no `.` or `..` segment and no control character, not even
/// percent-encoded, and at most 2048 bytes. Without such a page the redirect has no `next`, and the login page should go
/// on with a page of its own choice.
///
/// The login page must still treat `next` as untrusted input, because anybody can link to the login page with another
/// `next`. It should follow a `next` only if [`path_on_this_host`] returns it.
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

    /// The login page with the page to go on with. `None` if the login page is no URL.
    fn location(&self, next: Option<&str>) -> Option<HeaderValue> {
        let location = match next.and_then(path_on_this_host) {
            Some(next) => {
                let separator = if self.login.contains('?') { '&' } else { '?' };
                let next =
                    percent::encoded(next, |byte| byte == b'/' || percent::is_unreserved(byte));
                format!("{}{separator}next={next}", self.login)
            }
            None => self.login.to_string(),
        };
        HeaderValue::try_from(location).ok()
    }
}

impl Reject for RedirectToLogin {
    fn reject(&self, rejected: &Rejected<'_>) -> Response<Bytes> {
        let request = rejected.request();
        let mut response = problem(rejected.error());
        let vary = HeaderValue::from_static("Accept, Cookie, HX-Request, Sec-Fetch-Mode");
        response.headers_mut().insert(VARY, vary);
        if rejected.error().status() != StatusCode::UNAUTHORIZED {
            return response;
        }
        if request.is_htmx() {
            let next = request.own_page(PageField::HtmxCurrentUrl);
            if let Some(location) = self.location(next.as_deref()) {
                response.headers_mut().insert(HX_REDIRECT, location);
            }
        } else if request.is_navigation()
            && let Some(location) = self.location(page(&request).as_deref())
        {
            let vary = response.headers_mut().remove(VARY);
            response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, location);
            response.headers_mut().extend(vary.map(|vary| (VARY, vary)));
        }
        response
    }
}

/// The page that a browser should see after sign-in. What a form was posted to is no page.
fn page(request: &RequestHead<'_>) -> Option<String> {
    if request.is_read() {
        Some(request.path_and_query().to_owned())
    } else {
        request.own_page(PageField::Referer)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::Renderer;
    use super::*;
    use crate::error::{AuthError, AuthErrorKind};

    fn answer_to(request: Request<()>, kind: AuthErrorKind) -> Response<Bytes> {
        Renderer::new(RedirectToLogin::new("/login?lang=en"))
            .render(&AuthError::new(kind), RequestHead::from(&request))
    }

    fn answer(path: &str, accept: &str, kind: AuthErrorKind) -> Response<Bytes> {
        let request = Request::get(path).header("accept", accept);
        answer_to(request.body(()).unwrap(), kind)
    }

    #[test]
    fn a_form_goes_on_with_its_page() {
        let post = |referer| {
            let request = Request::post("/orders")
                .header("host", "app.example")
                .header("sec-fetch-mode", "navigate")
                .header("referer", referer);
            let kind = AuthErrorKind::MissingCredentials;
            let response = answer_to(request.body(()).unwrap(), kind);
            assert_eq!(response.status(), 303);
            assert!(response.body().is_empty());
            response.headers()["location"].clone()
        };
        let own = post("https://app.example/new?of=1");
        assert_eq!(own, "/login?lang=en&next=/new%3Fof%3D1");
        assert_eq!(post("https://evil.example/new"), "/login?lang=en");
    }

    #[test]
    fn htmx_changes_the_whole_page() {
        let request = Request::get("/rows")
            .header("host", "app.example")
            .header("accept", "text/html")
            .header("hx-request", "true")
            .header("hx-current-url", "https://app.example/table");
        let kind = AuthErrorKind::ExpiredToken;
        let response = answer_to(request.body(()).unwrap(), kind);
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.headers()["hx-redirect"],
            "/login?lang=en&next=/table"
        );
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
