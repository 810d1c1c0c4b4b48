//! What the session layer adds to a response.

use http::HeaderValue;
use http::header::HeaderMap;

use super::state::Session;
use crate::headers::{Unwritable, append_all, forbid_caching, keep_private, sets_cookie};
use crate::refresh::{Outcome, Presented};

/// Adds the cookies of a renewal and keeps shared caches away from what belongs to one user.
///
/// Waits for nothing: the outcome of a renewal beside the request that is not there yet is kept for a later response.
pub(crate) fn write_back(session: &Session, headers: &mut HeaderMap) {
    let project = session.project();
    let wrote = match (session.renewal(), session.early()) {
        (Some(renewal), _) => write_cookies(session, &renewal.presented, &renewal.outcome, headers),
        (None, Some(presented)) => match project.renewer.at_hand(presented) {
            // The session at hand is good: only success is worth a word.
            Some(outcome) if matches!(*outcome, Outcome::Renewed(_)) => {
                write_cookies(session, presented, &outcome, headers)
            }
            _ => false,
        },
        (None, None) => false,
    };
    if wrote {
        forbid_caching(headers);
    } else if session.identity_was_read() && project.private_responses {
        keep_private(headers);
    }
}

fn write_cookies(
    session: &Session,
    presented: &Presented,
    outcome: &Outcome,
    headers: &mut HeaderMap,
) -> bool {
    let project = session.project();
    let cookies = &project.cookies;
    let (session_name, refresh_name) = (cookies.session_name(), cookies.refresh_name());
    let taken = sets_cookie(headers, session_name) || sets_cookie(headers, refresh_name);
    if taken && session.shares_cookies() {
        // These are most likely of the other handle. Ours stay with the renewer until a response has room for them.
        return false;
    }
    // A handler that signs somebody in or out knows better than a renewal that ran before it. So does another
    // request that has signed the user out since.
    let handler_decided = taken || project.renewer.is_revoked(outcome);

    let mut values = Vec::new();
    match outcome {
        Outcome::Refused { clear: false } => {}
        // Under every name that is read: the one that was refused may be of an older configuration.
        Outcome::Refused { clear: true } => values = deletions(session),
        outcome @ (Outcome::Renewed(_) | Outcome::Unavailable { .. }) => {
            let tokens = outcome.tokens();
            for (name, issued) in [
                (session_name, tokens.session),
                (refresh_name, tokens.refresh),
            ] {
                let Some(issued) = issued else { continue };
                let max_age = project.verifier.remaining(&issued.verified.claims);
                if max_age.is_zero() {
                    // Only the leeway keeps this token valid, and `Max-Age=0` would delete the cookie.
                    continue;
                }
                values.extend(cookies.delete_leftovers(name));
                values.push(cookies.store(name, &issued.jwt, max_age));
            }
        }
    }
    if values.is_empty() {
        return false;
    }
    if !handler_decided && !append_all(values, headers) {
        return false;
    }
    project.renewer.delivered(presented, &outcome.tokens());
    true
}

/// Deletion of both cookies under every name that is read, except where the request carries a cookie of that name that
/// says to be of another project, and none else: that one is not ours to delete.
pub(crate) fn deletions(session: &Session) -> Vec<Result<HeaderValue, Unwritable>> {
    let project = session.project();
    let cookies = &project.cookies;
    let mut values = Vec::new();
    for name in cookies.session.iter().chain(&cookies.refresh) {
        let mut sent = session.cookie_lines().values(name).peekable();
        if sent.peek().is_some() && sent.all(|value| project.verifier.claims_other_issuer(value)) {
            project.tell_shared_cookies(name);
            continue;
        }
        values.extend(cookies.delete_leftovers(name));
        values.push(cookies.delete(name));
    }
    values
}
