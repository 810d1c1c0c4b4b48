//! The session that all clones of a layer share, and the exchange that brings it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use tokio::runtime::Handle;

use super::ledger::{Ledger, Step};
use super::token::{Moment, Token};
use crate::client::{AccessKey, Client, ClientError, UnavailableReason};
use crate::single_flight::{self, Flight, Landing};
use crate::wire::AccessKeyLoginOptions;

type Exchanged = Result<HeaderValue, ClientError>;

/// See the module's documentation.
pub(super) struct KeySession {
    client: Client,
    key: AccessKey,
    options: AccessKeyLoginOptions,
    control: Mutex<Control>,
}

#[derive(Default)]
struct Control {
    ledger: Ledger,
    under_way: Option<Flight<Exchanged>>,
}

impl KeySession {
    pub(super) fn new(client: Client, key: AccessKey, options: AccessKeyLoginOptions) -> Self {
        Self {
            client,
            key,
            options,
            control: Mutex::default(),
        }
    }

    /// The same with other options, and with a session of its own.
    pub(super) fn with_options(&self, options: AccessKeyLoginOptions) -> Self {
        Self::new(self.client.clone(), self.key.clone(), options)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// What a call may do. If the next session is due and the present one is good, begins the exchange.
    pub(super) fn step(self: &Arc<Self>) -> Step {
        let mut control = self.control();
        let step = control.ledger.step(self.now());
        // Outside a runtime nothing can be begun. The session is good, so that this is left to a later call.
        if matches!(step, Step::Go { renew: true, .. }) && Handle::try_current().is_ok() {
            self.join(&mut control);
        }
        step
    }

    /// The session, after an exchange if need be. Has to run on a runtime.
    pub(super) async fn wait(self: Arc<Self>) -> Exchanged {
        let flight = {
            let mut control = self.control();
            match control.ledger.step(self.now()) {
                Step::Go { bearer, .. } => return Ok(bearer),
                Step::Fail(error) => return Err(error),
                Step::Wait => self.join(&mut control),
            }
        };
        let interrupted = || Err(ClientError::unavailable(UnavailableReason::Interrupted));
        // No result: the task was dropped with its runtime.
        let result = flight.result().await.unwrap_or_else(interrupted);
        result.or_else(|error| self.control().ledger.good(self.now()).ok_or(error))
    }

    /// The exchange that is under way, else a new one. It runs on a task of its own, so that it goes on when the caller
    /// goes away.
    fn join(self: &Arc<Self>, control: &mut Control) -> Flight<Exchanged> {
        if let Some(flight) = control
            .under_way
            .as_ref()
            .filter(|flight| flight.is_alive())
        {
            return flight.clone();
        }
        let (landing, flight) = single_flight::flight();
        control.under_way = Some(flight.clone());
        tokio::spawn(self.clone().exchange(landing));
        flight
    }

    async fn exchange(self: Arc<Self>, landing: Landing<Exchanged>) {
        let asked = self.now();
        let session = self.client.session();
        let answer = session.exchange_access_key(&self.key, &self.options).await;
        let result = answer.and_then(|answer| Token::read(answer, asked));
        let exchanged = {
            let mut control = self.control();
            control.under_way = None;
            match result {
                Ok(token) => {
                    let bearer = token.bearer.clone();
                    control.ledger.received(token);
                    Ok(bearer)
                }
                Err(error) => {
                    let pause = control.ledger.failed(error.clone(), self.now());
                    tracing::warn!(
                        event = "access_key.exchange_failed",
                        %error,
                        seconds = pause.as_secs(),
                        "an access key could not be exchanged for a session"
                    );
                    Err(error)
                }
            }
        };
        landing.finish(exchanged);
    }

    fn now(&self) -> Moment {
        Moment::of(&**self.client.clock())
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        // What a panic could interrupt under the lock leaves the state whole.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
