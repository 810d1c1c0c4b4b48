//! The responses to requests that are rejected.

mod next;
mod redirect;
mod render;
mod rerender;

use http::header::{ACCEPT, HeaderMap};
use http::{Method, Request, Response};

#[cfg(feature = "routes")]
pub(crate) use self::next::path_on_this_host;
pub use self::redirect::RedirectToLogin;
pub use self::render::{GrpcStatus, NoBody, ProblemJson};
pub(crate) use self::rerender::RejectedBy;
pub use self::rerender::{Inherit, Rerender, With};
use crate::error::AuthError;

/// Makes the response to a rejected request.
///
/// Implemented by [`ProblemJson`], [`NoBody`], [`GrpcStatus`],
/// [`RedirectToLogin`] and by closures from `&AuthError` to a response.
pub trait Reject<B> {
    /// Makes the response to `rejected`.
    fn reject(&self, rejected: Rejected<'_>) -> Response<B>;

    /// Whether [`Self::reject`] needs [`Rejected::request`]. Default `false`, because keeping it costs one allocation
    /// for each request.
    fn wants_request(&self) -> bool {
        false
    }
}

/// A rejected request, and why it is rejected.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// Why the request is rejected.
    pub error: &'a AuthError,
    /// What was requested; `None` unless [`Reject::wants_request`] asks for it.
    pub request: Option<&'a Memo>,
}

/// What is kept of a request for its rejection.
#[derive(Clone, Debug)]
pub struct Memo {
    path_and_query: String,
    is_navigation: bool,
}

impl Memo {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let path_and_query = request.uri().path_and_query();
        Self {
            path_and_query: path_and_query.map_or("/", |path| path.as_str()).to_owned(),
            is_navigation: is_navigation(request.method(), request.headers()),
        }
    }

    /// Path and query of the request as the layer saw it.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// Whether a browser is about to show the response as a page: a GET or HEAD with `Sec-Fetch-Mode: navigate`, or,
    /// without that header, with `text/html` in `Accept`.
    pub fn is_navigation(&self) -> bool {
        self.is_navigation
    }
}

fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if method != Method::GET && method != Method::HEAD {
        return false;
    }
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|accept| accept.to_str().ok())
            .any(|accept| accept.contains("text/html")),
    }
}

impl<B, F> Reject<B> for F
where
    F: Fn(&AuthError) -> Response<B>,
{
    fn reject(&self, rejected: Rejected<'_>) -> Response<B> {
        self(rejected.error)
    }
}
