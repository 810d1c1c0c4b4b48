//! The store on a Redis server.

mod connect;
#[cfg(feature = "redis-tls")]
mod tls;
mod url;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, Script, ServerErrorKind, cmd};

use self::connect::Connector;
#[cfg(feature = "redis-tls")]
pub use self::tls::InvalidRedisCertificates;
pub use self::url::InvalidRedisUrl;
use self::url::Target;
use super::timeout::within;
use super::{Cursor, Notices, SharedStore, StoreError, StoreFuture, StoreKey, Stored};

/// Most notices that are kept in order, for replicas that look several times a second. A replica that missed more reads
/// all notices again.
const RECENT: usize = 100_000;
/// Notices per answer.
const BATCH: usize = 1_000;

/// A [`SharedStore`] on a Redis server, or on one that speaks its protocol, such as Valkey.
///
/// Needs Redis 6.2 or later, with Lua scripts and no modules. One server, or a primary with replicas behind one name:
/// not a cluster, because a script touches several keys. A replica of the app keeps one connection, which is made at
/// the first command and anew when it breaks.
///
/// # Settings of the server
///
/// * `maxmemory-policy noeviction`. A server that is full then refuses to write: that is an outage, which is logged
///   and costs no session where refresh JWTs do not rotate. Any other policy removes keys to make room, without a
///   word: a lock, so that two replicas spend one refresh JWT; an outcome, so that a browser which has not received
///   its new refresh JWT is signed out; or the revocations, of which replicas that start later then know nothing.
///   `volatile-ttl` begins with the locks. Every key has an expiry, so what the store needs does not grow without end:
///   about a kilobyte per session that was renewed within the memo window or was not delivered, and 200 bytes per
///   revocation until the tokens expire.
/// * Persistence: `appendonly yes` with `appendfsync everysec` loses a second. Without any, a server that restarts has
///   forgotten outcomes that no browser has received and, for replicas that start later, all revocations.
/// * Replication of Redis is asynchronous: a failover loses the last writes, with the same consequences.
///
/// # Rights of the user
///
/// All keys begin with `tower-descope:`, the namespace and a colon. This user can do what the store does and nothing
/// else; `<namespace>` is the second argument of [`open`](Self::open) and `<password>` is yours:
///
/// ```text
#[doc = include_str!("acl.txt")]
/// ```
///
/// `+select` is needed only if the URL names a database. What somebody can do who has these rights besides your app
/// is in the [module's documentation](super#who-can-write-to-the-store): so give the server a password and a network of
/// its own, or TLS.
///
/// # TLS
///
/// `rediss://` needs the feature `redis-tls`, which uses rustls with aws-lc-rs, also where signatures are verified with
/// `rust-crypto`. The certificate of the server is verified by the authorities that the machine trusts, or those
/// given to `ca_certificates`; there is no way to switch that off. A certificate of the client is given to
/// `client_certificate`.
pub struct RedisStore {
    connector: Connector,
    namespace: String,
    command_timeout: Duration,
    scripts: Scripts,
}

struct Scripts {
    unlock: Script,
    shorten: Script,
    publish: Script,
}

impl RedisStore {
    /// A store at `redis://[user:password@]host[:port][/database]`, or `rediss://…` with TLS. Its keys begin with
    /// `tower-descope:`, the namespace and a colon; use the project id, so that several apps can share a server.
    ///
    /// Does no I/O and needs no runtime. A server that cannot be reached is no error here: it is an outage, which
    /// ends when the server is there.
    ///
    /// # Errors
    ///
    /// When the URL is malformed, or begins with `rediss://` and the feature `redis-tls` is off.
    pub fn open(url: &str, namespace: &str) -> Result<Self, InvalidRedisUrl> {
        Ok(Self {
            connector: Connector::new(Target::of(url)?),
            namespace: format!("tower-descope:{namespace}"),
            command_timeout: Duration::from_millis(500),
            scripts: Scripts::new(),
        })
    }

