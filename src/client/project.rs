//! The id of a project.

use std::fmt;
use std::str::FromStr;

use crate::names::serde_as_text;

/// The id of a Descope project, from the console: `P` and 27 or 31 characters.
///
/// Accepted are 1 to 64 characters of `A-Z a-z 0-9 _ -`. This covers more than the ids of the console, but no id that
/// would need escaping in a path or in an `Authorization` header.
///
/// ```
/// use tower_descope::client::ProjectId;
///
/// let project: ProjectId = "P2abcdefghijklmnopqrstuvwxyz".parse()?;
/// assert!("P2/../x".parse::<ProjectId>().is_err());
/// # Ok::<(), tower_descope::client::InvalidProjectId>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(String);

impl ProjectId {
    /// Checks the text and makes a project id of it.
    ///
    /// # Errors
    ///
    /// When the text is empty, has more than 64 characters, or holds a character that is not accepted.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidProjectId> {
        let id = id.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if id.is_empty() {
            Err(InvalidProjectId::Empty)
        } else if id.len() > MAX_PROJECT_ID {
            Err(InvalidProjectId::TooLong)
        } else if !id.bytes().all(allowed) {
            Err(InvalidProjectId::Character)
        } else {
            Ok(Self(id))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectId {
    type Err = InvalidProjectId;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::new(s)
    }
}

impl TryFrom<&str> for ProjectId {
    type Error = InvalidProjectId;

    fn try_from(id: &str) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl TryFrom<String> for ProjectId {
    type Error = InvalidProjectId;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl fmt::Debug for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectId({})", self.0)
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(ProjectId, "project id");

/// Why a text is not a valid [`ProjectId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidProjectId {
    /// The text is empty.
    Empty,
    /// The text has more than 64 characters.
    TooLong,
    /// The text holds a character other than `A-Z a-z 0-9 _ -`.
    Character,
}

impl fmt::Display for InvalidProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the project id is empty",
            Self::TooLong => "the project id has more than 64 characters",
            Self::Character => {
                "the project id holds a character other than letters, digits, `_` and `-`"
            }
        })
    }
}

impl std::error::Error for InvalidProjectId {}

const MAX_PROJECT_ID: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_ids() {
        for good in [
            "P",
            "P2abcdefghijklmnopqrstuvwxyz",
            "a_b-C9",
            &"x".repeat(64),
        ] {
            assert_eq!(good.parse::<ProjectId>().unwrap().as_str(), good);
        }
        assert_eq!(ProjectId::new(""), Err(InvalidProjectId::Empty));
        assert_eq!(
            ProjectId::new("x".repeat(65)),
            Err(InvalidProjectId::TooLong)
        );
        for bad in ["a b", "a:b", "a/b", "a\r\nb", "ä", "..", "a%2fb"] {
            assert_eq!(
                ProjectId::new(bad),
                Err(InvalidProjectId::Character),
                "{bad}"
            );
        }
    }
}
