//! The connection to the server: made at the first command, shared, and made anew when it broke.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use super::url::Target;
use crate::store::StoreError;

/// Where the server is, and the connection if there is one.
pub(super) struct Connector {
    pub(super) target: Target,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    live: Option<Live>,
    /// How many connections were made so far. It numbers them, so that a report that one is broken does not close the
    /// next one.
    made: u64,
}

struct Live {
    connection: MultiplexedConnection,
    driver: Option<AbortHandle>,
}

impl Drop for Live {
    fn drop(&mut self) {
        // Without this the driver of a connection to a server that vanished would wait until TCP gives up.
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl Connector {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            slot: Mutex::default(),
        }
    }

    /// The connection and its number. Callers that come while the connection is being made wait for it.
    pub(super) async fn get(&self) -> Result<(MultiplexedConnection, u64), StoreError> {
        let mut slot = self.slot.lock().await;
        if let Some(live) = &slot.live {
            return Ok((live.connection.clone(), slot.made));
        }
        let live = self.connect().await?;
        let connection = live.connection.clone();
        slot.live = Some(live);
        slot.made += 1;
        Ok((connection, slot.made))
    }

    /// Closes the connection of this number. The next command makes another one.
    pub(super) async fn close(&self, number: u64) {
        let mut slot = self.slot.lock().await;
        if slot.made == number {
            slot.live = None;
        }
    }

    async fn connect(&self) -> Result<Live, StoreError> {
        // No limits here: every command has a limit of its own, which includes connecting.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        match &self.target {
            Target::Plain(client) => plain(client, &config).await.map_err(StoreError::new),
            #[cfg(feature = "redis-tls")]
            Target::Tls(tls) => {
                let stream = tls.connect().await?;
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&tls.login, stream, config)
                        .await
                        .map_err(StoreError::new)?;
                let driver = tokio::spawn(driver).abort_handle();
                Ok(Live {
                    connection,
                    driver: Some(driver),
                })
            }
        }
    }
}

async fn plain(client: &Client, config: &AsyncConnectionConfig) -> Result<Live, RedisError> {
    let connection = client
        .get_multiplexed_async_connection_with_config(config)
        .await?;
    Ok(Live {
        connection,
        driver: None,
    })
}
