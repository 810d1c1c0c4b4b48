//! The JSON types of Descope's API, one file per family.
//!
//! The client sends them, the mounted routes accept them and the emulator answers with them, so the three
//! cannot drift apart. Rules that hold for all of them, because the official SDKs rely on each:
//!
//! * Every member is optional on the wire; `null` reads like an absent member. Python sends
//!   `"customClaims": null`, Go sends `"ids": null`.
//! * Unknown members of a request are ignored; unknown members of a token reply or a user object are kept in
//!   `other`, so that callers of the client do not lose what a newer API says. The mounted routes pass none of them on.
//! * Empty members are left out when a request is written.
//!
//! Types that hold a token, a code or a secret never show it in `Debug`.

pub(crate) mod endpoint;
mod error;
mod lenient;
pub(crate) mod notp;
mod options;
pub(crate) mod otp;
pub mod path;
pub(crate) mod session;
pub(crate) mod totp;
mod user;

pub use self::endpoint::{Credential, Endpoint, Purpose};
pub use self::error::{ErrorBody, code};
pub use self::notp::{
    NotpLinkResponse, NotpProvider, NotpSignInRequest, NotpSignUpRequest, NotpTemplates,
    NotpUpdateRequest, PendingSessionRequest,
};
pub use self::options::LoginOptions;
pub use self::otp::{
    DeliveryMethod, MaskedAddress, OtpSignInRequest, OtpSignUpRequest, OtpUpdateEmailRequest,
    OtpUpdatePhoneRequest, OtpVerifyRequest, UnknownDeliveryMethod, UpdateOptions,
};
pub use self::session::{
    AccessKeyExchangeRequest, AccessKeyExchangeResponse, AccessKeyLoginOptions, HistoryEntry,
    JwtResponse, LogoutRequest, MyTenantsRequest, RefreshRequest, TenantInfo, TenantSelectRequest,
    TenantsResponse,
};
pub use self::totp::{TotpEnrolment, TotpSignUpRequest, TotpUpdateRequest, TotpVerifyRequest};
pub use self::user::{SignUpUser, UserProfile, UserTenant};

pub(crate) use self::lenient::{is_default, nullable};
