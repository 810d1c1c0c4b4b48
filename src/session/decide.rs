//! Decides who sent a request: by its session JWT, else by renewing the session with its refresh JWT.

use std::ops::ControlFlow;
use std::sync::Arc;

use http::HeaderMap;

use super::cookie_choice::{Choice, Unchosen};
use super::early_renewal::with_early;
use super::identity::{Decided, Identity, Renewal, TokenSource};
use super::state::Session;
use super::verdicts::{Undecided, Verdicts, Worst};
use crate::error::{AuthError, AuthErrorKind};
use crate::headers::CookieLines;
use crate::headers::{Bearer, Credentials, MAX_COOKIE};
use crate::project::Project;
use crate::refresh::{self, Presented};
use crate::token::{Failure, InvalidToken, Times, TokenKind, Verified};

/// The decision about a request, or what it takes to make one.
pub(crate) enum Step<'a> {
    Decided(Decided),
    /// The session has to be renewed with this refresh JWT.
    Renew(Presented),
    /// The key that signed this token is not at hand, so it has to be waited for.
    Needs(Undecided<'a>),
}

/// What the decision about a request is based on.
pub(crate) struct Evidence<'a> {
    credentials: &'a Credentials<'a>,
    /// Whether another site sent the request, so that its cookies do not count.
    cross_origin: bool,
    verdicts: Verdicts<'a>,
}

impl<'a> Evidence<'a> {
    pub(crate) fn new(
        project: &'a Project,
        credentials: &'a Credentials<'a>,
        cross_origin: bool,
    ) -> Self {
        Self {
            credentials,
            cross_origin,
            verdicts: Verdicts::new(&project.verifier),
        }
    }
}

/// Decides without waiting for the network.
pub(crate) fn decide_now<'a>(project: &Project, evidence: &Evidence<'a>) -> Step<'a> {
    let Evidence {
        credentials,
        verdicts,
        ..
    } = evidence;
    let mut worst = match by_session_jwt(evidence) {
        Err(undecided) => return Step::Needs(undecided),
        Ok(ControlFlow::Break(decided)) => {
            return Step::Decided(with_early(project, credentials, decided));
        }
        Ok(ControlFlow::Continue(worst)) => worst,
    };
    let choice = match Choice::of(verdicts, &credentials.refresh, &mut worst) {
        Err(undecided) => return Step::Needs(undecided),
        Ok(choice) => choice,
    };
    match choice.of_sessions(&project.verifier, &credentials.session) {
        Ok(presented) => Step::Renew(presented),
        Err(unchosen) => Step::Decided(not_renewed(unchosen, worst)),
    }
}

/// The decision where no session JWT verifies and no refresh cookie may be used for a renewal.
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

/// Decides; waits for keys and for a renewal where the decision needs them.
pub(crate) async fn decide(project: &Project, headers: &HeaderMap, cross_origin: bool) -> Decided {
    let credentials = project.credentials(headers);
    let mut evidence = Evidence::new(project, &credentials, cross_origin);
    loop {
        match decide_now(project, &evidence) {
            Step::Decided(decided) => return decided,
            Step::Renew(presented) => return renew(project, presented).await,
            Step::Needs(undecided) => evidence.verdicts.wait(undecided).await,
        }
    }
}

/// The answer without a renewal, for the mounted routes where no layer ran: they decide for themselves what the
/// refresh JWT is spent on.
async fn identify(project: &Project, headers: &HeaderMap) -> Decided {
    let credentials = project.credentials(headers);
    let mut evidence = Evidence::new(project, &credentials, false);
    loop {
        match by_session_jwt(&evidence) {
            Ok(ControlFlow::Break(decided)) => return decided,
            Ok(ControlFlow::Continue(worst)) => return by_cookie(Err(worst.into_error())),
            Err(undecided) => evidence.verdicts.wait(undecided).await,
        }
    }
}

/// Decides by the bearer or the session cookies alone. `Continue` says that this is not enough, and why none of the
/// session cookies counts.
fn by_session_jwt<'a>(
    evidence: &Evidence<'a>,
) -> Result<ControlFlow<Decided, Worst>, Undecided<'a>> {
    let credentials = evidence.credentials;
    match credentials.bearer {
        Bearer::None => {}
        Bearer::Malformed => return Ok(ControlFlow::Break(malformed_bearer())),
        Bearer::Token(token) => {
            let verdict = evidence.verdicts.on(token, TokenKind::Session)?;
            return Ok(ControlFlow::Break(by_bearer(verdict)));
        }
    }
    if credentials.is_empty() {
        return Ok(ControlFlow::Break(Identity::Anonymous.into()));
    }
    if evidence.cross_origin {
        let error = AuthErrorKind::CrossOrigin.into();
        return Ok(ControlFlow::Break(by_cookie(Err(error))));
    }
    let mut worst = Worst::default();
    for candidate in credentials.session.iter() {
        match evidence.verdicts.on(candidate, TokenKind::Session)? {
            Ok(session) => return Ok(ControlFlow::Break(by_cookie(Ok(session)))),
            Err(failure) => worst.add(failure),
        }
    }
    Ok(ControlFlow::Continue(worst))
}

/// The outcome for a request that no layer has seen. The refresh JWT is not spent.
impl Session {
    pub(crate) async fn without_renewal(project: &Arc<Project>, headers: &HeaderMap) -> Self {
        let decided = identify(project, headers).await;
        Self::new(project.clone(), decided, CookieLines::of(headers))
    }
}

/// Decides about a session JWT that did not come with a request.
pub(crate) async fn decide_bearer(project: &Project, token: &[u8]) -> Decided {
    by_bearer(
        project
            .verifier
            .verify(token, TokenKind::Session, Times::Check)
            .await,
    )
}

/// Renews a session that is missing or has run out.
pub(crate) async fn renew(project: &Project, presented: Presented) -> Decided {
    let outcome = project.renewer.renew(&presented).await;
    renewed_by(project, presented, outcome)
}

/// The decision that follows from the outcome of a renewal.
pub(super) fn renewed_by(
    project: &Project,
    presented: Presented,
    outcome: Arc<refresh::Outcome>,
) -> Decided {
    let result = match &*outcome {
        refresh::Outcome::Renewed(tokens) => match project.oversized_cookie(tokens) {
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
        identity: cookie_outcome(result),
        renewal: Some(Box::new(Renewal { presented, outcome })),
        early: None,
        unclear: false,
    }
}

fn by_bearer(verdict: Result<Arc<Verified>, Failure>) -> Decided {
    let credential = TokenSource::Bearer;
    match verdict {
        Ok(session) => Identity::SignedIn {
            session,
            credential,
        },
        Err(failure) => Identity::Failed {
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

fn cookie_outcome(result: Result<Arc<Verified>, AuthError>) -> Identity {
    let credential = TokenSource::Cookie;
    match result {
        Ok(session) => Identity::SignedIn {
            session,
            credential,
        },
        Err(error) => Identity::Failed { error, credential },
    }
}

impl From<Identity> for Decided {
    fn from(identity: Identity) -> Self {
        Self {
            identity,
            renewal: None,
            early: None,
            unclear: false,
        }
    }
}
