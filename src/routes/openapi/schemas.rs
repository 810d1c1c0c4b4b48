//! The types of [`wire`](crate::wire) that the mounted routes read and write, as schemas.

use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, Type};

use self::Kind::{Flag, Free, List, Nested, NestedList, Required, Text, Texts, Whole};

/// An object.
pub(super) struct ObjectSchema {
    pub(super) name: &'static str,
    members: &'static [Member],
    /// Members that it shares with others.
    shared: &'static [Member],
}

type Member = (&'static str, Kind, &'static str);

enum Kind {
    /// A string that must be there and not be blank.
    Required,
    Text,
    Flag,
    Whole,
    /// Any object.
    Free,
    /// An object of strings.
    Texts,
    /// Strings.
    List,
    /// A schema of that name.
    Nested(&'static str),
    NestedList(&'static str),
}

impl ObjectSchema {
    pub(super) fn to_openapi(&self) -> ObjectBuilder {
        let mut object = ObjectBuilder::new();
        for (name, kind, about) in self.members.iter().chain(self.shared) {
            object = object.property(*name, kind.to_openapi(about));
            if matches!(kind, Required) {
                object = object.required(*name);
            }
        }
        object
    }
}

impl Kind {
    fn to_openapi(&self, about: &str) -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(kind);
        let text = || of(Type::String);
        let described = match self {
            Required => text().min_length(Some(1)),
            Text => text(),
            Flag => of(Type::Boolean),
            Whole => of(Type::Integer),
            Free => {
                of(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(true)))
            }
            Texts => of(Type::Object).additional_properties(Some(text())),
            List => {
                return ArrayBuilder::new()
                    .items(text())
                    .description(Some(about))
                    .into();
            }
            Nested(name) => return Ref::from_schema_name(*name).into(),
            NestedList(name) => {
                let items = Ref::from_schema_name(*name);
                return ArrayBuilder::new()
                    .items(items)
                    .description(Some(about))
                    .into();
            }
        };
        described.description(Some(about)).into()
    }
}

const fn object(name: &'static str, members: &'static [Member]) -> ObjectSchema {
    ObjectSchema {
        name,
        members,
        shared: &[],
    }
}

const LOGIN_ID: Member = ("loginId", Required, "One of the user's login ids");
const LOGIN_OPTIONS: Member = ("loginOptions", Nested("LoginOptions"), "");
const USER: Member = ("user", Nested("SignUpUser"), "");
const TEMPLATES: Member = ("templates", Nested("NotpTemplates"), "");
const PROVIDER_ID: Member = ("providerId", Text, "The messaging connector");
const TEMPLATE_ID: Member = ("templateId", Text, "The message template");
const SSO_APP_ID: Member = ("ssoAppId", Text, "The SSO application that starts it");
const ANY_LOGIN_ID: Member = (
    "loginId",
    Text,
    "May be empty: then the phone that sends the message tells who it is",
);

/// Flattened into the update requests.
const UPDATE_OPTIONS: &[Member] = &[
    ("addToLoginIDs", Flag, "Let the user sign in with it too"),
    (
        "onMergeUseExisting",
        Flag,
        "When another user has it: merge and keep the other one",
    ),
    (
        "failOnConflict",
        Flag,
        "When another user has it: refuse instead of merging",
    ),
    (
        "mfa",
        Flag,
        "Keep the factors of the session and add this one",
    ),
    PROVIDER_ID,
    TEMPLATE_ID,
    ("templateOptions", Texts, "Values for the template"),
    ("locale", Text, "The language of the message"),
];

