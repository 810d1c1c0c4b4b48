//! What a request has to look like before anything of it goes upstream.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::RouteError;
use crate::client::NotpProvider;
use crate::descope::Descope;
use crate::wire::{
    DeliveryMethod, LogoutRequest, MyTenantsRequest, NotpSignInRequest, NotpSignUpRequest,
    NotpUpdateRequest, OtpSignInRequest, OtpSignUpRequest, OtpUpdateEmailRequest,
    OtpUpdatePhoneRequest, OtpVerifyRequest, PendingSessionRequest, RefreshRequest,
    TenantSelectRequest, TotpSignUpRequest, TotpUpdateRequest, TotpVerifyRequest,
};

/// Largest body that is read. The largest that the SDKs send, a sign-up with custom claims, has a tenth of it.
pub(super) const MAX_BODY: usize = 16 * 1024;

/// A JSON object as a type of the API. Members that the type does not know are left behind.
pub(super) struct Input<T>(pub(super) T);

/// The same where SDKs send nothing at all.
pub(super) struct OptionalInput<T>(pub(super) T);

/// What a type demands of its members.
pub(super) trait Check {
    /// Trims the login id, and refuses a request that lacks what the call needs.
    fn check(&mut self) -> Result<(), RouteError> {
        Ok(())
    }
}

impl<T> FromRequest<Descope> for Input<T>
where
    T: DeserializeOwned + Check,
{
    type Rejection = RouteError;

    async fn from_request(request: Request, descope: &Descope) -> Result<Self, RouteError> {
        if content_type(request.headers())? == ContentType::Missing {
            return Err(RouteError::unsupported_media_type());
        }
        Ok(Self(parse(&read(request, descope).await?)?))
    }
}

impl<T> FromRequest<Descope> for OptionalInput<T>
where
    T: DeserializeOwned + Default + Check,
{
    type Rejection = RouteError;

    async fn from_request(request: Request, descope: &Descope) -> Result<Self, RouteError> {
        let content_type = content_type(request.headers())?;
        let body = read(request, descope).await?;
        if body.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        if content_type == ContentType::Missing {
            return Err(RouteError::unsupported_media_type());
        }
        Ok(Self(parse(&body)?))
    }
}

#[derive(PartialEq)]
enum ContentType {
    Json,
    Missing,
}

/// Pages of other origins can send forms and plain text without asking first, so these are no JSON, whatever is in
/// them.
fn content_type(headers: &HeaderMap) -> Result<ContentType, RouteError> {
    let mut fields = headers.get_all(CONTENT_TYPE).into_iter();
    let Some(field) = fields.next() else {
        return Ok(ContentType::Missing);
    };
    let essence = field.as_bytes().split(|byte| *byte == b';').next();
    let is_json = essence.is_some_and(|essence| {
        essence
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/json")
    });
    if is_json && fields.next().is_none() {
        Ok(ContentType::Json)
    } else {
        Err(RouteError::unsupported_media_type())
    }
}

/// The body, at most [`MAX_BODY`] of it; the router sets the limit. All of it has to come in time: a client that sends a
/// byte now and then would hold the connection and the task for as long as it likes.
async fn read(request: Request, descope: &Descope) -> Result<Bytes, RouteError> {
    let body = Bytes::from_request(request, descope);
    tokio::time::timeout(descope.project().body_timeout, body)
        .await
        .map_err(|_| RouteError::request_timeout())?
        .map_err(|rejection| match rejection.status() {
            http::StatusCode::PAYLOAD_TOO_LARGE => RouteError::body_too_large(),
            _ => RouteError::malformed(),
        })
}

fn parse<T: DeserializeOwned + Check>(body: &[u8]) -> Result<T, RouteError> {
    // serde's structs accept arrays too.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(RouteError::malformed());
    }
    let mut request: T = serde_json::from_slice(body).map_err(|_| RouteError::malformed())?;
    request.check()?;
    Ok(request)
}

/// The delivery method in the path.
pub(super) struct Method(pub(super) DeliveryMethod);

/// The delivery method in the path of a call that is about phone numbers.
pub(super) struct PhoneMethod(pub(super) DeliveryMethod);

/// The messenger in the path.
pub(super) struct Provider(pub(super) NotpProvider);

impl<S: Send + Sync> FromRequestParts<S> for Method {
    type Rejection = RouteError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RouteError> {
        segment(parts, state, "method", |text| text.parse().ok().map(Self)).await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PhoneMethod {
    type Rejection = RouteError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RouteError> {
        let Method(method) = Method::from_request_parts(parts, state).await?;
        if method.is_phone() {
            Ok(Self(method))
        } else {
            Err(RouteError::not_found())
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Provider {
    type Rejection = RouteError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RouteError> {
        segment(parts, state, "provider", |text| {
            let whatsapp = NotpProvider::Whatsapp;
            (text == whatsapp.as_str()).then_some(Self(whatsapp))
        })
        .await
    }
}

/// A segment becomes one of a few known values or a 404, so nothing that a client made up is in an upstream path.
async fn segment<S: Send + Sync, T>(
    parts: &mut Parts,
    state: &S,
    name: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, RouteError> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| RouteError::not_found())?;
    // The prefix may have a parameter of the same name; ours comes last.
    let value = params.iter().filter(|(key, _)| *key == name).last();
    value
        .and_then(|(_, text)| read(text))
        .ok_or_else(RouteError::not_found)
}

fn trim(login_id: &mut String) {
    let trimmed = login_id.trim();
    if trimmed.len() != login_id.len() {
        *login_id = trimmed.to_owned();
    }
}

fn require(member: &'static str, value: &str) -> Result<(), RouteError> {
    if value.trim().is_empty() {
        Err(RouteError::required(member))
    } else {
        Ok(())
    }
}

/// The login id, and members that must not be empty.
macro_rules! check {
    ($($request:ty: $($member:ident $name:literal),*;)*) => {$(
        impl Check for $request {
            fn check(&mut self) -> Result<(), RouteError> {
                trim(&mut self.login_id);
                $(require($name, &self.$member)?;)*
                Ok(())
            }
        }
    )*};
}

check! {
    OtpSignUpRequest: login_id "loginId";
    OtpSignInRequest: login_id "loginId";
    OtpVerifyRequest: login_id "loginId", code "code";
    OtpUpdateEmailRequest: login_id "loginId", email "email";
    OtpUpdatePhoneRequest: login_id "loginId", phone "phone";
    TotpSignUpRequest: login_id "loginId";
    TotpUpdateRequest: login_id "loginId";
    TotpVerifyRequest: login_id "loginId", code "code";
    // The phone that sends the message tells who it is.
    NotpSignUpRequest:;
    NotpSignInRequest:;
    NotpUpdateRequest: login_id "loginId", phone "phone";
}

impl Check for PendingSessionRequest {
    fn check(&mut self) -> Result<(), RouteError> {
        require("pendingRef", &self.pending_ref)
    }
}

impl Check for TenantSelectRequest {
    fn check(&mut self) -> Result<(), RouteError> {
        require("tenant", &self.tenant)
    }
}

impl Check for RefreshRequest {}
impl Check for LogoutRequest {}
impl Check for MyTenantsRequest {}
