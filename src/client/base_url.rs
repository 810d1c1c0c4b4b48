//! The base URL of the API.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

use super::project::ProjectId;
use crate::names::serde_as_text;

/// The base URL of the API: `https://host[:port][/path]`, without a trailing slash.
///
/// The default depends on the project's region ([`BaseUrl::for_project`]). Set a base URL for a custom domain or for
/// the emulator. Plain `http` is refused for every host other than this machine (`localhost`, `127.0.0.0/8`, `::1`),
/// because calls carry tokens.
///
/// ```
/// use tower_descope::client::BaseUrl;
///
/// let base: BaseUrl = "https://auth.example.com/".parse()?;
/// assert_eq!(base.as_str(), "https://auth.example.com");
/// assert!("http://127.0.0.1:8099".parse::<BaseUrl>().is_ok());
/// assert!("http://auth.example.com".parse::<BaseUrl>().is_err());
/// # Ok::<(), tower_descope::client::InvalidBaseUrl>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    url: String,
    https: bool,
    loopback: bool,
}

impl BaseUrl {
    /// Descope's own host for the project's region.
    ///
    /// A project id of 32 or more characters names its region in the characters 2 to 5: the host of `Puse1…` is
    /// `https://api.use1.descope.com`. The host of a project with a shorter id is `https://api.descope.com`. The Go,
    /// Python, .NET and Swift SDKs follow the same rule.
    pub fn for_project(project: &ProjectId) -> Self {
        let url = match project.as_str().get(1..5) {
            Some(region) if project.as_str().len() >= 32 => {
                format!("https://api.{region}.descope.com")
            }
            _ => "https://api.descope.com".to_owned(),
        };
        Self {
            url,
            https: true,
            loopback: false,
        }
    }

    /// The URL, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Whether the host is this machine: `localhost`, `127.0.0.0/8` or `::1`.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether calls go through TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        // `Uri` would drop a fragment silently.
        if s.contains('#') {
            return Err(InvalidBaseUrl::Extra);
        }
        let uri: Uri = s.parse().map_err(|_| InvalidBaseUrl::Malformed)?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(_) => return Err(InvalidBaseUrl::Scheme),
            None => return Err(InvalidBaseUrl::Malformed),
        };
        let authority = uri.authority().ok_or(InvalidBaseUrl::Malformed)?;
        if authority.as_str().contains('@') || s.contains('?') {
            return Err(InvalidBaseUrl::Extra);
        }
        let host = authority.host();
        let port_is_fine = match authority.as_str()[host.len()..].strip_prefix(':') {
            Some(port) => port.parse::<u16>().is_ok_and(|port| port != 0),
            None => authority.as_str().len() == host.len(),
        };
        if !host_is_fine(host) || !port_is_fine {
            return Err(InvalidBaseUrl::Malformed);
        }
        let path = uri.path().trim_end_matches('/');
        if !path_is_fine(path) {
            return Err(InvalidBaseUrl::Malformed);
        }
        let loopback = is_loopback(host);
        if !https && !loopback {
            return Err(InvalidBaseUrl::PlainHttp);
        }
        let scheme = if https { "https" } else { "http" };
        Ok(Self {
            url: format!("{scheme}://{authority}{path}"),
            https,
            loopback,
        })
    }
}

impl TryFrom<&str> for BaseUrl {
    type Error = InvalidBaseUrl;

    fn try_from(url: &str) -> Result<Self, Self::Error> {
        url.parse()
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({})", self.url)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

serde_as_text!(BaseUrl, "base URL");

/// Why a text is not a valid [`BaseUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidBaseUrl {
    /// The text is not an absolute URL with a host.
    Malformed,
    /// The scheme is neither `http` nor `https`.
    Scheme,
    /// The URL has a query, a fragment, or a user name.
    Extra,
    /// The URL is plain `http` and its host is another machine.
    PlainHttp,
}

impl fmt::Display for InvalidBaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the base url is not an absolute url such as https://auth.example.com",
            Self::Scheme => "the base url must begin with https:// (or http:// for this machine)",
            Self::Extra => "the base url must not have a query, a fragment or a user name",
            Self::PlainHttp => {
                "plain http is refused for hosts other than localhost, 127.0.0.0/8 and [::1]: tokens would \
                 travel in the clear"
            }
        })
    }
}

