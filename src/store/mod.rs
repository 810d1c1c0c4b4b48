//! What several replicas of an app share, so that they act as one.
//!
//! Alone, a process needs none of this: one renewal per refresh JWT and revocations are kept in memory.
//! Behind a balancer the requests of one browser reach several processes. With rotating refresh JWTs the first to
//! renew spends the token and the others are refused; a sign-out reaches one process only. A [`SharedStore`]
//! lets them take turns and tells each what the others ended.
//!
//! ```
//! # #[cfg(feature = "redis")]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_descope::Descope;
//! use tower_descope::store::RedisStore;
//!
//! let project = "P2abcdefghijklmnopqrstuvwxyz1";
//! let descope = Descope::builder(project)
//!     .shared_store(RedisStore::open("redis://127.0.0.1/", project)?)
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What lies in the store
//!
//! | what | name | how long |
//! |---|---|---|
//! | a lock per renewal under way | derived from the refresh JWT | twice the [deadline] and 5 s, unless released |
//! | the outcome, encrypted | derived from the refresh JWT | see below |
//! | which token a new one replaced, encrypted | derived from the new refresh JWT | until that is renewed or expires |
//! | revocations: digests of tokens, ids of users | | until the tokens expire; about 200 bytes each |
//! | counters for rate limits, which no version uses yet | a digest | their window |
//!
//! Names and keys come from the refresh JWT by HKDF-SHA256; the encryption is XChaCha20-Poly1305. So only who has a
//! refresh JWT finds and reads its outcome, and the store's content is of no use to a thief.
//!
//! An outcome with a new refresh JWT is found by the old one until it was written onto a response, at the longest
//! until the new one expires, and for the [memo] window after that; not at all once the new one was renewed in
//! turn. A renewal without a new refresh JWT is found until it was written onto a response, at the longest for half
//! the life of its session. A first refusal is found for the memo window, and for a day it is known that there was one;
//! a second refusal is found until the token expires.
//!
//! # Who can write to the store
//!
//! What a replica finds in the store is judged like an answer of Descope: signature, issuer, kind, user, revocations
//! and times. Whoever can write to the store and has no token can therefore sign nobody in and read no token. Such a
//! writer **can**
//!
//! * end sessions: a revocation names a token by its digest or a user by the id. Replicas believe it, and no other
//!   revocation takes it back. A revocation that is dated into the future counts up to a minute after it was heard, but
//!   a replica that starts, or that did not reach the store for ten seconds, hears it again until it is removed;
//! * keep revocations from replicas that have not heard them, by removing them, and push out older ones by a flood.
//!   A replica keeps those that it has heard;
//! * make renewals wait or fail with 503, by a lock without end or by values that cannot be read; make the store
//!   unusable, which is the same as an outage of it (below); and falsify counters;
//! * bring back a value that lay there before. An outcome may then be found for longer than said above by whoever has
//!   the old refresh JWT, as long as the refresh JWT in it is good. The end of a session that only the store knew of
//!   may be undone; the revocation that goes with it holds wherever it was heard.
//!
//! A writer who also *has a refresh JWT* can put an outcome under it. That gives nothing which the tokens at hand do
//! not give anyway:
//!
//! * a session JWT counts until it expires or is revoked, as if the writer had sent it. One that has run out is not
//!   served: if there is a new refresh JWT beside it, Descope is asked to renew with that one, otherwise with the one
//!   that was sent;
//! * tokens of another user are refused, and so are revoked ones. Tokens of another session of the same user are taken,
//!   as if the writer had sent them;
//! * a refusal ends the writer's own session, and a time to wait is an hour at the longest.
//!
//! # When the store is gone
//!
//! Each replica goes on by itself, as if there were no store, and says so once in the log, and once more when the
//! store is back. No request fails for that reason alone. What it costs: several replicas may renew with one
//! refresh JWT. Where it rotates without a reuse interval, one of them succeeds; the others answer 401 and leave the
//! cookies, so that the browser's next request carries what the winner set. Revocations reach other replicas when
//! the store is back. A store that comes back *empty* has forgotten them for replicas that start later; those that
//! run keep what they know.
//!
//! [deadline]: crate::DescopeBuilder::deadline
//! [memo]: crate::DescopeBuilder::keep_renewals_for

