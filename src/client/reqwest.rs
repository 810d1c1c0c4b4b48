//! The default transport.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use reqwest::redirect::Policy;

use super::base_url::BaseUrl;
use super::transport::{Transport, TransportError, TransportErrorKind, TransportFuture};

/// A client of your own must be built with `redirect(Policy::none())`: an answer that was reached through a
/// redirect is refused as [`TransportErrorKind::Interrupted`], but by then the redirect has been followed. It
/// should also have `retry(reqwest::retry::never())`, see there.
impl Transport for reqwest::Client {
    fn send(&self, request: Request<Bytes>, limit: usize) -> TransportFuture<'_> {
        Box::pin(async move {
            // Nothing was sent yet, but sending it again would not help either.
            let request = reqwest::Request::try_from(request)
                .map_err(|_| TransportError::new(TransportErrorKind::Interrupted))?;
            let url = request.url().clone();
            let mut response = self.execute(request).await.map_err(translate)?;
            if *response.url() != url {
                return Err(TransportError::new(TransportErrorKind::Interrupted));
            }

            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(translate)? {
                if chunk.len() > limit - body.len() {
                    return Err(TransportError::new(TransportErrorKind::TooLarge));
                }
                body.extend_from_slice(&chunk);
            }

            let mut answer = Response::new(body.freeze());
            *answer.status_mut() = response.status();
            *answer.headers_mut() = std::mem::take(response.headers_mut());
            Ok(answer)
        })
    }
}

// By value, for `map_err`.
#[allow(clippy::needless_pass_by_value)]
fn translate(error: reqwest::Error) -> TransportError {
    TransportError::new(if error.is_connect() {
        // A time-out while connecting too: name resolution, TCP and TLS come before the first byte of a request.
        TransportErrorKind::NotConnected
    } else if error.is_timeout() {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Interrupted
    })
}

/// The client that is used when the builder gets no transport. Does no network I/O and needs no runtime; reads
/// the CA certificates of the machine.
pub(super) fn default_client(base: &BaseUrl) -> Result<reqwest::Client, BuildError> {
    require_tls(base, HAS_TLS)?;
    let mut builder = reqwest::Client::builder()
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // Replaying is decided in one place, which knows what a replay would burn.
        .retry(reqwest::retry::never())
        // Off already, unless another dependency of the application enables them.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate();
    if base.is_loopback() {
        builder = builder.no_proxy();
    }
    if !base.is_https() {
        builder = without_certificates(builder);
    }
    builder.build().map_err(|error| {
        let mut source = error.source();
        while let Some(cause) = source {
            // The cause is an error of rustls made from a text; there is nothing else to recognise it by.
            if cause.to_string().contains("No CA certificates") {
                return BuildError::NoCaCertificates;
            }
            source = cause.source();
        }
        BuildError::Tls
    })
}

fn require_tls(base: &BaseUrl, has_tls: bool) -> Result<(), BuildError> {
    if base.is_https() && !has_tls {
        return Err(BuildError::NoTls);
    }
    Ok(())
}

// A machine without CA certificates must still reach an emulator.
#[cfg(any(feature = "aws-lc", feature = "native-tls"))]
fn without_certificates(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder.tls_certs_only([])
}

#[cfg(not(any(feature = "aws-lc", feature = "native-tls")))]
fn without_certificates(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder
}

/// Why no [`Client`](super::Client) could be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The base URL is `https` and the crate was compiled without TLS.
    NoTls,
    /// The machine has no CA certificates, so no server could be trusted.
    NoCaCertificates,
    /// The TLS library could not be set up.
    Tls,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTls => {
                "no tls: enable the feature `aws-lc` or `native-tls` of tower-descope, or give the builder a \
                 transport of your own"
            }
            Self::NoCaCertificates => {
                "no ca certificates on this machine: install the package `ca-certificates`, point \
                 SSL_CERT_FILE to a bundle, or give the builder a transport of your own"
            }
            Self::Tls => {
                "the tls library could not be set up: check the ca certificates of this machine and the tls \
                 features of reqwest, or give the builder a transport of your own"
            }
        })
    }
}

impl std::error::Error for BuildError {}

const HAS_TLS: bool = cfg!(any(feature = "aws-lc", feature = "native-tls"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
// Below the idle limit of common load balancers (60 s), so that a POST, which is not replayed, rarely meets a
// connection that is just being closed.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    // Plain test functions: there is no runtime.

    #[test]
    fn building_needs_no_runtime() {
        default_client(&"http://127.0.0.1:1".parse().unwrap()).unwrap();
    }

    #[test]
    fn without_tls_an_https_base_url_is_refused_at_once() {
        let https = "https://auth.example.com".parse().unwrap();
        let error = require_tls(&https, false).unwrap_err();
        assert_eq!(error, BuildError::NoTls);
        assert!(error.to_string().contains("native-tls"));
        require_tls(&https, true).unwrap();
        require_tls(&"http://127.0.0.1:1".parse().unwrap(), false).unwrap();
    }
}
