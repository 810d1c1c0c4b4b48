//! A table of the API's calls. Each row is one type that implements `Call`, and stands in the file that also defines
//! the types of its request and its answer.
//!
//! A row holds the facts of a call: method, path, credential, request type, answer type. The client's methods, the
//! mounted routes, their OpenAPI document and the table in their documentation are all made from the rows, so they
//! cannot contradict each other.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{DeliveryMethod, LoginOptions, NotpProvider};

/// Describes one call of Descope's API.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path. It is the same at Descope and below the point where an app mounts the routes. `{method}` stands for a
    /// [`DeliveryMethod`], `{provider}` for a [`NotpProvider`].
    pub path: &'static str,
    /// The method of [`Client`](crate::Client) that makes this call, such as `otp().sign_in`.
    pub call: &'static str,
    /// What the call does, in one line.
    pub summary: &'static str,
    /// What the caller has to send, besides the project id.
    pub credential: Credential,
    /// What the call is for.
    pub purpose: Purpose,
    /// Whether a successful answer holds new tokens. If so, the mounted route sets cookies.
    pub issues_tokens: bool,
}

/// The credential that a call needs, besides the project id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Credential {
    /// None: the project id is enough.
    Nothing,
    /// The refresh JWT if the login options of the request ask for `stepup` or `mfa`, otherwise none.
    StepUp,
    /// The refresh JWT.
    Refresh,
    /// The session JWT.
    Session,
    /// An access key.
    AccessKey,
}

impl Credential {
    /// The credential in words, as the table of the mounted routes shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::StepUp => "refresh JWT for step-up and MFA",
            Self::Refresh => "refresh JWT",
            Self::Session => "session JWT",
            Self::AccessKey => "access key",
        }
    }
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Begins a sign-up. The user is created when the sign-up is verified.
    SignUp,
    /// Begins the sign-in of a user who exists already.
    SignIn,
    /// Begins a sign-in if the user exists, otherwise a sign-up.
    SignUpOrIn,
    /// Begins to change the address, the phone or the authenticator app with which a signed-in user signs in.
    Update,
    /// Completes a sign-up, a sign-in or an update with the code that the user entered.
    Verify,
    /// Asks whether the user has completed an nOTP sign-up, sign-in or update. A page repeats this call until it is so.
    Poll,
    /// Renews a session, or moves it into another tenant.
    Renew,
    /// Ends a session.
    SignOut,
    /// Reads data of a session or of its user. Descope's browser SDK treats a refusal of such a call as the end of the
    /// session.
    Read,
}

impl Endpoint {
    /// A POST that needs no credential and issues no tokens.
    pub(super) const fn post(
        path: &'static str,
        call: &'static str,
        purpose: Purpose,
        summary: &'static str,
    ) -> Self {
        Self {
            method: "POST",
            path,
            call,
            summary,
            credential: Credential::Nothing,
            purpose,
            issues_tokens: false,
        }
    }

    /// A GET that needs no credential and issues no tokens.
    pub(super) const fn get(
        path: &'static str,
        call: &'static str,
        purpose: Purpose,
        summary: &'static str,
    ) -> Self {
        let mut endpoint = Self::post(path, call, purpose, summary);
        endpoint.method = "GET";
        endpoint
    }

    pub(super) const fn with(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// The variable part of the path, if it has one.
    pub(crate) fn parameter(&self) -> Option<Parameter> {
        if self.path.ends_with("/phone/{method}") {
            Some(Parameter::PhoneMethod)
        } else if self.path.contains("{method}") {
            Some(Parameter::Method)
        } else if self.path.contains("{provider}") {
            Some(Parameter::Provider)
        } else {
            None
        }
    }

    /// The path with `value` in the place of its parameter. `None` if the path has a parameter and `value` is not one
    /// of the parameter's known values: text that a caller made up never becomes part of a path.
    pub(crate) fn path_with(&self, value: Option<&str>) -> Option<Cow<'static, str>> {
        let Some(parameter) = self.parameter() else {
            return Some(Cow::Borrowed(self.path));
        };
        let value = value?;
        let is_known = parameter.values().any(|known| known == value);
        let placeholder = format!("{{{}}}", parameter.name());
        is_known.then(|| Cow::Owned(self.path.replace(&placeholder, value)))
    }
}

/// A variable part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    /// A [`DeliveryMethod`].
    Method,
    /// A [`DeliveryMethod`] that reaches a phone.
    PhoneMethod,
    /// A [`NotpProvider`].
    Provider,
}

