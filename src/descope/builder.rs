use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::connection::{Connection, SharedTransport};
use super::{ConfigError, Descope, options};
use crate::client::{AccessKey, Client, ProjectId, Transport};
use crate::clock::Clock;
use crate::headers::{CookieConfig, OriginPolicy};
#[cfg(feature = "routes")]
use crate::project::TokenDelivery;
use crate::project::hooks::Hooks;
use crate::project::{Profiles, Project};
use crate::refresh::Renewer;
#[cfg(feature = "shared-store")]
use crate::store::SharedStore;
use crate::token::keys::{KeyTimes, Keys};
use crate::token::{
    Audience, KeySet, MAX_LEEWAY, Revoked, Rules, SignatureAlgorithm, TokenCache, VerifiedTokens,
    Verifier,
};

/// Configures a [`Descope`] handle. Every option has a default that is right for production.
///
/// No option is checked before [`build`](Self::build), whose error names the one that is wrong.
#[derive(Debug)]
pub struct DescopeBuilder {
    project: String,
    connection: Connection,
    public_key: Option<String>,
    #[cfg(feature = "testing")]
    of_test_kit: bool,
    algorithms: Vec<SignatureAlgorithm>,
    issuers: Vec<String>,
    audience: Option<String>,
    leeway: Duration,
    accept_missing_drn: bool,
    max_token_bytes: usize,
    key_times: KeyTimes,
    keep_renewals_for: Duration,
    pub(super) cookies: CookieConfig,
    pub(super) host_cookies: bool,
    pub(super) origins: Vec<String>,
    pub(super) public_origin: Option<String>,
    pub(super) hooks: Hooks,
    pub(super) private_responses: bool,
    early_renewal: Duration,
    token_cache: TokenCache,
    #[cfg(feature = "shared-store")]
    store: Option<BoxedStore>,
    #[cfg(feature = "routes")]
    delivery: TokenDelivery,
    #[cfg(feature = "routes")]
    body_timeout: Duration,
    #[cfg(feature = "routes")]
    adopt_sessions: bool,
    #[cfg(feature = "utoipa")]
    serve_openapi: bool,
}

#[cfg(feature = "shared-store")]
struct BoxedStore(Box<dyn SharedStore>);

#[cfg(feature = "shared-store")]
impl std::fmt::Debug for BoxedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedStore")
    }
}

impl DescopeBuilder {
    pub(super) fn new(project: String) -> Self {
        Self {
            project,
            connection: Connection::default(),
            public_key: None,
            #[cfg(feature = "testing")]
            of_test_kit: false,
            algorithms: vec![SignatureAlgorithm::Rs256],
            issuers: Vec::new(),
            audience: None,
            leeway: Duration::from_secs(5),
            accept_missing_drn: false,
            max_token_bytes: 16 * 1024,
            key_times: KeyTimes::default(),
            keep_renewals_for: Duration::from_secs(10),
            cookies: CookieConfig::default(),
            host_cookies: false,
            origins: Vec::new(),
            public_origin: None,
            hooks: Hooks::default(),
            private_responses: true,
            early_renewal: Duration::from_secs(20),
            token_cache: TokenCache::new(),
            #[cfg(feature = "shared-store")]
            store: None,
            #[cfg(feature = "routes")]
            delivery: TokenDelivery::default(),
            #[cfg(feature = "routes")]
            body_timeout: Duration::from_secs(10),
            #[cfg(feature = "routes")]
            adopt_sessions: false,
            #[cfg(feature = "utoipa")]
            serve_openapi: false,
        }
    }

