use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::rejection::AuthRejection;
use crate::user::User;

/// Extracts the claims of the session JWT as a type of your own.
///
/// Claims that the type does not name are ignored. If the claims do not have the form of the type, the answer is 403,
/// not 500: a token of a service that has no `email`, for example, is no defect of the app.
///
/// ```
/// # #[cfg(feature = "routes")] {
/// use axum::{Router, routing::get};
/// use tower_descope::Claims;
///
/// #[derive(serde::Deserialize)]
/// struct Subscription {
///     plan: String,
/// }
///
/// async fn plan(Claims(subscription): Claims<Subscription>) -> String {
///     subscription.plan
/// }
///
/// let app: Router = Router::new().route("/plan", get(plan));
/// # let _ = app; }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Claims<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Claims<T> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let claims = User::from_extensions(&parts.extensions).and_then(|user| user.claims_as());
        claims
            .map(Self)
            .map_err(|error| AuthRejection::of(error, parts))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequestParts<S> for Claims<T> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        let claims = User::optional_from_extensions(&parts.extensions)
            .and_then(|user| user.map(|user| user.claims_as().map(Self)).transpose());
        claims.map_err(|error| AuthRejection::of(error, parts))
    }
}
