//! The JSON types of Descope's API, one file per family of calls.
//!
//! The client, the mounted routes and the emulator share these types, so the three cannot drift apart. The official
//! SDKs rely on the following rules, which hold for all types:
//!
//! * Every member is optional in the JSON; `null` reads like an absent member. The Python SDK sends
//!   `"customClaims": null`, the Go SDK sends `"ids": null`.
//! * Unknown members of a request are ignored. Unknown members of a token reply or a user object are kept in
//!   `other`, so that callers of the client can read members that a newer API has added. The mounted routes do not
//!   pass them on.
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
pub use self::error::{ErrorBody, api_code};
pub use self::notp::{
    NotpLinkResponse, NotpProvider, NotpSignInRequest, NotpSignUpRequest, NotpTemplates,
    NotpUpdateRequest, PendingSessionRequest,
};
pub use self::options::LoginOptions;
pub use self::otp::{
    DeliveryMethod, MaskedAddress, OtpSignInRequest, OtpSignUpRequest, OtpUpdateEmailRequest,
    OtpUpdatePhoneRequest, OtpVerifyRequest, UpdateOptions,
};
pub use self::session::{
    AccessKeyExchangeRequest, AccessKeyExchangeResponse, AccessKeyLoginOptions, HistoryEntry,
    JwtResponse, LogoutRequest, MyTenantsRequest, RefreshRequest, TenantInfo, TenantSelectRequest,
    TenantsResponse,
};
pub use self::totp::{TotpEnrolment, TotpSignUpRequest, TotpUpdateRequest, TotpVerifyRequest};
pub use self::user::{SignUpUser, UserProfile, UserTenant};

pub(crate) use self::lenient::{is_default, nullable, seconds};