impl std::error::Error for InvalidBaseUrl {}

fn host_is_fine(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    }
}

// A path has no percent-encoding and no dot segments, so that the transport's URL parser cannot change it.
fn path_is_fine(path: &str) -> bool {
    path.is_empty()
        || path.split('/').skip(1).all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~'))
        })
}

fn is_loopback(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    if let Ok(v4) = host.parse::<Ipv4Addr>() {
        return v4.is_loopback();
    }
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .and_then(|h| h.parse::<Ipv6Addr>().ok())
        .is_some_and(|v6| v6.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_part_of_long_ids() {
        let base = |id: &str| BaseUrl::for_project(&id.parse().unwrap()).to_string();
        assert_eq!(
            base(&format!("P{}", "x".repeat(27))),
            "https://api.descope.com"
        );
        assert_eq!(
            base(&format!("P{}", "x".repeat(30))),
            "https://api.descope.com"
        );
        assert_eq!(
            base(&format!("Puse1{}", "x".repeat(27))),
            "https://api.use1.descope.com"
        );
        assert_eq!(
            base(&format!("Peuc1{}", "x".repeat(40))),
            "https://api.euc1.descope.com"
        );
    }

    #[test]
    fn good_base_urls() {
        for (given, kept) in [
            ("https://auth.example.com", "https://auth.example.com"),
            ("https://auth.example.com/", "https://auth.example.com"),
            ("https://auth.example.com//", "https://auth.example.com"),
            (
                "https://auth.example.com:8443/a/b/",
                "https://auth.example.com:8443/a/b",
            ),
            ("HTTPS://Auth.example.com", "https://Auth.example.com"),
            ("http://localhost:8099/", "http://localhost:8099"),
            ("http://LOCALHOST", "http://LOCALHOST"),
            ("http://127.0.0.1", "http://127.0.0.1"),
            ("http://127.9.8.7:1", "http://127.9.8.7:1"),
            ("http://[::1]:8099", "http://[::1]:8099"),
        ] {
            assert_eq!(given.parse::<BaseUrl>().unwrap().as_str(), kept);
        }
        assert!("http://[::1]:1".parse::<BaseUrl>().unwrap().is_loopback());
        assert!(
            !"https://a.example"
                .parse::<BaseUrl>()
                .unwrap()
                .is_loopback()
        );
    }

    // Plain http is accepted for this machine only.
    #[test]
    fn bad_base_urls() {
        use InvalidBaseUrl::{Extra, Malformed, PlainHttp, Scheme};
        for (given, why) in [
            ("", Malformed),
            ("auth.example.com", Malformed),
            ("/v1", Malformed),
            ("https://", Malformed),
            ("https:///x", Malformed),
            ("https://a b", Malformed),
            ("https://a:0", Malformed),
            ("https://a:", Malformed),
            ("https://a:99999", Malformed),
            ("https://a/../b", Malformed),
            ("https://a//b", Malformed),
            ("https://a/%2e%2e", Malformed),
            ("https://a\r\nb", Malformed),
            ("https://[::zz]", Malformed),
            ("https://ä.example", Malformed),
            ("ftp://a", Scheme),
            ("file:///etc/passwd", Scheme),
            ("https://a?b", Extra),
            ("https://a/#b", Extra),
            ("https://u:p@a", Extra),
            ("http://localhost@evil.example", Extra),
            ("http://evil.example", PlainHttp),
            ("http://localhost.evil.example", PlainHttp),
            ("http://127.0.0.1.evil.example", PlainHttp),
            ("http://127.1", PlainHttp),
            ("http://0.0.0.0:1", PlainHttp),
            ("http://[::ffff:7f00:1]", PlainHttp),
            ("http://10.0.0.1", PlainHttp),
        ] {
            let got = given.parse::<BaseUrl>();
            // `Uri` refuses some texts before the exact reason is known, so only `PlainHttp` and `Extra` are compared.
            if why == PlainHttp || why == Extra {
                assert_eq!(got, Err(why), "{given}");
            } else {
                assert!(got.is_err(), "{given}");
            }
        }
    }
}
