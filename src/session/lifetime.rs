//! How long a session lasts beyond the request that brought it: when it is over, and how it goes on.

use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::decide::{renew, renewed_by};
use super::state::Session;
use crate::error::{AuthError, AuthErrorKind};
use crate::project::Project;
use crate::refresh::{Issued, Presented};
use crate::token::{InvalidToken, TokenId, TokenKind, Verified};

/// Longest time after which a task that waits for the end of a session looks at the clock. Timers count time that has
/// passed, while a token expires by the wall clock, which jumps when the time is set or when the machine has slept.
/// With 10,000 connections this is a thousand short looks a second.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(10);

/// Why a session is over, for a connection that was opened with it. See [`User::ended`](crate::User::ended).
///
/// It displays as a few words that may be sent to the client, as the reason in a close frame for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The session JWT has expired. A request with it would be refused from now on, unless its cookies can renew the
    /// session.
    Expired,
    /// The session was signed out or revoked, or Descope has refused to renew it.
    SignedOut,
    /// The session JWT has expired, and it cannot be told now whether the session goes on, because Descope cannot be
    /// reached. Only [`Watch::over`](crate::connection::Watch::over) answers this.
    Unavailable {
        /// When to ask again.
        retry_after: Duration,
    },
}

impl SessionEnd {
    /// The code for the close frame of a WebSocket (RFC 6455 section 7.4.1): 1008, policy violation, where the client
    /// has to present other credentials; 1013, try again later, for [`Unavailable`](Self::Unavailable).
    ///
    /// A client that gets 1008 asks the app once more with its present cookies, or the page for a sign-in.
    pub fn close_code(&self) -> u16 {
        match self {
            Self::Expired | Self::SignedOut => 1008,
            Self::Unavailable { .. } => 1013,
        }
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the session has expired",
            Self::SignedOut => "the session was signed out",
            Self::Unavailable { .. } => "the session cannot be renewed right now",
        })
    }
}

/// What a task watches that waits for the end of a session.
struct Watched {
    project: Arc<Project>,
    session: Arc<Verified>,
    /// The refresh JWT of the sign-in. A sign-out at another replica may name this one alone: it knows the session JWTs
    /// that it has issued itself, and those that the browser has sent along.
    refresh: Option<TokenId>,
}

