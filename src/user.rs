//! The authenticated user.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Extensions;
use serde::de::DeserializeOwned;

use crate::client::{ClientError, RefreshToken, SessionToken};
use crate::error::{AuthError, AuthErrorKind};
use crate::project::Project;
use crate::session::{RefreshJwt, Session};
use crate::token::{Claims, Verified};
use crate::wire::UserProfile;

/// The authenticated user of a request, with the claims of the session JWT.
///
/// It is an axum extractor (feature `axum`); for other services see [`User::from_extensions`]. Extracting it does no
/// I/O.
///
/// | as an argument of a handler | without a session |
/// |---|---|
/// | `User` | the request is answered with 401, 403 or 503, see [`AuthError`] |
/// | `Option<User>` | `None`; but a *bearer* that is bad, or cannot be checked now, is answered with 401 or 503 |
/// | `Result<User, AuthRejection>` | the handler decides |
///
/// Without a [`SessionLayer`](crate::SessionLayer) around the route, the first two are answered with 500, and the log
/// names the missing call; the third gets [`AuthErrorKind::MissingLayer`].
///
/// ```
/// # #[cfg(feature = "routes")] {
/// use axum::{Json, Router, routing::get};
/// use serde_json::{Value, json};
/// use tower_descope::{Descope, User};
///
/// async fn me(user: User) -> Json<Value> {
///     Json(json!({ "id": user.id(), "roles": user.roles().collect::<Vec<_>>() }))
/// }
///
/// # fn app() -> Result<Router, Box<dyn std::error::Error>> {
/// let descope = Descope::builder("P2abcdefghijklmnopqrstuvwxyz1").build()?;
/// let app = Router::new().route("/me", get(me)).layer(descope.session_layer());
/// # Ok(app) }
/// # app().unwrap(); }
/// ```
///
/// [`Descope::end`](crate::Descope::end) signs the user out.
#[derive(Clone)]
pub struct User {
    /// The outcome of the session layer, which is always that the request is signed in.
    session: Session,
}

impl User {
    /// The user that the session layer put into a request's extensions.
    ///
    /// # Errors
    ///
    /// When there is no user, with the reason; [`AuthErrorKind::MissingLayer`] when no session layer ran.
    pub fn from_extensions(extensions: &Extensions) -> Result<Self, AuthError> {
        let session = session(extensions)?;
        session.require()?;
        Ok(Self {
            session: session.clone(),
        })
    }

    /// Like [`Self::from_extensions`] for pages that anybody may see; see the table above.
    ///
    /// # Errors
    ///
    /// When the bearer is bad or cannot be checked now, or when no session layer ran.
    pub fn optional_from_extensions(extensions: &Extensions) -> Result<Option<Self>, AuthError> {
        let session = session(extensions)?;
        Ok(session.optional()?.map(|_| Self {
            session: session.clone(),
        }))
    }

    pub(crate) fn from_session(session: Session) -> Result<Self, AuthError> {
        session.require()?;
        Ok(Self { session })
    }

    /// The user of a session JWT that did not come with a request.
    pub(crate) fn of_tokens(project: &Arc<Project>, session: Arc<Verified>) -> Option<Self> {
        Self::from_session(Session::of_tokens(project, session)).ok()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn project(&self) -> &Project {
        self.session.project()
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.verified().claims
    }

    fn verified(&self) -> &Verified {
        match self.session.peek() {
            Some(verified) => verified,
            // The outcome of a request never changes, and every constructor above has looked at it.
            None => unreachable!("a user without a session"),
        }
    }

    /// The user id of Descope: `dsub` if the token has it, else `sub`.
    ///
    /// Descope adds `dsub` where a JWT template puts something else into `sub`, such as an e-mail address. This method
    /// still returns Descope's id then. What the template put into `sub` is a claim like any other.
    pub fn id(&self) -> &str {
        self.claims().id()
    }

    /// Roles in the project: those at the top level of the token.
    ///
    /// There are none when the session is in a tenant (`dct`) and its token has no `tenants` at all: the roles at the
    /// top level then belong to that tenant, and [`Self::tenant_roles`] of [`Self::current_tenant`] returns them. So an
    /// admin of one tenant does not pass for an admin of the project. (Descope's own SDKs do not make this difference
    /// when no tenant is given.)
    pub fn roles(&self) -> impl Iterator<Item = &str> + Clone {
        self.claims().roles()
    }

    /// Permissions in the project, by the same rule as [`Self::roles`].
    pub fn permissions(&self) -> impl Iterator<Item = &str> + Clone {
        self.claims().permissions()
    }

    /// Whether the user has this role in the project, see [`Self::roles`]. Names are compared exactly.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|has| has == role)
    }

