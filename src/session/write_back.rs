//! What the session layer adds to a response: cookies and caching headers.

use http::header::HeaderMap;

use super::state::Session;
use crate::headers::{append_all, forbid_caching, keep_private, sets_cookie};
use crate::refresh::{Outcome, Presented};

/// Adds the cookies of a renewal, and forbids caching of a response that belongs to one user.
///
/// Waits for nothing: if an early renewal has no outcome yet, its outcome is kept for a later response.
pub(crate) fn write_back(session: &Session, headers: &mut HeaderMap) {
    let project = session.project();
    let wrote = match (session.renewal(), session.early()) {
        (Some(renewal), _) => write_cookies(session, &renewal.presented, &renewal.outcome, headers),
        (None, Some(presented)) => match project.renewer.at_hand(presented) {
            // The browser still has a good session, so a failed early renewal changes nothing for it.
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
        // The other handle most likely set these cookies. The renewer keeps our tokens for a later response.
        return false;
    }
    // The cookies of a renewal are not written if the handler has signed somebody in or out since, or if another
    // request has signed the user out.
    let handler_decided = taken || project.renewer.is_revoked(outcome);

    let mut values = Vec::new();
    match outcome {
        Outcome::Refused { clear: false } => {}
        // Deletes under every name that is read: the refused token may be in a cookie of an earlier configuration.
        Outcome::Refused { clear: true } => values = project.delete_cookies(session.cookie_lines()),
        outcome @ (Outcome::Renewed(_) | Outcome::Unavailable { .. }) => {
            values = project.store_cookies(&outcome.tokens());
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