impl Session {
    /// Resolves to why the session is over. What is watched is determined by this call, and nothing that happens after
    /// it is missed, however late the future is polled.
    pub(crate) fn ended(&self) -> impl Future<Output = SessionEnd> + Send + 'static + use<> {
        let watched = self.peek().map(|session| Watched {
            project: self.project().clone(),
            session: session.clone(),
            refresh: self
                .refresh_to_watch(session)
                .map(|refresh| refresh.verified.id),
        });
        async move {
            match watched {
                Some(watched) => watched.ended().await,
                None => SessionEnd::SignedOut,
            }
        }
    }

    /// The session after its session JWT has expired: renewed with the refresh JWT that came with it, or with the one
    /// that a renewal has brought since. The session itself as long as its session JWT is good.
    pub(crate) async fn renewed(&self) -> Result<Self, AuthError> {
        let project = self.project();
        project.listen();
        let session = self.require()?;
        let Err(failure) = project.verifier.check_again(session) else {
            return Ok(self.clone());
        };
        let presented = match self.presented().await {
            Ok(Some(presented)) => self.newest(presented),
            Ok(None) => {
                let refresh = self.refresh_to_watch(session);
                let signed_out =
                    refresh.is_some_and(|token| project.verifier.is_revoked(&token.verified));
                return Err(if signed_out {
                    InvalidToken::Revoked.into()
                } else {
                    failure.into()
                });
            }
            Err(retry_after) => return Err(AuthError::unavailable(retry_after)),
        };
        // A sign-out may have denied it since it was verified, and then nothing is sent to Descope.
        project.verifier.check_again(&presented.verified)?;
        let decided = renew(project, presented).await;
        let renewed = Self::new(project.clone(), decided, self.cookie_lines().clone());
        let is_same_user = renewed.require()?.claims.same_user(&session.claims);
        // The refresh JWT was chosen by its user and its answer was judged by it, so this does not happen.
        is_same_user
            .then_some(renewed)
            .ok_or(AuthErrorKind::ExpiredToken.into())
    }

    /// The refresh JWT to go on with, where this request carried `presented`. If the session of this request is itself
    /// a renewed one, `presented` may be spent.
    fn newest(&self, presented: Presented) -> Presented {
        match self
            .renewal()
            .and_then(|renewal| renewal.outcome.tokens().refresh)
        {
            Some(Issued { jwt, verified }) => Presented::new(&jwt, verified),
            None => presented,
        }
    }

    /// Resolves to the session that a request has renewed in this process, with the refresh JWT of this session. Never
    /// if there is no such refresh JWT.
    ///
    /// A refresh JWT that can be used once only is spent by then, so a connection has to go on with the new one. It is
    /// known only for a while after the renewal, and therefore taken over at once.
    pub(crate) async fn renewed_elsewhere(&self) -> Self {
        let project = self.project();
        let renewer = &project.renewer;
        let Some((session, presented)) = self
            .peek()
            .and_then(|session| Some((session, self.refresh_to_watch(session)?)))
        else {
            return pending().await;
        };
        loop {
            let renewal = renewer.next_renewal(&presented);
            if let Some(outcome) = renewer.at_hand(&presented)
                && let Some(renewed) = &outcome.tokens().session
                && renewed.verified.id != session.id
                && is_newer(&renewed.verified, session)
                && !renewer.is_revoked(&outcome)
            {
                let decided = renewed_by(project, presented.clone(), outcome);
                let renewed = Self::new(project.clone(), decided, self.cookie_lines().clone());
                // Without a session where the cookie is too large: then this connection keeps its own.
                if renewed.peek().is_some() {
                    return renewed;
                }
            }
            renewal.await;
        }
    }

    /// The refresh JWT whose revocation ends the session. It is taken here even if it is revoked, because that may have
    /// happened since the request was decided; but of several cookies of this user one that is good comes first.
    fn refresh_to_watch(&self, session: &Verified) -> Option<Presented> {
        if self.ignores_cookies() {
            return None;
        }
        if let Some(renewal) = self.renewal() {
            return Some(self.newest(renewal.presented.clone()));
        }
        let project = self.project();
        let verifier = &project.verifier;
        let sent = self.cookie_lines().sent(&project.cookies);
        let mut revoked = None;
        for candidate in sent.refresh.iter() {
            let (Some(token), Ok(jwt)) = (
                verifier.signed(candidate, TokenKind::Refresh),
                std::str::from_utf8(candidate),
            ) else {
                continue;
            };
            if !token.claims.same_user(&session.claims) || verifier.is_expired(&token.claims) {
                continue;
            }
            let is_revoked = verifier.is_revoked(&token);
            let token = Presented::new(jwt, Arc::new(token));
            if !is_revoked {
                return Some(token);
            }
            revoked.get_or_insert(token);
        }
        revoked
    }
}

/// Whether a renewed session JWT was issued after that of a connection, which a change of tenant or another replica may
/// have brought since the renewal. Of the same second it is not: a change of tenant may follow the renewal of its own
/// request at once, while no session is renewed in the second in which it was issued.
fn is_newer(renewed: &Verified, session: &Verified) -> bool {
    match (renewed.claims.iat, session.claims.iat) {
        (Some(renewed), Some(session)) => renewed > session,
        _ => true,
    }
}

impl Watched {
    async fn ended(self) -> SessionEnd {
        let Self {
            project,
            session,
            refresh,
        } = &self;
        let verifier = &project.verifier;
        loop {
            // The notices of other replicas are read by a task, which may have to be started anew.
            project.listen();
            // These count from here on, so that nothing is missed that happens after the looks below.
            let revoked = &verifier.revoked;
            let revocation = revoked.change(&session.id, &session.claims, refresh.as_ref());
            let clock_moves = verifier.clock.moved();
            let is_denied = |refresh: &TokenId| revoked.contains_token(refresh);
            if verifier.is_revoked(session) || refresh.as_ref().is_some_and(is_denied) {
                return SessionEnd::SignedOut;
            }
            let Some(left) = verifier.time_left(&session.claims) else {
                return SessionEnd::Expired;
            };
            let mut revocation = pin!(revocation);
            let mut clock_moves = clock_moves;
            let mut timer = pin!(tokio::time::sleep(left.min(LOOK_AT_THE_CLOCK)));
            poll_fn(|context| {
                let is_due = revocation.as_mut().poll(context).is_ready()
                    || clock_moves.as_mut().poll(context).is_ready()
                    || timer.as_mut().poll(context).is_ready();
                if is_due {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }
}
