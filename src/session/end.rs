//! Ending a session: here first, so that nothing renews it meanwhile, then at Descope.
//!
//! The mounted routes and [`Descope::end`](crate::Descope::end) both go this way.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::previous::Previous;
use super::state::Session;
use crate::client::ClientError;
use crate::names::{names, serde_as_text};
use crate::project::Project;
use crate::project::hooks::SignOutFacts;
use crate::refresh::{Issued, Presented};
use crate::token::{Name, TokenKind, Unverified, Verified};
use crate::wire::LogoutRequest;
use crate::wire::endpoint::Call;
use crate::wire::session::{Logout, LogoutAll};

/// Which sessions a sign-out ends.
///
/// The names are the last segments of the calls' paths: `logout`, `logoutall`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignOut {
    /// The session of the browser that asks (`POST /v1/auth/logout`).
    ThisSession,
    /// All sessions of the user, in every browser and app (`POST /v1/auth/logoutall`).
    Everywhere,
}

names!(SignOut, "kind of sign-out", [ThisSession => "logout", Everywhere => "logoutall"]);
serde_as_text!(SignOut, "kind of sign-out");

impl SignOut {
    fn path(self) -> &'static str {
        match self {
            Self::ThisSession => Logout::ENDPOINT.path,
            Self::Everywhere => LogoutAll::ENDPOINT.path,
        }
    }
}

impl Session {
    /// Ends the session of this request. Answers whether Descope has confirmed it; the session is over here in any
    /// case. With [`SignOut::Everywhere`] over a shared store this takes up to a second.
    ///
    /// It runs on a task of its own, so that Descope and the app's hook learn of it also if the client hangs up, as a
    /// page does that is closed meanwhile.
    ///
    /// `head`: for the app's hook, if it has one.
    pub(crate) async fn end(
        &self,
        which: SignOut,
        request: &LogoutRequest,
        head: Option<Parts>,
    ) -> bool {
        let (session, request) = (self.clone(), request.clone());
        let ending = async move { session.end_and_tell(which, &request, head).await };
        // A task that was lost with its runtime has confirmed nothing.
        let ended = tokio::spawn(ending.in_current_span()).await;
        ended.unwrap_or(false)
    }

    async fn end_and_tell(
        &self,
        which: SignOut,
        request: &LogoutRequest,
        head: Option<Parts>,
    ) -> bool {
        let ended = Ended::of(self).await;
        let user = ended
            .sessions()
            .next()
            .map(|user| user.claims.id().to_owned());
        let confirmed = self.end_all_of(&ended, which, request).await;
        if let (Some(user_id), Some(request)) = (user, head) {
            let facts = SignOutFacts {
                user_id,
                everywhere: which == SignOut::Everywhere,
                confirmed,
                request,
            };
            self.project().tell_of_sign_out(facts).await;
        }
        confirmed
    }

    async fn end_all_of(&self, ended: &Ended, which: SignOut, request: &LogoutRequest) -> bool {
        let project = self.project();
        ended.end(project);
        if which == SignOut::ThisSession {
            return ended.tell_descope(project, which, request).await;
        }
        if let Some(user) = ended.sessions().next() {
            project.end_all_sessions(user.claims.id(), Name::Id);
        }
        for token in ended.of_other_users() {
            project.end_all_sessions(token.verified.claims.id(), Name::Id);
        }
        let second_over = project.renewer.second_over();
        let confirmed = ended.tell_descope(project, which, request).await;
        // Whoever signs in after this has tokens that every replica sees to be newer.
        second_over.await;
        confirmed
    }

    /// `Set-Cookie` values that delete the session under every name that is read.
    pub(crate) fn deletion(&self) -> Vec<HeaderValue> {
        // Names and attributes were checked when the handle was built.
        let cookies = self.project().delete_cookies(self.cookie_lines());
        cookies.into_iter().filter_map(Result::ok).collect()
    }
}

