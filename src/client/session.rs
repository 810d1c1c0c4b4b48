//! Calls for sessions and their users, and for access keys.

use serde_json::{Map, Value};

use super::error::ClientError;
use super::{AccessKey, Client, RefreshToken, SessionToken, reply};
use crate::wire::endpoint::Call;
use crate::wire::session::{NoBody, ValidateRequest};
use crate::wire::{
    AccessKeyExchangeRequest, AccessKeyExchangeResponse, AccessKeyLoginOptions, HistoryEntry,
    JwtResponse, LogoutRequest, MyTenantsRequest, RefreshRequest, TenantSelectRequest,
    TenantsResponse, UserProfile, api_code, session,
};

/// Calls for sessions and their users, and for access keys; see [`Client::session`].
///
/// Most calls need the refresh JWT. [`validate`](Self::validate) needs the session JWT, and
/// [`exchange_access_key`](Self::exchange_access_key) an access key. The client does not check the signatures of
/// tokens in the answers.
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'a> {
    pub(super) client: &'a Client,
}

impl Sessions<'_> {
    /// Renews the session (`POST /v1/auth/refresh`).
    ///
    /// The answer has a new session JWT. It has a new refresh JWT only if the project rotates refresh JWTs; the old
    /// refresh JWT is then no longer valid. The call is never repeated once a connection was established.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn refresh(self, token: &RefreshToken) -> Result<JwtResponse, ClientError> {
        let request = RefreshRequest::default();
        let token = Some(token.expose());
        self.client.call::<session::Refresh>(&request, token).await
    }

    /// Renews the session if the token is still valid (`POST /v1/auth/try-refresh`).
    ///
    /// `None` when Descope answers without tokens: this call is not refused when the token is not valid.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn try_refresh(
        self,
        token: &RefreshToken,
    ) -> Result<Option<JwtResponse>, ClientError> {
        let request = RefreshRequest::default();
        let response = self
            .client
            .respond::<session::TryRefresh>(None, &request, Some(token.expose()))
            .await?;
        let (reply, has_tokens) = reply::read(&self.client.inner.cookies, &response)?;
        Ok(has_tokens.then_some(reply))
    }

    /// Ends the session (`POST /v1/auth/logout`), but only at Descope.
    ///
    /// **In a handler of a web app this does not sign anybody out.** If the session layer has renewed the session on
    /// the same request, a rotation may have replaced the refresh JWT of the `Cookie` header. Descope then refuses
    /// that JWT with E064001, the new refresh JWT stays valid, and a warning is logged. If Descope accepts the
    /// refresh JWT, this process still accepts the session JWT, and the browser keeps its cookies, until they expire.
    /// [`Descope::end`](crate::Descope::end) does everything that a sign-out needs.
    ///
    /// For jobs and command line tools, which hold the token themselves, the call is enough. A process that also
    /// verifies tokens calls [`Descope::revoke`](crate::Descope::revoke) to refuse those of the ended session.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn logout(self, token: &RefreshToken) -> Result<(), ClientError> {
        self.end::<session::Logout>(token).await
    }

    /// Ends all sessions of the user (`POST /v1/auth/logoutall`), but only at Descope.
    ///
    /// As with [`logout`](Self::logout), a call in a handler of a web app is not enough to sign a user out.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn logout_all(self, token: &RefreshToken) -> Result<(), ClientError> {
        self.end::<session::LogoutAll>(token).await
    }

    /// Reads the user object (`GET /v1/auth/me`).
    ///
    /// The call is repeated once if the connection fails.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn me(self, token: &RefreshToken) -> Result<UserProfile, ClientError> {
        let (none, token) = (NoBody::default(), Some(token.expose()));
        self.client.call::<session::Me>(&none, token).await
    }

    /// Reads the tenants of the user (`POST /v1/auth/me/tenants`).
    ///
    /// A request that asks for both the current tenant and a list, or for neither, is refused without a call.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn my_tenants(
        self,
        request: &MyTenantsRequest,
        token: &RefreshToken,
    ) -> Result<TenantsResponse, ClientError> {
        if request.dct != request.ids.is_empty() {
            return Err(ClientError::invalid(
                "ask for the current tenant or for a list of tenants",
            ));
        }
        let token = Some(token.expose());
        self.client.call::<session::MyTenants>(request, token).await
    }

    /// Reads the past sign-ins of the user (`GET /v1/auth/me/history`).
    ///
    /// The call is repeated once if the connection fails.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn history(self, token: &RefreshToken) -> Result<Vec<HistoryEntry>, ClientError> {
        let (none, token) = (NoBody::default(), Some(token.expose()));
        self.client.call::<session::History>(&none, token).await
    }

    /// Moves the session into a tenant (`POST /v1/auth/tenant/select`).
    ///
    /// The tokens of the answer carry the tenant's id in the claim `dct`.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn select_tenant(
        self,
        request: &TenantSelectRequest,
        token: &RefreshToken,
    ) -> Result<JwtResponse, ClientError> {
        let token = Some(token.expose());
        self.client
            .call::<session::SelectTenant>(request, token)
            .await
    }

    /// Asks Descope to check a session JWT (`POST /v1/auth/validate`). The answer holds the claims of the JWT.
    ///
    /// Unlike in the JWT, times are RFC 3339 texts. To check each request of an app, use the session layer, which
    /// verifies a session JWT without a call to Descope.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn validate(self, token: &SessionToken) -> Result<Map<String, Value>, ClientError> {
        let (nothing, token) = (ValidateRequest::default(), Some(token.expose()));
        self.client.call::<session::Validate>(&nothing, token).await
    }

    /// Exchanges an access key for a session JWT (`POST /v1/auth/accesskey/exchange`).
    ///
    /// There is no refresh JWT: exchange the key again when the session JWT expires.
    ///
    /// # Errors
    ///
    /// E062803 when the access key is not valid; and as every call, see
    /// [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn exchange_access_key(
        self,
        key: &AccessKey,
        options: &AccessKeyLoginOptions,
    ) -> Result<AccessKeyExchangeResponse, ClientError> {
        let request = AccessKeyExchangeRequest {
            login_options: options.clone(),
        };
        let key = Some(key.expose());
        self.client
            .call::<session::ExchangeAccessKey>(&request, key)
            .await
    }

    async fn end<C: Call<Request = LogoutRequest>>(
        self,
        token: &RefreshToken,
    ) -> Result<(), ClientError> {
        let request = LogoutRequest::default();
        let token = Some(token.expose());
        let response = self.client.respond::<C>(None, &request, token).await;
        let response = response.inspect_err(|error| {
            let is_spent = error.code() == Some(api_code::TOKEN_LOGGED_OUT);
            if is_spent && error.is_definite_refusal() {
                tracing::warn!(
                    path = C::ENDPOINT.path,
                    "descope refused a sign-out: the refresh token was replaced or ended before, and the session that \
                     replaced it goes on; in a handler call Descope::end instead, which knows the new token"
                );
            }
        })?;
        reply::acknowledgement(&response)
    }
}