mod link;
mod listener;
mod mailbox;
mod notice;
mod outage;
#[cfg(feature = "redis")]
mod redis;
mod replicas;
mod seal;
mod shared_outcome;
mod timeout;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub(crate) use self::link::ReplicaTimes;
pub(crate) use self::listener::Listener;
pub(crate) use self::notice::Notice;
#[cfg(feature = "redis-tls")]
pub use self::redis::InvalidRedisCertificates;
#[cfg(feature = "redis")]
pub use self::redis::{InvalidRedisUrl, RedisStore};
pub(crate) use self::replicas::{Lease, Replicas, Turn};
pub(crate) use self::shared_outcome::{SharedOutcome, SharedTokens};

/// What a method of [`SharedStore`] returns.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A place that several replicas share. Implemented by `RedisStore` (feature `redis`); implement it for whatever
/// your deployment has.
///
/// The store holds bytes that it need not understand. Every operation is atomic; an operation that was reported as
/// done is seen by every later one, of any replica.
///
/// # Failure
///
/// Any error, and an answer that takes longer than a second, is an outage: this replica then goes on by itself and
/// tries again four times a second. So report what is wrong at once instead of retrying inside.
///
/// # Later releases
///
/// A method that is added later has a default, with which an implementation of today does without it.
pub trait SharedStore: Send + Sync + 'static {
    /// Takes the lock of this name for `owner`, unless anybody holds it, `owner` included. The lock ends with
    /// [`unlock`](Self::unlock) or when the lease is over. Returns whether it was taken.
    fn lock<'a>(
        &'a self,
        key: &'a StoreKey,
        owner: &'a [u8],
        lease: Duration,
    ) -> StoreFuture<'a, bool>;

    /// Releases the lock if `owner` still holds it. The lock of another owner stays: the lease may have run out
    /// meanwhile.
    fn unlock<'a>(&'a self, key: &'a StoreKey, owner: &'a [u8]) -> StoreFuture<'a, ()>;

    /// The value of this name, and how long it will be kept from now on. Values and locks of one name are independent.
    fn get<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<Stored>>;

    /// Sets or replaces the value of this name, to be kept for `ttl`.
    fn put<'a>(&'a self, key: &'a StoreKey, value: &'a [u8], ttl: Duration) -> StoreFuture<'a, ()>;

    /// Keeps the value of this name for `ttl` at the longest; never longer than it would have been. Zero removes it.
    fn shorten<'a>(&'a self, key: &'a StoreKey, ttl: Duration) -> StoreFuture<'a, ()>;

    /// Publishes a notice to every replica, also to those that start or come back within `ttl`.
    fn publish<'a>(&'a self, notice: &'a [u8], ttl: Duration) -> StoreFuture<'a, ()>;

    /// The notices that were published after this cursor was handed out; without a cursor, or if the store can no
    /// longer tell, all notices that are still kept. In any order, and possibly more than once.
    fn notices<'a>(&'a self, since: Option<&'a Cursor>) -> StoreFuture<'a, Notices>;
}

/// The name of a lock, a value or a counter: 32 bytes that are derived from secrets and do not reveal them.
///
/// `Display` writes them in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// For tests of a store. In operation this crate makes the names.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKey({self})")
    }
}

/// A value that was found.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The value as it was put.
    pub value: Vec<u8>,
    /// How long the value will be kept from now on.
    pub expires_in: Duration,
}

impl Stored {
    /// A value, and how long it will be kept from now on.
    pub fn new(value: impl Into<Vec<u8>>, expires_in: Duration) -> Self {
        Self {
            value: value.into(),
            expires_in,
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("bytes", &self.value.len())
            .field("expires_in", &self.expires_in)
            .finish()
    }
}

/// A place in the sequence of notices, in whatever form the store likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Notices that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notices {
    /// The notices as they were published.
    pub notices: Vec<Vec<u8>>,
    /// The cursor to ask for the next notices with.
    pub cursor: Cursor,
    /// Whether there are more at this moment. Default of [`Self::new`]: no.
    pub more: bool,
}

impl Notices {
    /// These notices, and no more at this moment.
    pub fn new(notices: Vec<Vec<u8>>, cursor: Cursor) -> Self {
        Self {
            notices,
            cursor,
            more: false,
        }
    }
}

/// The store could not do what it was asked for.
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// Wraps the cause. Its text goes to the log, so it must not show a password.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shared store: {}", self.0)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
