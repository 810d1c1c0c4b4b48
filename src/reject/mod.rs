//! The responses to requests that are rejected.
//!
//! A renderer is chosen on the way in: the session layer puts it into the request beside its outcome, and whoever
//! rejects the request further inside has it render. A finished response is never replaced, so what layers in between
//! add to it stays.

mod body;
mod next;
mod redirect;
mod render;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

pub use self::body::ResponseBody;
pub use self::next::path_on_this_host;
pub use self::redirect::RedirectToLogin;
pub(crate) use self::render::problem;
pub use self::render::{GrpcStatus, NoBody, ProblemJson};
use crate::error::AuthError;
use crate::headers::RequestHead;

/// Makes the response to a rejected request.
///
/// Implemented by [`ProblemJson`], [`NoBody`], [`GrpcStatus`], [`RedirectToLogin`], and by functions from
/// [`&Rejected`](Rejected) to a response:
///
/// ```
/// # fn f(descope: tower_descope::Descope) {
/// use http::Response;
/// use tower_descope::require::Rejected;
///
/// let layer = descope.session_layer().with_rejection(|rejected: &Rejected<'_>| {
///     let german = rejected.request().headers().get("accept-language").is_some_and(|all| all == "de");
///     rejected.response(if german { "Bitte anmelden" } else { "Please sign in" })
/// });
/// # let _ = layer; }
/// ```
///
/// Whatever renders, these header fields are added where the response lacks them: `Cache-Control: no-store`, and, if the
/// response has the error's own status, `WWW-Authenticate` and `Retry-After`.
pub trait Reject: Send + Sync + 'static {
    /// Makes the response. It runs while the request waits, so it must not block.
    fn reject(&self, rejected: &Rejected<'_>) -> Response<Bytes>;
}

impl<F, B> Reject for F
where
    F: Fn(&Rejected<'_>) -> Response<B> + Send + Sync + 'static,
    B: Into<Bytes>,
{
    fn reject(&self, rejected: &Rejected<'_>) -> Response<Bytes> {
        self(rejected).map(Into::into)
    }
}

/// A rejected request, and why it is rejected.
#[derive(Clone, Copy, Debug)]
pub struct Rejected<'a> {
    error: &'a AuthError,
    request: RequestHead<'a>,
}

impl<'a> Rejected<'a> {
    /// Why the request is rejected.
    pub fn error(&self) -> &'a AuthError {
        self.error
    }

    /// The head of the request.
    pub fn request(&self) -> RequestHead<'a> {
        self.request
    }

    /// A response with the error's status and this body, to add header fields to.
    pub fn response<B>(&self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = self.error.status();
        response
    }
}

/// The renderer that was chosen, if any; else rejections are rendered by [`ProblemJson`].
#[derive(Clone, Default)]
pub(crate) struct Renderer(Option<Arc<dyn Reject>>);

impl Renderer {
    pub(crate) fn new(renderer: impl Reject) -> Self {
        Self(Some(Arc::new(renderer)))
    }

    pub(crate) fn is_chosen(&self) -> bool {
        self.0.is_some()
    }

    /// This one if it was chosen, else the other.
    pub(crate) fn or<'a>(&'a self, other: &'a Self) -> &'a Self {
        if self.is_chosen() { self } else { other }
    }

    pub(crate) fn render(&self, error: &AuthError, request: RequestHead<'_>) -> Response<Bytes> {
        let Self(Some(renderer)) = self else {
            return problem(error);
        };
        let mut response = renderer.reject(&Rejected { error, request });
        render::complete(error, &mut response);
        response
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_chosen() {
            "chosen"
        } else {
            "default"
        })
    }
}