    /// How long a command may take, connecting included. Default 500 ms; more than a second has no effect. Too short
    /// a time is worse than too long a one: a replica that gives up on a store that works renews by itself, and with
    /// single-use refresh JWTs one of the two is refused. An outage costs this time once.
    /// A process that is busy with other requests waits longer.
    #[must_use]
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// Trusts these authorities, in PEM, instead of those of the machine: for a server whose certificate your own
    /// authority has signed.
    ///
    /// # Errors
    ///
    /// When there is no certificate in it or one cannot be read, or when the URL does not begin with `rediss://`.
    #[cfg(feature = "redis-tls")]
    pub fn ca_certificates(mut self, pem: &[u8]) -> Result<Self, InvalidRedisCertificates> {
        self.tls()?.trust(pem)?;
        Ok(self)
    }

    /// Shows the server this certificate, followed by those that lead to its authority if there are any, and proves
    /// it with the private key; both in PEM. For servers with `tls-auth-clients yes`, which is Redis's default.
    ///
    /// # Errors
    ///
    /// When one of the two cannot be read or they do not belong together, or when the URL does not begin with
    /// `rediss://`.
    #[cfg(feature = "redis-tls")]
    pub fn client_certificate(
        mut self,
        chain_pem: &[u8],
        key_pem: &[u8],
    ) -> Result<Self, InvalidRedisCertificates> {
        self.tls()?.identify(chain_pem, key_pem)?;
        Ok(self)
    }

    #[cfg(feature = "redis-tls")]
    fn tls(&mut self) -> Result<&mut tls::Tls, InvalidRedisCertificates> {
        match &mut self.connector.target {
            Target::Tls(tls) => Ok(tls),
            Target::Plain(_) => Err(InvalidRedisCertificates::NO_TLS),
        }
    }

    fn name(&self, kind: &str, key: &StoreKey) -> String {
        format!("{}:{kind}:{key}", self.namespace)
    }

    /// Recent notices, in order.
    fn recent(&self) -> String {
        format!("{}:recent", self.namespace)
    }

    /// All notices by their expiry.
    fn live(&self) -> String {
        format!("{}:live", self.namespace)
    }

    async fn ask<T, F>(
        &self,
        command: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let mut number = None;
        let asked = within(self.command_timeout, async {
            let (connection, made) = self.connector.get().await?;
            number = Some(made);
            Ok(command(connection).await)
        });
        let (answer, is_broken) = match asked.await {
            Some(Ok(answer)) => {
                let is_broken = answer.as_ref().is_err_and(needs_another_connection);
                (answer.map_err(StoreError::new), is_broken)
            }
            Some(Err(error)) => (Err(error), false),
            // No answer may mean that the server vanished. The old connection would wait for it until TCP gives up.
            None => (Err(StoreError::new("no answer from Redis in time")), true),
        };
        if let (true, Some(number)) = (is_broken, number) {
            self.connector.close(number).await;
        }
        answer
    }

    async fn all(&self, scan: &str, then: &str) -> Result<Notices, StoreError> {
        let live = self.live();
        let (next, members): (String, Vec<(Vec<u8>, f64)>) = self
            .ask(async |mut connection| {
                let mut command = cmd("ZSCAN");
                command.arg(live).arg(scan).arg("COUNT").arg(BATCH);
                command.query_async(&mut connection).await
            })
            .await?;
        let more = next != "0";
        Ok(Notices {
            notices: members.into_iter().map(|(notice, _)| notice).collect(),
            cursor: Cursor(if more {
                format!("{next} {then}")
            } else {
                then.to_owned()
            }),
            more,
        })
    }

    /// The position of the newest notice in the stream.
    async fn newest(&self) -> Result<String, StoreError> {
        let recent = self.recent();
        let entries: Vec<Entry> = self
            .ask(async |mut connection| {
                let mut command = cmd("XREVRANGE");
                command.arg(recent).arg("+").arg("-").arg("COUNT").arg(1);
                command.query_async(&mut connection).await
            })
            .await?;
        Ok(entries.into_iter().next().map_or("0-0".to_owned(), |e| e.0))
    }

