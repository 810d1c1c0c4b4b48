//! What the session layer adds to a response.

use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderMap, SET_COOKIE, VARY};

use super::cookies::Unwritable;
use super::state::Session;
use crate::refresh::{Outcome, Presented};

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

/// Adds the cookies of a renewal and keeps shared caches away from what belongs to one user.
///
/// Waits for nothing: the outcome of a renewal beside the request that is not there yet is kept for a later response.
pub(crate) fn write_back(session: &Session, headers: &mut HeaderMap) {
    let inner = session.descope().inner();
    let wrote = match (session.renewal(), session.early()) {
        (Some(renewal), _) => write_cookies(session, &renewal.presented, &renewal.outcome, headers),
        (None, Some(presented)) => match inner.renewer.at_hand(presented) {
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
    } else if session.identity_was_read()
        && inner.private_responses
        // Twice as fast as an `Entry`, which is moved about.
        && !headers.contains_key(CACHE_CONTROL)
    {
        headers.insert(CACHE_CONTROL, PRIVATE);
    }
}

/// Whatever the handler said: a response that sets a session cookie must not be stored anywhere.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, PRIVATE);
    let varies = headers.get_all(VARY).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|name| {
            let name = name.trim_ascii();
            name == b"*" || name.eq_ignore_ascii_case(b"cookie")
        })
    });
    if !varies {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
}

fn write_cookies(
    session: &Session,
    presented: &Presented,
    outcome: &Outcome,
    headers: &mut HeaderMap,
) -> bool {
    let inner = session.descope().inner();
    let cookies = &inner.cookies;
    let (session_name, refresh_name) = (cookies.session_name(), cookies.refresh_name());
    let taken = sets_cookie(headers, session_name) || sets_cookie(headers, refresh_name);
    if taken && session.shares_cookies() {
        // These are most likely of the other handle. Ours stay with the renewer until a response has room for them.
        return false;
    }
    // A handler that signs somebody in or out knows better than a renewal that ran before it. So does another
    // request that has signed the user out since.
    let handler_decided = taken || inner.renewer.is_revoked(outcome);

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
                let max_age = inner.verifier.remaining(&issued.verified.claims);
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
    inner.renewer.delivered(presented, &outcome.tokens());
    true
}

/// Appends, never replaces: other parts of the app set cookies too. All or none.
pub(crate) fn append_all(
    values: Vec<Result<HeaderValue, Unwritable>>,
    headers: &mut HeaderMap,
) -> bool {
    let values: Result<Vec<_>, _> = values.into_iter().collect();
    match values {
        Ok(values) => {
            for value in values {
                headers.append(SET_COOKIE, value);
            }
            true
        }
        Err(unwritable) => {
            tracing::error!(?unwritable, "session cookies could not be written");
            false
        }
    }
}

/// Deletion of both cookies under every name that is read, except where the request carries a cookie of that name that
/// says to be of another project, and none else: that one is not ours to delete.
pub(crate) fn deletions(session: &Session) -> Vec<Result<HeaderValue, Unwritable>> {
    let inner = session.descope().inner();
    let cookies = &inner.cookies;
    let mut values = Vec::new();
    for name in cookies.session.iter().chain(&cookies.refresh) {
        let mut sent = session.cookie_lines().values(name).peekable();
        if sent.peek().is_some() && sent.all(|value| inner.verifier.claims_other_issuer(value)) {
            inner.tell_shared_cookies(name);
            continue;
        }
        values.extend(cookies.delete_leftovers(name));
        values.push(cookies.delete(name));
    }
    values
}

fn sets_cookie(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(SET_COOKIE).iter().any(|value| {
        let value = value.as_bytes();
        value
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'='))
    })
}
