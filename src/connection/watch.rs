//! Watches over a session whose session JWTs expire and are renewed.

use std::fmt;
use std::future::{poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::Poll;

#[cfg(feature = "axum")]
use futures_core::Stream;

#[cfg(feature = "axum")]
use super::UntilEnded;
use crate::error::{AuthError, AuthErrorKind};
use crate::session::{Session, SessionEnd};
use crate::user::User;

/// Watches over a session for a connection that goes on as long as its user stays signed in. Made by
/// [`User::watch`](crate::User::watch).
///
/// It waits for the end of the session JWT and renews the session then, without anything to be done by the handler. If a
/// request of the same browser has renewed the session before that, in this process, it goes on with the new one;
/// [`connection`](crate::connection) says when that is not possible, and has an example. It works only while
/// [`over`](Self::over) is awaited.
pub struct Watch {
    user: User,
    /// Kept between calls of `over`, so that a call that was dropped loses nothing and the next one begins nothing anew.
    next: Pin<Box<dyn Future<Output = Next> + Send>>,
}

enum Next {
    Renewed(User),
    Over(SessionEnd),
}

impl Watch {
    pub(super) fn new(user: User) -> Self {
        let next = next(&user);
        Self { user, next }
    }

    /// Waits until the session is over, for this connection at least: it was signed out or revoked
    /// ([`SessionEnd::SignedOut`]), its session JWT has expired and cannot be renewed ([`SessionEnd::Expired`]), or
    /// Descope could not be reached for that ([`SessionEnd::Unavailable`]).
    ///
    /// Cheap to drop and to call again, as `tokio::select!` in a loop does. Once the session is over, every further call
    /// says so at once.
    pub async fn over(&mut self) -> SessionEnd {
        loop {
            match self.next.as_mut().await {
                Next::Renewed(user) => {
                    self.next = next(&user);
                    self.user = user;
                }
                Next::Over(end) => {
                    self.next = Box::pin(ready(Next::Over(end)));
                    return end;
                }
            }
        }
    }

    /// The user as of the last renewal, with the roles and permissions of that moment.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Ends a stream when the session is over, as [`over`](Self::over) says. For streams that shall not end with the
    /// session JWT, see also [`User::until_ended`](crate::User::until_ended).
    ///
    /// ```
    /// use axum::body::Body;
    /// use bytes::Bytes;
    /// use futures_core::Stream;
    /// use tower_descope::User;
    ///
    /// fn download<S>(user: &User, parts: S) -> Body
    /// where
    ///     S: Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    /// {
    ///     Body::from_stream(user.watch().until_over(parts))
    /// }
    /// ```
    #[cfg(feature = "axum")]
    pub fn until_over<S: Stream>(mut self, stream: S) -> UntilEnded<S> {
        UntilEnded::new(stream, Box::pin(async move { self.over().await }))
    }
}

fn next(user: &User) -> Pin<Box<dyn Future<Output = Next> + Send>> {
    // In boxes, because a future holds what it has taken over several times, and what it will await from the beginning.
    let (user, mut ended) = (user.clone(), Box::pin(user.ended()));
    Box::pin(async move {
        let renewed = match ended_or_renewed(&user, ended.as_mut()).await {
            Ok(session) => User::from_session(session),
            Err(SessionEnd::Expired) => Box::pin(user.renewed()).await,
            Err(end) => return Next::Over(end),
        };
        match renewed {
            Ok(renewed) => Next::Renewed(renewed),
            Err(error) => Next::Over(end_by(&error)),
        }
    })
}

/// Whichever comes first: the end of the session JWT, or a renewal by a request of the same browser.
async fn ended_or_renewed(
    user: &User,
    mut ended: Pin<&mut impl Future<Output = SessionEnd>>,
) -> Result<Session, SessionEnd> {
    let mut renewed = pin!(user.session().renewed_elsewhere());
    poll_fn(|context| {
        if let Poll::Ready(end) = ended.as_mut().poll(context) {
            return Poll::Ready(Err(end));
        }
        renewed.as_mut().poll(context).map(Ok)
    })
    .await
}

fn end_by(error: &AuthError) -> SessionEnd {
    match error.kind() {
        AuthErrorKind::SessionEnded | AuthErrorKind::InvalidToken => SessionEnd::SignedOut,
        AuthErrorKind::Unavailable { retry_after } => SessionEnd::Unavailable {
            retry_after: *retry_after,
        },
        _ => SessionEnd::Expired,
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
