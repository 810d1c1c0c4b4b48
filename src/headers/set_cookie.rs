//! The session cookie and the refresh cookie: their names and attributes, and what browsers demand of them. How the
//! values are read from a request is in `credentials.rs`.

use std::time::Duration;

use http::HeaderValue;
use http::header::{HeaderMap, SET_COOKIE};

use crate::names::{names, serde_as_text};

/// Largest cookie that browsers keep, in bytes of name and value together (RFC 6265bis section 5.6). They drop a larger
/// one silently.
pub(crate) const MAX_COOKIE: usize = 4096;

/// Browsers accept a cookie with this prefix only from the host that it is sent to, over https (RFC 6265bis section
/// 4.1.3.2).
pub(crate) const HOST_PREFIX: &str = "__Host-";

/// Whether a cookie travels with requests that other sites start (RFC 6265bis section 4.1.2.7).
///
/// The names, in configuration files too, are those of `Set-Cookie`: `Lax`, `Strict`, `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// The cookie travels with top-level navigations that other sites start, and with no other request of theirs. The
    /// default: a user who follows a link to the app is signed in.
    #[default]
    Lax,
    /// The cookie travels only with requests of the same site. A user who follows a link from another site looks signed
    /// out at first.
    Strict,
    /// The cookie travels with every request; for pages that are embedded in other sites. Needs `Secure`.
    None,
}

names!(SameSite, "SameSite attribute", [Lax => "Lax", Strict => "Strict", None => "None"]);
serde_as_text!(SameSite, "SameSite attribute");

/// The names and attributes of the cookies: which are read, and how they are written.
#[derive(Clone, Debug)]
pub(crate) struct CookieConfig {
    /// Names of the session cookie: read in this order; the first is written.
    pub(crate) session: Vec<String>,
    /// Names of the refresh cookie: read in this order; the first is written.
    pub(crate) refresh: Vec<String>,
    pub(crate) domain: Option<String>,
    /// Domains of earlier configurations, whose cookies are deleted.
    pub(crate) former_domains: Vec<String>,
    pub(crate) path: String,
    pub(crate) same_site: SameSite,
    pub(crate) secure: bool,
    /// Largest cookie that is read, in bytes of name and value together.
    pub(crate) longest: usize,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            session: vec!["DS".to_owned()],
            refresh: vec!["DSR".to_owned()],
            domain: None,
            former_domains: Vec::new(),
            path: "/".to_owned(),
            same_site: SameSite::default(),
            secure: true,
            longest: MAX_COOKIE,
        }
    }
}

/// Why a cookie cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwritable {
    TooLarge {
        size: usize,
    },
    /// The value has characters that no token has, which could end the value and begin something else.
    Invalid,
}

impl CookieConfig {
    pub(crate) fn session_name(&self) -> &str {
        &self.session[0]
    }

    pub(crate) fn refresh_name(&self) -> &str {
        &self.refresh[0]
    }

    /// Whether the cookies are written with the `__Host-` prefix, so that sibling hosts cannot set them.
    pub(crate) fn has_host_prefix(&self) -> bool {
        self.refresh_name().starts_with(HOST_PREFIX)
    }

    /// A cookie name that both configurations write.
    pub(crate) fn name_shared_with(&self, other: &Self) -> Option<&str> {
        let theirs = [other.session_name(), other.refresh_name()];
        [self.session_name(), self.refresh_name()]
            .into_iter()
            .find(|name| theirs.contains(name))
    }

    /// A `Set-Cookie` value that stores a token for `max_age`.
    pub(crate) fn store(
        &self,
        name: &str,
        token: &str,
        max_age: Duration,
    ) -> Result<HeaderValue, Unwritable> {
        let size = name.len() + token.len();
        if size > MAX_COOKIE {
            return Err(Unwritable::TooLarge { size });
        }
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if token.is_empty() || !token.bytes().all(is_token) {
            return Err(Unwritable::Invalid);
        }
        self.header(name, token, max_age.as_secs(), self.domain.as_deref())
    }

    /// A `Set-Cookie` value that deletes the cookie. It repeats the cookie's attributes, because browsers would
    /// otherwise not take it for the same cookie.
    pub(crate) fn delete(&self, name: &str) -> Result<HeaderValue, Unwritable> {
        self.header(name, "", 0, self.domain.as_deref())
    }

