//! Why a token was refused.

use std::fmt;

/// Why a token was refused, for logs and metrics of the operator.
///
/// It never enters a response: an attacker learns "invalid token" and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidToken {
    /// Longer than the configured maximum.
    TooLong,
    /// Not three base64url parts that hold JSON objects of the right shape.
    Malformed,
    /// The algorithm is not allowed, or is not the one that the key is published for.
    Algorithm,
    /// The header uses an extension that must be understood, or encryption.
    UnsupportedHeader,
    /// `typ` names another kind of token.
    WrongType,
    /// No key of the project has this `kid`.
    UnknownKey,
    /// The signature does not fit.
    Signature,
    /// `iss` is not this project.
    Issuer,
    /// `aud` lacks the configured audience; or none is configured, and `aud` is there and lacks the project id. See
    /// [`audience`](crate::DescopeBuilder::audience).
    Audience,
    /// A refresh JWT where a session JWT belongs, or the reverse, or a token of an unknown kind (`drn`).
    Kind,
    /// `sub` is missing or empty.
    Subject,
    /// `exp` is missing, or a time has the wrong type.
    Time,
    /// `nbf` or `iat` lies in the future.
    NotYetValid,
    /// The token is bound to a key of its client (`cnf`: DPoP, RFC 9449, or mutual TLS, RFC 8705). This crate does not
    /// check yet whether the sender has that key, and without the check a stolen token would be as good as one that
    /// is not bound. So such tokens are refused. Do not turn on DPoP for sessions of this app.
    SenderConstrained,
    /// The session was logged out or revoked.
    Revoked,
}

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "token is too long",
            Self::Malformed => "token is malformed",
            Self::Algorithm => "token's algorithm is not allowed",
            Self::UnsupportedHeader => "token's header needs an extension that is not supported",
            Self::WrongType => "token's type is not a session",
            Self::UnknownKey => "token's key id is unknown",
            Self::Signature => "token's signature is wrong",
            Self::Issuer => "token was issued for another project",
            Self::Audience => {
                "token was issued for another audience; if it is this app's, name it with `.audience(..)`"
            },
            Self::Kind => "token is of another kind",
            Self::Subject => "token has no subject",
            Self::Time => "token has no usable expiry",
            Self::NotYetValid => "token is not valid yet",
            Self::SenderConstrained => "token is bound to a key whose proof is not supported",
            Self::Revoked => "session was ended",
        })
    }
}

impl std::error::Error for InvalidToken {}
