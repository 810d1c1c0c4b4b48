//! Sign-in by a message that the user sends.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::{ClientError, ClientErrorKind};
use super::{Client, RefreshToken, expose};
use crate::wire::{
    JwtResponse, NotpLinkResponse, NotpProvider, NotpSignInRequest, NotpSignUpRequest,
    NotpUpdateRequest, PendingSessionRequest, notp,
};

/// How [`Notp::wait`] waits.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WaitOptions {
    interval: Duration,
    timeout: Duration,
}

impl WaitOptions {
    /// One poll per second for ten minutes, as Descope's browser SDK does.
    pub fn new() -> Self {
        Self {
            interval: MIN_INTERVAL,
            timeout: Duration::from_secs(600),
        }
    }

    /// The pause between two polls. Default 1 s, which is also the minimum: less is raised to it.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(MIN_INTERVAL);
        self
    }

    /// When to give up. Default 10 min.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Calls of `/v1/auth/notp`; see [`Client::notp`].
///
/// The login id may be empty in all of them but the update: the phone that sends the message becomes it.
#[derive(Clone, Copy, Debug)]
pub struct Notp<'a> {
    pub(super) client: &'a Client,
}

impl Notp<'_> {
    /// A link for somebody who is not registered (`POST /v1/auth/notp/{provider}/signup`).
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn sign_up(
        self,
        provider: NotpProvider,
        request: &NotpSignUpRequest,
    ) -> Result<NotpLinkResponse, ClientError> {
        let provider = Some(provider.as_str());
        self.client
            .call_with::<notp::SignUp>(provider, request, None)
            .await
    }

    /// A link for a registered user (`POST /v1/auth/notp/{provider}/signin`).
    ///
    /// With `stepup` or `mfa` in the options, `token` is required, and it is sent only then.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn sign_in(
        self,
        provider: NotpProvider,
        request: &NotpSignInRequest,
        token: Option<&RefreshToken>,
    ) -> Result<NotpLinkResponse, ClientError> {
        let provider = Some(provider.as_str());
        self.client
            .call_with::<notp::SignIn>(provider, request, expose(token))
            .await
    }

    /// A link for anybody (`POST /v1/auth/notp/{provider}/signup-in`).
    ///
    /// With `stepup` or `mfa` in the options, `token` is required, and it is sent only then.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn sign_up_or_in(
        self,
        provider: NotpProvider,
        request: &NotpSignInRequest,
        token: Option<&RefreshToken>,
    ) -> Result<NotpLinkResponse, ClientError> {
        let provider = Some(provider.as_str());
        self.client
            .call_with::<notp::SignUpOrIn>(provider, request, expose(token))
            .await
    }

    /// A link that moves a user to a new phone (`POST /v1/auth/notp/{provider}/update`).
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn update(
        self,
        provider: NotpProvider,
        request: &NotpUpdateRequest,
        token: &RefreshToken,
    ) -> Result<NotpLinkResponse, ClientError> {
        let provider = Some(provider.as_str());
        self.client
            .call_with::<notp::Update>(provider, request, Some(token.expose()))
            .await
    }

    /// Asks once whether the message has arrived (`POST /v1/auth/notp/pending-session`).
    ///
    /// While it has not, the error's [`is_notp_pending`](ClientError::is_notp_pending) is true.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn pending_session(self, pending_ref: &str) -> Result<JwtResponse, ClientError> {
        let request = PendingSessionRequest::new(pending_ref);
        self.client
            .call::<notp::PendingSession>(&request, None)
            .await
    }

    /// Polls [`pending_session`](Self::pending_session) until the message has arrived.
    ///
    /// Goes on while the message is pending and while Descope is unavailable or limits the rate, whose
    /// `Retry-After` it heeds. Any other refusal ends it at once, unlike the browser SDK's loop.
    ///
    /// Dropping the future stops the polling; a poll that is then on its way may have redeemed the reference.
    ///
    /// # Errors
    ///
    /// The refusal; or, when the time is up, what the last poll said. The poll that is on its way at that moment
    /// is not cut off, so this may take one deadline of the client longer.
    pub async fn wait(
        self,
        pending_ref: &str,
        options: WaitOptions,
    ) -> Result<JwtResponse, ClientError> {
        let started = Instant::now();
        loop {
            let error = match self.pending_session(pending_ref).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let is_open = error.is_notp_pending()
                || matches!(
                    error.kind(),
                    ClientErrorKind::Unavailable | ClientErrorKind::RateLimited
                );
            let pause = options
                .interval
                .max(error.retry_after().unwrap_or_default());
            if !is_open || started.elapsed().saturating_add(pause) >= options.timeout {
                return Err(error);
            }
            sleep(pause).await;
        }
    }
}

const MIN_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::TransportErrorKind;
    use crate::client::testing::Script;
    use crate::wire::path;

    const PENDING: &str = r#"{"errorCode":"E066103"}"#;
    const TOKENS: &str = r#"{"sessionJwt":"s.s.s","refreshJwt":"r.r.r"}"#;

    #[tokio::test(start_paused = true)]
    async fn waits_through_pending_and_outages() {
        let script = Script::default()
            .answer(401, PENDING)
            .answer(502, "<html>")
            .fail(TransportErrorKind::Interrupted)
            .answer_with(429, &[("retry-after", "7")], "")
            .answer(401, PENDING)
            .answer(200, TOKENS);
        let started = Instant::now();
        let client = script.client();
        let reply = client.notp().wait("ref", WaitOptions::new()).await.unwrap();
        assert_eq!(reply.session_jwt, "s.s.s");
        assert_eq!(started.elapsed(), Duration::from_secs(1 + 1 + 1 + 7 + 1));
        assert_eq!(script.seen().len(), 6);
        assert_eq!(script.seen()[0].body(), r#"{"pendingRef":"ref"}"#);
        assert_eq!(script.seen()[0].uri().path(), path::NOTP_PENDING_SESSION);
    }

    #[tokio::test(start_paused = true)]
    async fn another_refusal_ends_the_wait() {
        let script = Script::default()
            .answer(401, PENDING)
            .answer(400, r#"{"errorCode":"E011003"}"#)
            .answer(200, TOKENS);
        let client = script.client();
        let error = client
            .notp()
            .wait("ref", WaitOptions::new())
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some("E011003"));
        assert_eq!(script.seen().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_ends() {
        let mut script = Script::default();
        for _ in 0..20 {
            script = script.answer(401, PENDING);
        }
        let options = WaitOptions::new()
            .interval(Duration::ZERO)
            .timeout(Duration::from_millis(3500));
        let started = Instant::now();
        let client = script.client();
        let error = client.notp().wait("ref", options).await.unwrap_err();
        assert!(error.is_notp_pending());
        assert_eq!(started.elapsed(), Duration::from_secs(3));
        assert_eq!(script.seen().len(), 4);
    }
}
