//! Who sent this request?

use std::ops::ControlFlow;
use std::sync::Arc;

use http::HeaderMap;

use super::choice::{Choice, Unchosen};
use super::state::{Credential, Decided, Outcome, Renewal};
use crate::error::{AuthError, AuthErrorKind};
use crate::headers::{Bearer, Credentials, MAX_COOKIE};
use crate::project::Project;
use crate::refresh::{self, Presented, Tokens};
use crate::token::{Failure, InvalidToken, Kind, Times, Verified};

/// The answer, or what it takes to get one.
pub(crate) enum Step {
    Decided(Decided),
    /// This session has to be renewed.
    Renew(Presented),
    /// There are no keys to decide with yet.
    NeedsKeys,
}

/// Decides without waiting for the network.
pub(crate) fn decide_now(
    project: &Project,
    credentials: &Credentials<'_>,
    cross_origin: bool,
) -> Step {
    let verifier = &project.verifier;
    match credentials.bearer {
        Bearer::None => {}
        Bearer::Malformed => return Step::Decided(malformed_bearer()),
        Bearer::Token(token) => {
            return match verifier.verify_now(token, Kind::Session) {
                Some(verdict) => Step::Decided(by_bearer(verdict)),
                None => Step::NeedsKeys,
            };
        }
    }
    if credentials.is_empty() {
        return Step::Decided(Outcome::Anonymous.into());
    }
    if cross_origin {
        return Step::Decided(by_cookie(Err(AuthErrorKind::CrossOrigin.into())));
    }
    let mut worst = Worst::default();
    for candidate in credentials.session.iter() {
        match verifier.verify_now(candidate, Kind::Session) {
            Some(Ok(session)) => {
                let decided = by_cookie(Ok(session));
                return Step::Decided(with_early(project, credentials, decided));
            }
            Some(Err(failure)) => worst.add(failure),
            None => return Step::NeedsKeys,
        }
    }
    let mut choice = Choice::default();
    for candidate in credentials.refresh.iter() {
        match verifier.verify_now(candidate, Kind::Refresh) {
            Some(Ok(verified)) => choice.add(candidate, verified),
            // One forged cookie must not cause traffic.
            Some(Err(failure)) => {
                if let Failure::Unavailable(keys) = &failure {
                    choice.add_unjudged(candidate, keys.retry_after);
                }
                worst.add(failure);
            }
            None => return Step::NeedsKeys,
        }
    }
    match choice.of_sessions(verifier, &credentials.session) {
        Ok(presented) => Step::Renew(presented),
        Err(unchosen) => Step::Decided(not_renewed(unchosen, worst)),
    }
}

/// No refresh cookie counts.
fn not_renewed(unchosen: Unchosen, worst: Worst) -> Decided {
    match unchosen {
        Unchosen::Missing => by_cookie(Err(worst.into_error())),
        Unchosen::Unjudged(retry_after) => by_cookie(Err(AuthError::unavailable(retry_after))),
        Unchosen::Unclear(unclear) => {
            unclear.log();
            Decided {
                unclear: true,
                ..by_cookie(Err(AuthErrorKind::ExpiredToken.into()))
            }
        }
    }
}

/// Decides, whatever it takes.
pub(crate) async fn decide(project: &Project, headers: &HeaderMap, cross_origin: bool) -> Decided {
    let credentials = project.credentials(headers);
    match decide_now(project, &credentials, cross_origin) {
        Step::Decided(decided) => decided,
        Step::Renew(presented) => renew(project, presented).await,
        Step::NeedsKeys => decide_with_keys(project, &credentials).await,
    }
}

/// Decides after fetching keys. Cross-origin cookies never get here.
async fn decide_with_keys(project: &Project, credentials: &Credentials<'_>) -> Decided {
    let mut worst = match by_session_jwt(project, credentials).await {
        ControlFlow::Break(decided) => return with_early(project, credentials, decided),
        ControlFlow::Continue(worst) => worst,
    };
    let verifier = &project.verifier;
    let mut choice = Choice::default();
    for candidate in credentials.refresh.iter() {
        match verifier
            .verify(candidate, Kind::Refresh, Times::Check)
            .await
        {
            Ok(verified) => choice.add(candidate, verified),
            Err(failure) => {
                if let Failure::Unavailable(keys) = &failure {
                    choice.add_unjudged(candidate, keys.retry_after);
                }
                worst.add(failure);
            }
        }
    }
    match choice.of_sessions(verifier, &credentials.session) {
        Ok(presented) => renew(project, presented).await,
        Err(unchosen) => not_renewed(unchosen, worst),
    }
}

/// Adds a renewal beside the request where that is due.
fn with_early(project: &Project, credentials: &Credentials<'_>, mut decided: Decided) -> Decided {
    if let Outcome::SignedIn {
        session,
        credential: Credential::Cookie,
    } = &decided.outcome
    {
        decided.early = renew_early(project, credentials, session).map(Box::new);
    }
    decided
}

/// Starts a renewal beside the request when its session is about to run out.
fn renew_early(
    project: &Project,
    credentials: &Credentials<'_>,
    session: &Verified,
) -> Option<Presented> {
    if credentials.refresh.is_empty() || project.early_renewal.is_zero() {
        return None;
    }
    // Between half the window and all of it, fixed for a token, so that the users of one deployment, who may have
    // signed in within the same second, do not renew in step.
    let share = u32::from(session.id[0]) + 256;
    if project.verifier.remaining(&session.claims)
        >= project.early_renewal.saturating_mul(share) / 512
    {
        return None;
    }
    let mut choice = Choice::default();
    for candidate in credentials.refresh.iter() {
        if let Some(Ok(verified)) = project.verifier.verify_now(candidate, Kind::Refresh) {
            choice.add(candidate, verified);
        }
    }
    let early = choice.of_user(session.claims.id())?;
    project.renewer.begin(&early);
    Some(early)
}