/// All that a sign-out ends. Collected before any of it is ended, because a token that was ended no longer verifies.
struct Ended {
    tokens: Previous,
    /// By a bearer or the cookie that counts.
    session: Option<Arc<Verified>>,
    /// By any cookie.
    cookies: Vec<Issued>,
    /// Refused already, but by a revocation that ends before they expire.
    denied_sessions: Vec<Presented>,
    denied_refresh: Vec<Presented>,
    /// Refresh cookies that verify and do not count: one of an earlier configuration, or one beside those of a sibling
    /// host.
    others: Vec<Presented>,
    /// Refresh cookies whose key is missing. They end nothing here, so Descope has to end their sessions.
    unverified: Vec<Unverified>,
}

impl Ended {
    async fn of(session: &Session) -> Self {
        let tokens = session.previous().await;
        let (mut others, unverified) = session.all_presented().await;
        others.retain(|other| tokens.tokens().all(|token| token.jwt != other.jwt));
        Self {
            tokens,
            session: session.peek().cloned(),
            cookies: session.session_cookies().await,
            denied_sessions: session.denied_too_briefly(TokenKind::Session),
            denied_refresh: session.denied_too_briefly(TokenKind::Refresh),
            others,
            unverified,
        }
    }

    /// Every token that names a user, the user who signs out first.
    fn sessions(&self) -> impl Iterator<Item = &Arc<Verified>> {
        let tokens = self.tokens.tokens().map(|token| &token.verified);
        let cookies = self.cookies.iter().map(|issued| &issued.verified);
        self.session.iter().chain(tokens).chain(cookies)
    }

    /// Refresh cookies of other users than that of the refresh cookie that counts, or of any user if none counts. A
    /// sibling host may have set the session or the refresh cookie that counts, so one of these may be the user's own.
    fn of_other_users(&self) -> impl Iterator<Item = &Presented> {
        let user = self.tokens.presented.as_ref();
        let user = user.map(|token| token.verified.claims.id());
        let others = self.others.iter();
        others.filter(move |other| Some(other.verified.claims.id()) != user)
    }

    fn end(&self, project: &Project) {
        let tokens = self.tokens.tokens().chain(&self.denied_refresh);
        for token in tokens.chain(&self.others) {
            project.end_session(Some(token), None);
        }
        for token in &self.denied_sessions {
            project.end_session(None, Some(&token.verified));
        }
        for session in self.sessions() {
            project.end_session(None, Some(session));
            project.profiles.invalidate(session.claims.id());
        }
    }

    async fn tell_descope(
        &self,
        project: &Arc<Project>,
        which: SignOut,
        request: &LogoutRequest,
    ) -> bool {
        let live = self.tokens.live.as_ref().map(|token| &*token.jwt);
        let ours = live.or(self.tokens.kept.as_deref());
        let others = self.of_other_users().map(|token| &*token.jwt);
        let others = others.chain(self.unverified.iter().map(Unverified::jwt));
        // At the same time: a request may carry several, and during an outage the browser would wait for each in turn.
        let mut calls = JoinSet::new();
        for token in ours.into_iter().chain(others) {
            let (project, request, token) = (project.clone(), request.clone(), token.to_owned());
            calls.spawn(async move { call(&project, which, &request, &token).await });
        }
        let mut confirmed = true;
        while let Some(ended) = calls.join_next().await {
            // A call whose task was lost with its runtime has confirmed nothing either.
            confirmed &= matches!(ended, Ok(Ok(())));
            if let Ok(Err(error)) = ended {
                tracing::warn!(%error, "signed out here, but upstream did not confirm it");
            }
        }
        confirmed
    }
}

/// Ends the session of a refresh JWT at Descope.
pub(super) async fn end_at_descope(
    project: &Project,
    refresh_jwt: &str,
) -> Result<(), ClientError> {
    let request = LogoutRequest::default();
    call(project, SignOut::ThisSession, &request, refresh_jwt).await
}

/// The refresh JWT need not be verified, because Descope is the one to know it.
async fn call(
    project: &Project,
    which: SignOut,
    request: &LogoutRequest,
    refresh_jwt: &str,
) -> Result<(), ClientError> {
    let body = serde_json::to_vec(request)
        .map_err(|_| ClientError::invalid("the body cannot be written as json"))?;
    let (body, token) = (Some(body.into()), Some(refresh_jwt));
    let call = project
        .client
        .forward(Method::POST, which.path(), body, token);
    call.await.map(|_| ())
}