    /// Whether the user has this permission in the project, see [`Self::roles`]. Names are compared exactly.
    pub fn has_permission(&self, permission: &str) -> bool {
        self.permissions().any(|has| has == permission)
    }

    /// The ids of the tenants that the session names.
    pub fn tenants(&self) -> impl Iterator<Item = &str> + Clone {
        self.claims().tenants()
    }

    /// The tenant that the session is in (`dct`): the only one of the user, or the one that was selected.
    pub fn current_tenant(&self) -> Option<&str> {
        self.claims().dct()
    }

    /// Whether the user belongs to this tenant.
    pub fn is_in_tenant(&self, tenant: &str) -> bool {
        self.claims().is_in_tenant(tenant)
    }

    /// Roles in a tenant, by the Go SDK's rule: those under `tenants`, else the top-level ones if the session is
    /// in that tenant and the token has no `tenants` at all.
    pub fn tenant_roles(&self, tenant: &str) -> impl Iterator<Item = &str> + Clone {
        self.claims().tenant_roles(tenant)
    }

    /// Permissions in a tenant, by the same rule as [`Self::tenant_roles`].
    pub fn tenant_permissions(&self, tenant: &str) -> impl Iterator<Item = &str> + Clone {
        self.claims().tenant_permissions(tenant)
    }

    /// How the user signed in: `email`, `sms`, `totp`, …, and `mfa` when several factors were used.
    pub fn amr(&self) -> impl Iterator<Item = &str> + Clone {
        self.claims().amr()
    }

    /// Whether the session was stepped up (`su`).
    pub fn is_step_up(&self) -> bool {
        self.claims().su
    }

    /// Whether the session was stepped up, and its JWT is not older than `max_age`.
    pub(crate) fn stepped_up_within(&self, max_age: Option<Duration>) -> bool {
        let claims = self.claims();
        let Some(max_age) = max_age else {
            return claims.su;
        };
        let now = self.session.project().verifier.clock.unix();
        let issued = claims.iat.and_then(|iat| u64::try_from(iat).ok());
        claims.su
            && issued.is_some_and(|iat| now <= Duration::from_secs(iat).saturating_add(max_age))
    }

