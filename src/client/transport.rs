//! The interface through which the client sends its HTTP requests; an app may replace it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};

/// The future of [`Transport::send`].
pub type TransportFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, TransportError>> + Send + 'a>>;

/// Sends one request and reads one answer.
///
/// [`reqwest::Client`] implements this trait. Give the builder another transport to send calls through your own
/// connection pool, to trace them, or to answer them in a test.
///
/// An implementation must not follow redirects, must not repeat a request that may have reached the server, and
/// must stop reading after `limit` bytes of body, whatever `Content-Length` says. It needs no deadline of its own:
/// the client drops the future when the deadline of the call has passed.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute, and reads at most `limit` bytes of the answer's body.
    ///
    /// # Errors
    ///
    /// The future fails with a [`TransportError`] when there is no complete answer, or its body is longer than `limit`.
    fn send(&self, request: Request<Bytes>, limit: usize) -> TransportFuture<'_>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: Request<Bytes>, limit: usize) -> TransportFuture<'_> {
        (**self).send(request, limit)
    }
}

/// The error of a request that has no complete answer.
///
/// It carries only its kind, because errors of HTTP libraries name URLs and sometimes quote what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportError {
    kind: TransportErrorKind,
}

/// The kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection was established, so nothing was sent. This is the only kind after which the client repeats a POST.
    NotConnected,
    /// The transport's own time limit ended a call whose connection was established.
    Timeout,
    /// The body of the answer is longer than the limit.
    TooLarge,
    /// Anything else that went wrong after the connection was established. The server may have carried out the request.
    Interrupted,
}

impl TransportError {
    /// An error of this kind.
    pub fn new(kind: TransportErrorKind) -> Self {
        Self { kind }
    }

    /// What happened.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::NotConnected => "no connection",
            TransportErrorKind::Timeout => "no answer in time",
            TransportErrorKind::TooLarge => "the answer is too large",
            TransportErrorKind::Interrupted => "the connection broke or did not speak http",
        })
    }
}

impl std::error::Error for TransportError {}