    /// `Set-Cookie` values that delete left-over cookies of earlier configurations: the one without `Domain`, if there
    /// is a `Domain` now, and those of the former domains that the app names. Browsers keep such a left-over beside the
    /// present cookie and may send it first; sooner or later it holds a refresh JWT that was spent long ago.
    ///
    /// These values have to be written before the `Set-Cookie` of the present cookie, and only where that follows: on a
    /// host that is itself the `Domain`, the cookie with that `Domain` and the one without are the same cookie (RFC
    /// 6265 section 5.3).
    ///
    /// Cookies with another `Path` are left alone, because they may belong to another app on the same host.
    pub(crate) fn delete_leftovers(&self, name: &str) -> Vec<Result<HeaderValue, Unwritable>> {
        let host_only = self.domain.is_some().then_some(None);
        // Browsers have never kept a cookie with this prefix and a `Domain`.
        let domains = match name.starts_with(HOST_PREFIX) {
            true => &[][..],
            false => &self.former_domains,
        };
        host_only
            .into_iter()
            .chain(domains.iter().map(|domain| Some(&**domain)))
            .map(|domain| self.header(name, "", 0, domain))
            .collect()
    }

    fn header(
        &self,
        name: &str,
        value: &str,
        max_age: u64,
        domain: Option<&str>,
    ) -> Result<HeaderValue, Unwritable> {
        let mut cookie = format!("{name}={value}; Path={}; Max-Age={max_age}", self.path);
        if let Some(domain) = domain {
            cookie.push_str("; Domain=");
            cookie.push_str(domain);
        }
        cookie.push_str("; HttpOnly; SameSite=");
        cookie.push_str(self.same_site.as_str());
        if self.secure {
            cookie.push_str("; Secure");
        }
        let mut header = HeaderValue::try_from(cookie).map_err(|_| Unwritable::Invalid)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Appends all values to the response, or none of them if one cannot be written. Nothing is replaced, because other
/// parts of the app set cookies too.
pub(crate) fn append_all(
    values: Vec<Result<HeaderValue, Unwritable>>,
    headers: &mut HeaderMap,
) -> bool {
    let values: Result<Vec<_>, _> = values.into_iter().collect();
    match values {
        Ok(values) => {
            for value in values {
                headers.append(SET_COOKIE, value);
            }
            true
        }
        Err(unwritable) => {
            tracing::error!(?unwritable, "session cookies could not be written");
            false
        }
    }
}

/// Whether a response sets this cookie already.
pub(crate) fn sets_cookie(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(SET_COOKIE).iter().any(|value| {
        let value = value.as_bytes();
        value
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'='))
    })
}

/// Whether a cookie may have this name (RFC 6265bis section 4.1.1, a token of RFC 9110).
pub(crate) fn is_cookie_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether a text may be the value of a cookie attribute.
pub(crate) fn is_attribute_value(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';' && byte != b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    // Security requirements 27 and 29.
    #[test]
    fn attributes() {
        let cookies = CookieConfig::default();
        assert_eq!(
            cookies
                .store("DS", "a.b.c", Duration::from_secs(600))
                .unwrap(),
            "DS=a.b.c; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
        );
        let cookies = CookieConfig {
            domain: Some("example.com".to_owned()),
            path: "/app".to_owned(),
            same_site: SameSite::Strict,
            secure: false,
            ..cookies
        };
        assert_eq!(
            cookies.delete("DS").unwrap(),
            "DS=; Path=/app; Max-Age=0; Domain=example.com; HttpOnly; SameSite=Strict"
        );
    }

    // Security requirements 28 and 32.
    #[test]
    fn what_cannot_be_written_is_an_error() {
        let cookies = CookieConfig::default();
        let fits = "a".repeat(MAX_COOKIE - 2);
        assert!(cookies.store("DS", &fits, Duration::ZERO).is_ok());
        assert_eq!(
            cookies.store("DSR", &fits, Duration::ZERO),
            Err(Unwritable::TooLarge {
                size: MAX_COOKIE + 1
            })
        );
        for bad in ["", "a;b", "a\r\nb", "a b", "\"a\""] {
            assert_eq!(
                cookies.store("DS", bad, Duration::ZERO),
                Err(Unwritable::Invalid),
                "{bad:?}"
            );
        }
    }
}
