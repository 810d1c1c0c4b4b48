//! Starting and ending sessions from an app's own handlers.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header::SET_COOKIE};

use super::Descope;
use crate::error::{AuthError, AuthErrorKind};
use crate::headers::{Unwritable, forbid_caching};
use crate::project::hooks::Told;
use crate::session::{NotStarted, Session, SignOut, Store};
use crate::token::InvalidToken;
use crate::user::User;
use crate::wire::{JwtResponse, LogoutRequest};

/// When to ask again for a session whose user cannot be told yet, because Descope's new key is not known.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// A session that was started, to be written onto the response. See [`Descope::establish`].
///
/// With the feature `axum` it is a part of a response, as in `(established, Redirect::to("/"))`. Elsewhere
/// [`write_to`](Self::write_to) writes its headers.
#[must_use = "the browser learns of its session from the headers that this writes"]
pub struct Established {
    user: Option<User>,
    cookies: Vec<HeaderValue>,
}

impl Established {
    /// Who has signed in.
    ///
    /// `None` if that could not be verified yet, because Descope has just begun to sign with a key that it does not
    /// publish, or if there was a refresh JWT alone. The browser is signed in with its next request.
    ///
    /// [`User::profile`] finds no refresh JWT here, because the browser has not sent it yet. What Descope said of the user
    /// is in [`JwtResponse::user`].
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Appends the cookies of the session, and forbids to cache the response.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        write(&self.cookies, headers);
    }
}

/// A session that was ended, to be written onto the response. See [`Descope::end`].
///
/// With the feature `axum` it is a part of a response, as in `(ended, Redirect::to("/"))`. Elsewhere
/// [`write_to`](Self::write_to) writes its headers.
#[must_use = "the browser loses its cookies by the headers that this writes"]
pub struct Ended {
    confirmed: bool,
    cookies: Vec<HeaderValue>,
}

impl Ended {
    /// Whether Descope has confirmed the sign-out. If not, the session is over in this app all the same, and the log
    /// says why; other apps that share the project may go on with it until it expires.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Appends cookies that delete the session, and forbids to cache the response.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        write(&self.cookies, headers);
    }
}

fn write(cookies: &[HeaderValue], headers: &mut HeaderMap) {
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie.clone());
    }
    forbid_caching(headers);
}

impl Descope {
    /// Starts a session in the browser that sent this request, as the mounted routes do: verifies the tokens, ends the
    /// session that they replace, and makes the cookies.
    ///
    /// `tokens` are what a call of [`client`](Self::client) answered, or tokens from anywhere else that were read into
    /// a [`JwtResponse`]: those of a Descope Flow, say, or of a native SDK. The latter are verified as strictly as the
    /// cookies of a request. An expired session JWT beside a good refresh JWT is left out, so that the next request
    /// renews the session.
    ///
    /// A form of another site starts no session, by the same rule as in the session layer: otherwise somebody could sign
    /// your users in to an account of their own. `GET` is not checked, because the callback of an OAuth sign-in comes from
    /// another site; such a handler has to compare the `state` of OAuth. Where a provider posts its answer
    /// (`response_mode=form_post`), name its origin with [`allow_origin`](crate::DescopeBuilder::allow_origin).
    ///
    /// Dropping the result signs nobody in, but the session before is over by then.
    ///
    /// ```
    /// # #[cfg(feature = "routes")] {
    /// use axum::extract::{Form, State};
    /// use axum::http::request::Parts;
    /// use axum::response::{IntoResponse, Redirect, Response, Result};
    /// use tower_descope::Descope;
    /// use tower_descope::wire::{DeliveryMethod, OtpVerifyRequest};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Code {
    ///     email: String,
    ///     code: String,
    /// }
    ///
    /// // The `Result` of axum, with which every error that is a response can be passed on.
    /// async fn sign_in(
    ///     State(descope): State<Descope>,
    ///     parts: Parts,
    ///     Form(form): Form<Code>,
    /// ) -> Result<Response> {
    ///     let request = OtpVerifyRequest::new(form.email, form.code);
    ///     let tokens = match descope.client().otp().verify(DeliveryMethod::Email, &request).await {
    ///         Err(error) if error.is_code_refused() => {
    ///             return Ok(Redirect::to("/sign-in?wrong").into_response());
    ///         }
    ///         answer => answer?,
    ///     };
    ///     let established = descope.establish(&parts, &tokens).await?;
    ///     Ok((established, Redirect::to("/")).into_response())
    /// }
    /// # let _ = axum::Router::<Descope>::new().route("/", axum::routing::post(sign_in)); }
    /// ```
    ///
    /// # Errors
    ///
    /// The session of the request is as it was, and
    ///
    /// * [`CrossOrigin`](AuthErrorKind::CrossOrigin): a page of another site has sent the request;
    /// * [`MissingCredentials`](AuthErrorKind::MissingCredentials): there is no token;
    /// * [`InvalidToken`](AuthErrorKind::InvalidToken) or [`ExpiredToken`](AuthErrorKind::ExpiredToken): a token does not
    ///   verify, was revoked, or the two are of different users. That goes for a sign-in within the second of a
    ///   [`SignOut::Everywhere`], too, because tokens say only in which second they were issued;
    /// * [`Unavailable`](AuthErrorKind::Unavailable): there is no key to verify them with now;
    /// * [`CookieTooLarge`](AuthErrorKind::CookieTooLarge): a token does not fit into a cookie;
    /// * [`SignInRefused`](AuthErrorKind::SignInRefused) or [`SignInFailed`](AuthErrorKind::SignInFailed): by the hook of
    ///   [`on_sign_in`](crate::DescopeBuilder::on_sign_in).
    pub async fn establish(
        &self,
        request: &Parts,
        tokens: &JwtResponse,
    ) -> Result<Established, AuthError> {
        let Parts {
            method,
            uri,
            headers,
            ..
        } = request;
        if self.project.origins.refuses_parts(method, uri, headers) {
            return Err(AuthErrorKind::CrossOrigin.into());
        }
        let session = self.session_of(request).await;
        let renewer = &self.project.renewer;
        let accepted = match tokens.received.0 {
            true => renewer.accept(tokens, None, None).await?,
            false => renewer.examine(tokens).await?,
        };
        // What came from anywhere else has nothing signed but the tokens.
        let is_descopes = tokens.received.0;
        let told = self.project.hooks.sign_in.as_ref().map(|_| Told {
            profile: tokens.user.clone().filter(|_| is_descopes),
            first_seen: tokens.first_seen && is_descopes,
            request: request.clone(),
        });
        let started = session.start(&accepted, None, Store::Cookies, told);
        let cookies = started.await.map_err(|not_started| match not_started {
            NotStarted::Nobody => AuthErrorKind::MissingCredentials.into(),
            NotStarted::Unwritable(Unwritable::TooLarge { size }) => {
                AuthErrorKind::CookieTooLarge { size }.into()
            }
            NotStarted::Refused(error) => error.into(),
            NotStarted::Undecided => AuthError::unavailable(ASK_AGAIN),
            NotStarted::Unwritable(Unwritable::Invalid) => AuthError::from(InvalidToken::Malformed),
        })?;
        let session = accepted.tokens.session.map(|issued| issued.verified);
        let user = session.and_then(|session| User::of_tokens(&self.project, session));
        Ok(Established { user, cookies })
    }

