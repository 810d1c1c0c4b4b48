//! The outcome of the session layer for one request, which it puts into the request's extensions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Extensions, HeaderMap};

use super::cookie_choice::{Choice, Unchosen};
use super::events;
use super::identity::{Decided, Identity, Renewal, TokenSource};
use crate::error::{AuthError, AuthErrorKind};
use crate::headers::CookieLines;
use crate::project::Project;
use crate::refresh::{self, Issued, Presented};
use crate::reject::Renderer;
use crate::token::{Times, TokenKind, Unverified, Verified};

/// The outcome for one request. The layer keeps a clone, by which it learns at the response whether the handler asked
/// for the user.
#[derive(Clone)]
pub(crate) struct Session(Arc<State>);

/// The renderer of a layer whose handle has decided about the request further outside. It counts before that of the
/// outcome.
#[derive(Clone)]
struct Nearer(Renderer);

struct State {
    renderer: Renderer,
    project: Arc<Project>,
    identity: Identity,
    renewal: Option<Box<Renewal>>,
    /// The refresh JWT of an early renewal, which was started beside this request while its session was still good.
    early: Option<Box<Presented>>,
    cookies: CookieLines,
    identity_read: AtomicBool,
    /// Whether the log says already that it is unclear which refresh cookie is the user's.
    unclear_told: AtomicBool,
    /// Whether another handle, whose cookies have the same names, answers the same request.
    shares_cookies: AtomicBool,
}

impl Session {
    pub(crate) fn new(project: Arc<Project>, decided: Decided, cookies: CookieLines) -> Self {
        Self::rendered_by(Renderer::default(), project, decided, cookies)
    }

    /// With the renderer that was chosen for rejections of this request.
    pub(super) fn rendered_by(
        renderer: Renderer,
        project: Arc<Project>,
        decided: Decided,
        cookies: CookieLines,
    ) -> Self {
        events::tell(&decided);
        Self(Arc::new(State {
            renderer,
            project,
            identity: decided.identity,
            renewal: decided.renewal,
            early: decided.early,
            cookies,
            identity_read: AtomicBool::new(false),
            unclear_told: AtomicBool::new(decided.unclear),
            shares_cookies: AtomicBool::new(false),
        }))
    }

    /// The session of a session JWT that did not come with a request.
    pub(crate) fn of_tokens(project: &Arc<Project>, session: Arc<Verified>) -> Self {
        let decided = Identity::SignedIn {
            session,
            credential: TokenSource::Cookie,
        };
        Self::new(project.clone(), decided.into(), CookieLines::default())
    }

    /// The session that a layer of this project has put into the request, else what its headers say without a renewal.
    pub(crate) async fn of_request(
        project: &Arc<Project>,
        extensions: &Extensions,
        headers: &HeaderMap,
    ) -> Self {
        if let Some(session) = extensions.get::<Self>() {
            if Arc::ptr_eq(session.project(), project) {
                return session.clone();
            }
            session.meet(project);
        }
        Self::without_renewal(project, headers).await
    }

    pub(crate) fn project(&self) -> &Arc<Project> {
        &self.0.project
    }

    /// The renderer that is nearest to whoever looks into these extensions. `None` if no layer ran.
    pub(crate) fn renderer_in(extensions: &Extensions) -> Option<&Renderer> {
        match extensions.get::<Nearer>() {
            Some(Nearer(renderer)) => Some(renderer),
            None => extensions.get::<Self>().map(|session| &session.0.renderer),
        }
    }

    /// Lets this renderer count further inside, and the outcome stay as it is.
    pub(super) fn render_by(renderer: &Renderer, extensions: &mut Extensions) {
        extensions.insert(Nearer(renderer.clone()));
    }

    /// Puts the outcome into the request, and returns it for use at the response.
    pub(super) fn insert<B>(self, request: &mut http::Request<B>) -> Self {
        let replaced = request.extensions_mut().insert(self.clone());
        if replaced.is_some() {
            // What a layer of the other handle has chosen is taken over into this outcome, if it counts here.
            request.extensions_mut().remove::<Nearer>();
        }
        self
    }

    pub(crate) fn renewal(&self) -> Option<&Renewal> {
        self.0.renewal.as_deref()
    }

    pub(crate) fn early(&self) -> Option<&Presented> {
        self.0.early.as_deref()
    }

