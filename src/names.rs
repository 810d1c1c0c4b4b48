//! The names of an enum's values in configuration files, URLs and on the wire.
//!
//! A name is compared exactly. Where a standard ignores case (`SameSite`), or a file format is lenient, a second
//! spelling would be one more thing to look for, and the error tells the right one.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};

/// The error for a text that is none of the names of an enum. `Display` lists the names that are accepted; the text
/// itself, which may come from anybody, is not repeated.
///
/// These enums have names, for [`FromStr`], [`Display`](fmt::Display) and serde alike, and upper and lower case
/// differ:
///
/// | type | names |
/// |---|---|
/// | [`SameSite`](crate::SameSite) | `Lax`, `Strict`, `None`, as in `Set-Cookie` |
/// | [`SignatureAlgorithm`](crate::SignatureAlgorithm) | `RS256`, `ES256`, `ES384`, as in JWTs |
/// | [`DeliveryMethod`](crate::wire::DeliveryMethod) | `email`, `sms`, `voice`, `whatsapp`, `im`, as in the paths of the API |
/// | [`NotpProvider`](crate::wire::NotpProvider) | `whatsapp`, as in the paths of the API |
/// | [`SignOut`](crate::SignOut) | `logout`, `logoutall`, as in the paths of the API |
/// | `routes::TokenDelivery` | `cookies`, `cookies-and-session`, `body` |
/// | `emulator::TokenDelivery` | `body`, `cookies` |
/// | `emulator::RefreshRotation` | `none`, `single-use`, `reuse-interval`; in JSON also booleans |
///
/// ```
/// use serde::Deserialize;
/// use tower_descope::client::BaseUrl;
/// use tower_descope::{Descope, ProjectId, SameSite, SignatureAlgorithm, UnknownName};
///
/// #[derive(Deserialize)]
/// struct SignIn {
///     project: ProjectId,
///     base_url: BaseUrl,
///     same_site: SameSite,
///     algorithms: Vec<SignatureAlgorithm>,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = r#"{
///     "project": "P2abcdefghijklmnopqrstuvwxyz1",
///     "base_url": "http://127.0.0.1:7777",
///     "same_site": "Strict",
///     "algorithms": ["RS256", "ES256"]
/// }"#;
/// let settings: SignIn = serde_json::from_str(file)?;
/// let descope = Descope::builder(settings.project.as_str())
///     .base_url(settings.base_url.as_str())
///     .same_site(settings.same_site)
///     .algorithms(settings.algorithms)
///     .build()?;
/// assert_eq!(descope.client().base_url().as_str(), "http://127.0.0.1:7777");
///
/// let unknown: UnknownName = "lax".parse::<SameSite>().unwrap_err();
/// assert_eq!(unknown.to_string(), "unknown SameSite attribute, expected Lax, Strict or None");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName {
    what: &'static str,
    accepted: &'static [&'static str],
}

impl UnknownName {
    pub(crate) fn new(what: &'static str, accepted: &'static [&'static str]) -> Self {
        Self { what, accepted }
    }

    /// The names that are accepted.
    pub fn accepted(&self) -> &'static [&'static str] {
        self.accepted
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {}, expected ", self.what)?;
        for (at, name) in self.accepted.iter().enumerate() {
            match self.accepted.len() - at {
                1 => f.write_str(name)?,
                2 => write!(f, "{name} or ")?,
                _ => write!(f, "{name}, ")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for UnknownName {}

/// Reads a text and parses it.
pub(crate) fn deserialize<'de, D, T>(deserializer: D, what: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct Text<T> {
        what: &'static str,
        to: PhantomData<T>,
    }

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "the {} as a text", self.what)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text {
        what,
        to: PhantomData,
    })
}

/// Gives an enum names: `as_str`, `Display` and `FromStr`.
macro_rules! names {
    ($type:ident, $what:literal, [$($variant:ident => $name:literal),+ $(,)?]) => {
        impl $type {
            /// The name, which [`FromStr`](std::str::FromStr) reads.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        /// Compares exactly: a name in another case or with a blank is unknown.
        impl std::str::FromStr for $type {
            type Err = $crate::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownName::new($what, &[$($name),+])),
                }
            }
        }
    };
}

/// Writes and reads a type with serde as the text of `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($type:ident, $what:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::names::deserialize(deserializer, $what)
            }
        }
    };
}

pub(crate) use names;
pub(crate) use serde_as_text;