    /// Ends the session of the browser that sent this request, as the mounted `logout` and `logoutall` do: here, in
    /// every replica, and at Descope.
    ///
    /// It never fails. Nobody signed in is no error, and when Descope cannot be reached the session is over in this app
    /// all the same; [`Ended::is_confirmed`] tells. [`SignOut::Everywhere`] takes up to a second with a shared store.
    ///
    /// A request that a page of another site has sent ends nothing: a form by the rule of the session layer, and a link
    /// by the same rule, as if it were a form.
    ///
    /// ```
    /// # #[cfg(feature = "routes")] {
    /// use axum::extract::State;
    /// use axum::response::{IntoResponse, Redirect};
    /// use http::request::Parts;
    /// use tower_descope::{Descope, SignOut};
    ///
    /// async fn sign_out(State(descope): State<Descope>, parts: Parts) -> impl IntoResponse {
    ///     let ended = descope.end(&parts, SignOut::ThisSession).await;
    ///     (ended, Redirect::to("/"))
    /// }
    /// # let _ = axum::Router::<Descope>::new().route("/", axum::routing::post(sign_out)); }
    /// ```
    pub async fn end(&self, request: &Parts, which: SignOut) -> Ended {
        let Parts { uri, headers, .. } = request;
        // A link that signs out changes something, whatever its method says.
        let origins = &self.project.origins;
        if origins.refuses_parts(&Method::POST, uri, headers) {
            tracing::warn!(
                event = "sign_out.cross_origin",
                "a page of another site has sent a sign-out; nothing was ended"
            );
            return Ended {
                confirmed: false,
                cookies: Vec::new(),
            };
        }
        let session = self.session_of(request).await;
        let hook = self.project.hooks.sign_out.as_ref();
        let head = hook.map(|_| request.clone());
        Ended {
            confirmed: session.end(which, &LogoutRequest::default(), head).await,
            cookies: session.deletion(),
        }
    }

    async fn session_of(&self, request: &Parts) -> Session {
        self.project.listen();
        Session::of_request(&self.project, &request.extensions, &request.headers).await
    }
}

#[cfg(feature = "axum")]
mod parts {
    use std::convert::Infallible;

    use axum_core::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};

    use super::{Ended, Established};

    /// A part of a response, or a response of nothing else.
    macro_rules! part_of_a_response {
        ($($type:ty),*) => {$(
            impl IntoResponseParts for $type {
                type Error = Infallible;

                fn into_response_parts(
                    self,
                    mut parts: ResponseParts,
                ) -> Result<ResponseParts, Infallible> {
                    self.write_to(parts.headers_mut());
                    Ok(parts)
                }
            }

            impl IntoResponse for $type {
                fn into_response(self) -> Response {
                    (self, ()).into_response()
                }
            }
        )*};
    }

    part_of_a_response!(Established, Ended);
}

impl std::fmt::Debug for Established {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the cookies.
        f.debug_struct("Established")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ended")
            .field("confirmed", &self.confirmed)
            .finish_non_exhaustive()
    }
}
