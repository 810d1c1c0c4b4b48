//! The handle of a running emulator: what the control API does, without HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::config::Config;
use super::control;
use super::error::EmulatorError;
use super::fault::Fault;
use super::instance::Instance;
use super::running::Running;
use super::snapshot;
use super::state::{Message, NewAccessKey, SignIn};
use crate::signed_in::SignedIn;
use crate::wire::{LoginOptions, UserProfile};

/// A running emulator. It serves until this handle is dropped, whatever becomes of the runtime that started it; the
/// one exception is described at [`EmulatorBuilder::on_this_runtime`]. Dropping the handle stops the server and
/// closes all connections, a moment later; [`shutdown`](Self::shutdown) waits for that. Both are allowed inside and
/// outside a runtime.
///
/// [`EmulatorBuilder::on_this_runtime`]: super::EmulatorBuilder::on_this_runtime
///
/// Emulators share no state, so a test can run any number of them at the same time.
///
/// ```
/// use tower_descope::emulator::Emulator;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::builder().start().await?;
/// println!("DESCOPE_BASE_URL={}", emulator.base_url());
/// println!("DESCOPE_PROJECT_ID={}", emulator.project_id());
/// println!("inbox: {}", emulator.inbox_url());
///
/// // The code that was sent to Ann, as her inbox would show it:
/// assert_eq!(emulator.last_code("ann@example.com"), None);
/// emulator.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub struct Emulator {
    project_id: String,
    addr: SocketAddr,
    instance: Arc<Instance>,
    running: Running,
    snapshot_file: Option<PathBuf>,
}

impl Emulator {
    pub(crate) fn new(
        project_id: String,
        addr: SocketAddr,
        instance: Arc<Instance>,
        running: Running,
        snapshot_file: Option<PathBuf>,
    ) -> Self {
        Self {
            project_id,
            addr,
            instance,
            running,
            snapshot_file,
        }
    }

    /// The base URL for clients, without a trailing slash: `http://127.0.0.1:40123`.
    pub fn base_url(&self) -> &str {
        &self.instance.base_url
    }

    /// The project that is served.
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// The page that shows messages and users: `{base}/emulator`.
    pub fn inbox_url(&self) -> String {
        format!("{}/emulator", self.instance.base_url)
    }

    /// The address and port on which the emulator listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The messages to this address or number, oldest first; the last 100 are kept.
    ///
    /// `GET /emulator/v1/messages?to=…`
    pub fn messages(&self, to: &str) -> Vec<Message> {
        self.instance.state().messages(Some(to))
    }

    /// All messages, oldest first. `GET /emulator/v1/messages`
    pub fn inbox(&self) -> Vec<Message> {
        self.instance.state().messages(None)
    }

    /// The code of the newest message to this address or number.
    pub fn last_code(&self, to: &str) -> Option<String> {
        self.messages(to).pop().map(|message| message.code)
    }

    /// Plays the user who sends the pre-filled nOTP message. `from` is the number of the sending phone; if it is
    /// `None`, the message comes from the phone for which the flow was started. The next poll then gets the session.
    ///
    /// `POST /emulator/v1/notp/{pendingRef}/complete`
    ///
    /// # Errors
    ///
    /// `Refused`, if there is no such flow, if it is completed or expired, if no phone is known, or if the flow
    /// is for another phone.
    pub fn complete_notp(
        &self,
        pending_ref: &str,
        from: Option<&str>,
    ) -> Result<(), EmulatorError> {
        self.instance.state().complete_notp(pending_ref, from)?;
        Ok(())
    }

    /// Forgets users, tenants, codes, messages, flows, sessions, access keys, faults and counts; sets clock and
    /// settings back. The signing keys stay.
    ///
    /// `POST /emulator/v1/reset`
    pub fn reset(&self) {
        self.instance.state().reset();
        self.instance.changed.notify_one();
    }

    /// Moves the emulator's clock by this many seconds, backwards if negative, and returns the new time in Unix
    /// seconds. `0` only reads the clock. Every time stamp and every lifetime in the emulator follows this clock.
    ///
    /// `POST /emulator/v1/clock`
    pub fn advance_clock(&self, seconds: i64) -> i64 {
        let mut state = self.instance.state();
        state.advance(seconds);
        state.now()
    }

    /// Makes a new signing key, with which the emulator signs from now on, and returns its key id. The older keys stay
    /// published, and the tokens that they signed stay valid.
    ///
    /// `POST /emulator/v1/keys/rotate`
    ///
    /// # Errors
    ///
    /// `Refused`, if no key could be generated.
    pub async fn rotate_keys(&self) -> Result<String, EmulatorError> {
        self.rotate(false).await
    }

    /// As [`rotate_keys`](Self::rotate_keys), but the older keys are no longer published. All tokens that they signed
    /// are refused from now on, including refresh JWTs. The control API does this with `retireOld`.
    ///
    /// # Errors
    ///
    /// `Refused`, if no key could be generated.
    pub async fn replace_keys(&self) -> Result<String, EmulatorError> {
        self.rotate(true).await
    }

    async fn rotate(&self, retire_old: bool) -> Result<String, EmulatorError> {
        let kid = control::rotate(&self.instance, retire_old).await?;
        self.instance.changed.notify_one();
        Ok(kid)
    }

    /// The settings. `PATCH /emulator/v1/config` with `{}`
    pub fn config(&self) -> Config {
        self.instance.state().config.clone()
    }

