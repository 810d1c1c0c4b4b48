use std::fmt;

use crate::client::{BuildError, InvalidBaseUrl, InvalidProjectId};

/// What is wrong with a configuration.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// `DESCOPE_PROJECT_ID` is not set.
    NoProjectId,
    /// The project id is malformed.
    ProjectId(InvalidProjectId),
    /// The base URL is malformed, or plain http to another machine.
    BaseUrl(InvalidBaseUrl),
    /// The default transport cannot be built.
    Transport(BuildError),
    /// The given public key is no JWK that can verify session JWTs.
    PublicKey,
    /// An origin is not of the form `https://host[:port]`.
    Origin(String),
    /// A cookie's name or attribute is malformed, or its prefix contradicts its attributes.
    Cookie(String),
    /// An option has a value that is not allowed: a leeway of more than 60 s, or no signature algorithm.
    OutOfRange(&'static str),
    /// An option contradicts the client that was given to
    /// [`DescopeBuilder::client`](crate::DescopeBuilder::client), or the client is of another project.
    Client(String),
    /// A variable of the environment is malformed, or has a name that is not read.
    Environment(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProjectId => f.write_str(
                "the environment variable DESCOPE_PROJECT_ID is not set; it is shown in Descope's console under Project",
            ),
            Self::ProjectId(error) => error.fmt(f),
            Self::BaseUrl(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
            Self::PublicKey => f.write_str(
                "the public key is no JWK with kid, for signatures, of an allowed algorithm and size",
            ),
            Self::Origin(origin) => {
                write!(f, "not an origin: {origin:?}, expected https://host[:port]")
            }
            Self::Cookie(why) | Self::Client(why) => f.write_str(why),
            Self::OutOfRange(what) => f.write_str(what),
            Self::Environment(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // `Display` shows the text of the inner error already, so the source is what is behind that error.
        match self {
            Self::ProjectId(error) => error.source(),
            Self::BaseUrl(error) => error.source(),
            Self::Transport(error) => error.source(),
            _ => None,
        }
    }
}

impl From<InvalidProjectId> for ConfigError {
    fn from(error: InvalidProjectId) -> Self {
        Self::ProjectId(error)
    }
}

impl From<InvalidBaseUrl> for ConfigError {
    fn from(error: InvalidBaseUrl) -> Self {
        Self::BaseUrl(error)
    }
}

impl From<BuildError> for ConfigError {
    fn from(error: BuildError) -> Self {
        Self::Transport(error)
    }
}