    /// When the session JWT expires (`exp`). The session itself lives as long as the refresh JWT.
    pub fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.claims().exp).unwrap_or(0))
    }

    /// Decodes the claims of the session JWT as a type of your own; take `serde_json::Value` for all of them. Custom
    /// claims of sign-in calls are under `nsec`.
    ///
    /// # Errors
    ///
    /// [`AuthErrorKind::ClaimsMismatch`] when the claims are not of that type.
    ///
    /// ```
    /// # use tower_descope::{AuthError, User};
    /// #[derive(serde::Deserialize)]
    /// struct Plan {
    ///     plan: String,
    /// }
    ///
    /// fn plan(user: &User) -> Result<String, AuthError> {
    ///     Ok(user.claims_as::<Plan>()?.plan)
    /// }
    /// ```
    pub fn claims_as<T: DeserializeOwned>(&self) -> Result<T, AuthError> {
        self.verified()
            .decode()
            .map_err(|error| AuthError::new(AuthErrorKind::ClaimsMismatch).with_source(error))
    }

    /// The session JWT of this request, for calling another service of yours in the user's name.
    ///
    /// It is the token that decided who the user is: the bearer, of several session cookies the one that counts, or,
    /// if the session was renewed for this request, the new session JWT and not the one that the request carries.
    /// A request that was served while an early renewal runs beside it has the old one, which is still good.
    ///
    /// **When it is right to forward it.** The receiver is yours, is reached over TLS, verifies session JWTs of this
    /// Descope project itself, and has to know on whose behalf it is called. A service that is called without a user
    /// should get a session of its own from an access key, see [`AccessKeyLayer`](crate::client::AccessKeyLayer).
    ///
    /// **The risk.** Whoever has the JWT can act as the user, with all of the user's roles and in every service that
    /// accepts session JWTs of the project, until [`expires_at`](Self::expires_at). A sign-out does not shorten that
    /// for services that do not know of it. So do not forward it to other parties, do not put it into a URL or a
    /// queue, and do not log it; `Debug` of the returned type shows nothing of it. The refresh JWT, which could renew
    /// the session, cannot be had here.
    ///
    /// The token may expire on the way: it is good now, but its rest may be seconds, and the receiver cannot renew it.
    ///
    /// Each call copies the token. A request whose handler does not call this method pays nothing for it.
    ///
    /// ```
    /// use http::header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue};
    /// use tower_descope::User;
    ///
    /// fn invoices_of(user: &User) -> Result<http::Request<()>, InvalidHeaderValue> {
    ///     let mut bearer =
    ///         HeaderValue::try_from(format!("Bearer {}", user.session_jwt().expose()))?;
    ///     bearer.set_sensitive(true); // HTTP/2 does not index it, and `Debug` of the header does not show it
    ///     let mut request = http::Request::new(());
    ///     *request.uri_mut() = http::Uri::from_static("https://invoices.internal.example/mine");
    ///     request.headers_mut().insert(AUTHORIZATION, bearer);
    ///     Ok(request)
    /// }
    /// ```
    pub fn session_jwt(&self) -> SessionToken {
        SessionToken::of_verified(self.verified().jwt())
    }

    /// The full user object of the API (`GET /v1/auth/me`). It is cached for a minute. Requests that ask for the same
    /// user at the same time share one call.
    ///
    /// # Errors
    ///
    /// [`ProfileError::NoRefreshToken`] when the request carries no refresh JWT that can be used, which the API
    /// requires: for example when the request has a bearer, because only a cookie holds the refresh JWT.
    /// [`ProfileError::Undecided`] when that cannot be told now. [`ProfileError::Call`] when the call fails.
    pub async fn profile(&self) -> Result<Arc<UserProfile>, ProfileError> {
        let project = self.session.project();
        if let Some(profile) = project.profiles.get(self.id()) {
            return Ok(profile);
        }
        let presented = match self.session.refresh_jwt().await {
            RefreshJwt::Live(presented) => presented,
            RefreshJwt::Missing | RefreshJwt::Refused => return Err(ProfileError::NoRefreshToken),
            RefreshJwt::Unknown { retry_after } => {
                return Err(ProfileError::Undecided { retry_after });
            }
        };
        let loaded = project.profiles.load(self.id(), &presented).await;
        loaded.map_err(ProfileError::Call)
    }

    /// The refresh JWT of the browser's session, for calls of [`client`](crate::Descope::client) that act for the user,
    /// such as selecting a tenant or changing an e-mail address. It is the one that such a call must send: if the session
    /// has just been renewed, the new one, which the browser does not have yet.
    ///
    /// Whoever holds a refresh JWT is the user for as long as the session lives. Do not log it, store it or put it into a
    /// page. Calls that issue tokens may replace it, so pass what they answer to
    /// [`establish`](crate::Descope::establish).
    ///
    /// ```
    /// # #[cfg(feature = "routes")] {
    /// use axum::extract::{Path, State};
    /// use axum::response::{IntoResponse, Response};
    /// use http::StatusCode;
    /// use http::request::Parts;
    /// use tower_descope::wire::TenantSelectRequest;
    /// use tower_descope::{AuthError, Descope, User};
    ///
    /// async fn select(
    ///     State(descope): State<Descope>,
    ///     Path(tenant): Path<String>,
    ///     user: User,
    ///     parts: Parts,
    /// ) -> Result<Response, AuthError> {
    ///     let token = user.refresh_token().await?;
    ///     let request = TenantSelectRequest::new(tenant);
    ///     let Ok(tokens) = descope.client().session().select_tenant(&request, &token).await else {
    ///         return Ok(StatusCode::BAD_GATEWAY.into_response());
    ///     };
    ///     Ok(descope.establish(&parts, &tokens).await?.into_response())
    /// }
    /// # let _ = axum::Router::<Descope>::new().route("/tenant/{tenant}", axum::routing::post(select)); }
    /// ```
    ///
    /// # Errors
    ///
    /// * [`NoRefreshToken`](AuthErrorKind::NoRefreshToken): the request carries none that can be used, as with a bearer.
    /// * [`SessionEnded`](AuthErrorKind::SessionEnded): Descope has refused it.
    /// * [`Unavailable`](AuthErrorKind::Unavailable): it cannot be told now whether it is good.
    pub async fn refresh_token(&self) -> Result<RefreshToken, AuthError> {
        match self.session.refresh_jwt().await {
            RefreshJwt::Live(presented) => {
                RefreshToken::new(&*presented.jwt).map_err(|_| AuthErrorKind::NoRefreshToken.into())
            }
            RefreshJwt::Missing => Err(AuthErrorKind::NoRefreshToken.into()),
            RefreshJwt::Refused => Err(AuthErrorKind::SessionEnded.into()),
            RefreshJwt::Unknown { retry_after } => {
                Err(AuthErrorKind::Unavailable { retry_after }.into())
            }
        }
    }
}