/// The answer without a renewal, for the mounted routes where no layer ran: they decide for themselves what the
/// refresh JWT is spent on.
#[cfg(feature = "routes")]
pub(crate) async fn identify(project: &Project, headers: &HeaderMap) -> Decided {
    let credentials = project.credentials(headers);
    match by_session_jwt(project, &credentials).await {
        ControlFlow::Break(decided) => decided,
        ControlFlow::Continue(worst) => by_cookie(Err(worst.into_error())),
    }
}

/// What the session JWT alone decides, or why none of them does.
async fn by_session_jwt(
    project: &Project,
    credentials: &Credentials<'_>,
) -> ControlFlow<Decided, Worst> {
    let verifier = &project.verifier;
    match credentials.bearer {
        Bearer::None => {}
        Bearer::Malformed => return ControlFlow::Break(malformed_bearer()),
        Bearer::Token(token) => return ControlFlow::Break(decide_bearer(project, token).await),
    }
    if credentials.is_empty() {
        return ControlFlow::Break(Outcome::Anonymous.into());
    }
    let mut worst = Worst::default();
    for candidate in credentials.session.iter() {
        match verifier
            .verify(candidate, Kind::Session, Times::Check)
            .await
        {
            Ok(session) => return ControlFlow::Break(by_cookie(Ok(session))),
            Err(failure) => worst.add(failure),
        }
    }
    ControlFlow::Continue(worst)
}

/// The verdict on a token that stands alone.
pub(crate) async fn decide_bearer(project: &Project, token: &[u8]) -> Decided {
    by_bearer(
        project
            .verifier
            .verify(token, Kind::Session, Times::Check)
            .await,
    )
}

/// Renews a session that has run out.
pub(crate) async fn renew(project: &Project, presented: Presented) -> Decided {
    let outcome = project.renewer.renew(&presented).await;
    let result = match &*outcome {
        refresh::Outcome::Renewed(tokens) => match oversized(project, tokens) {
            Some(size) => {
                tracing::error!(
                    size,
                    limit = MAX_COOKIE,
                    "the renewed session does not fit into a cookie; trim the claims of the JWT"
                );
                Err(AuthErrorKind::CookieTooLarge { size }.into())
            }
            None => tokens
                .session
                .as_ref()
                .map(|session| session.verified.clone())
                .ok_or(AuthErrorKind::ExpiredToken.into()),
        },
        refresh::Outcome::Refused { .. } => Err(AuthErrorKind::SessionEnded.into()),
        refresh::Outcome::Unavailable { retry_after, .. } => {
            Err(AuthError::unavailable(*retry_after))
        }
    };
    Decided {
        outcome: cookie_outcome(result),
        renewal: Some(Box::new(Renewal { presented, outcome })),
        early: None,
        unclear: false,
    }
}

/// The size of a cookie that browsers would drop.
fn oversized(project: &Project, tokens: &Tokens) -> Option<usize> {
    let cookies = &project.cookies;
    [
        (&tokens.session, cookies.session_name()),
        (&tokens.refresh, cookies.refresh_name()),
    ]
    .into_iter()
    .filter_map(|(issued, name)| Some(issued.as_ref()?.jwt.len() + name.len()))
    .find(|size| *size > MAX_COOKIE)
}

fn by_bearer(verdict: Result<Arc<Verified>, Failure>) -> Decided {
    let credential = Credential::Bearer;
    match verdict {
        Ok(session) => Outcome::SignedIn {
            session,
            credential,
        },
        Err(failure) => Outcome::Failed {
            error: failure.into(),
            credential,
        },
    }
    .into()
}

fn malformed_bearer() -> Decided {
    by_bearer(Err(InvalidToken::Malformed.into()))
}

fn by_cookie(result: Result<Arc<Verified>, AuthError>) -> Decided {
    cookie_outcome(result).into()
}

fn cookie_outcome(result: Result<Arc<Verified>, AuthError>) -> Outcome {
    let credential = Credential::Cookie;
    match result {
        Ok(session) => Outcome::SignedIn {
            session,
            credential,
        },
        Err(error) => Outcome::Failed { error, credential },
    }
}

impl From<Outcome> for Decided {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            renewal: None,
            early: None,
            unclear: false,
        }
    }
}

/// Of several failed cookies the most telling failure: an outage excuses everything, an expired session was most
/// likely a good one once (its signature may not have been looked at).
#[derive(Default)]
struct Worst(Option<Failure>);

impl Worst {
    fn add(&mut self, failure: Failure) {
        let rank = |failure: &Failure| match failure {
            Failure::Invalid(_) => 0,
            Failure::Expired => 1,
            Failure::Unavailable(_) => 2,
        };
        if self
            .0
            .as_ref()
            .is_none_or(|known| rank(known) < rank(&failure))
        {
            self.0 = Some(failure);
        }
    }

    fn into_error(self) -> AuthError {
        self.0
            .map_or(AuthErrorKind::MissingCredentials.into(), AuthError::from)
    }
}
