//! Which members the answers of the routes may have. The OpenAPI document shows the same members.

use serde_json::{Map, Value};

use super::shape::MemberKind::{
    Flag, Flags, Free, List, Nested, NestedList, Own, Text, Token, Whole,
};
use super::shape::{Member, Shape, shape};
use crate::wire::endpoint::Answer;
use crate::wire::session::Acknowledgement;
use crate::wire::{
    HistoryEntry, JwtResponse, MaskedAddress, NotpLinkResponse, TenantsResponse, TotpEnrolment,
    UserProfile,
};

/// An answer of the API, and the members of it that the page may see.
pub(super) trait Shown: Answer {
    const SHAPE: Shape;

    #[cfg(feature = "utoipa")]
    const DOCUMENTED: Documented = match Self::IS_LIST {
        true => Documented::List(Self::SHAPE.name),
        false => Documented::Object(Self::SHAPE.name),
    };
}

/// How the OpenAPI document describes an answer.
#[cfg(feature = "utoipa")]
pub(super) enum Documented {
    /// The schema of that name.
    Object(&'static str),
    /// An array of objects with the schema of that name.
    List(&'static str),
    Empty,
    Claims,
}

impl Shown for MaskedAddress {
    const SHAPE: Shape = MASKED_ADDRESS;
}

impl Shown for TotpEnrolment {
    const SHAPE: Shape = TOTP_ENROLMENT;
}

impl Shown for NotpLinkResponse {
    const SHAPE: Shape = NOTP_LINK;
}

impl Shown for JwtResponse {
    const SHAPE: Shape = SESSION;
}

impl Shown for UserProfile {
    const SHAPE: Shape = USER;
}

impl Shown for TenantsResponse {
    const SHAPE: Shape = TENANTS;
}

impl Shown for Vec<HistoryEntry> {
    const SHAPE: Shape = HISTORY_ENTRY;
}

impl Shown for Acknowledgement {
    const SHAPE: Shape = NOTHING;

    #[cfg(feature = "utoipa")]
    const DOCUMENTED: Documented = Documented::Empty;
}

// Claims may have any name, so no shape can list them. The handler keeps those that the session JWT has.
impl Shown for Map<String, Value> {
    const SHAPE: Shape = NOTHING;

    #[cfg(feature = "utoipa")]
    const DOCUMENTED: Documented = Documented::Claims;
}

const NOTHING: Shape = shape("", &[]);

/// The answer to a call that sent a code.
pub(super) const MASKED_ADDRESS: Shape = shape(
    "MaskedAddress",
    &[
        ("maskedEmail", Text, "Where the code went, if by e-mail"),
        ("maskedPhone", Text, "Where the code went, if to a phone"),
        (
            "verificationAttempts",
            Whole,
            "How often the code may be tried",
        ),
    ],
);

pub(super) const TOTP_ENROLMENT: Shape = shape(
    "TotpEnrolment",
    &[
        ("provisioningURL", Text, "An otpauth:// URI"),
        ("image", Text, "The URI as a QR code: a PNG in base64"),
        ("key", Text, "The key in base32"),
    ],
);

pub(super) const NOTP_LINK: Shape = shape(
    "NotpLinkResponse",
    &[
        ("pendingRef", Text, "Reference for pending-session"),
        ("redirectUrl", Text, "Link that opens the messenger"),
        ("image", Text, "The link as a QR code: a PNG in base64"),
    ],
);

/// The answer to a call that issued tokens, which are moved into cookies.
pub(super) const SESSION: Shape = shape("SessionResponse", SESSION_MEMBERS);

/// The answer to such a call for a native app, which gets the tokens in the body.
pub(super) const NATIVE_SESSION: Shape = Shape {
    name: "NativeSessionResponse",
    members: SESSION_MEMBERS,
    shared: &[
        ("sessionJwt", Token, ""),
        ("refreshJwt", Token, ""),
        ("externalToken", Token, ""),
        ("trustedDeviceJwt", Token, ""),
        ("cookieDomain", Text, ""),
        ("cookiePath", Text, ""),
        ("cookieMaxAge", Whole, ""),
        ("cookieName", Text, ""),
        ("sessionCookieName", Text, ""),
        ("sessionCookieDomain", Text, ""),
    ],
};

// `idpResponse` is not among them: it holds the answer of an identity provider, possibly with that provider's tokens.
// It comes only with SSO, which is not mounted.
const SESSION_MEMBERS: &[Member] = &[
    ("user", Nested(&USER), ""),
    ("firstSeen", Flag, "Whether the user was created just now"),
    ("sessionExpiration", Whole, "Unix seconds"),
    ("cookieExpiration", Whole, "Unix seconds"),
    ("nextRefreshSeconds", Whole, "When to renew, if earlier"),
    ("claims", Free, "Claims of the session JWT"),
    ("tenantSSOID", Text, "The tenant's id for SSO"),
];

pub(super) const USER: Shape = shape(
    "UserProfile",
    &[
        ("userId", Text, "The id"),
        ("loginIds", List, "All login ids"),
        ("name", Text, "Display name"),
        ("givenName", Text, "First name"),
        ("middleName", Text, "Middle name"),
        ("familyName", Text, "Family name"),
        ("email", Text, "E-mail address"),
        ("verifiedEmail", Flag, "Whether it was verified"),
        ("phone", Text, "Number in E.164 form"),
        ("verifiedPhone", Flag, "Whether it was verified"),
        ("roleNames", List, "Roles in the project"),
        ("permissions", List, "Permissions in the project"),
        ("userTenants", NestedList(&USER_TENANT), "Tenants"),
        ("status", Text, "enabled, disabled or invited"),
        ("externalIds", List, "Ids in other systems"),
        ("picture", Text, "URL of the picture"),
        ("test", Flag, "Whether this is a test user"),
        ("customAttributes", Own, "Attributes of the project"),
        ("createdTime", Whole, "Unix seconds"),
        ("modifiedTime", Whole, "Unix seconds"),
        ("ssoAppIds", List, "SSO applications"),
        ("TOTP", Flag, "Whether an authenticator app is set up"),
        ("SAML", Flag, "Whether the user came through SAML"),
        ("SCIM", Flag, "Whether the user came through SCIM"),
        ("OIDC", Flag, "Whether the user came through OIDC"),
        ("OAuth", Flags, "OAuth providers in use"),
        ("webauthn", Flag, "Whether a passkey is set up"),
        ("password", Flag, "Whether a password is set"),
        ("push", Flag, "Whether push sign-in is set up"),
        ("editable", Flag, "Whether the user may be edited"),
    ],
);

pub(super) const USER_TENANT: Shape = shape(
    "UserTenant",
    &[
        ("tenantId", Text, "The id"),
        ("tenantName", Text, "The name"),
        ("roleNames", List, "Roles in the tenant"),
        ("permissions", List, "Permissions in the tenant"),
    ],
);

pub(super) const TENANTS: Shape = shape(
    "TenantsResponse",
    &[("tenants", NestedList(&TENANT_INFO), "Tenants")],
);

pub(super) const TENANT_INFO: Shape = shape(
    "TenantInfo",
    &[
        ("id", Text, "The id"),
        ("name", Text, "The name"),
        ("customAttributes", Free, "Attributes of the project"),
    ],
);

pub(super) const HISTORY_ENTRY: Shape = shape(
    "HistoryEntry",
    &[
        ("userId", Text, "The user's id"),
        ("loginTime", Whole, "Unix seconds"),
        ("city", Text, "City of the sign-in"),
        ("country", Text, "Country of the sign-in"),
        ("ip", Text, "IP address of the sign-in"),
        ("selectedTenant", Text, "The tenant that was selected"),
    ],
);
