//! Where the mounted routes put tokens.

/// Where the routes put the tokens that Descope issues.
///
/// Set with [`DescopeBuilder::token_delivery`](crate::DescopeBuilder::token_delivery).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenDelivery {
    /// Into HttpOnly cookies. No answer has a token in its body, and no script ever sees one. The default.
    #[default]
    Cookies,
    /// Into cookies, and the session JWT also into the body, for pages that call other origins with it. What it
    /// costs: a script that is injected into the page can read the session JWT and send it away. It lives for
    /// minutes; the refresh JWT stays in its cookie.
    CookiesAndSession,
    /// Into the body alone, as Descope's API does it, for native apps. The routes then neither read nor write
    /// cookies: the refresh JWT (for `validate` the session JWT) has to come as
    /// `Authorization: Bearer <project id>:<JWT>`, which is what Descope's SDKs for phones send. Nothing that a
    /// browser attaches by itself counts, so origins are not checked.
    Body,
}
