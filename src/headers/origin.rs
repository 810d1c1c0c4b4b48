//! Which requests may use cookies.
//!
//! A browser attaches cookies also to requests that other sites make. If a request may change something, its cookies
//! are ignored unless each of `Sec-Fetch-Site` and `Origin` that it has says that a page of this app made it. When the
//! two headers contradict each other, the cookies are ignored. An `Origin` that the app has allowed suffices alone. A
//! request with neither header does not come from a browser, and its cookies count. `SameSite=Lax` is only the second
//! line of defence, because sibling hosts are "same site".

use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{HOST, HeaderMap, ORIGIN, UPGRADE};
use http::{Method, Uri};

/// Which origins are trusted besides the request's own host.
#[derive(Debug, Default)]
pub(crate) struct OriginPolicy {
    /// Origins whose pages may use the cookies, in lower case, without default ports.
    pub(crate) allowed: Vec<String>,
    /// The origin under which browsers see this app, when a proxy rewrites `Host`.
    pub(crate) public: Option<String>,
    /// Whether pages of this app may be served over plain http, on other hosts than loopback.
    pub(crate) plain_http: bool,
    /// Whether the log has said that `Origin` and `Host` differ.
    pub(crate) warned: AtomicBool,
}

impl OriginPolicy {
    /// Whether the cookies of this request must be ignored.
    pub(crate) fn refuses<B>(&self, request: &http::Request<B>) -> bool {
        self.refuses_parts(request.method(), request.uri(), request.headers())
    }

    /// The same for a request that was taken apart.
    pub(crate) fn refuses_parts(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
        // A WebSocket is a GET that nothing but the Origin check protects from other sites.
        if method.is_safe() && !is_websocket(headers) {
            return false;
        }
        !self.is_ours(uri, headers)
    }

    fn is_ours(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let origin = match single(headers, &ORIGIN) {
            Single::None => None,
            Single::One(origin) => Some(origin),
            Single::Many => return false,
        };
        let parsed = origin.and_then(Origin::parse);
        if parsed.is_some_and(|origin| self.trusts(&origin)) {
            return true;
        }
        let vouched = match single(headers, "sec-fetch-site") {
            // The values are case-sensitive tokens. Any other value, including a list, is refused.
            Single::One(b"same-origin" | b"none") => true,
            Single::None => false,
            Single::One(_) | Single::Many => return false,
        };
        match (origin, parsed) {
            (None, _) => true,
            (Some(_), Some(origin)) => {
                let own = self.is_own_host(&origin, uri, headers);
                if vouched && !own {
                    self.warn_of_contradiction();
                }
                own
            }
            // A page with `Referrer-Policy: no-referrer` sends `Origin: null`, even to its own server. A page that has
            // no origin, for example in a sandbox, also sends `null`, but never `Sec-Fetch-Site: same-origin`.
            (Some(b"null"), None) => vouched,
            (Some(_), None) => false,
        }
    }

    /// Logs that `Sec-Fetch-Site` and `Origin` contradict each other, so that the operator of an app whose proxy
    /// rewrites `Host` learns why every form is refused. Logged once, because anybody can send such headers, and
    /// without their values, because nobody should copy those into a configuration.
    fn warn_of_contradiction(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the cookies of a request were ignored: Sec-Fetch-Site says that it comes from this app, but Origin \
                 and Host differ. If a proxy in front of this app rewrites Host, name the origin that browsers see \
                 with `.public_origin(..)`. This warning is not repeated"
            );
        }
    }

    fn trusts(&self, origin: &Origin<'_>) -> bool {
        self.public
            .iter()
            .chain(&self.allowed)
            .any(|known| origin.equals(known))
    }

    fn is_own_host(&self, origin: &Origin<'_>, uri: &Uri, headers: &HeaderMap) -> bool {
        // HTTP/2 has the host in the URI, HTTP/1 in `Host`. `X-Forwarded-Host` is not read: any client can send it.
        let host = match uri.authority() {
            Some(authority) => authority.as_str().as_bytes(),
            None => match single(headers, &HOST) {
                Single::One(host) => host,
                _ => return false,
            },
        };
        if origin.scheme == Scheme::Http && !self.plain_http && !is_loopback(origin.host_name()) {
            return false;
        }
        origin
            .host
            .eq_ignore_ascii_case(without_default_port(host, origin.scheme))
    }
}

