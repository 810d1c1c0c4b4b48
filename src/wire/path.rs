//! The paths of the API. The client calls them; the emulator and the mounted routes serve them.

/// Prefix of the OTP calls. `signup`, `signin`, `signup-in` or `verify` follows, and then a delivery method.
pub const OTP: &str = "/v1/auth/otp";
/// Sends a code to a user's new e-mail address.
pub const OTP_UPDATE_EMAIL: &str = "/v1/auth/otp/update/email";
/// Prefix of the call that sends a code to a user's new phone number. A delivery method follows.
pub const OTP_UPDATE_PHONE: &str = "/v1/auth/otp/update/phone";
/// Sign-up with an authenticator app.
pub const TOTP_SIGN_UP: &str = "/v1/auth/totp/signup";
/// Makes a new key for the authenticator app of a signed-in user.
pub const TOTP_UPDATE: &str = "/v1/auth/totp/update";
/// Signs in with a code of an authenticator app; the first code also completes a sign-up or an update.
pub const TOTP_VERIFY: &str = "/v1/auth/totp/verify";
/// Prefix of the nOTP calls. A provider follows, and then `signup`, `signin`, `signup-in` or `update`.
pub const NOTP: &str = "/v1/auth/notp";
/// Asks whether the nOTP message has arrived.
pub const NOTP_PENDING_SESSION: &str = "/v1/auth/notp/pending-session";
/// Renews the session.
pub const REFRESH: &str = "/v1/auth/refresh";
/// Renews the session if there is one, otherwise answers `{}`.
pub const TRY_REFRESH: &str = "/v1/auth/try-refresh";
/// Ends the session.
pub const LOGOUT: &str = "/v1/auth/logout";
/// Ends all sessions of the user.
pub const LOGOUT_ALL: &str = "/v1/auth/logoutall";
/// Reads the user object of the signed-in user.
pub const ME: &str = "/v1/auth/me";
/// Reads the tenants of the signed-in user.
pub const ME_TENANTS: &str = "/v1/auth/me/tenants";
/// Reads the past sign-ins of the signed-in user.
pub const ME_HISTORY: &str = "/v1/auth/me/history";
/// Moves the session into a tenant.
pub const TENANT_SELECT: &str = "/v1/auth/tenant/select";
/// Checks a session JWT.
pub const VALIDATE: &str = "/v1/auth/validate";
/// Exchanges an access key for a session JWT.
pub const ACCESS_KEY_EXCHANGE: &str = "/v1/auth/accesskey/exchange";
/// Prefix of the call for the project's public keys. The project id follows.
pub const KEYS: &str = "/v2/keys";
