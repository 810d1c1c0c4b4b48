//! Verified tokens, so that a known session costs a look-up and no signature.
//!
//! * Only tokens whose signature and claims are good are inserted; a refusal is never remembered.
//! * A hit compares the whole token. The hash reads the tail of the signature alone: it merely picks the bucket, and
//!   an attacker chooses no RSA output.
//! * An entry says nothing about time, revocation or keys. Those are checked at every hit.
//! * Bounded by bytes and by count, whichever is reached first.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Equivalent, Weighter};

use super::Verified;
use super::counter::StripedCounter;

/// Longer tokens are verified each time: few have them, and a cookie does not hold them.
const MAX_TOKEN: usize = 4096;
/// Bytes of the signature that pick the bucket.
const HASHED_TAIL: usize = 24;
/// What an entry costs besides the token and its claims, rounded up.
const OVERHEAD: usize = 384;

/// Bounds of the cache of verified session JWTs.
///
/// The default holds 10,000 sessions or 32 MiB, each for 15 minutes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCache {
    entries: usize,
    bytes: usize,
    max_age: Duration,
}

impl TokenCache {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            entries: 10_000,
            bytes: 32 * 1024 * 1024,
            max_age: Duration::from_secs(15 * 60),
        }
    }

    /// No cache: every request pays for a signature, about 16 µs.
    pub fn disabled() -> Self {
        Self {
            entries: 0,
            ..Self::new()
        }
    }

    /// Most sessions. Default 10,000; 0 disables the cache.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// Most bytes, tokens and claims together. Default 32 MiB.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Longest time without a new look at the signature. Default 15 minutes; a token's own expiry counts anyway.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::new()
    }
}

/// See the module's documentation.
pub(crate) struct VerifiedTokens {
    cache: Option<Weighted>,
    max_age: u64,
    hits: StripedCounter,
    misses: StripedCounter,
}

type Weighted = Cache<Token, Entry, Bytes, DefaultHashBuilder, DefaultLifecycle<Token, Entry>>;

#[derive(Clone)]
struct Entry {
    verified: Arc<Verified>,
    /// Unix seconds.
    inserted: u64,
    /// The generation of the key set that verified the token.
    generation: u64,
}

struct Token(Arc<[u8]>);

struct TokenRef<'a>(&'a [u8]);

#[derive(Clone)]
struct Bytes {
    least: u64,
}

impl VerifiedTokens {
    pub(crate) fn new(bounds: TokenCache) -> Self {
        let cache = (bounds.entries > 0 && bounds.bytes > 0).then(|| {
            // Every entry is charged its share of the bytes at least, so that the limit of bytes bounds the count as
            // well.
            let least = (bounds.bytes / bounds.entries) as u64;
            Cache::with_weighter(bounds.entries, bounds.bytes as u64, Bytes { least })
        });
        Self {
            cache,
            max_age: bounds.max_age.as_secs(),
            hits: StripedCounter::default(),
            misses: StripedCounter::default(),
        }
    }

    /// A token that was verified with the keys of this generation. The caller checks time and revocation.
    pub(crate) fn get(&self, token: &[u8], now: u64, generation: u64) -> Option<Arc<Verified>> {
        let cache = self.cache.as_ref()?;
        let entry = cache.get(&TokenRef(token)).filter(|entry| {
            // If the clock was set back, an entry looks newer than it is; the times of the token itself are checked
            // anyway.
            entry.generation == generation && now < entry.inserted.saturating_add(self.max_age)
        });
        match entry {
            Some(_) => self.hits.add_one(),
            None => self.misses.add_one(),
        }
        entry.map(|entry| entry.verified)
    }

    pub(crate) fn insert(&self, verified: &Arc<Verified>, now: u64, generation: u64) {
        if let Some(cache) = &self.cache
            && verified.jwt.len() <= MAX_TOKEN
        {
            cache.insert(
                Token(verified.jwt.clone()),
                Entry {
                    verified: verified.clone(),
                    inserted: now,
                    generation,
                },
            );
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::len)
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.sum()
    }

    pub(crate) fn misses(&self) -> u64 {
        self.misses.sum()
    }
}

impl Weighter<Token, Entry> for Bytes {
    fn weight(&self, token: &Token, entry: &Entry) -> u64 {
        let bytes = token.0.len() + entry.verified.claims.heap_bytes() + OVERHEAD;
        self.least.max(bytes as u64)
    }
}

fn hash_tail<H: Hasher>(token: &[u8], state: &mut H) {
    state.write(&token[token.len().saturating_sub(HASHED_TAIL)..]);
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_tail(&self.0, state);
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Token {}

impl Hash for TokenRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_tail(self.0, state);
    }
}

impl Equivalent<Token> for TokenRef<'_> {
    fn equivalent(&self, key: &Token) -> bool {
        *self.0 == *key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::claims;

    fn token(jwt: &str) -> Arc<Verified> {
        let claims = claims::parse(br#"{"sub":"ann","exp":2000000000}"#, |_| Ok(()));
        Arc::new(Verified {
            claims: claims.unwrap(),
            id: [0; 32],
            jwt: jwt.as_bytes().into(),
        })
    }

    fn kept(bounds: TokenCache, jwt: &str, now: u64) -> bool {
        let tokens = VerifiedTokens::new(bounds);
        tokens.insert(&token(jwt), 1000, 1);
        tokens.get(jwt.as_bytes(), now, 1).is_some()
    }

    #[test]
    fn each_bound_is_its_own() {
        let (long, default) = ("x".repeat(2000), TokenCache::new());
        assert!(kept(default, "jwt", 1000) && kept(default, &long, 1000 + 899));
        assert!(!kept(default, "jwt", 1000 + 900));
        assert!(kept(default.max_age(Duration::from_secs(10)), "jwt", 1009));
        assert!(!kept(default.max_age(Duration::from_secs(10)), "jwt", 1010));
        assert!(!kept(TokenCache::disabled(), "jwt", 1000));
        assert!(!kept(default.entries(0), "jwt", 1000));
        assert!(!kept(default.bytes(0), "jwt", 1000));
        assert!(kept(default.bytes(20_000).entries(10), &long, 1000));
        assert!(!kept(default.bytes(1000).entries(10), &long, 1000));
        assert_eq!(TokenCache::default(), default);
    }

    #[test]
    fn a_token_that_is_verified_again_takes_no_second_place() {
        let tokens = VerifiedTokens::new(TokenCache::new());
        for now in [1000, 1001] {
            tokens.insert(&token("jwt"), now, 1);
            tokens.insert(&token("other"), now, 1);
        }
        assert_eq!(tokens.len(), 2);
        assert!(tokens.get(b"jwt", 1001, 1).is_some());
        assert!(tokens.get(b"jwt", 1001, 2).is_none());
        assert_eq!((tokens.hits(), tokens.misses()), (1, 1));
    }
}