impl Parameter {
    /// The name of the parameter in the braces of a path.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Method | Self::PhoneMethod => "method",
            Self::Provider => "provider",
        }
    }

    pub(crate) fn values(self) -> impl Iterator<Item = &'static str> {
        let methods = DeliveryMethod::ALL
            .into_iter()
            .filter(move |it| match self {
                Self::Method => true,
                Self::PhoneMethod => it.is_phone(),
                Self::Provider => false,
            });
        let providers = (self == Self::Provider).then_some(NotpProvider::Whatsapp);
        methods
            .map(DeliveryMethod::as_str)
            .chain(providers.map(NotpProvider::as_str))
    }
}

/// A row of the table: the facts of one call, with the types of its request and its answer.
pub(crate) trait Call: 'static {
    type Request: Request;
    type Answer: Answer;

    const ENDPOINT: Endpoint;
}

/// Whether a call has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Required,
    /// Some versions of the official SDKs send no body with this call.
    Optional,
    None,
}

/// A type with a schema for the OpenAPI document. Without the feature `utoipa` every type counts as one.
#[cfg(feature = "utoipa")]
pub(crate) use utoipa::ToSchema as Described;

/// A type with a schema for the OpenAPI document. Without the feature `utoipa` every type counts as one.
#[cfg(not(feature = "utoipa"))]
pub(crate) trait Described {}

#[cfg(not(feature = "utoipa"))]
impl<T> Described for T {}

/// The body of a call's request.
pub(crate) trait Request:
    Serialize + DeserializeOwned + Default + Described + Send + Sync
{
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    const BODY: Body = Body::Required;

    /// Members that must not be blank, with their values.
    fn required(&self) -> Vec<(Required, &str)> {
        Vec::new()
    }

    /// The login id, which the mounted routes trim: a user may have typed a blank before or after it.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    fn login_id_mut(&mut self) -> Option<&mut String> {
        None
    }

    /// The login options, which decide whether a call with [`Credential::StepUp`] needs the refresh JWT.
    fn login_options(&self) -> Option<&LoginOptions> {
        None
    }

    /// The first required member that is blank.
    fn missing(&self) -> Option<Required> {
        let mut members = self.required().into_iter();
        members.find_map(|(member, value)| value.trim().is_empty().then_some(member))
    }
}

/// A member that must not be blank.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Required {
    /// The member's name in the JSON body.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) member: &'static str,
    /// The text of the client's error when the member is blank.
    pub(crate) empty: &'static str,
}

impl Required {
    const fn new(member: &'static str, empty: &'static str) -> Self {
        Self { member, empty }
    }
}

pub(super) const LOGIN_ID: Required = Required::new("loginId", "the login id is empty");
pub(super) const CODE: Required = Required::new("code", "the code is empty");
pub(super) const EMAIL: Required = Required::new("email", "the e-mail address is empty");
pub(super) const PHONE: Required = Required::new("phone", "the phone number is empty");
pub(super) const PENDING_REF: Required =
    Required::new("pendingRef", "the pending reference is empty");
pub(super) const TENANT: Required = Required::new("tenant", "the tenant id is empty");

/// The body of a successful answer.
pub(crate) trait Answer: DeserializeOwned {
    /// At least one of these members has to be present and not empty. Otherwise the answer is refused, because it
    /// cannot be an answer to this call. An empty list of names accepts every answer.
    const NEEDS: &'static [&'static str];
    /// Whether an object without members, or with `null` members only, is accepted too.
    const MAY_BE_BLANK: bool = false;
    /// Whether the answer is a JSON array and not an object.
    const IS_LIST: bool = false;
    /// Whether the answer carries tokens, in its body or in `Set-Cookie` headers.
    const ISSUES_TOKENS: bool = false;

    /// Notes that the client has received it from Descope.
    fn received(self) -> Self {
        self
    }
}

/// Whether an object has no members, or only `null` ones.
pub(crate) fn is_blank(members: &Map<String, Value>) -> bool {
    members.values().all(Value::is_null)
}

/// Whether an object has one of the members that [`Answer::NEEDS`] names, not empty.
pub(crate) fn has_needed<A: Answer>(members: &Map<String, Value>) -> bool {
    let is_there = |name: &&str| match members.get(*name) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(value) => !value.is_null(),
        None => false,
    };
    A::NEEDS.is_empty() || A::NEEDS.iter().any(is_there)
}
