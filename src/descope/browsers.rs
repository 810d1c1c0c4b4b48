//! What the builder is told about browsers: the cookies, the origins whose pages may use them, and caching.

use super::DescopeBuilder;
use crate::headers::SameSite;

impl DescopeBuilder {
    /// Names of the session cookie. All are read, in this order; the first is written. Default `DS`.
    ///
    /// A session JWT may also have each of these names as its `drn`, so [`build`](Self::build) refuses `DSR`, with and
    /// without a prefix. `build` also checks a `__Host-` prefix against the other options; see
    /// [`host_cookies`](Self::host_cookies).
    ///
    /// Two projects, hence two handles, that serve the same host need different names here and in
    /// [`refresh_cookies`](Self::refresh_cookies): a browser keeps one cookie of a name, so a sign-in to one project
    /// overwrites the cookie of the other. When the layers or routes of two such handles meet in one request, each
    /// handle logs an error once. If both renew a session in such a request, one writes its cookies, and the tokens of
    /// the other are kept for a later response. A sign-out deletes no cookie whose token says that another project has
    /// issued it.
    #[must_use]
    pub fn session_cookies<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.cookies.session = names.into_iter().map(Into::into).collect();
        self
    }

    /// Names of the refresh cookie. All are read, in this order; the first is written. Default `DSR`.
    ///
    /// A refresh JWT may also have each of these names as its `drn`, so [`build`](Self::build) refuses `DS`, with and
    /// without a prefix. Two projects on one host need
    /// different names, see [`session_cookies`](Self::session_cookies).
    #[must_use]
    pub fn refresh_cookies<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.cookies.refresh = names.into_iter().map(Into::into).collect();
        self
    }

    /// Writes the cookies under names with the `__Host-` prefix: `__Host-DS` and `__Host-DSR`, or the first of the
    /// configured names with the prefix before it. Default: no prefix. Recommended in production: browsers accept such
    /// a cookie only from this very host, so that no sibling host (`blog.example.com` beside `app.example.com`) can put
    /// one of its own into a user's browser.
    ///
    /// The names without the prefix are still read, so that the change signs nobody out, but only while the request has
    /// no refresh cookie with the prefix. Until then a sibling host can still set them. When every session from before
    /// the change is over (a refresh JWT lives four weeks by Descope's default), configure only the names with the
    /// prefix and leave this call out: `.session_cookies(["__Host-DS"]).refresh_cookies(["__Host-DSR"])`.
    ///
    /// A renewal does not delete the cookies with the old names, because they may be of another app on this host. The
    /// old session cookie expires with its session JWT, and a sign-out deletes both. Services in other languages on the
    /// same host that read `DS` no longer see the sessions and have to read `__Host-DS`. That is why the names without
    /// the prefix are the default.
    ///
    /// Which of the setters is called first does not matter. [`build`](Self::build) refuses this call together with
    /// [`cookie_domain`](Self::cookie_domain), a [`cookie_path`](Self::cookie_path) other than `/`, or
    /// [`dangerous_insecure_cookies`](Self::dangerous_insecure_cookies): browsers would drop such cookies.
    #[must_use]
    pub fn host_cookies(mut self) -> Self {
        self.host_cookies = true;
        self
    }

    /// `Domain` of the cookies. Default: none, so that no sibling host sees them.
    ///
    /// The attributes that answers of the API name (`cookieDomain`, `cookiePath`) are not used: the deletion of a
    /// cookie has to repeat its attributes (RFC 6265 section 5.3), and there is no such answer when a cookie is
    /// deleted.
    #[must_use]
    pub fn cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.cookies.domain = Some(domain.into());
        self
    }

    /// A `Domain` that the cookies had in an earlier configuration. Default: none. May be called several times.
    ///
    /// After a change of `Domain` browsers keep the old cookie beside the new one and send both. The refresh JWT in the
    /// old cookie is spent sooner or later, and if it names another user, nothing can be renewed. So every response
    /// that writes or deletes a cookie also deletes the cookie of the same name with this domain. Cookies that had no
    /// `Domain` need no such call: they are deleted when [`cookie_domain`](Self::cookie_domain) is set. The domain that
    /// is in use now is ignored here. Cookies with another `Path` than the present one stay.
    ///
    /// Do not name a domain under which another app uses cookies of the same name: they would be deleted.
    ///
    /// ```
    /// # fn main() -> Result<(), tower_descope::ConfigError> {
    /// // Was `.cookie_domain("example.com")`; now only this host sees the cookies.
    /// let descope = tower_descope::Descope::builder("P2abcdefghijklmnopqrstuvwxyz1")
    ///     .former_cookie_domain("example.com")
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn former_cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.cookies.former_domains.push(domain.into());
        self
    }

    /// `Path` of the cookies. Default `/`.
    #[must_use]
    pub fn cookie_path(mut self, path: impl Into<String>) -> Self {
        self.cookies.path = path.into();
        self
    }

    /// `SameSite` of the cookies. Default [`SameSite::Lax`].
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.cookies.same_site = same_site;
        self
    }

    /// Writes cookies without `Secure`, for a server that speaks plain http on this machine.
    ///
    /// Dangerous: whoever can read one request of the browser over plain http can take over the session. Default:
    /// cookies are `Secure`. This crate never derives the option from a request, because what a request says of its
    /// scheme may be false.
    #[must_use]
    pub fn dangerous_insecure_cookies(mut self) -> Self {
        self.cookies.secure = false;
        self
    }

    /// Lets pages of another origin use the cookies in requests that may change something. May be called several times.
    /// Default: none. [`build`](Self::build) refuses what is not `https://host[:port]`.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// The origin under which browsers see this app, for example `https://app.example`. Default: the request's own
    /// host (`:authority` of HTTP/2, else `Host`) counts.
    ///
    /// Needed behind a proxy that rewrites `Host`. Without this option the `Origin` of the app's own pages then differs
    /// from the host, so that the cookies of their WebSockets, and of requests that may change something, are ignored:
    /// 403 [`CrossOrigin`](crate::AuthErrorKind::CrossOrigin), and one warning in the log that names this option.
    /// `X-Forwarded-Host` is not read, because any client can send it. [`build`](Self::build) refuses what is not
    /// `https://host[:port]`.
    #[must_use]
    pub fn public_origin(mut self, origin: impl Into<String>) -> Self {
        self.public_origin = Some(origin.into());
        self
    }

    /// Leaves `Cache-Control` to the handlers, also where they asked for the user. Default: a response whose handler
    /// asked for the user gets `Cache-Control: private, no-store` if it has no `Cache-Control`. A response that sets
    /// session cookies always gets it.
    #[must_use]
    pub fn handlers_set_cache_control(mut self) -> Self {
        self.private_responses = false;
        self
    }
}
