//! The paths of the API, as the client calls them and the emulator and the mounted routes serve them.

/// Prefix of the OTP calls: `signup`, `signin`, `signup-in`, `verify` and a delivery method follow.
pub const OTP: &str = "/v1/auth/otp";
/// Changes the e-mail address.
pub const OTP_UPDATE_EMAIL: &str = "/v1/auth/otp/update/email";
/// Prefix of the phone update; a delivery method follows.
pub const OTP_UPDATE_PHONE: &str = "/v1/auth/otp/update/phone";
/// Sign-up with an authenticator app.
pub const TOTP_SIGN_UP: &str = "/v1/auth/totp/signup";
/// A new key for an authenticator app.
pub const TOTP_UPDATE: &str = "/v1/auth/totp/update";
/// Sign-in with an authenticator app, and completion of sign-up and update.
pub const TOTP_VERIFY: &str = "/v1/auth/totp/verify";
/// Prefix of the nOTP calls; a provider and `signup`, `signin`, `signup-in` or `update` follow.
pub const NOTP: &str = "/v1/auth/notp";
/// Asks whether the nOTP message has arrived.
pub const NOTP_PENDING_SESSION: &str = "/v1/auth/notp/pending-session";
/// Renews the session.
pub const REFRESH: &str = "/v1/auth/refresh";
/// Renews the session if there is one, else answers `{}`.
pub const TRY_REFRESH: &str = "/v1/auth/try-refresh";
/// Ends the session.
pub const LOGOUT: &str = "/v1/auth/logout";
/// Ends all sessions of the user.
pub const LOGOUT_ALL: &str = "/v1/auth/logoutall";
/// The user object.
pub const ME: &str = "/v1/auth/me";
/// The user's tenants.
pub const ME_TENANTS: &str = "/v1/auth/me/tenants";
/// The user's sign-ins.
pub const ME_HISTORY: &str = "/v1/auth/me/history";
/// Moves the session into a tenant.
pub const TENANT_SELECT: &str = "/v1/auth/tenant/select";
/// Checks a session JWT.
pub const VALIDATE: &str = "/v1/auth/validate";
/// Turns an access key into a session JWT.
pub const ACCESS_KEY_EXCHANGE: &str = "/v1/auth/accesskey/exchange";
/// Prefix of the key set; the project id follows.
pub const KEYS: &str = "/v2/keys";