    async fn after(&self, place: &str) -> Result<Notices, StoreError> {
        let recent = self.recent();
        let from = format!("({place}");
        let entries: Vec<Entry> = self
            .ask(async |mut connection| {
                let mut command = cmd("XRANGE");
                command.arg(recent).arg(from).arg("+");
                command.arg("COUNT").arg(BATCH);
                command.query_async(&mut connection).await
            })
            .await?;
        let more = entries.len() == BATCH;
        let cursor = Cursor(entries.last().map_or(place, |entry| &entry.0).to_owned());
        let notices = entries
            .into_iter()
            .flat_map(|(_, fields)| fields)
            .map(|(_, notice)| notice)
            .collect();
        Ok(Notices {
            notices,
            cursor,
            more,
        })
    }
}

/// An entry of a stream: its position, and its fields with their values.
type Entry = (String, Vec<(String, Vec<u8>)>);

impl SharedStore for RedisStore {
    fn lock<'a>(
        &'a self,
        key: &'a StoreKey,
        owner: &'a [u8],
        lease: Duration,
    ) -> StoreFuture<'a, bool> {
        let name = self.name("lock", key);
        Box::pin(self.ask(async move |mut connection| {
            let mut command = cmd("SET");
            command.arg(name).arg(owner).arg("NX");
            command.arg("PX").arg(millis(lease));
            let taken: Option<String> = command.query_async(&mut connection).await?;
            Ok(taken.is_some())
        }))
    }

    fn unlock<'a>(&'a self, key: &'a StoreKey, owner: &'a [u8]) -> StoreFuture<'a, ()> {
        let name = self.name("lock", key);
        Box::pin(self.ask(async move |mut connection| {
            let mut call = self.scripts.unlock.key(name);
            call.arg(owner).invoke_async(&mut connection).await
        }))
    }

    fn get<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<Stored>> {
        let name = self.name("entry", key);
        Box::pin(self.ask(async move |mut connection| {
            let (value, left): (Option<Vec<u8>>, i64) = redis::pipe()
                .atomic()
                .cmd("GET")
                .arg(&name)
                .cmd("PTTL")
                .arg(&name)
                .query_async(&mut connection)
                .await?;
            Ok(value.map(|value| Stored {
                value,
                expires_in: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
            }))
        }))
    }

    fn put<'a>(&'a self, key: &'a StoreKey, value: &'a [u8], ttl: Duration) -> StoreFuture<'a, ()> {
        let name = self.name("entry", key);
        Box::pin(self.ask(async move |mut connection| {
            let mut command = cmd("SET");
            command.arg(name).arg(value).arg("PX").arg(millis(ttl));
            command.query_async(&mut connection).await
        }))
    }

    fn shorten<'a>(&'a self, key: &'a StoreKey, ttl: Duration) -> StoreFuture<'a, ()> {
        let name = self.name("entry", key);
        Box::pin(self.ask(async move |mut connection| {
            let mut call = self.scripts.shorten.key(name);
            let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            call.arg(millis).invoke_async(&mut connection).await
        }))
    }

    fn publish<'a>(&'a self, notice: &'a [u8], ttl: Duration) -> StoreFuture<'a, ()> {
        Box::pin(self.ask(async move |mut connection| {
            let mut call = self.scripts.publish.key(self.live());
            call.key(self.recent());
            call.arg(notice).arg(millis(ttl)).arg(RECENT);
            call.invoke_async(&mut connection).await
        }))
    }

    fn notices<'a>(&'a self, since: Option<&'a Cursor>) -> StoreFuture<'a, Notices> {
        Box::pin(async move {
            match since.map(|cursor| cursor.0.split_once(' ').ok_or(&*cursor.0)) {
                // The position is read before the rest, so that a notice that is published in between is found twice
                // and not missed.
                None => self.all("0", &self.newest().await?).await,
                Some(Ok((scan, then))) => self.all(scan, then).await,
                Some(Err(place)) => self.after(place).await,
            }
        })
    }
}

