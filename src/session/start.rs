//! Starting a session: what a sign-in has brought becomes cookies, and the session before it ends.
//!
//! The mounted routes and [`Descope::establish`](crate::Descope::establish) both go this way.

use std::sync::Arc;

use http::HeaderValue;
use tracing::Instrument;

use super::end::end_at_descope;
use super::previous::Previous;
use super::state::Session;
use crate::headers::Unwritable;
use crate::project::Project;
use crate::project::hooks::{HookError, SignInFacts, Told};
use crate::refresh::{Accepted, Issued, Presented, Tokens};
use crate::token::{Unverified, Verified};

/// Where the tokens of a session are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Cookies,
    /// By a native app, which gets them in the body.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    Elsewhere,
}

/// Why no session was started. The session before it is as it was.
pub(crate) enum NotStarted {
    /// There is no token.
    Nobody,
    Unwritable(Unwritable),
    /// By the app's hook, or because it has failed.
    Refused(HookError),
    /// The app's hook cannot be asked, because it is not known yet who signs in.
    Undecided,
}

impl Session {
    /// Replaces the session of this request. Answers the `Set-Cookie` values.
    ///
    /// `same_user`: the refresh JWT of the session that the call has continued, for calls that do. `told`: for the app's
    /// hook, if it has one and is to be asked.
    pub(crate) async fn start(
        &self,
        accepted: &Accepted,
        same_user: Option<&Presented>,
        store: Store,
        told: Option<Told>,
    ) -> Result<Vec<HeaderValue>, NotStarted> {
        let project = self.project();
        let user = user_of(&accepted.tokens, same_user);
        let owner = match (&user, &accepted.unverified) {
            (Some(user), _) => Owner::Known(user),
            (None, Some(token)) => Owner::Claimed(token),
            (None, None) => return Err(NotStarted::Nobody),
        };
        let previous = self.previous().await;
        let cookies = match store {
            Store::Cookies => cookies(project, accepted, &previous, &owner)?,
            Store::Elsewhere => Vec::new(),
        };
        if let Some(told) = told
            && project.hooks.sign_in.is_some()
        {
            let refused = Refused::of(accepted, same_user);
            ask(project, facts(accepted, &owner, told), refused).await?;
        }
        self.end_previous(accepted, &previous, &owner).await;
        if let Owner::Known(user) = owner {
            project.profiles.invalidate(user.claims.id());
        }
        Ok(cookies)
    }

    /// Ends what the sign-in replaces: the session of another user altogether; of the same user only what a late
    /// renewal would write over the new cookies.
    ///
    /// A user who is only claimed is treated alike. What is ended is what this caller presented, whose cookies are
    /// replaced in any case; sessions that others hold are not touched.
    async fn end_previous(&self, accepted: &Accepted, previous: &Previous, owner: &Owner<'_>) {
        let project = self.project();
        let refresh = &accepted.tokens.refresh;
        let has_refresh = refresh.is_some() || accepted.unverified.is_some();
        for token in previous.tokens() {
            if refresh
                .as_ref()
                .is_some_and(|issued| issued.jwt == token.jwt)
            {
                // The browser has this one already, and goes on with it.
                continue;
            }
            if !owner.is_of(&token.verified) {
                project.end_session(Some(token), None);
            } else if has_refresh {
                project.renewer.forget(token);
            }
        }
        for session in self.session_cookies().await {
            if !owner.is_of(&session.verified) {
                project.end_session(None, Some(&session.verified));
            }
        }
        if let (Some(presented), Some(outcome)) = (&previous.presented, &previous.outcome) {
            project.renewer.delivered(presented, &outcome.tokens());
        }
    }
}

/// What the app's hook is told. `None` if it cannot be asked.
fn facts(accepted: &Accepted, owner: &Owner<'_>, told: Told) -> Option<SignInFacts> {
    let profile_id = told.profile.as_ref().map(|profile| &*profile.user_id);
    let user_id = match owner {
        Owner::Known(user) => user.claims.id(),
        // What Descope says of the user is worth as much as the token that it sends beside it.
        Owner::Claimed(_) => profile_id.filter(|id| !id.is_empty())?,
    };
    let session = accepted.tokens.session.as_ref();
    Some(SignInFacts {
        session: session.map(|issued| issued.verified.clone()),
        user_id: user_id.to_owned(),
        told,
    })
}

/// Asks the app's hook whether this user may sign in, and ends the tokens if not.
///
/// This runs on a task of its own, so that a client that hangs up meanwhile does not keep good tokens.
async fn ask(
    project: &Arc<Project>,
    facts: Option<SignInFacts>,
    refused: Refused,
) -> Result<(), NotStarted> {
    let project = project.clone();
    let asking = async move {
        let answer = match facts {
            Some(facts) => project.ask_about_sign_in(facts).await.map_err(|error| {
                error.log();
                NotStarted::Refused(error)
            }),
            None => Err(NotStarted::Undecided),
        };
        if answer.is_err() {
            refused.end(&project).await;
        }
        answer
    };
    match tokio::spawn(asking.in_current_span()).await {
        Ok(answer) => answer,
        Err(_) => Err(NotStarted::Refused(HookError::failed(
            "the runtime of the hook ended",
        ))),
    }
}

