//! Loaded profiles, and those that are being loaded: one call for however many requests ask for one user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::watch;

use crate::client::{Client, ClientError, UnavailableReason};
use crate::refresh::{Presented, Renewer};
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
    flights: Mutex<HashMap<Box<str>, Flight>>,
}

#[derive(Clone)]
struct Flight {
    /// Whose refresh JWT is sent: another session of the same user may fare better.
    token: Presented,
    result: watch::Receiver<Option<Loaded>>,
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
            flights: Mutex::default(),
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
            let mut flight = match self.0.join(id, token) {
                Ok(flight) => flight,
                Err(profile) => return Ok(profile),
            };
            let result = match flight.result.wait_for(Option::is_some).await {
                Ok(result) => result.clone(),
                // The runtime that it was on has gone away.
                Err(_) => None,
            };
            let result = result
                .unwrap_or_else(|| Err(ClientError::unavailable(UnavailableReason::Interrupted)));
            match result {
                // Somebody else's session is over. The next flight is with this one's token or a third one's.
                Err(error) if error.is_definite_refusal() && flight.token.jwt != token.jwt => {}
                result => return result,
            }
        }
    }

    /// The user has changed: what is being loaded now may be what was before.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) fn invalidate(&self, id: &str) {
        let mut flights = self.0.flights();
        flights.remove(id);
        self.0.cache.invalidate(id);
    }
}

impl Lookups {
    /// A flight to wait for, or what one has just brought.
    fn join(self: &Arc<Self>, id: &str, token: &Presented) -> Result<Flight, Arc<UserProfile>> {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(id) {
            return Ok(flight.clone());
        }
        // What a flight brings is here before the flight is gone.
        if let Some(profile) = self.cache.get(id) {
            return Err(profile);
        }
        let (sender, result) = watch::channel(None);
        let flight = Flight {
            token: token.clone(),
            result,
        };
        flights.insert(id.into(), flight.clone());
        drop(flights);
        let task = Task {
            shared: self.clone(),
            id: id.into(),
            sender,
        };
        // On its own task: whoever asked first may hang up without the others noticing.
        tokio::spawn(task.run(token.clone()));
        Ok(flight)
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

    fn flights(&self) -> MutexGuard<'_, HashMap<Box<str>, Flight>> {
        // Nothing that can panic runs under the lock.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. Dropped unfinished, it still makes room for the next one.
struct Task {
    shared: Arc<Lookups>,
    id: Box<str>,
    sender: watch::Sender<Option<Loaded>>,
}

impl Task {
    async fn run(self, token: Presented) {
        let result = self.shared.fetch(&token).await;
        {
            let mut flights = self.shared.flights();
            // Otherwise the user has changed meanwhile.
            if self.is_current(&flights) {
                flights.remove(&self.id);
                if let Ok(profile) = &result {
                    self.shared.cache.insert(self.id.clone(), profile.clone());
                }
            }
        }
        self.sender.send_replace(Some(result));
    }

    fn is_current(&self, flights: &HashMap<Box<str>, Flight>) -> bool {
        flights
            .get(&self.id)
            .is_some_and(|flight| flight.result.same_channel(&self.sender.subscribe()))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut flights = self.shared.flights();
        if self.is_current(&flights) {
            flights.remove(&self.id);
        }
    }
}
