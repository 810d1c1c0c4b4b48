//! Starting an emulator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::config::Config;
use super::edge::Edge;
use super::error::{EmulatorError, EmulatorErrorKind};
use super::handle::Emulator;
use super::keys::{KeyRing, SigningKey};
use super::server;
use super::shared::Shared;
use super::snapshot::{self, Snapshot};
use super::state::State;
use crate::clock::{Clock, SystemClock};

/// The project id unless another is set: the same on every machine, so that it can be written down.
pub const DEVELOPMENT_PROJECT_ID: &str = "P2DevelopmentEmulator0000001";

/// Sets up an [`Emulator`]; see [`Emulator::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct EmulatorBuilder {
    project_id: String,
    listen: SocketAddr,
    beyond_loopback: bool,
    snapshot_file: Option<PathBuf>,
    config: Config,
    clock: Option<Arc<dyn Clock>>,
}

impl EmulatorBuilder {
    pub(crate) fn new() -> Self {
        Self {
            project_id: DEVELOPMENT_PROJECT_ID.to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            beyond_loopback: false,
            snapshot_file: None,
            config: Config::default(),
            clock: None,
        }
    }

    /// The project that is served; calls for another one are refused with 404. Default:
    /// [`DEVELOPMENT_PROJECT_ID`].
    ///
    /// It becomes the `iss` of all tokens, so it must be what the client was given. An impossible id is an
    /// error of [`start`](Self::start).
    pub fn project_id(mut self, project_id: impl Into<String>) -> Self {
        self.project_id = project_id.into();
        self
    }

    /// Where to listen. Default: `127.0.0.1:0`, a free port of this machine's own.
    ///
    /// An address that other machines can reach is an error of [`start`](Self::start), unless
    /// [`dangerous_listen_beyond_loopback`](Self::dangerous_listen_beyond_loopback) was called.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Allows an address that other machines can reach, such as `0.0.0.0` in a container.
    ///
    /// Everybody who can reach it can sign in as anybody: the control API hands out the codes without asking
    /// who wants them. Its check of the `Host` header (`127.0.0.1`, `localhost` or `[::1]`) stays on, but it
    /// guards against web pages only; a program sends whatever it likes.
    pub fn dangerous_listen_beyond_loopback(mut self) -> Self {
        self.beyond_loopback = true;
        self
    }

    /// A file that keeps users, tenants, sessions, access keys and signing keys over restarts. Default: none,
    /// every start is empty and has a new signing key.
    ///
    /// The file is created when missing, written shortly after each change and when the emulator stops. It
    /// holds private keys and personal data in plain text, readable by its owner only. Codes, messages, nOTP
    /// flows, settings and the clock are not kept. A file that cannot be read, or that another project wrote,
    /// is an error of [`start`](Self::start); a write that fails later is logged.
    pub fn snapshot_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.snapshot_file = Some(path.into());
        self
    }

    /// The settings at the start and after each reset. Default: [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The clock below the one that [`Emulator::advance_clock`] moves. Default: the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes a signing key, binds the address and serves until the handle is dropped. Needs a tokio runtime
    /// with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// [`EmulatorErrorKind`] lists them all; a taken port ([`EmulatorErrorKind::Bind`]) is the common one.
    pub async fn start(self) -> Result<Emulator, EmulatorError> {
        check_project_id(&self.project_id)?;
        if !self.listen.ip().is_loopback() && !self.beyond_loopback {
            return Err(EmulatorError::new(
                EmulatorErrorKind::NotLoopback,
                format!(
                    "{} is reachable from other machines; call dangerous_listen_beyond_loopback() if that \
                     is wanted",
                    self.listen.ip()
                ),
            ));
        }
        let snapshot = match &self.snapshot_file {
            Some(path) => Snapshot::read(path, &self.project_id)?,
            None => None,
        };
        let keys = match (&snapshot, &self.snapshot_file) {
            (Some(snapshot), Some(path)) => snapshot.key_ring(path)?,
            _ => new_key_ring().await?,
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let mut state =
            State::new(self.project_id.clone(), clock, self.config, keys).map_err(|_| no_key())?;
        if let Some(snapshot) = snapshot {
            snapshot.restore(&mut state);
        }

        let cannot_bind = |error: std::io::Error| {
            EmulatorError::new(
                EmulatorErrorKind::Bind,
                format!("cannot listen on {}", self.listen),
            )
            .with_source(error)
        };
        let listener = TcpListener::bind(self.listen).await.map_err(cannot_bind)?;
        let addr = listener.local_addr().map_err(cannot_bind)?;
        let shared = Arc::new(Shared::new(state, format!("http://{}", reachable(addr))));
        let server = tokio::spawn({
            let edge = Edge::new(Arc::clone(&shared));
            async move { match server::serve(listener, edge).await {} }
        });
        let saver = match &self.snapshot_file {
            Some(path) => {
                // A file that cannot be written is better known now than after the first sign-in.
                snapshot::save(&shared, path)?;
                let saving = snapshot::keep_saving(Arc::clone(&shared), path.clone());
                Some(tokio::spawn(saving))
            }
            None => None,
        };
        Ok(Emulator::new(
            self.project_id,
            addr,
            shared,
            server,
            saver,
            self.snapshot_file,
        ))
    }
}

async fn new_key_ring() -> Result<KeyRing, EmulatorError> {
    match tokio::task::spawn_blocking(SigningKey::generate).await {
        Ok(Ok(key)) => Ok(KeyRing::new(key)),
        _ => Err(no_key()),
    }
}

fn no_key() -> EmulatorError {
    EmulatorError::new(
        EmulatorErrorKind::KeyGeneration,
        "no signing key could be generated",
    )
}

fn check_project_id(id: &str) -> Result<(), EmulatorError> {
    let is_valid = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_valid {
        Ok(())
    } else {
        Err(EmulatorError::new(
            EmulatorErrorKind::InvalidProjectId,
            "a project id is 1 to 64 letters, digits, hyphens and underscores",
        ))
    }
}

/// The address under which this machine reaches the listener.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}
