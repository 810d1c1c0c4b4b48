//! Starting an emulator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::error::{EmulatorError, EmulatorErrorKind};
use super::handle::Emulator;
use super::instance::Instance;
use super::keys::{KeyRing, SigningKey};
use super::running::{self, Running, Tasks};
use super::server::Limits;
use super::snapshot::{self, Snapshot};
use super::state::State;
use crate::clock::{Clock, SystemClock};

/// The default project id. It is the same on every machine, so that configuration files can name it.
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
    fresh_keys: bool,
    on_this_runtime: bool,
    read_timeout: Duration,
}

impl Emulator {
    /// Returns a builder. By default the emulator serves the development project on a free loopback port.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::new()
    }
}

impl EmulatorBuilder {
    fn new() -> Self {
        Self {
            project_id: DEVELOPMENT_PROJECT_ID.to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            beyond_loopback: false,
            snapshot_file: None,
            config: Config::default(),
            clock: None,
            fresh_keys: false,
            on_this_runtime: false,
            read_timeout: Duration::from_secs(30),
        }
    }

    /// The id of the project that the emulator serves. Calls for another project are refused with 404. Default:
    /// [`DEVELOPMENT_PROJECT_ID`].
    ///
    /// The id is the `iss` of all tokens, so the client must be configured with the same id. With an invalid id
    /// [`start`](Self::start) fails.
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
    /// Everybody who can reach the emulator can then sign in as anybody, because the control API gives out codes
    /// without authentication. The control API still checks the `Host` header (`127.0.0.1`, `localhost` or `[::1]`),
    /// but this stops only web pages: other programs can send any `Host`.
    pub fn dangerous_listen_beyond_loopback(mut self) -> Self {
        self.beyond_loopback = true;
        self
    }

