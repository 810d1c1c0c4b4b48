//! What a URL says about the way to the server.

use std::error::Error;
use std::fmt;

use redis::{Client, RedisError};

/// How the server is reached.
pub(super) enum Target {
    Plain(Box<Client>),
    #[cfg(feature = "redis-tls")]
    Tls(Box<super::tls::Tls>),
}

/// The URL does not say how to reach a Redis server, or asks for TLS that is not compiled in.
#[derive(Debug)]
pub struct InvalidRedisUrl(Reason);

#[derive(Debug)]
enum Reason {
    Malformed(RedisError),
    /// The name of the server cannot be that of a certificate.
    #[cfg_attr(not(feature = "redis-tls"), allow(dead_code))]
    Host,
    /// `#insecure` and the like.
    Fragment,
    #[cfg_attr(feature = "redis-tls", allow(dead_code))]
    NoTls,
}

impl fmt::Display for InvalidRedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Malformed(cause) => write!(
                f,
                "not a Redis URL, expected redis[s]://[user:password@]host[:port][/database]: {cause}"
            ),
            Reason::Host => f.write_str(
                "not a Redis URL for TLS: the host is not a name that a certificate can have",
            ),
            Reason::Fragment => f.write_str(
                "not a Redis URL for TLS: nothing may follow a #, and the certificate of the server is always \
                 verified; to trust an authority of your own call RedisStore::ca_certificates",
            ),
            Reason::NoTls => f.write_str(
                "a Redis URL that begins with rediss:// needs the feature `redis-tls` of the crate tower-descope",
            ),
        }
    }
}

impl Error for InvalidRedisUrl {}

impl Target {
    pub(super) fn of(url: &str) -> Result<Self, InvalidRedisUrl> {
        let url = url.trim();
        let Some(plain) = without_tls(url) else {
            let client = client(url)?;
            // The TLS of the crate `redis` must not be used, see the module `tls`. This URL asks for it although our
            // check of the scheme did not see that.
            if let redis::ConnectionAddr::TcpTls { .. } = client.get_connection_info().addr() {
                return Err(InvalidRedisUrl(Reason::Fragment));
            }
            return Ok(Self::Plain(Box::new(client)));
        };
        Self::tls(&plain)
    }

    #[cfg(feature = "redis-tls")]
    fn tls(plain: &str) -> Result<Self, InvalidRedisUrl> {
        if plain.contains('#') {
            return Err(InvalidRedisUrl(Reason::Fragment));
        }
        let client = client(plain)?;
        let tls = super::tls::Tls::of(client.get_connection_info());
        let tls = tls.ok_or(InvalidRedisUrl(Reason::Host))?;
        Ok(Self::Tls(Box::new(tls)))
    }

    #[cfg(not(feature = "redis-tls"))]
    fn tls(plain: &str) -> Result<Self, InvalidRedisUrl> {
        client(plain)?;
        Err(InvalidRedisUrl(Reason::NoTls))
    }
}

fn client(url: &str) -> Result<Client, InvalidRedisUrl> {
    Client::open(url).map_err(|error| InvalidRedisUrl(Reason::Malformed(error)))
}

/// The same URL without TLS, if it asks for TLS.
fn without_tls(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    (is("rediss") || is("valkeys")).then(|| format!("redis://{rest}"))
}