    /// Changes settings and returns all of them. The change takes effect with the next call.
    ///
    /// `PATCH /emulator/v1/config`
    ///
    /// ```
    /// # use tower_descope::emulator::{Emulator, RefreshRotation};
    /// # async fn example(emulator: &Emulator) {
    /// emulator.configure(|config| {
    ///     config.refresh_rotation = RefreshRotation::SingleUse;
    ///     config.latency_ms = 200;
    /// });
    /// # }
    /// ```
    pub fn configure(&self, change: impl FnOnce(&mut Config)) -> Config {
        // The closure is the caller's code: it runs without the lock, so it may use the handle.
        let mut config = self.config();
        change(&mut config);
        self.instance.state().config = config.clone();
        config
    }

    /// Creates or changes the user with this login id: the API itself has no way to grant roles or tenants.
    /// Unknown tenants are created. Id, creation time and `totp` cannot be changed.
    ///
    /// `PUT /emulator/v1/users`
    ///
    /// # Errors
    ///
    /// `Refused`, if the login id is empty, or another user has one of the login ids.
    ///
    /// ```
    /// # use tower_descope::emulator::{Emulator, EmulatorError};
    /// # fn example(emulator: &Emulator) -> Result<(), EmulatorError> {
    /// emulator.put_user("ann@example.com", |user| {
    ///     user.email = "ann@example.com".to_owned();
    ///     user.role_names = vec!["admin".to_owned()];
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_user(
        &self,
        login_id: &str,
        change: impl FnOnce(&mut UserProfile),
    ) -> Result<UserProfile, EmulatorError> {
        let profile = self.instance.state().put_user(login_id, |profile| {
            change(profile);
            Ok(())
        })?;
        self.instance.changed.notify_one();
        Ok(profile)
    }

    /// Signs somebody in without a code, and creates the user if nobody has this login id: with it as e-mail address if
    /// it has an `@`, as phone number if it begins with `+`.
    ///
    /// The app is not asked, so its [`on_sign_in`](crate::DescopeBuilder::on_sign_in) does not run. The cookies have
    /// Descope's names; [`SignedIn::with_cookies_of`] takes those of a handle.
    ///
    /// # Errors
    ///
    /// `Refused`, if the login id is empty, or the user is disabled.
    ///
    /// ```
    /// # use tower_descope::emulator::{Emulator, EmulatorError};
    /// # fn example(emulator: &Emulator) -> Result<(), EmulatorError> {
    /// let ann = emulator.sign_in("ann@example.com")?;
    /// let request = ann.get("/me"); // to be sent to the app under test
    /// # let _ = request; Ok(()) }
    /// ```
    pub fn sign_in(&self, login_id: &str) -> Result<SignedIn, EmulatorError> {
        let user = self.put_user(login_id, |user| {
            let unnamed = user.email.is_empty() && user.phone.is_empty();
            if unnamed && login_id.contains('@') {
                user.email = login_id.to_owned();
                user.verified_email = true;
            } else if unnamed && login_id.starts_with('+') {
                user.phone = login_id.to_owned();
                user.verified_phone = true;
            }
        })?;
        self.sign_in_as(&user)
    }

    /// Signs in a user who exists, for example one that [`put_user`](Self::put_user) has returned.
    ///
    /// # Errors
    ///
    /// `Refused`, if there is no such user, or the user is disabled.
    pub fn sign_in_as(&self, user: &UserProfile) -> Result<SignedIn, EmulatorError> {
        let grant = self.instance.state().sign_in(SignIn {
            user_id: &user.user_id,
            factor: "email",
            options: &LoginOptions::default(),
            base: None,
            first_seen: false,
            ip: "127.0.0.1",
        })?;
        let reply = grant.sign()?;
        self.instance.changed.notify_one();
        Ok(SignedIn {
            user_id: user.user_id.clone(),
            session_jwt: reply.session_jwt,
            refresh_jwt: reply.refresh_jwt,
            session_cookie: "DS".to_owned(),
            refresh_cookie: "DSR".to_owned(),
        })
    }

    /// All users. `GET /emulator/v1/users`
    pub fn users(&self) -> Vec<UserProfile> {
        self.instance.state().users()
    }

    /// Queues a fault for the next calls of a path. `POST /emulator/v1/faults`
    pub fn fault(&self, fault: Fault) {
        self.instance.state().faults.push(fault);
    }

    /// How often each path of the API was called since the last reset, faults included.
    ///
    /// `GET /emulator/v1/stats`
    pub fn stats(&self) -> BTreeMap<String, u64> {
        self.instance.state().calls.clone()
    }

    /// How often this path of the API was called since the last reset.
    pub fn calls(&self, path: &str) -> u64 {
        self.instance.state().calls.get(path).copied().unwrap_or(0)
    }

    /// Makes an access key and returns its text. `POST /emulator/v1/accesskeys`
    ///
    /// # Errors
    ///
    /// `Refused`, if there is no randomness.
    pub fn create_access_key(&self, rights: NewAccessKey) -> Result<String, EmulatorError> {
        let key = self.instance.state().create_access_key(rights)?;
        self.instance.changed.notify_one();
        Ok(key)
    }

    /// Stops the server, closes all connections, and writes the snapshot file if there is one.
    ///
    /// # Errors
    ///
    /// `Snapshot`, if the file cannot be written; the server is stopped all the same.
    pub async fn shutdown(mut self) -> Result<(), EmulatorError> {
        self.running.stop().await;
        match self.snapshot_file.take() {
            Some(path) => snapshot::save_for_good(&self.instance, &path),
            None => Ok(()),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(path) = self.snapshot_file.take()
            && let Err(error) = snapshot::save_for_good(&self.instance, &path)
        {
            tracing::error!(%error, "the emulator's snapshot was not written");
        }
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("base_url", &self.base_url())
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}
