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
/// [`reqwest::Client`] implements it; give the builder another one to put calls through your own connection
/// pool, to trace them, or to answer them in a test.
///
/// An implementation must not follow redirects, must not repeat a request that may have reached the server, and
/// must stop reading after `limit` bytes of body, whatever `Content-Length` says. It need not bring a deadline:
/// the client drops the future when time is up.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute, and reads at most `limit` bytes of body.
    fn send(&self, request: Request<Bytes>, limit: usize) -> TransportFuture<'_>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: Request<Bytes>, limit: usize) -> TransportFuture<'_> {
        (**self).send(request, limit)
    }
}

/// Why there is no answer.
///
/// Carries only its kind: causes of HTTP libraries name URLs, and sometimes quote what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportError {
    kind: TransportErrorKind,
}

/// The kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection was established, so nothing was sent. The only kind after which a POST is repeated.
    NotConnected,
    /// The transport's own time limit ended a call whose connection was established.
    Timeout,
    /// The body is longer than the limit.
    TooLarge,
    /// Anything else after the connection was established; the server may have acted.
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
