//! Sessions and the refresh JWTs that stand for them.
//!
//! A sign-in starts a session and a logout ends it. The state stores refresh JWTs by their `jti`. With rotation only
//! the newest refresh JWT of a session is valid.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::config::RefreshRotation;
use super::super::error::ApiError;
use super::super::random;
use super::super::token::{self, Claims};
use super::{Grant, State};
use crate::wire::{HistoryEntry, LoginOptions};

/// The refresh JWTs that came with a request, in the order in which they are to be tried.
#[derive(Default)]
pub(crate) struct Presented(Vec<String>);

impl Presented {
    /// A browser may send a cookie of one name several times; more than four are not looked at.
    const MAX: usize = 4;

    pub(crate) fn new(tokens: impl IntoIterator<Item = String>) -> Self {
        Self(tokens.into_iter().take(Self::MAX).collect())
    }
}

/// Who a refresh JWT belongs to.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) user_id: String,
    pub(crate) session_id: String,
    token_id: String,
}

/// Sessions and refresh JWTs.
#[derive(Default)]
pub(crate) struct Sessions {
    sessions: HashMap<String, Session>,
    tokens: HashMap<String, RefreshToken>,
    prune_at: usize,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user_id: String,
    /// Authentication methods, RFC 8176.
    pub(crate) amr: Vec<String>,
    pub(crate) custom_claims: Claims,
    /// The tenant that the session was moved into; may be empty.
    pub(crate) tenant: String,
    pub(crate) expires: i64,
    revoked: bool,
    /// The `jti`s of the refresh JWTs that are valid.
    live: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RefreshToken {
    session_id: String,
    pub(crate) issued: i64,
    replaced: Option<Replacement>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Replacement {
    by: String,
    at: i64,
}

impl Sessions {
    pub(crate) fn get(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id).filter(|session| !session.revoked)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Session> {
        self.sessions.get_mut(id).filter(|session| !session.revoked)
    }

    pub(crate) fn token(&self, id: &str) -> Option<&RefreshToken> {
        self.tokens.get(id)
    }

    fn revoke(&mut self, id: &str) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.revoked = true;
        }
    }

    /// Ends the user's sessions, except the session `spared`.
    pub(crate) fn revoke_user(&mut self, user_id: &str, spared: Option<&str>) {
        for (id, session) in &mut self.sessions {
            if session.user_id == user_id && Some(id.as_str()) != spared {
                session.revoked = true;
            }
        }
    }

    /// Forgets ended sessions whenever their number has doubled.
    fn prune(&mut self, now: i64) {
        const AT_LEAST: usize = 10_000;
        if self.sessions.len() < self.prune_at.max(AT_LEAST) {
            return;
        }
        self.sessions
            .retain(|_, session| !session.revoked && now < session.expires);
        self.tokens
            .retain(|_, token| self.sessions.contains_key(&token.session_id));
        self.prune_at = 2 * self.sessions.len();
    }
}

// Whoever knows a `jti` cannot make a token of it, but there is no reason to show one.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("sessions", &self.sessions.len())
            .field("tokens", &self.tokens.len())
            .finish_non_exhaustive()
    }
}

/// A completed sign-in.
pub(crate) struct SignIn<'a> {
    pub(crate) user_id: &'a str,
    /// The method that was just proven, as `amr` names it.
    pub(crate) factor: &'a str,
    pub(crate) options: &'a LoginOptions,
    /// The session to raise, for step-up and MFA.
    pub(crate) base: Option<&'a str>,
    pub(crate) first_seen: bool,
    pub(crate) ip: &'a str,
}

/// The sessions of a snapshot.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SavedSessions {
    sessions: HashMap<String, Session>,
    tokens: HashMap<String, RefreshToken>,
}

