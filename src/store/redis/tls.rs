//! TLS to the server, by rustls with aws-lc-rs.
//!
//! The TLS of the crate `redis` is not used: it takes the cryptographic backend of the whole process, and panics if two
//! of them are compiled in and the process has chosen none.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, Error as TlsError, RootCertStore};

use crate::store::StoreError;

/// A server that is reached by TLS.
pub(super) struct Tls {
    host: String,
    port: u16,
    name: ServerName<'static>,
    pub(super) login: RedisConnectionInfo,
    roots: Option<RootCertStore>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// Made at the first connection, because the certificates of the machine have to be read from files.
    connector: OnceLock<TlsConnector>,
}

/// The certificates or the key cannot be used.
///
/// The text shows neither of them.
#[derive(Debug)]
pub struct InvalidRedisCertificates(&'static str);

impl fmt::Display for InvalidRedisCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificates for Redis: {}", self.0)
    }
}

impl Error for InvalidRedisCertificates {}

impl InvalidRedisCertificates {
    pub(super) const NO_TLS: Self = Self("the URL does not begin with rediss://");
    const NONE: Self = Self("expected at least one certificate in PEM");
    const AUTHORITY: Self = Self("not a certificate that can be trusted as an authority");
    const KEY: Self = Self("expected one private key in PEM");
    const PAIR: Self = Self("the key cannot be used, or is not that of the certificate");
}

impl Tls {
    /// `None` if the host is not a name that a certificate can have.
    pub(super) fn of(info: &ConnectionInfo) -> Option<Self> {
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return None;
        };
        Some(Self {
            name: ServerName::try_from(host.clone()).ok()?,
            host: host.clone(),
            port: *port,
            login: info.redis_settings().clone(),
            roots: None,
            client: None,
            connector: OnceLock::new(),
        })
    }

    pub(super) fn trust(&mut self, pem: &[u8]) -> Result<(), InvalidRedisCertificates> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            roots
                .add(certificate)
                .map_err(|_| InvalidRedisCertificates::AUTHORITY)?;
        }
        self.roots = Some(roots);
        self.connector = OnceLock::new();
        Ok(())
    }

    pub(super) fn identify(
        &mut self,
        chain: &[u8],
        key: &[u8],
    ) -> Result<(), InvalidRedisCertificates> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidRedisCertificates::KEY)?;
        // Reports a key that does not fit now rather than at the first connection.
        let roots = RootCertStore::empty();
        builder()
            .map_err(|_| InvalidRedisCertificates::PAIR)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|_| InvalidRedisCertificates::PAIR)?;
        self.client = Some((chain, key));
        self.connector = OnceLock::new();
        Ok(())
    }

    pub(super) async fn connect(&self) -> Result<TlsStream<TcpStream>, StoreError> {
        let connector = self.connector().map_err(StoreError::new)?;
        let stream = TcpStream::connect((&*self.host, self.port)).await;
        let stream = stream.map_err(StoreError::new)?;
        // Commands are small and wait for their answers.
        stream.set_nodelay(true).map_err(StoreError::new)?;
        let stream = connector.connect(self.name.clone(), stream).await;
        stream.map_err(StoreError::new)
    }

    fn connector(&self) -> Result<TlsConnector, TlsError> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let builder = builder()?;
        let builder = match &self.roots {
            Some(roots) => builder.with_root_certificates(roots.clone()),
            None => builder.with_platform_verifier()?,
        };
        let config = match &self.client {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        let connector = TlsConnector::from(Arc::new(config));
        Ok(self.connector.get_or_init(|| connector).clone())
    }
}

fn builder() -> Result<
    tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::WantsVerifier>,
    TlsError,
> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidRedisCertificates> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(InvalidRedisCertificates::NONE),
    }
}
