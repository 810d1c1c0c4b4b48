//! The tokens of somebody who is signed in, for tests.

use std::fmt;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, REFERER, SET_COOKIE};
use http::{HeaderValue, Method, Request, Response};
use serde::Serialize;

use crate::percent;

/// The tokens of somebody who is signed in, and requests that carry them. For tests.
///
/// Made by `Emulator::sign_in` (feature `emulator`) and by `TestUser::sign_in` (feature `testing`).
#[derive(Clone)]
pub struct SignedIn {
    pub(crate) user_id: String,
    pub(crate) session_jwt: String,
    pub(crate) refresh_jwt: String,
    pub(crate) session_cookie: String,
    pub(crate) refresh_cookie: String,
}

impl SignedIn {
    /// A browser in which nobody is signed in yet: it sends no cookies until [`after`](Self::after) has found some. To test
    /// a sign-in.
    pub fn nobody() -> Self {
        Self {
            user_id: String::new(),
            session_jwt: String::new(),
            refresh_jwt: String::new(),
            session_cookie: "DS".to_owned(),
            refresh_cookie: "DSR".to_owned(),
        }
    }

    /// The id of the user. Empty for [`nobody`](Self::nobody).
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The session JWT.
    pub fn session_jwt(&self) -> &str {
        &self.session_jwt
    }

    /// The refresh JWT.
    pub fn refresh_jwt(&self) -> &str {
        &self.refresh_jwt
    }

    /// The value of `Authorization` with which an API client sends the session JWT.
    pub fn bearer(&self) -> HeaderValue {
        secret(format!("Bearer {}", self.session_jwt))
    }

    /// The value of `Cookie` with which a browser sends both tokens. Empty if there are none.
    pub fn cookies(&self) -> HeaderValue {
        let cookies = [
            (&self.session_cookie, &self.session_jwt),
            (&self.refresh_cookie, &self.refresh_jwt),
        ];
        let held = cookies.iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<_> = held
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        secret(pairs.join("; "))
    }

    /// Puts the bearer into a request, in place of one that is there.
    pub fn with_bearer<B>(&self, mut request: Request<B>) -> Request<B> {
        request.headers_mut().insert(AUTHORIZATION, self.bearer());
        request
    }

    /// Puts the cookies into a request, in place of those that are there.
    pub fn with_cookies<B>(&self, mut request: Request<B>) -> Request<B> {
        let cookies = self.cookies();
        match cookies.is_empty() {
            true => request.headers_mut().remove(COOKIE),
            false => request.headers_mut().insert(COOKIE, cookies),
        };
        request
    }

    /// A GET with the bearer, as an API client sends it.
    ///
    /// # Panics
    ///
    /// If `uri` is none.
    pub fn get(&self, uri: &str) -> Request<String> {
        self.with_bearer(get(uri))
    }

    /// A GET with the cookies, as a browser sends it that is to show a page of this app.
    ///
    /// # Panics
    ///
    /// If `uri` is none.
    pub fn browse(&self, uri: &str) -> Request<String> {
        let mut request = self.with_cookies(get(uri));
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
        headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        request
    }

    /// A form that a browser submits, with the cookies. The page with the form is at the same path, of the host
    /// `localhost`.
    ///
    /// # Panics
    ///
    /// If `uri` is none.
    pub fn submit(&self, uri: &str, fields: &[(&str, &str)]) -> Request<String> {
        let fields = fields.iter().map(|(name, value)| {
            let [name, value] =
                [name, value].map(|text| percent::encoded(text, percent::is_unreserved));
            format!("{name}={value}")
        });
        let mut request = self.browse(uri);
        *request.method_mut() = Method::POST;
        *request.body_mut() = fields.collect::<Vec<_>>().join("&");
        let page = format!("http://localhost{}", request.uri());
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.extend(HeaderValue::try_from(page).ok().map(|page| (REFERER, page)));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        request
    }

    /// A POST of JSON with the bearer, as an API client sends it.
    ///
    /// # Panics
    ///
    /// If `uri` is none, or the value is not representable in JSON.
    pub fn post_json(&self, uri: &str, value: &impl Serialize) -> Request<String> {
        let mut request = self.get(uri);
        *request.method_mut() = Method::POST;
        *request.body_mut() = serde_json::to_string(value).expect("a value of JSON");
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        request
    }

    /// What a browser holds after a response: the cookies that it sets take the place of these, and those that it deletes
    /// are empty from then on.
    #[must_use]
    pub fn after<B>(&self, response: &Response<B>) -> Self {
        let mut after = self.clone();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie
                .to_str()
                .ok()
                .and_then(|cookie| cookie.split(';').next());
            match pair.and_then(|pair| pair.split_once('=')) {
                Some((name, value)) if name == self.session_cookie => {
                    value.clone_into(&mut after.session_jwt);
                }
                Some((name, value)) if name == self.refresh_cookie => {
                    value.clone_into(&mut after.refresh_jwt);
                }
                _ => {}
            }
        }
        after
    }
}

/// A GET without credentials. Panics if `uri` is none.
pub(crate) fn get(uri: &str) -> Request<String> {
    Request::get(uri)
        .body(String::new())
        .unwrap_or_else(|_| panic!("not a URI: {uri:?}"))
}

fn secret(text: String) -> HeaderValue {
    let mut value = HeaderValue::try_from(text).expect("tokens are visible ASCII");
    value.set_sensitive(true);
    value
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn")
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}