fn session(extensions: &Extensions) -> Result<&Session, AuthError> {
    extensions.get().ok_or_else(|| {
        let error = AuthError::new(AuthErrorKind::MissingLayer);
        // Here and not where it is rendered, so that whoever renders it, or handles it, cannot hide it.
        tracing::error!(event = "session.missing_layer", "{error}");
        error
    })
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// Why there is no profile.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProfileError {
    /// The request carries no refresh JWT that can be used.
    NoRefreshToken,
    /// It cannot be told now whether the refresh JWT of the request is good: its key is missing, or a renewal has found
    /// Descope out of reach.
    Undecided {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The call of the API failed.
    Call(ClientError),
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRefreshToken => f.write_str("the request carries no refresh token"),
            Self::Undecided { .. } => {
                f.write_str("the refresh token of the request cannot be checked now")
            }
            Self::Call(_) => f.write_str("the profile could not be loaded"),
        }
    }
}

/// How a request is answered that needs a profile which cannot be had: 403
/// [`NoRefreshToken`](AuthErrorKind::NoRefreshToken), 401 [`SessionEnded`](AuthErrorKind::SessionEnded) if Descope has
/// refused the refresh JWT, else 503 [`Unavailable`](AuthErrorKind::Unavailable).
impl From<ProfileError> for AuthError {
    fn from(error: ProfileError) -> Self {
        let kind = match &error {
            ProfileError::NoRefreshToken => AuthErrorKind::NoRefreshToken,
            ProfileError::Undecided { retry_after } => AuthErrorKind::Unavailable {
                retry_after: *retry_after,
            },
            ProfileError::Call(error) if error.is_definite_refusal() => AuthErrorKind::SessionEnded,
            ProfileError::Call(error) => AuthErrorKind::Unavailable {
                retry_after: error.retry_after().unwrap_or(Duration::from_secs(1)),
            },
        };
        Self::new(kind).with_source(error)
    }
}

impl std::error::Error for ProfileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoRefreshToken | Self::Undecided { .. } => None,
            Self::Call(error) => Some(error),
        }
    }
}
