//! How the session layer replaces the response of a rejection that an extractor or layer inside has made.

use http::{Request, Response};

use super::{Memo, Reject, Rejected};
use crate::error::AuthError;

/// Response extension that marks a rejection whose response the session layer may replace.
#[derive(Clone)]
pub(crate) struct RejectedBy(pub(crate) AuthError);

/// Replaces the responses of rejections that were made inside a [`SessionLayer`](crate::SessionLayer). Sealed;
/// implement [`Reject`] instead.
pub trait Rerender<B>: sealed::Sealed {
    #[doc(hidden)]
    fn remember<Q>(&self, request: &Request<Q>) -> Option<Memo>;
    #[doc(hidden)]
    fn rerender(&self, response: Response<B>, memo: Option<Memo>) -> Response<B>;
}

/// Leaves the responses of rejections as they are. The default of [`SessionLayer`](crate::SessionLayer).
#[derive(Clone, Copy, Debug, Default)]
pub struct Inherit;

impl<B> Rerender<B> for Inherit {
    fn remember<Q>(&self, _: &Request<Q>) -> Option<Memo> {
        None
    }

    fn rerender(&self, response: Response<B>, _: Option<Memo>) -> Response<B> {
        response
    }
}

/// Renders rejections with `R`; made by [`SessionLayer::with_rejection`](crate::SessionLayer::with_rejection).
#[derive(Clone, Copy, Debug, Default)]
pub struct With<R>(pub(crate) R);

impl<B, R: Reject<B>> Rerender<B> for With<R> {
    fn remember<Q>(&self, request: &Request<Q>) -> Option<Memo> {
        self.0.wants_request().then(|| Memo::of(request))
    }

    fn rerender(&self, mut response: Response<B>, memo: Option<Memo>) -> Response<B> {
        // The mark is removed, so that a session layer further outside does not replace the response again.
        match response.extensions_mut().remove::<RejectedBy>() {
            Some(RejectedBy(error)) => self.0.reject(Rejected {
                error: &error,
                request: memo.as_ref(),
            }),
            None => response,
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Inherit {}
    impl<R> Sealed for super::With<R> {}
}