    /// A file that keeps users, tenants, sessions, access keys and signing keys across restarts. Default: no file, so
    /// that every emulator starts without data.
    ///
    /// The file is created when missing, written shortly after each change and when the emulator stops. It
    /// holds private keys and personal data in plain text. On Unix each write replaces it by a new file that only its
    /// owner can read (mode 0600), whatever was there before; elsewhere it gets the rights that its directory gives
    /// to new files, so choose a directory that others cannot read. The new content is first written to a file of the
    /// same name with `.new` appended, which is replaced if it exists and never followed if it is a symbolic link. A
    /// path that is itself a symbolic link is replaced as well. Codes, messages, nOTP
    /// flows, settings and the clock are not kept. A file that cannot be read, or that another project wrote,
    /// is an error of [`start`](Self::start); a write that fails later is logged.
    pub fn snapshot_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.snapshot_file = Some(path.into());
        self
    }

    /// The settings that apply at the start and after each reset. Default: [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The clock from which the emulator's time is derived; [`Emulator::advance_clock`] adds an offset to it. Default:
    /// the system's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes a new signing key at each start, instead of the development key that is published with this crate.
    /// Default: the published key for [`DEVELOPMENT_PROJECT_ID`] on loopback, a new one in all other cases.
    ///
    /// Use it for tests in which one emulator must refuse the tokens of another. Making a key takes 100 to 600 ms in
    /// a debug build. If the snapshot file has keys, the emulator uses those. The exception is the development key,
    /// which is not used where other machines can reach the emulator.
    pub fn fresh_keys(mut self) -> Self {
        self.fresh_keys = true;
        self
    }

    /// Runs the emulator as tasks of the runtime on which [`start`](Self::start) is called; they end with that runtime.
    /// Default: the emulator has a thread and a runtime of its own, unless tokio's clock is paused at the start.
    ///
    /// Use it for tests that call `tokio::time::pause()` after the start: the paused clock jumps ahead whenever its
    /// runtime waits for another thread, so every call would time out. [`start_blocking`](Self::start_blocking)
    /// ignores this setting.
    pub fn on_this_runtime(mut self) -> Self {
        self.on_this_runtime = true;
        self
    }

    /// How long a client may take to send the head of a request, and then to send its body. Default 30 s each.
    ///
    /// If the head is late, the connection is closed. If the body is late, the answer is 408. The time before the next
    /// request of a kept connection counts as part of the head of that request, so an idle connection is closed too.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Binds the address and serves until the handle is dropped.
    ///
    /// This needs a tokio runtime, but the emulator goes on serving when that runtime ends. There are two exceptions:
    /// the runtime's clock is paused, or [`on_this_runtime`](Self::on_this_runtime) was called. Then the emulator
    /// runs on the caller's runtime and ends with it, and that runtime must have I/O and time enabled.
    ///
    /// # Errors
    ///
    /// [`EmulatorErrorKind`] lists all errors. The most common is a port in use ([`EmulatorErrorKind::Bind`]).
    pub async fn start(self) -> Result<Emulator, EmulatorError> {
        let start = if self.on_this_runtime || running::clock_is_paused() {
            Running::on_this_runtime
        } else {
            Running::on_its_thread
        };
        let builder = self.clone();
        let state = tokio::task::spawn_blocking(move || builder.prepare());
        self.launch(state.await.map_err(|_| no_key())??, start)
    }

    /// As [`start`](Self::start), for callers that are not async, such as the initialiser of a static
    /// `LazyLock<Emulator>`. It needs no runtime, and blocks while a new signing key is made, if one is needed.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub fn start_blocking(self) -> Result<Emulator, EmulatorError> {
        let state = self.prepare()?;
        self.launch(state, Running::on_its_thread)
    }

    fn uses_publicly_known_key(&self) -> bool {
        !self.fresh_keys
            && self.project_id == DEVELOPMENT_PROJECT_ID
            && self.listen.ip().is_loopback()
    }

    /// Checks the settings, and reads the snapshot or makes a signing key. This may block for up to a second.
    fn prepare(&self) -> Result<State, EmulatorError> {
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
        let saved = match (&snapshot, &self.snapshot_file) {
            (Some(snapshot), Some(path)) => Some(snapshot.key_ring(path)?),
            _ => None,
        };
        let keys = match saved {
            Some(keys) if self.listen.ip().is_loopback() && !self.fresh_keys => Some(keys),
            // The development key may be in the file: an emulator that listened on loopback may have written it.
            Some(keys) => keys.without_publicly_known(),
            None => None,
        };
        let keys = match keys {
            Some(keys) => keys,
            None => {
                let key = if self.uses_publicly_known_key() {
                    SigningKey::publicly_known()
                } else {
                    SigningKey::generate()
                };
                KeyRing::new(key.map_err(|_| no_key())?)
            }
        };
        let clock = self.clock.clone();
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let (project_id, config) = (self.project_id.clone(), self.config.clone());
        let mut state = State::new(project_id, clock, config, keys).map_err(|_| no_key())?;
        if let Some(snapshot) = snapshot {
            snapshot.restore(&mut state);
        }
        Ok(state)
    }

    fn launch(
        self,
        state: State,
        start: fn(Tasks) -> std::io::Result<Running>,
    ) -> Result<Emulator, EmulatorError> {
        let cannot_bind = |error: std::io::Error| {
            EmulatorError::new(
                EmulatorErrorKind::Bind,
                format!("cannot listen on {}", self.listen),
            )
            .with_source(error)
        };
        let listener = TcpListener::bind(self.listen).map_err(cannot_bind)?;
        listener.set_nonblocking(true).map_err(cannot_bind)?;
        let addr = listener.local_addr().map_err(cannot_bind)?;
        let instance = Arc::new(Instance::new(state, format!("http://{}", reachable(addr))));
        if let Some(path) = &self.snapshot_file {
            // Written at once, so that a file that cannot be written is an error of the start.
            snapshot::save(&instance, path)?;
        }
        let running = start(Tasks {
            listener,
            limits: Limits {
                head: self.read_timeout,
                body: self.read_timeout,
            },
            instance: Arc::clone(&instance),
            snapshot_file: self.snapshot_file.clone(),
        })
        .map_err(cannot_bind)?;
        Ok(Emulator::new(
            self.project_id,
            addr,
            instance,
            running,
            self.snapshot_file,
        ))
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
