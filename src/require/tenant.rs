use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use http::header::HOST;

use crate::headers::RequestHead;
use crate::percent;

/// Where a request names the tenant that it is about, for [`Requirement::tenant_from`](super::Requirement::tenant_from).
///
/// A request that names no tenant is refused like one that names a tenant of others: empty or repeated values name none.
/// What is named is compared with the ids of the user's tenants exactly.
#[derive(Clone)]
pub struct TenantFrom(Source);

type Find = dyn Fn(&RequestHead<'_>) -> Option<String> + Send + Sync;

#[derive(Clone)]
enum Source {
    PathAfter(Arc<str>),
    SubdomainOf(Arc<str>),
    Header(HeaderName),
    Function(Arc<Find>),
}

impl TenantFrom {
    /// The segment of the path that follows this prefix: `path_after("/t/")` for routes below `/t/{tenant}`.
    ///
    /// The path is the whole one, also inside nested routers of axum: for routes that are nested below `/app` the prefix is
    /// `/app/t/`. A segment with percent-encoded bytes is decoded once, as axum's `Path` does. A path that has the segments
    /// `.` or `..`, percent-encoded or not, names no tenant: a handler that passes it on to a service that normalises it
    /// would reach another one's data.
    pub fn path_after(prefix: impl Into<Arc<str>>) -> Self {
        Self(Source::PathAfter(prefix.into()))
    }

    /// The label in front of this domain: `subdomain_of("example.com")` for `acme.example.com`.
    ///
    /// Host names have no upper and lower case, so the label counts in lower case: a tenant whose id has capitals needs
    /// [`Self::function`]. Deeper names, as `a.b.example.com`, name no tenant, and neither does a request whose `Host` and
    /// URI name two tenants. Behind a proxy that rewrites `Host` this sees the rewritten host. `X-Forwarded-Host` and
    /// `Forwarded` are not read, because any client can send them, so a handler must not take its tenant from them either:
    /// it asks [`Self::tenant_of`].
    pub fn subdomain_of(domain: impl Into<Arc<str>>) -> Self {
        Self(Source::SubdomainOf(domain.into()))
    }

    /// The value of this header field.
    pub fn header(name: HeaderName) -> Self {
        Self(Source::Header(name))
    }

    /// What a function of yours finds in the request, for example by a table of names and ids. It runs with every
    /// request, so it must not block.
    ///
    /// A function that reads the host should refuse a request whose `Host` and URI differ: [`RequestHead::host`] prefers the
    /// URI, and the handler may read the other.
    pub fn function(
        find: impl Fn(&RequestHead<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Source::Function(Arc::new(find)))
    }

    /// The tenant that a request names, as [`Requirement`](super::Requirement) reads it.
    pub fn tenant_of<'a>(&self, request: impl Into<RequestHead<'a>>) -> Option<Cow<'a, str>> {
        let request = request.into();
        let tenant = match &self.0 {
            Source::PathAfter(prefix) => {
                let path = request.uri().path();
                let rest = path.strip_prefix(&**prefix)?;
                if has_dot_segments(path) {
                    return None;
                }
                percent::decoded(rest.split('/').next()?)
            }
            Source::SubdomainOf(domain) => subdomain_of_all(hosts(&request), domain),
            Source::Header(name) => {
                let mut values = request.headers().get_all(name).iter();
                let value = values.next()?.to_str().ok()?;
                values.next().is_none().then_some(Cow::Borrowed(value))
            }
            Source::Function(find) => find(&request).map(Cow::Owned),
        };
        tenant.filter(|tenant| !tenant.is_empty())
    }
}

/// Whether normalising this path changes it. Some services decode it before, take a backslash for a slash, and leave out
/// what follows a semicolon.
fn has_dot_segments(path: &str) -> bool {
    percent::decoded_bytes(path)
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .filter_map(|segment| segment.split(|byte| *byte == b';').next())
        .any(|segment| matches!(segment, b"." | b".."))
}

/// Every host that the request names. An HTTP/1.1 client may name one in the request line and others in `Host`, and which
/// of them counts for the handler is not known here. `None` stands for one that is not text.
fn hosts<'a>(request: &RequestHead<'a>) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    let authority = request.authority().map(Some);
    let fields = request.headers().get_all(HOST).iter();
    authority
        .into_iter()
        .chain(fields.map(|host| host.to_str().ok()))
}

/// The label that all of these hosts have.
fn subdomain_of_all<'a>(
    mut hosts: impl Iterator<Item = Option<&'a str>>,
    domain: &str,
) -> Option<Cow<'a, str>> {
    let label = subdomain(hosts.next()??, domain)?;
    hosts
        .all(|host| host.and_then(|host| subdomain(host, domain)).as_ref() == Some(&label))
        .then_some(label)
}

