use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::service::AccessKeyService;
use super::session::KeySession;
use crate::client::{AccessKey, Client};
use crate::wire::AccessKeyLoginOptions;

/// Adds the session of an access key to the calls that a service of yours makes to another one.
///
/// Wrap an HTTP client that is a tower service (hyper-util's `Client`, a tonic `Channel`, a `Router` in tests). Each
/// call gets `Authorization: Bearer <session JWT>`, in place of an `Authorization` that it has. The receiver verifies
/// the JWT like that of a user, with a [`SessionLayer`](crate::SessionLayer) for example: the roles and permissions are
/// those of the key.
///
/// The layer, its clones and the services that they make share one session:
///
/// * The first call exchanges the key, and all calls of that time wait for the same exchange. It runs on a task of its
///   own and goes on when the caller goes away.
/// * In the last minute of the session's life (the last fifth if that is shorter) a call begins the next exchange in
///   the background, and no call waits for it. In the last 5 s (the last tenth) calls do wait, because the session
///   may run out on the way. The JWT's `exp` and `iat` say how long the session lives; without them, the member
///   `expiration` of the answer.
/// * If an exchange fails, the session is used until it expires. Then, or if there is none, calls fail with
///   [`AccessKeyError::Exchange`](super::AccessKeyError::Exchange) and are not sent.
/// * After a failed exchange the next one waits for 1 s, and twice as long with every further failure, or for as long
///   as `Retry-After` asks; 60 s at most. Calls without a session fail at once meanwhile. A key that Descope refuses is
///   treated alike, and is asked about once a minute in the end. Each failure logs one event of level warn,
///   `access_key.exchange_failed`.
///
/// Time is that of the client's [clock](crate::client::ClientBuilder::clock). Calls need a tokio runtime, as those of
/// the client do. A service that answers 401 does not cause an exchange.
///
/// # Where the calls go
///
/// Every call through the layer carries the session, whatever its URL says. Use it for a client that calls only
/// services of yours over TLS, and below anything that follows redirects: whoever gets the JWT can act with the key's
/// rights until it expires. The access key itself goes to Descope alone.
///
/// # Example
///
/// The transport in this example answers from memory, and the service is a closure. In an app, `client` is
/// [`Descope::client`](crate::Descope::client) and the service an HTTP client.
///
/// ```
/// # use bytes::Bytes;
/// # use tower_descope::client::{Transport, TransportFuture};
/// # struct Canned;
/// # impl Transport for Canned {
/// #     fn send(&self, request: http::Request<Bytes>, _limit: usize) -> TransportFuture<'_> {
/// #         assert_eq!(request.uri().path(), "/v1/auth/accesskey/exchange");
/// #         let body = r#"{"keyId":"K2job","sessionJwt":"e30.eyJpYXQiOjEwMDAsImV4cCI6MTYwMH0.c2ln"}"#;
/// #         Box::pin(async move { Ok(http::Response::new(body.into())) })
/// #     }
/// # }
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_descope::client::{AccessKey, AccessKeyLayer, Client};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = Client::builder("P2abcdefghijklmnopqrstuvwxyz".parse()?).transport(Canned).build()?;
/// let key = AccessKey::new("K2key")?; // from the environment or a secret store
/// let to_billing = AccessKeyLayer::new(client, key).layer(service_fn(async |request: Request<String>| {
///     assert!(request.headers()["authorization"].is_sensitive());
///     Ok::<_, std::io::Error>(Response::new("paid"))
/// }));
/// let response = to_billing.oneshot(Request::new("invoice 7".to_owned())).await?;
/// assert_eq!(response.into_body(), "paid");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AccessKeyLayer {
    session: Arc<KeySession>,
}

impl AccessKeyLayer {
    /// A layer for this key of the client's project. Nothing is sent before the first call.
    ///
    /// Each layer made here has a session of its own, also for the same key: clone the layer to share it.
    pub fn new(client: Client, key: AccessKey) -> Self {
        let session = KeySession::new(client, key, AccessKeyLoginOptions::default());
        Self {
            session: Arc::new(session),
        }
    }

    /// What the exchange asks for: the tenant in which the key is to act, and claims of your own. Default: nothing.
    ///
    /// The layer that is returned has a session of its own; clones that were made before keep theirs.
    #[must_use]
    pub fn login_options(self, options: AccessKeyLoginOptions) -> Self {
        Self {
            session: Arc::new(self.session.with_options(options)),
        }
    }
}

impl<S> Layer<S> for AccessKeyLayer {
    type Service = AccessKeyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessKeyService::new(inner, self.session.clone())
    }
}

impl fmt::Debug for AccessKeyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeyLayer")
            .field("client", self.session.client())
            .finish_non_exhaustive()
    }
}
