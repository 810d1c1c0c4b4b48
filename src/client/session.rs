//! Sessions, and the user behind one.

use serde_json::{Map, Value};

use super::error::ClientError;
use super::{AccessKey, Client, RefreshToken, SessionToken, reply};
use crate::wire::endpoint::Call;
use crate::wire::session::{NoBody, ValidateRequest};
use crate::wire::{
    AccessKeyExchangeRequest, AccessKeyExchangeResponse, AccessKeyLoginOptions, HistoryEntry,
    JwtResponse, LogoutRequest, MyTenantsRequest, RefreshRequest, TenantSelectRequest,
    TenantsResponse, UserProfile, code, session,
};

/// Calls that need a token of the user; see [`Client::session`].
///
/// All but two take the refresh JWT. Tokens in the answers are as Descope sent them: nothing here checks a
/// signature.
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'a> {
    pub(super) client: &'a Client,
}

impl Sessions<'_> {
    /// Renews the session (`POST /v1/auth/refresh`).
    ///
    /// The answer has a new session JWT. A refresh JWT is in it only when the project rotates them; the old one
    /// is dead then. Never repeated after a connection was established.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn refresh(self, token: &RefreshToken) -> Result<JwtResponse, ClientError> {
        let request = RefreshRequest::default();
        let token = Some(token.expose());
        self.client.call::<session::Refresh>(&request, token).await
    }

    /// Renews the session if the token is still good (`POST /v1/auth/try-refresh`).
    ///
    /// `None` when Descope answers with an empty object, which it does instead of refusing the token.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
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

    /// Ends the session (`POST /v1/auth/logout`), at Descope and nowhere else.
    ///
    /// **In a handler of a web app this does not sign anybody out.** The session layer may have renewed on the same
    /// request, and then the refresh JWT of the `Cookie` header is spent: Descope refuses it with E064001, the new one
    /// lives on, and a warning in the log says so. With a living one, session and cookies go on working in this process
    /// until they expire. The mounted route does all of it, also when a handler calls it: see
    #[cfg_attr(
        feature = "routes",
        doc = "[Signing out from a handler](crate::routes#signing-out-from-a-handler)."
    )]
    #[cfg_attr(
        not(feature = "routes"),
        doc = "the module `routes` (feature `routes`)."
    )]
    ///
    /// For jobs and command line tools, which hold the token themselves, the call is complete. A process that also
    /// verifies tokens stops doing so with [`Descope::revoke`](crate::Descope::revoke).
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn logout(self, token: &RefreshToken) -> Result<(), ClientError> {
        self.end::<session::Logout>(token).await
    }

    /// Ends all sessions of the user (`POST /v1/auth/logoutall`), at Descope and nowhere else.
    ///
    /// What [`logout`](Self::logout) says about handlers holds here too.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn logout_all(self, token: &RefreshToken) -> Result<(), ClientError> {
        self.end::<session::LogoutAll>(token).await
    }

    /// The user object (`GET /v1/auth/me`).
    ///
    /// Repeated once when the connection fails.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn me(self, token: &RefreshToken) -> Result<UserProfile, ClientError> {
        let (none, token) = (NoBody::default(), Some(token.expose()));
        self.client.call::<session::Me>(&none, token).await
    }

    /// The tenants of the user (`POST /v1/auth/me/tenants`).
    ///
    /// A request that asks for both the current tenant and a list, or for neither, is refused without a call.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
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

    /// The sign-ins of the user (`GET /v1/auth/me/history`).
    ///
    /// Repeated once when the connection fails.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn history(self, token: &RefreshToken) -> Result<Vec<HistoryEntry>, ClientError> {
        let (none, token) = (NoBody::default(), Some(token.expose()));
        self.client.call::<session::History>(&none, token).await
    }

    /// Moves the session into a tenant (`POST /v1/auth/tenant/select`).
    ///
    /// The tokens of the answer carry the tenant as `dct`.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
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

    /// Has Descope check a session JWT (`POST /v1/auth/validate`); the answer is its claims.
    ///
    /// Unlike in the JWT, times are RFC 3339 texts. For a check per request use the session layer, which needs no
    /// network.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn validate(self, token: &SessionToken) -> Result<Map<String, Value>, ClientError> {
        let (nothing, token) = (ValidateRequest::default(), Some(token.expose()));
        self.client.call::<session::Validate>(&nothing, token).await
    }

    /// Turns an access key into a session JWT (`POST /v1/auth/accesskey/exchange`).
    ///
    /// E062803 when the key is not valid. There is no refresh JWT: exchange again when the session JWT runs out.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
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
            let is_spent = error.code() == Some(code::TOKEN_LOGGED_OUT);
            if is_spent && error.is_definite_refusal() {
                tracing::warn!(
                    path = C::ENDPOINT.path,
                    "descope refused a sign-out: the refresh token was replaced or ended before, and the session that \
                     replaced it goes on; in a handler below a session layer, send the request to \
                     Descope::routes_service() instead, which knows the new token (see the module `routes`)"
                );
            }
        })?;
        reply::acknowledgement(&response)
    }
}