/// Normalises a configured origin; `None` if the text is no origin.
pub(crate) fn normalize_origin(origin: &str) -> Option<String> {
    let parsed = Origin::parse(origin.trim_end_matches('/').as_bytes())?;
    Some(parsed.to_text())
}

fn is_websocket(headers: &HeaderMap) -> bool {
    // A list of protocols, each perhaps with a version (RFC 9110 section 7.8).
    headers
        .get_all(UPGRADE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|protocol| protocol.split(|byte| *byte == b'/').next())
        .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    // A WebSocket over HTTP/2 begins with a CONNECT request (RFC 8441), which is no safe method anyway.
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// An origin, `scheme://host[:port]`, without a default port.
#[derive(Clone, Copy, Debug)]
struct Origin<'a> {
    scheme: Scheme,
    host: &'a [u8],
}

impl<'a> Origin<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (scheme, host) = if let Some(host) = strip_prefix_ignore_case(bytes, b"https://") {
            (Scheme::Https, host)
        } else {
            (Scheme::Http, strip_prefix_ignore_case(bytes, b"http://")?)
        };
        let plain = host
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte));
        if host.is_empty() || !plain {
            return None;
        }
        Some(Self {
            scheme,
            host: without_default_port(host, scheme),
        })
    }

    fn host_name(&self) -> &'a [u8] {
        match self.host {
            [b'[', ..] => self.host.split(|byte| *byte == b']').next(),
            host => host.split(|byte| *byte == b':').next(),
        }
        .unwrap_or(self.host)
    }

    fn equals(&self, text: &str) -> bool {
        // Configured origins are few and normalised; comparing texts needs no second parser.
        self.to_text() == text
    }

    fn to_text(self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!(
            "{scheme}://{}",
            String::from_utf8_lossy(self.host).to_ascii_lowercase()
        )
    }
}

fn is_loopback(host: &[u8]) -> bool {
    // Browsers resolve every name below `localhost` to this machine (RFC 6761 section 6.3).
    let last_label = host.rsplit(|byte| *byte == b'.').next();
    last_label.is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"))
        || host.starts_with(b"127.")
        || host == b"[::1"
}

fn without_default_port(host: &[u8], scheme: Scheme) -> &[u8] {
    let port: &[u8] = match scheme {
        Scheme::Http => b":80",
        Scheme::Https => b":443",
    };
    host.strip_suffix(port).unwrap_or(host)
}

fn strip_prefix_ignore_case<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

enum Single<'a> {
    None,
    One(&'a [u8]),
    Many,
}

