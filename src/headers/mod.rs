//! The header fields of a request and a response that concern sign-in: `Authorization` and `Cookie` with the
//! credentials, `Origin` and `Sec-Fetch-Site`, `Set-Cookie`, `Cache-Control` and `Vary`.
//!
//! This module applies the rules of HTTP and of browsers. It verifies no token.

mod caching;
mod credentials;
mod head;
mod origin;
mod set_cookie;

pub(crate) use self::caching::{forbid_caching, keep_private};
pub(crate) use self::credentials::{Bearer, Candidates, CookieLines, Credentials};
pub(crate) use self::head::PageField;
pub use self::head::RequestHead;
#[cfg(feature = "routes")]
pub(crate) use self::head::is_of_type;
pub(crate) use self::origin::{OriginPolicy, normalize_origin};
pub use self::set_cookie::SameSite;
pub(crate) use self::set_cookie::{
    CookieConfig, HOST_PREFIX, MAX_COOKIE, Unwritable, append_all, is_attribute_value,
    is_cookie_name, sets_cookie,
};
