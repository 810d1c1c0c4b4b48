//! What the environment says about a project.

use std::env;
use std::ffi::OsString;

use super::{ConfigError, DescopeBuilder};
use crate::client::AccessKey;

impl DescopeBuilder {
    /// Starts a handle with what the environment says:
    ///
    /// | variable | |
    /// |---|---|
    /// | `DESCOPE_PROJECT_ID` | the project; required |
    /// | `DESCOPE_BASE_URL` | [`base_url`](Self::base_url), if it is set |
    /// | `DESCOPE_AUTH_MANAGEMENT_KEY` | [`auth_management_key`](Self::auth_management_key), if it is set |
    ///
    /// The names are those of Descope's own SDKs. Nothing else is read from the environment, and nothing there can weaken
    /// verification.
    ///
    /// ```no_run
    /// use tower_descope::DescopeBuilder;
    ///
    /// # fn main() -> Result<(), tower_descope::ConfigError> {
    /// let descope = DescopeBuilder::from_env()?.host_cookies().build()?;
    /// # let _ = descope; Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the project id is missing, a variable is not UTF-8, or the key is malformed. Also when `DESCOPE_BASE_URI` is set and
    /// `DESCOPE_BASE_URL` is not: some of Descope's SDKs use that name, and a handle that ignored it would talk to another
    /// host than you meant.
    pub fn from_env() -> Result<Self, ConfigError> {
        from(|name| env::var_os(name))
    }
}

fn from(get: impl Fn(&str) -> Option<OsString>) -> Result<DescopeBuilder, ConfigError> {
    let text = |name: &'static str| match get(name).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(ConfigError::Environment(format!("{name} is not UTF-8"))),
    };
    let project = text("DESCOPE_PROJECT_ID")?.ok_or(ConfigError::NoProjectId)?;
    let mut builder = DescopeBuilder::new(project);
    match text("DESCOPE_BASE_URL")? {
        Some(base_url) => builder = builder.base_url(base_url),
        None if get("DESCOPE_BASE_URI").is_some() => {
            return Err(ConfigError::Environment(
                "DESCOPE_BASE_URI is set, which has no effect here; the name is DESCOPE_BASE_URL"
                    .to_owned(),
            ));
        }
        None => {}
    }
    if let Some(key) = text("DESCOPE_AUTH_MANAGEMENT_KEY")? {
        let key = AccessKey::new(key).map_err(|_| {
            ConfigError::Environment(
                "DESCOPE_AUTH_MANAGEMENT_KEY has characters that no key has".to_owned(),
            )
        })?;
        builder = builder.auth_management_key(key);
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(variables: &[(&str, &str)]) -> Result<crate::Descope, String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let builder = from(get).map_err(|error| error.to_string())?;
        builder.build().map_err(|error| error.to_string())
    }

    const PROJECT: (&str, &str) = ("DESCOPE_PROJECT_ID", "P2abc");

    #[test]
    fn what_is_set_is_used() {
        let url = ("DESCOPE_BASE_URL", "http://127.0.0.1:7777");
        let descope = handle(&[PROJECT, url]).unwrap();
        assert_eq!(descope.project_id().as_str(), "P2abc");
        assert_eq!(
            descope.client().base_url().to_string(),
            "http://127.0.0.1:7777"
        );
        handle(&[PROJECT, url, ("DESCOPE_BASE_URI", "http://127.0.0.1:1")]).unwrap();
        handle(&[PROJECT, ("DESCOPE_AUTH_MANAGEMENT_KEY", "K2abc")]).unwrap();
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        for (variables, words) in [
            (&[][..], "DESCOPE_PROJECT_ID is not set"),
            (
                &[PROJECT, ("DESCOPE_BASE_URI", "http://127.0.0.1:1")],
                "the name is DESCOPE_BASE_URL",
            ),
            (
                &[PROJECT, ("DESCOPE_AUTH_MANAGEMENT_KEY", "a b")],
                "DESCOPE_AUTH_MANAGEMENT_KEY",
            ),
        ] {
            let error = handle(variables).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("a b"), "{error}");
        }
        assert!(handle(&[PROJECT, ("DESCOPE_BASE_URL", "nonsense")]).is_err());
    }

    #[test]
    fn what_is_set_contradicts_a_client_of_the_app() {
        for name in ["DESCOPE_BASE_URL", "DESCOPE_AUTH_MANAGEMENT_KEY"] {
            let get = |asked: &str| match asked {
                _ if asked == name => Some("K2abc".into()),
                "DESCOPE_PROJECT_ID" => Some("P2abc".into()),
                _ => None,
            };
            let client = crate::Client::builder("P2abc".parse().unwrap());
            let client = client.build().unwrap();
            let error = from(get).unwrap().client(client).build().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_utf8_is_an_error() {
        use std::os::unix::ffi::OsStringExt;

        for name in [
            "DESCOPE_PROJECT_ID",
            "DESCOPE_BASE_URL",
            "DESCOPE_AUTH_MANAGEMENT_KEY",
        ] {
            let get = |asked: &str| match asked {
                _ if asked == name => Some(OsString::from_vec(vec![b'h', 0xff])),
                "DESCOPE_PROJECT_ID" => Some("P2abc".into()),
                _ => None,
            };
            let error = from(get).unwrap_err().to_string();
            assert_eq!(error, format!("{name} is not UTF-8"));
        }
    }
}
