//! Loaded profiles, and those that are being loaded: one call for however many requests ask for one user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use crate::client::{Client, ClientError, UnavailableReason};
use crate::refresh::{Presented, Renewer};
use crate::single_flight::{self, Flight, Landing};
use crate::wire::UserProfile;

/// Profiles that are kept, and for how long.
const CAPACITY: u64 = 10_000;
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
    /// Whose refresh JWT is sent: another session of the same user may fare better.
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

    /// The profile, if it is there already.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<UserProfile>> {
        self.0.cache.get(id)
    }

    /// Loads the profile of the user whose refresh JWT this is, or waits for somebody else who does. Failures are
    /// shared by those who waited, and not kept.
    pub(crate) async fn load(&self, id: &str, token: &Presented) -> Loaded {
        loop {
            let lookup = match self.0.join(id, token) {
                Ok(lookup) => lookup,
                Err(profile) => return Ok(profile),
            };
            let interrupted = || Err(ClientError::unavailable(UnavailableReason::Interrupted));
            match lookup.flight.result().await.unwrap_or_else(interrupted) {
                // Somebody else's session is over. The next call is with this one's token or a third one's.
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
    /// A call to wait for, or what one has just brought.
    fn join(self: &Arc<Self>, id: &str, token: &Presented) -> Result<Lookup, Arc<UserProfile>> {
        let mut under_way = self.under_way();
        if let Some(lookup) = under_way.get(id) {
            return Ok(lookup.clone());
        }
        // What a call brings is here before the call is gone.
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

/// A call under way. Dropped unfinished, it still makes room for the next one.
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
            // Otherwise the user has changed meanwhile.
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
