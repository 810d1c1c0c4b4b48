//! Early renewal: when a session is renewed before it has run out. The request is served with the present session, and
//! the renewal runs beside it.

use super::cookie_choice::Choice;
use super::identity::{Decided, Identity, TokenSource};
use crate::headers::Credentials;
use crate::project::Project;
use crate::refresh::Presented;
use crate::token::Verified;

/// Starts an early renewal if the session came as a cookie and the renewal is due, and notes it in the decision.
pub(super) fn with_early(
    project: &Project,
    credentials: &Credentials<'_>,
    mut decided: Decided,
) -> Decided {
    if let Identity::SignedIn {
        session,
        credential: TokenSource::Cookie,
    } = &decided.identity
    {
        decided.early = renew_early(project, credentials, session).map(Box::new);
    }
    decided
}

/// Starts a renewal beside the request when its session is about to run out. Answers which refresh JWT is renewed.
fn renew_early(
    project: &Project,
    credentials: &Credentials<'_>,
    session: &Verified,
) -> Option<Presented> {
    if credentials.refresh.is_empty() || project.early_renewal.is_zero() {
        return None;
    }
    // A session uses a share of the window, between half and all of it, which its digest determines. So users who
    // signed in within the same second do not all renew within the same second.
    let share = u32::from(session.id[0]) + 256;
    if project.verifier.remaining(&session.claims)
        >= project.early_renewal.saturating_mul(share) / 512
    {
        return None;
    }
    let early = Choice::at_hand(&project.verifier, &credentials.refresh);
    let early = early.of_user(session.claims.id())?;
    project.renewer.begin(&early);
    Some(early)
}