/// The tokens of a sign-in that the app may refuse.
struct Refused {
    refresh: Option<Presented>,
    session: Option<Arc<Verified>>,
    unverified: Option<Box<str>>,
    /// The refresh JWT of the session that they continue, if they do.
    continued: Option<Presented>,
}

impl Refused {
    fn of(accepted: &Accepted, same_user: Option<&Presented>) -> Self {
        let Tokens {
            session, refresh, ..
        } = &accepted.tokens;
        Self {
            refresh: refresh
                .as_ref()
                .map(|issued| Presented::new(&issued.jwt, issued.verified.clone())),
            session: session.as_ref().map(|issued| issued.verified.clone()),
            unverified: accepted.unverified.as_ref().map(|token| token.jwt().into()),
            continued: same_user.cloned(),
        }
    }

    /// Ends them, here and at Descope. Of a session that was to be continued only the new tokens are ended, and only
    /// here: Descope would end the session, and so would the family of the refresh JWT here.
    async fn end(self, project: &Arc<Project>) {
        let refresh = self.refresh.as_ref();
        if let Some(continued) = &self.continued {
            let new = refresh.filter(|refresh| refresh.jwt != continued.jwt);
            let new = new.map(|refresh| &refresh.verified);
            for token in new.into_iter().chain(&self.session) {
                project.end_session(None, Some(token));
            }
            return;
        }
        project.end_session(refresh, self.session.as_deref());
        let refresh = refresh.map(|token| &*token.jwt);
        if let Some(jwt) = refresh.or(self.unverified.as_deref())
            && let Err(error) = end_at_descope(project, jwt).await
        {
            tracing::warn!(%error, "a sign-in was refused, but upstream did not confirm that its session is over");
        }
    }
}

/// Both cookies belong to the user who signs in. The cookie of a token that was not issued is deleted, unless it holds
/// a token of the same user.
fn cookies(
    project: &Project,
    accepted: &Accepted,
    previous: &Previous,
    owner: &Owner<'_>,
) -> Result<Vec<HeaderValue>, NotStarted> {
    let names = [
        project.cookies.session_name(),
        project.cookies.refresh_name(),
    ];
    let [session_name, refresh_name] = names;
    let tokens = &accepted.tokens;
    let session = match &tokens.session {
        Some(session) => project.store_cookie(session_name, session),
        None => project.cookies.delete(session_name),
    };
    let is_users = |token: &&Presented| owner.is_of(&token.verified);
    let refresh = if let Some(refresh) = &tokens.refresh {
        Some(project.store_cookie(refresh_name, refresh))
    } else if let Some(unverified) = &accepted.unverified {
        let max_age = project.verifier.remaining_of(unverified);
        let cookies = &project.cookies;
        Some(cookies.store(refresh_name, unverified.jwt(), max_age))
    } else if let Some(renewed) = previous.undelivered().filter(is_users) {
        let renewed = Issued::from(renewed.clone());
        Some(project.store_cookie(refresh_name, &renewed))
    } else if previous.live.as_ref().filter(is_users).is_none() {
        Some(project.cookies.delete(refresh_name))
    } else {
        None
    };
    // The cookie of an earlier configuration is deleted only where a new one takes its place: it may hold the live
    // token.
    names
        .into_iter()
        .zip([Some(session), refresh])
        .filter_map(|(name, cookie)| Some((name, cookie?)))
        .flat_map(|(name, cookie)| {
            project
                .cookies
                .delete_leftovers(name)
                .into_iter()
                .chain([cookie])
        })
        .map(|cookie| cookie.map_err(not_started))
        .collect()
}

fn not_started(unwritable: Unwritable) -> NotStarted {
    tracing::error!(
        ?unwritable,
        "a session does not fit into a cookie; trim the claims of the JWT"
    );
    NotStarted::Unwritable(unwritable)
}

/// Who signs in.
enum Owner<'a> {
    Known(&'a Verified),
    /// As a token says whose key is missing.
    Claimed(&'a Unverified),
}

impl Owner<'_> {
    /// Whether this token is of the same user.
    fn is_of(&self, token: &Verified) -> bool {
        match self {
            Self::Known(user) => user.claims.same_user(&token.claims),
            Self::Claimed(unverified) => unverified.claims_user(&token.claims),
        }
    }
}

/// Whose tokens these are. All of them name the same user.
fn user_of(tokens: &Tokens, same_user: Option<&Presented>) -> Option<Arc<Verified>> {
    let issued = tokens.session.as_ref().or(tokens.refresh.as_ref());
    issued
        .map(|issued| issued.verified.clone())
        .or_else(|| same_user.map(|token| token.verified.clone()))
}