impl fmt::Debug for RedisStore {
    // The URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("namespace", &self.namespace)
            .field("command_timeout", &self.command_timeout)
            .finish_non_exhaustive()
    }
}

impl Scripts {
    fn new() -> Self {
        Self {
            unlock: Script::new(
                "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end",
            ),
            shorten: Script::new(
                "if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[1]) then
                   redis.call('PEXPIRE', KEYS[1], ARGV[1])
                 end",
            ),
            // The set lives as long as its longest notice. The stream lives longer than the longest gap after which a
            // replica does not read all notices.
            publish: Script::new(
                "local time = redis.call('TIME')
                 local now = time[1] * 1000 + math.floor(time[2] / 1000)
                 redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
                 redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
                 if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
                   redis.call('PEXPIRE', KEYS[1], ARGV[2])
                 end
                 redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'n', ARGV[1])
                 redis.call('PEXPIRE', KEYS[2], 3600000)",
            ),
        }
    }
}

/// Whether the connection is of no more use. This is so also when the server has become read-only: after a failover its
/// name may lead to the new primary.
fn needs_another_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Io | ErrorKind::Server(ServerErrorKind::ReadOnly)
        )
}

/// Milliseconds within the range that Redis takes. It refuses zero.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, i64::MAX as u64 / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_an_error_that_shows_no_password() {
        for url in [
            "",
            "127.0.0.1:6379",
            "http://127.0.0.1/",
            "redis://",
            "redis://user:hunter2@127.0.0.1:port/",
            "rediss://",
            "rediss://user:hunter2@127.0.0.1:port/",
            "rediss://user:hunter2@127.0.0.1/#insecure",
            "rediss://user:hunter2@a b/",
        ] {
            let error = RedisStore::open(url, "P2").unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.starts_with("not a Redis URL"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    #[cfg(not(feature = "redis-tls"))]
    fn without_tls_the_error_names_the_feature() {
        let error = RedisStore::open("rediss://user:hunter2@redis.example/", "P2").unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("feature `redis-tls`"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    #[cfg(feature = "redis-tls")]
    fn certificates_that_cannot_be_used_are_an_error() {
        let store = |url| RedisStore::open(url, "P2").unwrap();
        for bad in [
            &b""[..],
            b"junk",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            store("rediss://redis.example/")
                .ca_certificates(bad)
                .unwrap_err();
            store("REDISS://redis.example/")
                .client_certificate(bad, bad)
                .unwrap_err();
        }
        let error = store("redis://redis.example/")
            .ca_certificates(b"")
            .unwrap_err();
        assert!(error.to_string().contains("rediss://"), "{error}");
    }

    #[test]
    fn req_46_debug_shows_no_password() {
        let store = RedisStore::open("redis://user:hunter2@127.0.0.1/", "P2").unwrap();
        let text = format!("{store:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn another_connection_is_made_when_this_one_is_of_no_use() {
        let io = RedisError::from(std::io::Error::other("gone"));
        let read_only = ErrorKind::Server(ServerErrorKind::ReadOnly);
        assert!(needs_another_connection(&io));
        assert!(needs_another_connection(&(read_only, "replica").into()));
        for kind in [
            ErrorKind::Server(ServerErrorKind::ResponseError),
            ErrorKind::Server(ServerErrorKind::NoScript),
            ErrorKind::UnexpectedReturnType,
        ] {
            assert!(
                !needs_another_connection(&(kind, "here").into()),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn times_are_within_what_redis_takes() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_millis(1500)), 1500);
        // Redis adds the present time.
        assert!(i64::try_from(millis(Duration::MAX)).unwrap() <= i64::MAX / 2);
    }
}
