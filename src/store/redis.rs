//! The store on a Redis server.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script, cmd};

use super::patience::within;
use super::{Count, Cursor, Notices, SharedStore, StoreError, StoreFuture, StoreKey, Stored};

/// Notices that are kept in order, for replicas that look several times a second. Who missed more reads them all.
const RECENT: usize = 100_000;
/// Notices per answer.
const BATCH: usize = 1_000;

/// A [`SharedStore`] on a Redis server, or on one that speaks its protocol, such as Valkey.
///
/// Needs Redis 6.2 or later, with Lua scripts and no modules. One server, or a primary with replicas behind one name:
/// not a cluster, because a script touches several keys. A replica of the app keeps one connection, which is made at
/// the first command and anew when it breaks.
///
/// Whoever can reach the server can end sessions, so give it a password or a network of its own. `rediss://` needs
/// the feature `tokio-rustls-comp` or `tokio-native-tls-comp` of the crate `redis`, which your app may switch on.
pub struct RedisStore {
    client: Client,
    namespace: String,
    command_timeout: Duration,
    connection: Mutex<Option<ConnectionManager>>,
    scripts: Scripts,
}

struct Scripts {
    unlock: Script,
    shorten: Script,
    publish: Script,
    count: Script,
}

/// The URL does not say how to reach a Redis server.
#[derive(Debug)]
pub struct InvalidRedisUrl(RedisError);

impl fmt::Display for InvalidRedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a Redis URL, expected redis://[user:password@]host[:port][/database]: {}",
            self.0
        )
    }
}

impl Error for InvalidRedisUrl {}

impl RedisStore {
    /// A store at `redis://[user:password@]host[:port][/database]`. Its keys begin with `tower-descope:`, the
    /// namespace and a colon; use the project id, so that several apps can share a server.
    ///
    /// Does no I/O and needs no runtime. A server that cannot be reached is no error here: it is an outage, which
    /// ends when the server is there.
    ///
    /// # Errors
    ///
    /// When the URL is malformed, or asks for TLS that is not compiled in.
    pub fn open(url: &str, namespace: &str) -> Result<Self, InvalidRedisUrl> {
        Ok(Self {
            client: Client::open(url).map_err(InvalidRedisUrl)?,
            namespace: format!("tower-descope:{namespace}"),
            command_timeout: Duration::from_millis(500),
            connection: Mutex::default(),
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

    async fn ask<T, F>(&self, command: impl FnOnce(ConnectionManager) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let connection = self.connection().map_err(StoreError::new)?;
        match within(self.command_timeout, command(connection)).await {
            Some(answer) => answer.map_err(StoreError::new),
            None => {
                // A server that vanished says nothing, and the connection would wait for it until TCP gives up.
                *self.slot() = None;
                Err(StoreError::new("no answer from Redis in time"))
            }
        }
    }

    /// The connection, made when a runtime is there to drive it.
    fn connection(&self) -> Result<ConnectionManager, RedisError> {
        let mut slot = self.slot();
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let config = ConnectionManagerConfig::new()
            // Whoever asks next tries again.
            .set_number_of_retries(0)
            // Commands have a limit that includes both.
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connection = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<ConnectionManager>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

    /// The place of the newest notice.
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

/// Of a stream: its place, and its fields with their values.
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
                // First the place, then the rest: what is published in between is found twice.
                None => self.all("0", &self.newest().await?).await,
                Some(Ok((scan, then))) => self.all(scan, then).await,
                Some(Err(place)) => self.after(place).await,
            }
        })
    }

    fn count<'a>(&'a self, key: &'a StoreKey, window: Duration) -> StoreFuture<'a, Count> {
        let name = self.name("count", key);
        Box::pin(self.ask(async move |mut connection| {
            let mut call = self.scripts.count.key(name);
            let call = call.arg(millis(window));
            let (events, left): (u64, u64) = call.invoke_async(&mut connection).await?;
            Ok(Count {
                events,
                resets_in: Duration::from_millis(left),
            })
        }))
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
            // The set outlives its longest notice, the stream the longest gap of a replica that need not read all.
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
            count: Script::new(
                "local events = redis.call('INCR', KEYS[1])
                 local left = redis.call('PTTL', KEYS[1])
                 if left < 0 then
                   left = tonumber(ARGV[1])
                   redis.call('PEXPIRE', KEYS[1], left)
                 end
                 return {events, left}",
            ),
        }
    }
}

/// Redis refuses zero.
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
            "rediss://user:hunter2@127.0.0.1/",
        ] {
            let error = RedisStore::open(url, "P2").unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.starts_with("not a Redis URL"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn req_46_debug_shows_no_password() {
        let store = RedisStore::open("redis://user:hunter2@127.0.0.1/", "P2").unwrap();
        let text = format!("{store:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