    /// The verified session, without noting that the identity was read.
    pub(crate) fn peek(&self) -> Option<&Arc<Verified>> {
        match &self.0.identity {
            Identity::SignedIn { session, .. } => Some(session),
            _ => None,
        }
    }

    /// Whether cookies were ignored because another site sent the request.
    pub(crate) fn is_cross_origin(&self) -> bool {
        matches!(
            &self.0.identity,
            Identity::Failed { error, .. } if *error.kind() == AuthErrorKind::CrossOrigin
        )
    }

    /// The verified session, or why there is none. Notes that the identity was read, because the response then depends
    /// on who asked.
    pub(crate) fn require(&self) -> Result<&Arc<Verified>, AuthError> {
        self.note_read();
        match &self.0.identity {
            Identity::SignedIn { session, .. } => Ok(session),
            Identity::Anonymous => Err(AuthErrorKind::MissingCredentials.into()),
            Identity::Failed { error, .. } => Err(error.clone()),
        }
    }

    /// Like [`Self::require`], for pages that anybody may see: a request whose cookies do not count has no session. A
    /// bearer that does not count is still an error, because the client that sent it must learn that it is bad.
    pub(crate) fn optional(&self) -> Result<Option<&Arc<Verified>>, AuthError> {
        self.note_read();
        match &self.0.identity {
            Identity::SignedIn { session, .. } => Ok(Some(session)),
            Identity::Anonymous
            | Identity::Failed {
                credential: TokenSource::Cookie,
                ..
            } => Ok(None),
            Identity::Failed { error, .. } => Err(error.clone()),
        }
    }

    fn note_read(&self) {
        self.0.identity_read.store(true, Ordering::Relaxed);
    }

    pub(crate) fn identity_was_read(&self) -> bool {
        self.0.identity_read.load(Ordering::Relaxed)
    }

    /// Called when another handle takes part in the same request. If the cookies of both handles have the same names,
    /// logs that for both, and notes here that only one of them can write its cookies.
    pub(crate) fn meet(&self, other: &Project) {
        let ours = &self.0.project;
        if let Some(name) = ours.cookies.name_shared_with(&other.cookies) {
            self.0.shares_cookies.store(true, Ordering::Relaxed);
            ours.tell_shared_cookies(name);
            other.tell_shared_cookies(name);
        }
    }

    pub(crate) fn shares_cookies(&self) -> bool {
        self.0.shares_cookies.load(Ordering::Relaxed)
    }

    pub(crate) fn cookie_lines(&self) -> &CookieLines {
        &self.0.cookies
    }

    /// The refresh JWT as the request carries it; of several refresh cookies, the one that counts.
    ///
    /// `None` for requests with a bearer, for cross-origin requests, and when no refresh cookie verifies. If there is a
    /// session, also one that is over, the refresh JWT must name the same user. `None` also where several cookies name
    /// different users and no session tells which of the users is meant.
    ///
    /// # Errors
    ///
    /// When the key of a refresh cookie is missing, so that it cannot be judged now: the time after which to ask again.
    pub(crate) async fn presented(&self) -> Result<Option<Presented>, Duration> {
        if self.ignores_cookies() {
            return Ok(None);
        }
        if let Some(renewal) = &self.0.renewal {
            return Ok(Some(renewal.presented.clone()));
        }
        let project = &self.0.project;
        let sent = self.0.cookies.sent(&project.cookies);
        let choice = Choice::wait_for(&project.verifier, &sent.refresh).await;
        let unavailable = choice.retry_after();
        let chosen = match self.peek() {
            Some(session) => choice.of_user(session.claims.id()),
            None => match choice.of_sessions(&project.verifier, &sent.session) {
                Ok(presented) => Some(presented),
                Err(Unchosen::Missing) => None,
                Err(Unchosen::Unjudged(retry_after)) => return Err(retry_after),
                Err(Unchosen::Unclear(unclear)) => {
                    if !self.0.unclear_told.swap(true, Ordering::Relaxed) {
                        unclear.log();
                    }
                    return Ok(None);
                }
            },
        };
        match (chosen, unavailable) {
            (None, Some(retry_after)) => Err(retry_after),
            (chosen, _) => Ok(chosen),
        }
    }