impl State {
    /// The user and the session of the first presented refresh JWT that is valid.
    pub(crate) fn authenticate(&self, presented: &Presented) -> Result<Caller, ApiError> {
        let mut refused = ApiError::invalid_token("A refresh JWT is required");
        for jwt in &presented.0 {
            match self.authenticate_one(jwt) {
                Ok(caller) => return Ok(caller),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn authenticate_one(&self, jwt: &str) -> Result<Caller, ApiError> {
        let now = self.now();
        let claims = token::verify(&self.keys, jwt, token::REFRESH, now)?;
        let token_id = claims
            .get("jti")
            .and_then(serde_json::Value::as_str)
            .ok_or_else(ApiError::logged_out)?;
        let token = self
            .sessions
            .tokens
            .get(token_id)
            .ok_or_else(ApiError::logged_out)?;
        let session = self
            .sessions
            .get(&token.session_id)
            .ok_or_else(ApiError::logged_out)?;
        if let Some(replaced) = &token.replaced {
            let in_time = self.config.refresh_rotation == RefreshRotation::ReuseInterval
                && now - replaced.at <= i64::from(self.config.refresh_reuse_seconds);
            // Only the refresh JWT that the newest one replaced is still accepted for the reuse interval.
            if !in_time || !session.live.contains(&replaced.by) {
                return Err(ApiError::logged_out());
            }
        }
        let user = self
            .directory
            .get(&session.user_id)
            .ok_or_else(ApiError::user_not_found)?;
        if user.is_disabled() {
            return Err(ApiError::user_disabled());
        }
        Ok(Caller {
            user_id: session.user_id.clone(),
            session_id: token.session_id.clone(),
            token_id: token_id.to_owned(),
        })
    }

    /// As [`Self::authenticate`], and the login id is one of the caller's own.
    pub(crate) fn authenticate_as(
        &self,
        presented: &Presented,
        login_id: &str,
    ) -> Result<Caller, ApiError> {
        let caller = self.authenticate(presented)?;
        match self.directory.get(&caller.user_id) {
            Some(user) if user.has_login_id(login_id) => Ok(caller),
            _ => Err(ApiError::invalid_token(
                "The refresh JWT belongs to another user",
            )),
        }
    }

    /// The session to raise, if the options ask for step-up or MFA. Without them a refresh JWT has no effect:
    /// some SDKs send one anyway.
    pub(crate) fn base_session(
        &self,
        options: &LoginOptions,
        presented: &Presented,
        login_id: &str,
    ) -> Result<Option<String>, ApiError> {
        if !options.needs_refresh_token() {
            return Ok(None);
        }
        self.authenticate_as(presented, login_id)
            .map(|caller| Some(caller.session_id))
    }

    /// Starts a session, or raises one, and issues its tokens.
    pub(crate) fn sign_in(&mut self, sign_in: SignIn<'_>) -> Result<Grant, ApiError> {
        let SignIn {
            user_id,
            factor,
            options,
            base,
            first_seen,
            ip,
        } = sign_in;
        let now = self.now();
        let user = self
            .directory
            .get(user_id)
            .ok_or_else(ApiError::user_not_found)?;
        if user.is_disabled() {
            return Err(ApiError::user_disabled());
        }
        // A tenant to which the user does not belong is ignored and not refused: a new user belongs to none yet.
        let tenant = if user.is_in_tenant(&options.tenant_id) {
            options.tenant_id.clone()
        } else {
            String::new()
        };

        let session_id = match base {
            Some(id) => {
                let session = self
                    .sessions
                    .get_mut(id)
                    .filter(|session| session.user_id == user_id && now < session.expires)
                    .ok_or_else(ApiError::logged_out)?;
                add_factor(&mut session.amr, factor);
                if options.mfa {
                    add_mfa(&mut session.amr);
                }
                session.custom_claims.extend(options.custom_claims.clone());
                if !tenant.is_empty() {
                    session.tenant = tenant;
                }
                id.to_owned()
            }
            None => {
                self.sessions.prune(now);
                let id = random::id("S")?;
                self.sessions.sessions.insert(
                    id.clone(),
                    Session {
                        user_id: user_id.to_owned(),
                        amr: vec![factor.to_owned()],
                        custom_claims: options.custom_claims.clone(),
                        tenant,
                        expires: now + i64::from(self.config.refresh_ttl_seconds),
                        revoked: false,
                        live: Vec::new(),
                    },
                );
                id
            }
        };
        if options.revoke_other_sessions {
            self.sessions.revoke_user(user_id, Some(&session_id));
        }
        self.record_sign_in(user_id, &session_id, ip, now);
        let token_id = self.issue_refresh_token(&session_id)?;
        let mut grant = self.grant(&session_id, Some(&token_id), options.stepup)?;
        grant.user = self.directory.get(user_id).map(|user| user.profile.clone());
        grant.first_seen = first_seen;
        Ok(grant)
    }

    fn record_sign_in(&mut self, user_id: &str, session_id: &str, ip: &str, now: i64) {
        const KEPT: usize = 100;
        let selected_tenant = self.current_tenant(session_id);
        if let Some(user) = self.directory.get_mut(user_id) {
            if user.history.len() == KEPT {
                user.history.remove(0);
            }
            user.history.push(HistoryEntry {
                user_id: user_id.to_owned(),
                login_time: now,
                ip: ip.to_owned(),
                selected_tenant,
                ..HistoryEntry::default()
            });
        }
    }

    /// Makes a new refresh JWT for the session and returns its `jti`. With rotation it replaces the older ones.
    pub(crate) fn issue_refresh_token(&mut self, session_id: &str) -> Result<String, ApiError> {
        let now = self.now();
        let id = random::alphanumeric(22)?;
        let rotates = self.config.refresh_rotation != RefreshRotation::None;
        let session = self
            .sessions
            .sessions
            .get_mut(session_id)
            .ok_or_else(ApiError::logged_out)?;
        if rotates {
            for old in session.live.drain(..) {
                if let Some(old) = self.sessions.tokens.get_mut(&old) {
                    old.replaced = Some(Replacement {
                        by: id.clone(),
                        at: now,
                    });
                }
            }
        }
        session.live.push(id.clone());
        self.sessions.tokens.insert(
            id.clone(),
            RefreshToken {
                session_id: session_id.to_owned(),
                issued: now,
                replaced: None,
            },
        );
        Ok(id)
    }

    /// `POST /v1/auth/refresh`.
    pub(crate) fn refresh(&mut self, presented: &Presented) -> Result<Grant, ApiError> {
        let caller = self.authenticate(presented)?;
        let successor = match self.config.refresh_rotation {
            RefreshRotation::None => None,
            RefreshRotation::SingleUse => Some(self.issue_refresh_token(&caller.session_id)?),
            RefreshRotation::ReuseInterval => {
                let replaced = self
                    .sessions
                    .token(&caller.token_id)
                    .and_then(|token| token.replaced.as_ref());
                match replaced {
                    Some(replaced) => Some(replaced.by.clone()),
                    None => Some(self.issue_refresh_token(&caller.session_id)?),
                }
            }
        };
        self.grant(&caller.session_id, successor.as_deref(), false)
    }

    /// `POST /v1/auth/logout`.
    pub(crate) fn logout(&mut self, presented: &Presented) -> Result<(), ApiError> {
        let caller = self.authenticate(presented)?;
        self.sessions.revoke(&caller.session_id);
        Ok(())
    }

    /// `POST /v1/auth/logoutall`.
    pub(crate) fn logout_all(&mut self, presented: &Presented) -> Result<(), ApiError> {
        let caller = self.authenticate(presented)?;
        self.sessions.revoke_user(&caller.user_id, None);
        Ok(())
    }

    pub(crate) fn save_sessions(&self) -> SavedSessions {
        SavedSessions {
            sessions: self.sessions.sessions.clone(),
            tokens: self.sessions.tokens.clone(),
        }
    }

    pub(crate) fn restore_sessions(&mut self, saved: SavedSessions) {
        self.sessions.sessions = saved.sessions;
        self.sessions.tokens = saved.tokens;
    }
}

fn add_factor(amr: &mut Vec<String>, factor: &str) {
    if !amr.iter().any(|known| known == factor) {
        amr.push(factor.to_owned());
    }
}

/// Adds `mfa` to `amr` if it lists at least two different factors.
fn add_mfa(amr: &mut Vec<String>) {
    amr.retain(|factor| factor != "mfa");
    if amr.len() > 1 {
        amr.push("mfa".to_owned());
    }
}
