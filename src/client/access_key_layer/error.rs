use std::error::Error;
use std::fmt;

use crate::client::ClientError;

/// The error of a call through an [`AccessKeyLayer`](super::AccessKeyLayer). Neither `Display` nor `Debug` shows the
/// key or a token, as long as the error of the inner service does not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AccessKeyError<E> {
    /// There is no session, so the call was not sent: the access key could not be exchanged. The error is that of the
    /// latest exchange; while the layer pauses after a failure, calls get the error of that failure again. A refused
    /// key is [`ClientErrorKind::Api`](crate::client::ClientErrorKind::Api) with the code
    /// [`INVALID_ACCESS_KEY`](crate::wire::api_code::INVALID_ACCESS_KEY).
    Exchange(ClientError),
    /// The error of the inner service.
    Call(E),
}

impl<E: fmt::Display> fmt::Display for AccessKeyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(_) => f.write_str("the access key could not be exchanged for a session"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for AccessKeyError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Exchange(error) => Some(error),
            // `Display` shows the text of the inner error already, so the source is what is behind that error.
            Self::Call(error) => error.source(),
        }
    }
}
