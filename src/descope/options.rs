//! Checks the builder's options, and makes from them what a [`Project`](crate::project::Project) needs.

use std::sync::Arc;

use super::ConfigError;
use crate::client::{BaseUrl, Client};
use crate::clock::Clock;
use crate::headers::{
    CookieConfig, HOST_PREFIX, SameSite, is_attribute_value, is_cookie_name, normalize_origin,
};
use crate::token::SignatureAlgorithm;
use crate::token::keys::{FetchFailed, FetchFuture, FetchedKeys, KeyTimes, Keys};

/// Keys that are fetched from the API.
pub(super) fn remote_keys(
    client: &Client,
    algorithms: &[SignatureAlgorithm],
    times: KeyTimes,
    clock: Arc<dyn Clock>,
) -> Keys {
    let client = client.clone();
    let fetch = Box::new(move || {
        let client = client.clone();
        let fetched: FetchFuture = Box::pin(async move {
            match client.fetch_keys().await {
                Ok(Some(set)) => Ok(FetchedKeys::Set {
                    body: set.body,
                    max_age: set.max_age,
                    from_loopback: client.base_url().is_loopback(),
                }),
                Ok(None) => Ok(FetchedKeys::Unchanged),
                Err(error) => {
                    // The log names project id and base URL, because this call is the first that fails if one of them
                    // is wrong.
                    tracing::warn!(
                        %error,
                        project_id = %client.project_id(),
                        base_url = client.base_url().as_str(),
                        "the project's keys could not be fetched"
                    );
                    Err(FetchFailed {
                        retry_after: error.retry_after(),
                    })
                }
            }
        });
        fetched
    });
    Keys::remote(fetch, algorithms, times, clock)
}

/// The issuers that are accepted: the configured ones, and those that tokens of the project may name by default.
pub(super) fn issuers(client: &Client, mut issuers: Vec<String>) -> Box<[String]> {
    let project = client.project_id();
    let own = BaseUrl::for_project(project);
    issuers.push(project.as_str().to_owned());
    for base in [client.base_url(), &own] {
        issuers.push(format!("{}/{project}", base.as_str()));
        issuers.push(format!("{}/v1/apps/{project}", base.as_str()));
    }
    issuers.dedup();
    issuers.into()
}

/// The values of `drn` that a kind of token may have: Descope's name for it, and the names of its cookies.
pub(super) fn token_kinds(default: &str, names: &[String]) -> Box<[String]> {
    let mut kinds = vec![default.to_owned()];
    kinds.extend(names.iter().filter(|name| *name != default).cloned());
    kinds.into()
}

/// An origin in the form in which browsers send it.
pub(super) fn origin(origin: &str) -> Result<String, ConfigError> {
    normalize_origin(origin).ok_or_else(|| ConfigError::Origin(origin.to_owned()))
}

/// Checks the names and attributes of the cookies against each other. Adds the names with the `__Host-` prefix if
/// `host_cookies` asks for them, and drops former domains that are the present one.
pub(super) fn settle_cookies(
    cookies: &mut CookieConfig,
    host_cookies: bool,
) -> Result<(), ConfigError> {
    if host_cookies {
        check_host_cookies(cookies)?;
        for names in [&mut cookies.session, &mut cookies.refresh] {
            prefix(names);
        }
    }
    check_cookies(cookies)?;
    let present = cookies.domain.as_deref().map(bare_domain);
    let former = &mut cookies.former_domains;
    former.retain(|domain| Some(bare_domain(domain)) != present);
    Ok(())
}

/// A domain as browsers compare it (RFC 6265 section 5.2.3).
fn bare_domain(domain: &str) -> String {
    domain.trim_start_matches('.').to_ascii_lowercase()
}

/// Checks what browsers demand of cookies with the `__Host-` prefix.
fn check_host_cookies(cookies: &CookieConfig) -> Result<(), ConfigError> {
    let conflict = if let Some(domain) = &cookies.domain {
        format!("cookie_domain({domain:?})")
    } else if cookies.path != "/" {
        format!("cookie_path({:?})", cookies.path)
    } else if !cookies.secure {
        "dangerous_insecure_cookies()".to_owned()
    } else {
        return Ok(());
    };
    Err(ConfigError::Cookie(format!(
        "host_cookies() and {conflict} exclude each other: browsers drop a cookie whose name begins with __Host- \
         unless it is Secure, has Path=/ and no Domain"
    )))
}

/// Puts the name with the `__Host-` prefix before the others.
fn prefix(names: &mut Vec<String>) {
    let Some(first) = names.first() else { return };
    if first.starts_with(HOST_PREFIX) {
        return;
    }
    let first = format!("{HOST_PREFIX}{first}");
    names.retain(|name| *name != first);
    names.insert(0, first);
}

fn check_cookies(cookies: &CookieConfig) -> Result<(), ConfigError> {
    if cookies.session.is_empty() || cookies.refresh.is_empty() {
        return Err(ConfigError::Cookie("a cookie has no name".to_owned()));
    }
    for name in cookies.session.iter().chain(&cookies.refresh) {
        if !is_cookie_name(name) {
            return Err(ConfigError::Cookie(format!("not a cookie name: {name:?}")));
        }
        // Browsers ignore a cookie whose prefix its attributes contradict (RFC 6265bis section 4.1.3).
        let host_only = cookies.domain.is_none() && cookies.path == "/";
        if (name.starts_with("__Host-") && !(host_only && cookies.secure))
            || (name.starts_with("__Secure-") && !cookies.secure)
        {
            return Err(ConfigError::Cookie(format!(
                "the prefix of {name} needs Secure cookies, and __Host- also Path=/ and no Domain"
            )));
        }
    }
    // `DS` always counts as `drn` of session JWTs, and `DSR` as that of refresh JWTs, whatever names are configured.
    for (names, other, ours, theirs) in [
        (&cookies.session, "DSR", "session", "refresh"),
        (&cookies.refresh, "DS", "refresh", "session"),
    ] {
        let is_other = |name: &&String| {
            let prefixes = [HOST_PREFIX, "__Secure-", ""];
            let mut bare = prefixes
                .iter()
                .filter_map(|prefix| name.strip_prefix(prefix));
            bare.any(|bare| bare == other)
        };
        if let Some(name) = names.iter().find(is_other) {
            return Err(ConfigError::Cookie(format!(
                "{name} cannot be a name of the {ours} cookie: it is Descope's name for the {theirs} cookie, and \
                 {theirs} JWTs would pass for {ours} JWTs"
            )));
        }
    }
    if let Some(name) = cookies
        .session
        .iter()
        .find(|name| cookies.refresh.contains(name))
    {
        return Err(ConfigError::Cookie(format!(
            "{name} is the name of both the session and the refresh cookie"
        )));
    }
    if cookies.same_site == SameSite::None && !cookies.secure {
        return Err(ConfigError::Cookie(
            "SameSite=None needs Secure cookies".to_owned(),
        ));
    }
    let domains = cookies.domain.iter().chain(&cookies.former_domains);
    for value in domains.chain([&cookies.path]) {
        if !is_attribute_value(value) {
            return Err(ConfigError::Cookie(format!(
                "not a cookie attribute: {value:?}"
            )));
        }
    }
    Ok(())
}
