//! The types of [`wire`](crate::wire) that the mounted routes read and write, as schemas.

use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, Type};

use crate::routes::shape::MemberKind::{
    Flag, Flags, Free, List, Nested, NestedList, Own, Text, Texts, Token, Whole,
};
use crate::routes::shape::{Member, MemberKind, Shape, shape};
use crate::routes::visible_members;

impl Shape {
    /// `required` names the members that have to be there and must not be blank.
    pub(super) fn to_openapi(&self, required: &[&str]) -> ObjectBuilder {
        let mut object = ObjectBuilder::new();
        for (name, kind, about) in self.members.iter().chain(self.shared) {
            if required.contains(name) {
                let text = ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some(1))
                    .description(Some(*about));
                object = object.property(*name, text).required(*name);
            } else {
                object = object.property(*name, kind.to_openapi(about));
            }
        }
        object
    }
}

impl MemberKind {
    fn to_openapi(&self, about: &str) -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(kind);
        let text = || of(Type::String);
        let described = match self {
            Text | Token => text(),
            Flag => of(Type::Boolean),
            Whole => of(Type::Integer),
            Free | Own => {
                of(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(true)))
            }
            Texts => of(Type::Object).additional_properties(Some(text())),
            Flags => of(Type::Object).additional_properties(Some(of(Type::Boolean))),
            List => {
                return ArrayBuilder::new()
                    .items(text())
                    .description(Some(about))
                    .into();
            }
            Nested(shape) => return Ref::from_schema_name(shape.name).into(),
            NestedList(shape) => {
                let items = Ref::from_schema_name(shape.name);
                return ArrayBuilder::new()
                    .items(items)
                    .description(Some(about))
                    .into();
            }
        };
        described.description(Some(about)).into()
    }
}

const LOGIN_ID: Member = ("loginId", Text, "One of the user's login ids");
const LOGIN_OPTIONS: Member = ("loginOptions", Nested(&LOGIN_OPTIONS_SHAPE), "");
const USER: Member = ("user", Nested(&SIGN_UP_USER), "");
const TEMPLATES: Member = ("templates", Nested(&NOTP_TEMPLATES), "");
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

const LOGIN_OPTIONS_SHAPE: Shape = shape(
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
);

const SIGN_UP_USER: Shape = shape(
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
);

const NOTP_TEMPLATES: Shape = shape(
    "NotpTemplates",
    &[
        ("verifyTemplateId", Text, "The pre-filled message"),
        ("successTemplateId", Text, "The answer to a good message"),
        ("errorTemplateId", Text, "The answer to a bad message"),
    ],
);

/// All of them.
pub(super) const SCHEMAS: &[Shape] = &[
    shape(
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
    shape(
        "OtpSignInRequest",
        &[
            LOGIN_ID,
            LOGIN_OPTIONS,
            PROVIDER_ID,
            TEMPLATE_ID,
            SSO_APP_ID,
        ],
    ),
    shape("OtpVerifyRequest", &[LOGIN_ID, ("code", Text, "The code")]),
    Shape {
        name: "OtpUpdateEmailRequest",
        members: &[LOGIN_ID, ("email", Text, "Live once it is verified")],
        shared: UPDATE_OPTIONS,
    },
    Shape {
        name: "OtpUpdatePhoneRequest",
        members: &[LOGIN_ID, ("phone", Text, "Live once it is verified")],
        shared: UPDATE_OPTIONS,
    },
    shape("TotpSignUpRequest", &[LOGIN_ID, USER, SSO_APP_ID]),
    shape("TotpUpdateRequest", &[LOGIN_ID]),
    shape(
        "TotpVerifyRequest",
        &[
            LOGIN_ID,
            ("code", Text, "What the authenticator app shows"),
            LOGIN_OPTIONS,
        ],
    ),
    shape(
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
    shape(
        "NotpSignInRequest",
        &[
            ANY_LOGIN_ID,
            LOGIN_OPTIONS,
            PROVIDER_ID,
            TEMPLATES,
            SSO_APP_ID,
        ],
    ),
    Shape {
        name: "NotpUpdateRequest",
        members: &[
            LOGIN_ID,
            ("phone", Text, "It has to send the message"),
            TEMPLATES,
            SSO_APP_ID,
        ],
        shared: UPDATE_OPTIONS,
    },
    shape(
        "PendingSessionRequest",
        &[("pendingRef", Text, "As NotpLinkResponse has it")],
    ),
    shape(
        "RefreshRequest",
        &[("externalToken", Text, "Read, and not passed on")],
    ),
    shape("ValidateRequest", &[]),
    shape(
        "LogoutRequest",
        &[("logoutType", List, "Which sessions to end")],
    ),
    shape(
        "MyTenantsRequest",
        &[
            ("dct", Flag, "The current tenant only"),
            ("ids", List, "These tenants only"),
        ],
    ),
    shape(
        "TenantSelectRequest",
        &[("tenant", Text, "The tenant's id")],
    ),
    LOGIN_OPTIONS_SHAPE,
    SIGN_UP_USER,
    NOTP_TEMPLATES,
    visible_members::MASKED_ADDRESS,
    visible_members::TOTP_ENROLMENT,
    visible_members::NOTP_LINK,
    visible_members::SESSION,
    visible_members::USER,
    visible_members::USER_TENANT,
    visible_members::TENANTS,
    visible_members::TENANT_INFO,
    visible_members::HISTORY_ENTRY,
    shape(
        "ErrorBody",
        &[
            ("errorCode", Text, "Descope's code, or one of ours"),
            ("errorDescription", Text, "What it means"),
            ("errorMessage", Text, "What went wrong this time"),
            ("message", Text, "A copy of errorMessage"),
        ],
    ),
];