    /// The client that the app has already, for the calls of this handle: renewals, keys, profiles, the mounted routes
    /// and [`Descope::client`]. Default: the handle makes a client of its own from the options here.
    ///
    /// The handle uses the client's base URL, transport with its connections, deadline, limit for bodies, auth
    /// management key and clock. [`build`](Self::build) refuses a client of another project, and each of
    /// [`base_url`](Self::base_url), [`transport`](Self::transport), [`deadline`](Self::deadline) and
    /// [`auth_management_key`](Self::auth_management_key) beside it, also where
    /// [`from_env`](Self::from_env) has set them, and a [`clock`](Self::clock) that is not the client's: set them on the
    /// client's builder. The order of the calls does not matter.
    ///
    /// The names of [`session_cookies`](Self::session_cookies) and [`refresh_cookies`](Self::refresh_cookies) count
    /// for the handle as always. Where Descope delivers tokens in cookies, the handle looks for them under these names
    /// and then under those of the client, which itself stays as it is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_descope::client::{AccessKey, AccessKeyLayer};
    /// use tower_descope::{Client, Descope};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::builder("P2abcdefghijklmnopqrstuvwxyz1".parse()?)
    ///     .deadline(Duration::from_secs(2))
    ///     .build()?;
    /// // A machine's calls and the users' sessions share the connections to Descope.
    /// let to_billing = AccessKeyLayer::new(client.clone(), AccessKey::new("K2key")?);
    /// let descope = Descope::builder(client.project_id().as_str()).client(client).build()?;
    /// # let _ = (to_billing, descope);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.connection.client = Some(client);
        self
    }

    /// The base URL of the API. Default: Descope's host for the project's region. Plain `http` is accepted only for
    /// this machine.
    ///
    /// [`build`](Self::build) refuses what is no absolute URL, has more than scheme, host, port and path, or is plain http
    /// to another machine.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.connection.base_url = Some(url.into());
        self
    }

    /// The project's auth management key, which some projects require for sign-up and sign-in from a back end. It is sent
    /// with calls of this handle's client and of the mounted routes. Default: none.
    #[must_use]
    pub fn auth_management_key(mut self, key: AccessKey) -> Self {
        self.connection.management_key = Some(key);
        self
    }

    /// What sends the calls of the API. Default: a `reqwest::Client` that follows no redirects, keeps no cookies, and
    /// uses no proxy for loopback.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.connection.transport = Some(SharedTransport(Arc::new(transport)));
        self
    }

    /// The source of time. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.connection.clock = Some(clock);
        self
    }

    /// The project's public key, as a JWK or a key set in JSON. If it is set, keys are never fetched, and tokens with
    /// another `kid` are refused, also after Descope rotates its keys. Default: keys are fetched.
    ///
    /// The emulator's development key, which is published with this crate, is ignored unless the base URL is on
    /// loopback.
    #[must_use]
    pub fn public_key(mut self, jwk: impl Into<String>) -> Self {
        self.public_key = Some(jwk.into());
        self
    }

    /// Signature algorithms to accept. Default: RS256 alone, which Descope uses. Each key still verifies only
    /// the algorithm that it is published for.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = SignatureAlgorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Accepts one more issuer (`iss`), compared exactly, for example a custom domain with the project id as its path.
    /// Default: none. Always accepted are the project id, `{base}/{project id}` and `{base}/v1/apps/{project id}`,
    /// where base is the base URL or Descope's own host.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Requires this audience (`aud`) in session JWTs. A session JWT without it is refused (401,
    /// [`InvalidToken::Audience`](crate::InvalidToken::Audience)).
    ///
    /// Default: a session JWT without `aud` is accepted, and one with `aud` only if `aud` names the project id, as in
    /// Descope's Python SDK. This refuses tokens that Descope has issued only for a federated app of the project: they
    /// are signed with the same keys. If a JWT template gives all sessions another audience,
    /// name it here.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Tolerated difference between this machine's clock and Descope's. Default 5 s, as in Descope's SDKs; at most 60
    /// s.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Accepts tokens that do not say whether they are session or refresh JWTs (`drn`). Some JWT templates drop the
    /// claim. The risk: a refresh JWT without `drn` is accepted as a session JWT. Default: tokens without `drn` are
    /// refused.
    #[must_use]
    pub fn accept_missing_drn(mut self) -> Self {
        self.accept_missing_drn = true;
        self
    }

    /// Longest token that is verified, in bytes; a longer one is refused. Default 16384.
    #[must_use]
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// Longest duration of one call of the API, including a repetition of the call. Default 5 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.connection.deadline = Some(deadline);
        self
    }

    /// How long keys are used while the key endpoint fails. Default 24 h. After that time, and before the first keys
    /// were fetched, requests that need a user get 503.
    ///
    /// While there are no keys, the endpoint is asked again after a second, or after the pause that it asked for, at
    /// most a minute: the first request after the pause waits for the answer. While there are keys, no request waits
    /// because their refresh fails.
    #[must_use]
    pub fn stale_keys_for(mut self, limit: Duration) -> Self {
        self.key_times.stale_for = limit;
        self
    }

    /// Least time between two key fetches that unknown key ids cause. Default 30 s. With a longer time, new keys may be
    /// known later; with a shorter time, attackers can cause more fetches.
    ///
    /// A token with an unknown key id is refused (401) once the endpoint has been asked. While the endpoint fails, such
    /// a token is answered with 503, because it may be signed with a new key.
    ///
    /// Key ids of tokens that Descope has just issued to this app are not under this limit: their keys are fetched at
    /// once, then at most every 5 s, and at most 6 times within one cool-down. Tokens with such a key id are answered
    /// with 503 until the key is there, for at most a day.
    #[must_use]
    pub fn unknown_key_cooldown(mut self, cooldown: Duration) -> Self {
        self.key_times.unknown_kid_cooldown = cooldown;
        self
    }

    /// How long the outcome of a renewal is kept, after a response has delivered it, for late requests that carry the
    /// old refresh JWT. Default 10 s.
    #[must_use]
    pub fn keep_renewals_for(mut self, memo: Duration) -> Self {
        self.keep_renewals_for = memo;
        self
    }

    /// How long before its expiry a session is renewed. Default 20 s, of which each session uses between half and all;
    /// with zero, a session is renewed only after it has expired.
    ///
    /// The first request in this window is served at once with the session that it has; the renewal runs beside it, and
    /// no response waits for it. The new cookies are set on the first response to this browser that is finished after
    /// the renewal, often that of its next request. The new tokens are kept until they are delivered, or, if there is
    /// no new refresh JWT, until half of the new session's life is over; meanwhile the session is not renewed again.
    #[must_use]
    pub fn early_renewal(mut self, window: Duration) -> Self {
        self.early_renewal = window;
        self
    }

    /// Sets the size of the cache of verified session JWTs, or disables it. Default: 10,000 sessions or 32 MiB.
    #[must_use]
    pub fn token_cache(mut self, bounds: TokenCache) -> Self {
        self.token_cache = bounds;
        self
    }

    /// Shares renewals and revocations with the other replicas of this app. Default: nothing is shared, which is right
    /// for a single process. [`store`](crate::store) also says what happens when the store cannot be reached.
    #[cfg(feature = "shared-store")]
    #[must_use]
    pub fn shared_store(mut self, store: impl SharedStore) -> Self {
        self.store = Some(BoxedStore(Box::new(store)));
        self
    }

    /// Where the mounted routes put tokens. Default [`TokenDelivery::Cookies`]: no script can read a token.
    #[cfg(feature = "routes")]
    #[must_use]
    pub fn token_delivery(mut self, delivery: TokenDelivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// Sets [`TokenDelivery::CookiesAndSession`], for pages that call other origins with the session JWT. The drawback:
    /// a script that is injected into the page can read the session JWT.
    #[cfg(feature = "routes")]
    #[must_use]
    pub fn session_jwt_in_body(self) -> Self {
        self.token_delivery(TokenDelivery::CookiesAndSession)
    }

    /// Longest time in which the whole body of a request to the mounted routes has to arrive, counted from the moment
    /// at which the route begins to read it. Default 10 s. A request that takes longer is answered with 408
    /// [`request_timeout`](crate::routes::route_code::REQUEST_TIMEOUT); nothing is sent to Descope then. This crate does
    /// not limit the time for the head of a request; the server has to.
    #[cfg(feature = "routes")]
    #[must_use]
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.body_timeout = limit;
        self
    }

    /// Mounts `POST session` beside the routes: a page that has tokens of a Descope Flow, of an OAuth exchange or of a
    /// native SDK posts them there as `{"sessionJwt": …, "refreshJwt": …}` and gets cookies instead. Default: not, because
    /// most pages hold no tokens. See [From a Descope Flow](crate::routes#from-a-descope-flow).
    ///
    /// Without effect with [`TokenDelivery::Body`](crate::routes::TokenDelivery::Body), whose callers have no cookies.
    #[cfg(feature = "routes")]
    #[must_use]
    pub fn adopt_sessions(mut self) -> Self {
        self.adopt_sessions = true;
        self
    }

    /// Mounts `GET openapi.json` beside the routes: their OpenAPI document, for whoever asks. Default: not.
    #[cfg(feature = "utoipa")]
    #[must_use]
    pub fn serve_openapi(mut self) -> Self {
        self.serve_openapi = true;
        self
    }

    /// Lets the handle trust the key of the test kit, and no other one.
    #[cfg(feature = "testing")]
    pub(crate) fn of_test_kit(mut self) -> Self {
        self.of_test_kit = true;
        self
    }

    /// Makes the handle. Does no network I/O.
    ///
    /// # Errors
    ///
    /// When the project id or an option is malformed, not allowed or contradicts another one, or when the default
    /// transport cannot be built because there is no TLS, or no CA certificates on this machine.
    pub fn build(mut self) -> Result<Descope, ConfigError> {
        let project = ProjectId::new(self.project)?;
        let origins = self.origins.iter().map(|origin| options::origin(origin));
        let origins = origins.collect::<Result<Vec<_>, _>>()?;
        let public_origin = self.public_origin.as_deref().map(options::origin);
        let public_origin = public_origin.transpose()?;
        if self.leeway > MAX_LEEWAY {
            return Err(ConfigError::OutOfRange("the leeway is more than 60 s"));
        }
        if self.algorithms.is_empty() {
            return Err(ConfigError::OutOfRange("no signature algorithm is allowed"));
        }
        options::settle_cookies(&mut self.cookies, self.host_cookies)?;
        // Under `TokenDelivery::Body` tokens do not travel in cookies, so the size limit of cookies does not apply.
        #[cfg(feature = "routes")]
        if self.delivery == TokenDelivery::Body {
            self.cookies.longest = usize::MAX;
        }

        let client = self.connection.client(project, &self.cookies)?;
        let clock = client.clock().clone();

        let keys = match &self.public_key {
            #[cfg(feature = "testing")]
            _ if self.of_test_kit => {
                let set = KeySet::of_test_kit().map_err(|_| ConfigError::PublicKey)?;
                self.algorithms = vec![SignatureAlgorithm::Es256];
                Keys::fixed(set, clock.clone())
            }
            Some(jwk) => {
                let set = KeySet::from_jwk_or_set(jwk, &self.algorithms)
                    .ok()
                    .map(|set| match client.base_url().is_loopback() {
                        true => set,
                        false => set.without_publicly_known(),
                    })
                    .filter(|set| !set.is_empty())
                    .ok_or(ConfigError::PublicKey)?;
                Keys::fixed(set, clock.clone())
            }
            None => options::remote_keys(&client, &self.algorithms, self.key_times, clock.clone()),
        };
        let verifier = Arc::new(Verifier {
            rules: Rules {
                issuers: options::issuers(&client, self.issuers),
                algorithms: self.algorithms.into(),
                max_token_bytes: self.max_token_bytes,
                audience: match self.audience {
                    Some(audience) => Audience::Required(audience),
                    None => Audience::ProjectIfAny(client.project_id().as_str().to_owned()),
                },
                leeway: self.leeway,
                accept_missing_drn: self.accept_missing_drn,
                session_drn: options::token_kinds("DS", &self.cookies.session),
                refresh_drn: options::token_kinds("DSR", &self.cookies.refresh),
            },
            keys: Arc::new(keys),
            tokens: VerifiedTokens::new(self.token_cache),
            header: Default::default(),
            revoked: Revoked::new(clock.clone()),
            clock,
        });
        #[cfg_attr(not(feature = "shared-store"), allow(unused_mut))]
        let mut renewer = Renewer::new(
            client.clone(),
            verifier.clone(),
            self.keep_renewals_for,
            client.deadline(),
        );
        #[cfg(feature = "shared-store")]
        if let Some(BoxedStore(store)) = self.store {
            renewer.share(store);
        }
        let renewer = Arc::new(renewer);
        Ok(Descope {
            project: Arc::new(Project {
                profiles: Profiles::new(client.clone(), renewer.clone()),
                client,
                verifier,
                renewer,
                origins: OriginPolicy {
                    allowed: origins,
                    public: public_origin,
                    warned: Default::default(),
                    plain_http: !self.cookies.secure,
                },
                cookies: self.cookies,
                shared_cookies_told: AtomicBool::new(false),
                #[cfg(feature = "axum")]
                policies: Default::default(),
                hooks: self.hooks,
                private_responses: self.private_responses,
                early_renewal: self.early_renewal,
                #[cfg(feature = "routes")]
                delivery: self.delivery,
                #[cfg(feature = "routes")]
                body_timeout: self.body_timeout,
                #[cfg(feature = "routes")]
                adopt_sessions: self.adopt_sessions,
                #[cfg(feature = "utoipa")]
                serve_openapi: self.serve_openapi,
            }),
        })
    }
}