    /// Every refresh JWT that came as a cookie and verifies, whoever it names, and those that lack nothing but a key.
    /// For a sign-out, which had better end the session of somebody who has put a cookie here than leave the user's
    /// own.
    pub(crate) async fn all_presented(&self) -> (Vec<Presented>, Vec<Unverified>) {
        if self.ignores_cookies() {
            return Default::default();
        }
        let project = &self.0.project;
        let sent = self.0.cookies.sent(&project.cookies);
        let choice = Choice::wait_for(&project.verifier, &sent.refresh).await;
        let unverified = choice.unverified(&project.verifier);
        (choice.all().collect(), unverified)
    }

    /// Whether cookies do not count: the request has a bearer, or another site sent it.
    pub(super) fn ignores_cookies(&self) -> bool {
        let bearer = matches!(
            &self.0.identity,
            Identity::SignedIn {
                credential: TokenSource::Bearer,
                ..
            } | Identity::Failed {
                credential: TokenSource::Bearer,
                ..
            }
        );
        bearer || self.is_cross_origin()
    }

    /// The refresh JWT that may be sent upstream: the one that a renewal brought, else the one that the request
    /// carries.
    ///
    /// Renewals of other requests count too. Such a renewal may have replaced the refresh JWT that this request
    /// carries, and sending a replaced one would look like theft.
    pub(crate) async fn refresh_jwt(&self) -> RefreshJwt {
        let presented = match self.presented().await {
            Ok(Some(presented)) => presented,
            Ok(None) => return RefreshJwt::Missing,
            Err(retry_after) => return RefreshJwt::Unknown { retry_after },
        };
        let outcome = match &self.0.renewal {
            Some(renewal) => Some(renewal.outcome.clone()),
            None => self.0.project.renewer.follow(&presented).await,
        };
        let Some(outcome) = outcome else {
            return RefreshJwt::Live(presented);
        };
        if let Some(Issued { jwt, verified }) = outcome.tokens().refresh {
            return RefreshJwt::Live(Presented::new(&jwt, verified));
        }
        match &*outcome {
            refresh::Outcome::Renewed(_) => RefreshJwt::Live(presented),
            refresh::Outcome::Refused { .. } => RefreshJwt::Refused,
            refresh::Outcome::Unavailable { retry_after, .. } => RefreshJwt::Unknown {
                retry_after: *retry_after,
            },
        }
    }

    /// Tokens of this kind that came as cookies, good but for a revocation that ends before they do. A sign-out has
    /// to revoke them again.
    pub(crate) fn denied_too_briefly(&self, kind: TokenKind) -> Vec<Presented> {
        if self.is_cross_origin() {
            return Vec::new();
        }
        let project = &self.0.project;
        let sent = self.0.cookies.sent(&project.cookies);
        let candidates = match kind {
            TokenKind::Session => sent.session,
            TokenKind::Refresh => sent.refresh,
        };
        let mut tokens = Vec::new();
        for candidate in candidates.iter() {
            let denied = project.verifier.denied_too_briefly(candidate, kind);
            if let (Some(verified), Ok(jwt)) = (denied, std::str::from_utf8(candidate)) {
                tokens.push(Presented::new(jwt, verified));
            }
        }
        tokens
    }

    /// Every session JWT that came as a cookie and verifies, the one that counts first.
    pub(crate) async fn session_cookies(&self) -> Vec<Issued> {
        if self.is_cross_origin() {
            return Vec::new();
        }
        let project = &self.0.project;
        let mut sessions = Vec::new();
        for candidate in self.0.cookies.sent(&project.cookies).session.iter() {
            let verdict = project
                .verifier
                .verify(candidate, TokenKind::Session, Times::Check)
                .await;
            if let (Ok(verified), Ok(jwt)) = (verdict, std::str::from_utf8(candidate)) {
                sessions.push(Issued {
                    jwt: jwt.into(),
                    verified,
                });
            }
        }
        sessions
    }
}

/// What is known of a request's refresh JWT.
pub(crate) enum RefreshJwt {
    /// It verifies, and upstream is not known to have refused it.
    Live(Presented),
    /// The request carries none that counts.
    Missing,
    /// Upstream has just refused it.
    Refused,
    /// It cannot be judged now, or a renewal that may have spent it got no definite answer.
    Unknown { retry_after: Duration },
}