/// All of them.
pub(super) const SCHEMAS: &[ObjectSchema] = &[
    object(
        "OtpSignUpRequest",
        &[
            LOGIN_ID,
            USER,
            LOGIN_OPTIONS,
            ("email", Text, "The address, on the e-mail route"),
            ("phone", Text, "The number, on the phone routes"),
            ("voice", Text, "The same, on the voice route"),
            ("whatsapp", Text, "The same, on the WhatsApp route"),
            PROVIDER_ID,
            TEMPLATE_ID,
        ],
    ),
    object(
        "OtpSignInRequest",
        &[
            LOGIN_ID,
            LOGIN_OPTIONS,
            PROVIDER_ID,
            TEMPLATE_ID,
            SSO_APP_ID,
        ],
    ),
    object(
        "OtpVerifyRequest",
        &[LOGIN_ID, ("code", Required, "The code")],
    ),
    ObjectSchema {
        name: "OtpUpdateEmailRequest",
        members: &[LOGIN_ID, ("email", Required, "Live once it is verified")],
        shared: UPDATE_OPTIONS,
    },
    ObjectSchema {
        name: "OtpUpdatePhoneRequest",
        members: &[LOGIN_ID, ("phone", Required, "Live once it is verified")],
        shared: UPDATE_OPTIONS,
    },
    object("TotpSignUpRequest", &[LOGIN_ID, USER, SSO_APP_ID]),
    object("TotpUpdateRequest", &[LOGIN_ID]),
    object(
        "TotpVerifyRequest",
        &[
            LOGIN_ID,
            ("code", Required, "What the authenticator app shows"),
            LOGIN_OPTIONS,
        ],
    ),
    object(
        "NotpSignUpRequest",
        &[
            ANY_LOGIN_ID,
            ("phone", Text, "The phone that will send the message"),
            USER,
            LOGIN_OPTIONS,
            PROVIDER_ID,
            TEMPLATES,
            SSO_APP_ID,
        ],
    ),
    object(
        "NotpSignInRequest",
        &[
            ANY_LOGIN_ID,
            LOGIN_OPTIONS,
            PROVIDER_ID,
            TEMPLATES,
            SSO_APP_ID,
        ],
    ),
    ObjectSchema {
        name: "NotpUpdateRequest",
        members: &[
            LOGIN_ID,
            ("phone", Required, "It has to send the message"),
            TEMPLATES,
            SSO_APP_ID,
        ],
        shared: UPDATE_OPTIONS,
    },
    object(
        "PendingSessionRequest",
        &[("pendingRef", Required, "As NotpLinkResponse has it")],
    ),
    object(
        "RefreshRequest",
        &[("externalToken", Text, "Read, and not passed on")],
    ),
    object(
        "LogoutRequest",
        &[("logoutType", List, "Which sessions to end")],
    ),
    object(
        "MyTenantsRequest",
        &[
            ("dct", Flag, "The current tenant only"),
            ("ids", List, "These tenants only"),
        ],
    ),
    object(
        "TenantSelectRequest",
        &[("tenant", Required, "The tenant's id")],
    ),
    object(
        "LoginOptions",
        &[
            ("stepup", Flag, "Raise the session; needs one"),
            ("mfa", Flag, "Add a factor to the session; needs one"),
            ("customClaims", Free, "They arrive under nsec"),
            TEMPLATE_ID,
            ("templateOptions", Texts, "Values for the template"),
            ("locale", Text, "The language of the message"),
            ("pkceChallenge", Text, "RFC 7636"),
            SSO_APP_ID,
            ("tenantId", Text, "The tenant to sign in to"),
            ("revokeOtherSessions", Flag, "End the user's other sessions"),
            ("revokeOtherSessionsTypes", List, "Which of them"),
        ],
    ),
    object(
        "SignUpUser",
        &[
            ("loginId", Text, "Repeats the login id"),
            ("name", Text, "Display name"),
            ("phone", Text, "Number in E.164 form"),
            ("email", Text, "E-mail address"),
            ("givenName", Text, "First name"),
            ("middleName", Text, "Middle name"),
            ("familyName", Text, "Family name"),
        ],
    ),
    object(
        "NotpTemplates",
        &[
            ("verifyTemplateId", Text, "The pre-filled message"),
            ("successTemplateId", Text, "The answer to a good message"),
            ("errorTemplateId", Text, "The answer to a bad message"),
        ],
    ),
    object(
        "MaskedAddress",
        &[
            ("maskedEmail", Text, "Of the e-mail routes"),
            ("maskedPhone", Text, "Of the phone routes"),
            (
                "verificationAttempts",
                Whole,
                "How often the code may be tried",
            ),
        ],
    ),
    object(
        "TotpEnrolment",
        &[
            ("provisioningURL", Text, "An otpauth:// URI"),
            ("image", Text, "The URI as a QR code: a PNG in base64"),
            ("key", Text, "The key in base32"),
        ],
    ),
    object(
        "NotpLinkResponse",
        &[
            ("pendingRef", Text, "What to poll with"),
            ("redirectUrl", Text, "Opens the messenger"),
            ("image", Text, "The link as a QR code: a PNG in base64"),
        ],
    ),
    object(
        "SessionResponse",
        &[
            ("user", Nested("UserProfile"), ""),
            ("firstSeen", Flag, "Whether the user was created just now"),
            ("sessionExpiration", Whole, "Unix seconds"),
            ("cookieExpiration", Whole, "Unix seconds"),
            ("nextRefreshSeconds", Whole, "When to renew, if earlier"),
            ("claims", Free, "Of the session JWT"),
        ],
    ),
    object(
        "UserProfile",
        &[
            ("userId", Text, "The id"),
            ("loginIds", List, "All names to sign in under"),
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
            ("userTenants", NestedList("UserTenant"), "Tenants"),
            ("status", Text, "enabled, disabled or invited"),
            ("externalIds", List, "Ids in other systems"),
            ("picture", Text, "Its URL"),
            ("test", Flag, "Whether this is a test user"),
            ("customAttributes", Free, "The project's own"),
            ("createdTime", Whole, "Unix seconds"),
            ("modifiedTime", Whole, "Unix seconds"),
            ("ssoAppIds", List, "SSO applications"),
            ("TOTP", Flag, "Whether an authenticator app is set up"),
            ("SAML", Flag, "Whether the user came through SAML"),
            ("SCIM", Flag, "Whether the user came through SCIM"),
            ("OAuth", Free, "OAuth providers in use"),
            ("webauthn", Flag, "Whether a passkey is set up"),
            ("password", Flag, "Whether a password is set"),
            ("push", Flag, "Whether push sign-in is set up"),
            ("editable", Flag, "Whether the user may be edited"),
        ],
    ),
    object(
        "UserTenant",
        &[
            ("tenantId", Text, "The id"),
            ("tenantName", Text, "The name"),
            ("roleNames", List, "Roles in it"),
            ("permissions", List, "Permissions in it"),
        ],
    ),
    object(
        "TenantsResponse",
        &[("tenants", NestedList("TenantInfo"), "Tenants")],
    ),
    object(
        "TenantInfo",
        &[
            ("id", Text, "The id"),
            ("name", Text, "The name"),
            ("customAttributes", Free, "The project's own"),
        ],
    ),
    object(
        "HistoryEntry",
        &[
            ("userId", Text, "The user's id"),
            ("loginTime", Whole, "Unix seconds"),
            ("city", Text, "From where"),
            ("country", Text, "From where"),
            ("ip", Text, "From where"),
            ("selectedTenant", Text, "Into which tenant"),
        ],
    ),
    object(
        "ErrorBody",
        &[
            ("errorCode", Text, "Descope's code, or one of ours"),
            ("errorDescription", Text, "What it means"),
            ("errorMessage", Text, "What went wrong this time"),
            ("message", Text, "A copy of errorMessage"),
        ],
    ),
];