fn subdomain<'a>(host: &'a str, domain: &str) -> Option<Cow<'a, str>> {
    // An IPv6 address has colons too, and is no subdomain anyway. What follows the colon is a port and nothing else: in
    // `a:1@b` the host is `b`.
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let (label, rest) = name.split_once('.')?;
    if !rest.eq_ignore_ascii_case(domain) {
        return None;
    }
    Some(match label.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(label.to_ascii_lowercase()),
        false => Cow::Borrowed(label),
    })
}

impl fmt::Debug for TenantFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::PathAfter(prefix) => f.debug_tuple("PathAfter").field(prefix).finish(),
            Source::SubdomainOf(domain) => f.debug_tuple("SubdomainOf").field(domain).finish(),
            Source::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Source::Function(_) => f.write_str("Function"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn tenant(from: &TenantFrom, uri: &str, fields: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::get(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        from.tenant_of(&request).map(Cow::into_owned)
    }

    #[test]
    fn the_segment_after_a_prefix() {
        let from = TenantFrom::path_after("/t/");
        let huge = format!("/t/{}", "a".repeat(60_000));
        for (path, found) in [
            ("/t/acme", Some("acme")),
            ("/t/acme/orders?t=other", Some("acme")),
            ("/t/ac%6De", Some("acme")),
            ("/t/a%2Fb/c", Some("a/b")),
            ("/t/%", Some("%")),
            ("/t/%FF", None),
            ("/t/", None),
            ("/t//acme", None),
            ("/T/acme", None),
            ("/%74/acme", None),
            ("/x/t/acme", None),
            // Whoever normalises the path finds another tenant in it.
            ("/t/acme/../other/orders", None),
            ("/t/acme/%2E%2e/other", None),
            ("/t/acme/..%2Fother", None),
            ("/t/acme/..%5Cother", None),
            ("/t/acme/..;a=b/other", None),
            ("/t/acme/%FF/..", None),
            ("/t/./acme", None),
            ("/t/acme/..a/b.c/...", Some("acme")),
            ("/t/acme/caf%E9?of=/../other", Some("acme")),
            (&huge, Some(&huge[3..])),
        ] {
            assert_eq!(tenant(&from, path, &[]).as_deref(), found, "{path:.20}");
        }
    }

    #[test]
    fn the_label_before_a_domain() {
        let from = TenantFrom::subdomain_of("example.com");
        for (host, found) in [
            ("acme.example.com", Some("acme")),
            ("ACME.Example.Com:8443", Some("acme")),
            ("acme.example.com.", Some("acme")),
            ("example.com", None),
            (".example.com", None),
            ("a.b.example.com", None),
            ("acme.example.com.evil.example", None),
            ("acmeexample.com", None),
            ("[::1]:80", None),
        ] {
            assert_eq!(
                tenant(&from, "/", &[("host", host)]).as_deref(),
                found,
                "{host}"
            );
        }
        assert_eq!(tenant(&from, "/", &[]), None);
    }

    // HTTP/1.1 lets a client name a host in the request line and another one in `Host`. The handler may read either.
    #[test]
    fn a_request_that_names_two_hosts_names_no_tenant() {
        let from = TenantFrom::subdomain_of("example.com");
        for (uri, hosts, found) in [
            ("https://acme.example.com/", &[][..], Some("acme")),
            (
                "https://acme.example.com/",
                &["ACME.example.com:443"],
                Some("acme"),
            ),
            ("https://acme.example.com/", &["b.example.com"], None),
            ("https://b.example.com/", &["acme.example.com"], None),
            ("https://acme.example.com/", &["example.com"], None),
            ("/", &["acme.example.com", "b.example.com"], None),
            // What stands before the `@` is a user name, and the host is another one.
            ("https://acme.example.com:1@b.example.com/", &[], None),
            ("/", &["acme.example.com:1@b.example.com"], None),
            ("/", &["acme.example.com:port"], None),
        ] {
            let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            assert_eq!(
                tenant(&from, uri, &fields).as_deref(),
                found,
                "{uri} {hosts:?}"
            );
        }
    }

    #[test]
    fn one_header_field() {
        let from = TenantFrom::header(HeaderName::from_static("x-tenant"));
        assert_eq!(tenant(&from, "/", &[("x-tenant", "acme")]).unwrap(), "acme");
        assert_eq!(tenant(&from, "/", &[("x-tenant", "")]), None);
        let two = [("x-tenant", "acme"), ("x-tenant", "other")];
        assert_eq!(tenant(&from, "/", &two), None);
    }

    #[test]
    fn debug_shows_no_function() {
        let from = TenantFrom::function(|_| None);
        assert_eq!(format!("{from:?}"), "Function");
    }
}
