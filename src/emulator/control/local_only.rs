//! Who may use the control API: programs and pages of this machine.

use http::header::{HOST, ORIGIN};
use http::request::Parts;

use super::super::error::ApiError;

/// Lets requests pass that name this machine as the host and come from no web page of another origin.
///
/// The host rule defeats DNS rebinding: a page of `evil.example` whose name suddenly points to 127.0.0.1 still
/// sends its own name. The origin rule stops blind writes, which browsers send without asking first.
pub(in super::super) fn require_local(parts: &Parts) -> Result<(), ApiError> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        _ => "",
    };
    if !names_this_machine(host) {
        return Err(ApiError::forbidden(
            "The Host must be 127.0.0.1, localhost or [::1]",
        ));
    }
    // An absolute request target names a second host.
    if parts.uri.host().is_some_and(|host| !is_loopback_name(host)) {
        return Err(ApiError::forbidden("The request target names another host"));
    }
    match parts.headers.get(ORIGIN) {
        None => Ok(()),
        Some(origin) if origin.as_bytes() == format!("http://{host}").as_bytes() => Ok(()),
        Some(_) => Err(ApiError::forbidden("Not for web pages of other origins")),
    }
}

fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    is_loopback_name(name)
}

fn is_loopback_name(name: &str) -> bool {
    name == "127.0.0.1" || name == "[::1]" || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn passes(headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri("/emulator");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        require_local(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn only_this_machine_is_served() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:3001",
            "localhost:1",
            "LocalHost",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(passes(&[("host", host)]), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "::1",
            "localhost:x",
        ] {
            assert!(!passes(&[("host", host)]), "{host}");
        }
        assert!(!passes(&[]));
        assert!(!passes(&[("host", "localhost"), ("host", "localhost")]));
    }

    #[test]
    fn pages_of_other_origins_are_not() {
        let host = ("host", "127.0.0.1:3001");
        assert!(passes(&[host, ("origin", "http://127.0.0.1:3001")]));
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:3000",
            "http://localhost:3001",
        ] {
            assert!(!passes(&[host, ("origin", origin)]), "{origin}");
        }
    }
}
