//! Where the mounted routes put tokens.

use crate::names::{names, serde_as_text};

/// Where the routes put the tokens that Descope issues.
///
/// Set with [`DescopeBuilder::token_delivery`](crate::DescopeBuilder::token_delivery). The names, for
/// configuration files, are `cookies`, `cookies-and-session` and `body`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenDelivery {
    /// Tokens go into HttpOnly cookies. No answer has a token in its body, and no script can read one. The default.
    #[default]
    Cookies,
    /// Tokens go into cookies, and the session JWT also into the body, for pages that call other origins with it. The
    /// drawback: a script that is injected into the page can read the session JWT, which lives for minutes, and send it
    /// away. The refresh JWT is in its cookie only.
    CookiesAndSession,
    /// Tokens go into the body only, as in Descope's API, for native apps. The routes then neither read nor write
    /// cookies: the refresh JWT (for `validate` the session JWT) has to come as
    /// `Authorization: Bearer <project id>:<JWT>`, which is what Descope's SDKs for phones send. Origins are
    /// not checked, because no credential counts that a browser attaches by itself.
    Body,
}

names!(
    TokenDelivery,
    "token delivery",
    [Cookies => "cookies", CookiesAndSession => "cookies-and-session", Body => "body"]
);
serde_as_text!(TokenDelivery, "token delivery");