fn single<'a>(headers: &'a HeaderMap, name: impl http::header::AsHeaderName) -> Single<'a> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Single::None,
        (Some(value), None) => Single::One(value.as_bytes()),
        (Some(_), Some(_)) => Single::Many,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn refused(policy: &OriginPolicy, method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        policy.refuses(&request.body(()).unwrap())
    }

    // Security requirements 39 and 40; the full list is in the vectors.
    #[test]
    fn origins() {
        let policy = OriginPolicy {
            allowed: vec![normalize_origin("https://App.example:443/").unwrap()],
            ..OriginPolicy::default()
        };
        let host = ("host", "api.example");
        for (want, headers) in [
            (false, vec![host]),
            (false, vec![host, ("sec-fetch-site", "same-origin")]),
            (false, vec![host, ("sec-fetch-site", "none")]),
            (true, vec![host, ("sec-fetch-site", "same-site")]),
            (true, vec![host, ("sec-fetch-site", "Same-Origin")]),
            (false, vec![host, ("origin", "https://API.example")]),
            (false, vec![host, ("origin", "https://api.example:443")]),
            (true, vec![host, ("origin", "https://api.example:8443")]),
            (true, vec![host, ("origin", "http://api.example")]),
            (true, vec![host, ("origin", "null")]),
            (true, vec![host, ("origin", "")]),
            (
                true,
                vec![host, ("origin", "https://api.example@evil.example")],
            ),
            (
                false,
                vec![
                    host,
                    ("origin", "https://app.example"),
                    ("sec-fetch-site", "cross-site"),
                ],
            ),
            (
                false,
                vec![
                    ("host", "localhost:3000"),
                    ("origin", "http://localhost:3000"),
                ],
            ),
        ] {
            assert_eq!(refused(&policy, "POST", &headers), want, "{headers:?}");
            assert!(!refused(&policy, "GET", &headers), "{headers:?}");
            let mut upgrade = headers.clone();
            upgrade.push(("upgrade", "WebSocket"));
            assert_eq!(refused(&policy, "GET", &upgrade), want, "{upgrade:?}");
        }
    }
    #[test]
    fn the_log_is_warned_once_and_only_of_a_contradiction() {
        let policy = OriginPolicy::default();
        let host = ("host", "app.example");
        let same_origin = ("sec-fetch-site", "same-origin");
        for headers in [
            vec![host, same_origin, ("origin", "https://app.example")],
            vec![host, same_origin, ("origin", "nonsense")],
            vec![host, ("origin", "https://evil.example")],
            vec![
                host,
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://evil.example"),
            ],
        ] {
            refused(&policy, "POST", &headers);
            assert!(!policy.warned.load(Ordering::Relaxed), "{headers:?}");
        }
        let proxied = [host, same_origin, ("origin", "https://public.example")];
        assert!(refused(&policy, "POST", &proxied));
        assert!(policy.warned.load(Ordering::Relaxed));
    }

    #[test]
    fn loopback_is_this_machine_and_no_other() {
        for (host, want) in [
            ("localhost", true),
            ("app.LocalHost", true),
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("[::1", true),
            ("[::2", false),
            ("128.0.0.1", false),
            ("localhost.example", false),
            ("notlocalhost", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host.as_bytes()), want, "{host}");
        }
    }

    #[test]
    fn several_values_of_a_header_are_none_that_counts() {
        let policy = OriginPolicy::default();
        let host = ("host", "app.example");
        let origin = ("origin", "https://app.example");
        let site = ("sec-fetch-site", "same-origin");
        assert!(!refused(&policy, "POST", &[host, origin, site]));
        for twice in [host, origin, site] {
            let headers = [host, origin, site, twice];
            assert!(refused(&policy, "POST", &headers), "{headers:?}");
        }
    }

    #[test]
    fn over_http_2_the_host_is_in_the_uri() {
        let policy = OriginPolicy::default();
        for (uri, want) in [
            ("https://app.example/x", false),
            ("https://app.example:443/x", false),
            ("https://other.example/x", true),
        ] {
            let request = Request::post(uri)
                .header("origin", "https://app.example")
                .body(())
                .unwrap();
            assert_eq!(policy.refuses(&request), want, "{uri}");
        }
    }

    #[test]
    fn origins_are_normalised() {
        for (text, want) in [
            ("https://App.example:443/", Some("https://app.example")),
            ("HTTP://a.example:80", Some("http://a.example")),
            ("http://a.example:443", Some("http://a.example:443")),
            ("https://a.example:80", Some("https://a.example:80")),
            ("https://[::1]:3000", Some("https://[::1]:3000")),
            ("https://", None),
            ("https://a.example/path", None),
            ("https://u@a.example", None),
            ("ftp://a.example", None),
            ("a.example", None),
            ("null", None),
        ] {
            assert_eq!(normalize_origin(text).as_deref(), want, "{text}");
        }
        let policy = OriginPolicy {
            plain_http: true,
            ..OriginPolicy::default()
        };
        let here = [("host", "a.example"), ("origin", "http://a.example")];
        assert!(!refused(&policy, "POST", &here));
        assert!(refused(&OriginPolicy::default(), "POST", &here));
        let ipv6 = [("host", "[::1]:3000"), ("origin", "http://[::1]:3000")];
        assert!(!refused(&OriginPolicy::default(), "POST", &ipv6));
    }
}
