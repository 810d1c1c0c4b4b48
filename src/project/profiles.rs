//! The cache of user profiles, and the calls that load them. However many requests ask for the profile of one user at
//! the same time, one call is made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use crate::client::{Client, ClientError, UnavailableReason};
use crate::refresh::{Presented, Renewer};
use crate::single_flight::{self, Flight, Landing};
use crate::wire::UserProfile;

/// Most profiles that are cached.
const CAPACITY: u64 = 10_000;
/// How long a profile is cached.
const LIFE: Duration = Duration::from_secs(60);

type Loaded = Result<Arc<UserProfile>, ClientError>;

/// See the module's documentation.
pub(crate) struct Profiles(Arc<Lookups>);

struct Lookups {
    client: Client,
    renewer: Arc<Renewer>,
    cache: Cache<Box<str>, Arc<UserProfile>>,
    under_way: Mutex<HashMap<Box<str>, Lookup>>,
}

#[derive(Clone)]
struct Lookup {
    /// The refresh JWT that the call is made with. If Descope refuses it, another session of the same user may have a
    /// good one.
    token: Presented,
    flight: Flight<Loaded>,
}

impl Profiles {
    pub(crate) fn new(client: Client, renewer: Arc<Renewer>) -> Self {
        Self(Arc::new(Lookups {
            client,
            renewer,
            cache: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(LIFE)
                .build(),
            under_way: Mutex::default(),
        }))
    }

    /// The profile, if it is cached.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<UserProfile>> {
        self.0.cache.get(id)
    }

    /// Loads the profile of the user with this refresh JWT, or waits for a call for the same user that is under way. A
    /// failure is shared by all who waited, and is not cached.
    pub(crate) async fn load(&self, id: &str, token: &Presented) -> Loaded {
        loop {
            let lookup = match self.0.join(id, token) {
                Ok(lookup) => lookup,
                Err(profile) => return Ok(profile),
            };
            let interrupted = || Err(ClientError::unavailable(UnavailableReason::Interrupted));
            match lookup.flight.result().await.unwrap_or_else(interrupted) {
                // Descope refused the refresh JWT of another session of this user. The next call is made with `token`,
                // or with that of a further session.
                Err(error) if error.is_definite_refusal() && lookup.token.jwt != token.jwt => {}
                result => return result,
            }
        }
    }

    /// The user has changed: what is being loaded now may be what was before.
    pub(crate) fn invalidate(&self, id: &str) {
        let mut under_way = self.0.under_way();
        under_way.remove(id);
        self.0.cache.invalidate(id);
    }
}

impl Lookups {
    /// Joins or starts a call to wait for. `Err` with the profile if it was cached meanwhile.
    fn join(self: &Arc<Self>, id: &str, token: &Presented) -> Result<Lookup, Arc<UserProfile>> {
        let mut under_way = self.under_way();
        if let Some(lookup) = under_way.get(id) {
            return Ok(lookup.clone());
        }
        // A call puts its profile into the cache in the same step in which it leaves `under_way`, so this look finds
        // it.
        if let Some(profile) = self.cache.get(id) {
            return Err(profile);
        }
        let (landing, flight) = single_flight::flight();
        let lookup = Lookup {
            token: token.clone(),
            flight,
        };
        under_way.insert(id.into(), lookup.clone());
        drop(under_way);
        let task = Task {
            shared: self.clone(),
            id: id.into(),
            landing,
        };
        tokio::spawn(task.run(token.clone()));
        Ok(lookup)
    }

    async fn fetch(&self, token: &Presented) -> Loaded {
        let session = self.client.session();
        let mut result = session.me(&token.to_token()?).await;
        if let Err(error) = &result
            && let Some(newer) = self.renewer.replaced(token, error).await
        {
            result = session.me(&newer.to_token()?).await;
        }
        result.map(Arc::new)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Box<str>, Lookup>> {
        // Nothing that can panic runs under the lock.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. If it is dropped before it has finished, it leaves `under_way`, so that the next call can be made.
struct Task {
    shared: Arc<Lookups>,
    id: Box<str>,
    landing: Landing<Loaded>,
}

impl Task {
    async fn run(self, token: Presented) {
        let result = self.shared.fetch(&token).await;
        {
            let mut under_way = self.shared.under_way();
            // If the call is no longer in `under_way`, the user has changed meanwhile, and the profile is not cached.
            if self.is_current(&under_way) {
                under_way.remove(&self.id);
                if let Ok(profile) = &result {
                    self.shared.cache.insert(self.id.clone(), profile.clone());
                }
            }
        }
        self.landing.finish(result);
    }

    fn is_current(&self, under_way: &HashMap<Box<str>, Lookup>) -> bool {
        under_way
            .get(&self.id)
            .is_some_and(|lookup| self.landing.is_of(&lookup.flight))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut under_way = self.shared.under_way();
        if self.is_current(&under_way) {
            under_way.remove(&self.id);
        }
    }
}
