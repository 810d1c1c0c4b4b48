//! The default transport.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use reqwest::redirect::Policy;

use super::base_url::BaseUrl;
use super::transport::{Transport, TransportError, TransportErrorKind, TransportFuture};

/// Build a client of your own with `redirect(Policy::none())`. An answer that was reached through a redirect is
/// refused as [`TransportErrorKind::Interrupted`], but only after the redirect was followed. Also build it with
/// `retry(reqwest::retry::never())`, because a [`Transport`] must not repeat a request that may have reached the
/// server.
impl Transport for reqwest::Client {
    fn send(&self, request: Request<Bytes>, limit: usize) -> TransportFuture<'_> {
        Box::pin(async move {
            // Nothing was sent, so this could be `NotConnected`; but the call is then repeated, which would fail again.
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

// Takes the error by value so that it can be passed to `map_err`.
#[allow(clippy::needless_pass_by_value)]
fn translate(error: reqwest::Error) -> TransportError {
    TransportError::new(if error.is_connect() {
        // This includes a time-out while connecting: name resolution, TCP and TLS precede the first byte of a request.
        TransportErrorKind::NotConnected
    } else if error.is_timeout() {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Interrupted
    })
}

/// Makes the client that is used when the builder is given no transport. This reads the CA certificates of the
/// machine, does no network I/O and needs no runtime.
pub(super) fn default_client(base: &BaseUrl) -> Result<reqwest::Client, BuildError> {
    require_tls(base, HAS_TLS)?;
    let mut builder = reqwest::Client::builder()
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // Whether a request is repeated is decided in `Client::send_and_repeat` only.
        .retry(reqwest::retry::never())
        // Decompression is off already, unless another dependency of the application enables these features of reqwest.
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
            // rustls makes this error from a text, so the text is the only way to recognise it.
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

// Without this, a machine that has no CA certificates could not reach an emulator over plain http.
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
    /// The machine has no CA certificates, so no server can be trusted.
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
// Common load balancers close a connection that was idle for 60 s. This limit is lower, so that a POST, which is not
// repeated, rarely goes out on a connection that the other side is closing.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    // These are plain `#[test]` functions, so that they run without a runtime.

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
