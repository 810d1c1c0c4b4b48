//! The calls of the API as rows: one type per call, beside the types of its request and its answer.
//!
//! A row says everything about a call that is not logic. The client's methods, the mounted routes, their OpenAPI
//! document and the table in their documentation are made from it, so that none of them can say anything else.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{DeliveryMethod, LoginOptions, NotpProvider};

/// A call of Descope's API.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path, at Descope and below the mount point alike. `{method}` stands for a [`DeliveryMethod`],
    /// `{provider}` for a [`NotpProvider`].
    pub path: &'static str,
    /// The call of [`Client`](crate::Client) that does the same.
    pub call: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What the caller has to show, next to the project id.
    pub credential: Credential,
    /// What the call is for.
    pub purpose: Purpose,
    /// Whether the answer signs in or renews, so that the mounted route sets cookies.
    pub issues_tokens: bool,
}

/// What a call wants to see next to the project id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Credential {
    /// Nothing.
    Nothing,
    /// The refresh JWT, if the login options ask for `stepup` or `mfa`; else nothing.
    StepUp,
    /// The refresh JWT.
    Refresh,
    /// The session JWT.
    Session,
    /// An access key.
    AccessKey,
}

impl Credential {
    /// In words, as the documentation shows it.
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
    /// Begins a sign-up, which creates the user when it is verified.
    SignUp,
    /// Begins a sign-in of a user who exists.
    SignIn,
    /// Begins either.
    SignUpOrIn,
    /// Begins to change how a signed-in user signs in.
    Update,
    /// Ends what one of these has begun, with a code.
    Verify,
    /// Asks again and again whether it has ended.
    Poll,
    /// Renews a session or moves it.
    Renew,
    /// Ends a session.
    SignOut,
    /// Reads what belongs to a session. Descope's browser SDK takes a refusal for the end of the session.
    Read,
}

impl Endpoint {
    /// A call that needs no credential.
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

    /// The same for a call that changes nothing.
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

    /// What stands for one of several values in the path.
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

    /// The path with this value in it. `None` if the path has a parameter and this is none of its values, so that
    /// nothing that a caller made up gets into a path.
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
    /// How a code travels.
    Method,
    /// The same for a call that is about phone numbers.
    PhoneMethod,
    /// A messenger.
    Provider,
}

impl Parameter {
    /// As it stands in the braces.
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

/// A row: the facts of a call, with the types of what is sent and what comes back.
pub(crate) trait Call: 'static {
    type Request: Request;
    type Answer: Answer;

    const ENDPOINT: Endpoint;
}

/// Whether a call has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Required,
    /// SDKs send nothing at all in some versions.
    Optional,
    None,
}

/// Has a schema for the OpenAPI document, where there is one.
#[cfg(feature = "utoipa")]
pub(crate) use utoipa::ToSchema as Described;

/// Has a schema for the OpenAPI document, where there is one.
#[cfg(not(feature = "utoipa"))]
pub(crate) trait Described {}

#[cfg(not(feature = "utoipa"))]
impl<T> Described for T {}

/// What a call sends.
pub(crate) trait Request:
    Serialize + DeserializeOwned + Default + Described + Send + Sync
{
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    const BODY: Body = Body::Required;

    /// Members that must not be blank, with their values.
    fn required(&self) -> Vec<(Required, &str)> {
        Vec::new()
    }

    /// The login id, for the routes to trim. A user may type a blank.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    fn login_id_mut(&mut self) -> Option<&mut String> {
        None
    }

    /// What says whether [`Credential::StepUp`] is needed.
    fn login_options(&self) -> Option<&LoginOptions> {
        None
    }

    /// The first member that has to be there and is blank.
    fn missing(&self) -> Option<Required> {
        let mut members = self.required().into_iter();
        members.find_map(|(member, value)| value.trim().is_empty().then_some(member))
    }
}

/// A member that must not be blank.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Required {
    /// Its name on the wire.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) member: &'static str,
    /// What the client's error says.
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

/// What comes back.
pub(crate) trait Answer: DeserializeOwned {
    /// At least one of these members has to be there and not be empty; else the answer is refused, because it does not
    /// belong to this call. Without names any answer will do.
    const NEEDS: &'static [&'static str];
    /// Whether an object with nothing in it is an answer, too.
    const MAY_BE_BLANK: bool = false;
    /// Whether it is an array.
    const IS_LIST: bool = false;
    /// Whether tokens are in it, or in cookies beside it.
    const ISSUES_TOKENS: bool = false;

    /// Notes that the client has received it from Descope.
    fn received(self) -> Self {
        self
    }
}

/// Whether an object has nothing in it.
pub(crate) fn is_blank(members: &Map<String, Value>) -> bool {
    members.values().all(Value::is_null)
}

/// Whether an object has what [`Answer::NEEDS`] names.
pub(crate) fn has_needed<A: Answer>(members: &Map<String, Value>) -> bool {
    let is_there = |name: &&str| match members.get(*name) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(value) => !value.is_null(),
        None => false,
    };
    A::NEEDS.is_empty() || A::NEEDS.iter().any(is_there)
}
