//! What the emulator knows, and what each call does to it.
//!
//! Plain data behind one lock, without HTTP and without I/O: a call is one method, so it happens entirely or
//! not at all, and a test needs no socket.

mod access_keys;
mod account;
mod checks;
mod codes;
mod delivery;
mod grant;
mod inbox;
mod notp;
mod notp_message;
mod otp;
mod sessions;
mod totp;
mod totp_key;
mod update;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::hmac;

use self::access_keys::AccessKeys;
use self::codes::Codes;
use self::inbox::Inbox;
use self::notp::NotpFlows;
use self::sessions::Sessions;
use self::totp::Enrolments;
use self::users::Directory;
use super::config::Config;
use super::error::ApiError;
use super::fault::FaultQueue;
use super::keys::KeyRing;
use super::random;
use crate::clock::Clock;

pub use self::access_keys::NewAccessKey;
pub(crate) use self::access_keys::SavedAccessKey;
pub(crate) use self::grant::Grant;
pub use self::inbox::Message;
pub(crate) use self::notp::StartedFlow;
pub(crate) use self::sessions::{Presented, SavedSessions, SignIn};
pub(crate) use self::totp_key::ShownKey;
pub(crate) use self::update::NewAddress;
pub(crate) use self::users::SavedUsers;

/// Everything that a running emulator knows.
#[derive(Debug)]
pub(crate) struct State {
    project_id: String,
    clock: Arc<dyn Clock>,
    offset: i64,
    initial: Config,
    pub(crate) config: Config,
    pub(crate) keys: KeyRing,
    directory: Directory,
    sessions: Sessions,
    codes: Codes,
    inbox: Inbox,
    enrolments: Enrolments,
    notp: NotpFlows,
    access_keys: AccessKeys,
    pub(crate) faults: FaultQueue,
    pub(crate) calls: BTreeMap<String, u64>,
}

impl State {
    pub(crate) fn new(
        project_id: String,
        clock: Arc<dyn Clock>,
        config: Config,
        keys: KeyRing,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            project_id,
            clock,
            offset: 0,
            initial: config.clone(),
            config,
            keys,
            directory: Directory::default(),
            sessions: Sessions::default(),
            codes: Codes::new(digest_key()?),
            inbox: Inbox::default(),
            enrolments: Enrolments::default(),
            notp: NotpFlows::default(),
            access_keys: AccessKeys::default(),
            faults: FaultQueue::default(),
            calls: BTreeMap::new(),
        })
    }

    pub(crate) fn project_id(&self) -> &str {
        &self.project_id
    }

    /// The emulator's time in Unix seconds, at most the largest that all SDKs can read (32 bits).
    pub(crate) fn now(&self) -> i64 {
        let real = i64::try_from(self.clock.unix().as_secs()).unwrap_or(i64::MAX);
        real.saturating_add(self.offset).clamp(0, MAX_TIME)
    }

    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    pub(crate) fn advance(&mut self, seconds: i64) {
        self.offset = self.offset.saturating_add(seconds);
    }

    /// Forgets everything except the signing keys, because SDKs cache keys by key id without expiry.
    pub(crate) fn reset(&mut self) {
        self.offset = 0;
        self.config = self.initial.clone();
        self.directory = Directory::default();
        self.sessions = Sessions::default();
        self.codes.clear();
        self.inbox.clear();
        self.enrolments = Enrolments::default();
        self.notp = NotpFlows::default();
        self.access_keys = AccessKeys::default();
        self.faults = FaultQueue::default();
        self.calls.clear();
    }

    /// Counts a call of the API. Paths that nobody serves share one counter once there are too many of them.
    pub(crate) fn count_call(&mut self, path: &str) {
        const MAX_PATHS: usize = 1_000;
        let path = if self.calls.len() < MAX_PATHS || self.calls.contains_key(path) {
            path
        } else {
            "other"
        };
        *self.calls.entry(path.to_owned()).or_default() += 1;
    }
}

/// Go reads every time stamp as a 32-bit number.
const MAX_TIME: i64 = i32::MAX as i64;

fn digest_key() -> Result<hmac::Key, ApiError> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()?))
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::super::keys::{SavedKey, SigningKey};
    use super::*;
    use crate::clock::ManualClock;
    use crate::wire::{DeliveryMethod, OtpSignUpRequest, OtpVerifyRequest};

    /// A state at 2027-01-15T08:00:00Z. All tests share one key: making one takes a while.
    pub(super) fn state() -> State {
        static KEYS: OnceLock<Vec<SavedKey>> = OnceLock::new();
        let saved = KEYS.get_or_init(|| {
            KeyRing::new(SigningKey::generate().unwrap())
                .to_saved()
                .unwrap()
        });
        State::new(
            "P2DevelopmentEmulator0000001".to_owned(),
            Arc::new(ManualClock::at_unix_seconds(1_800_000_000)),
            Config::default(),
            KeyRing::from_saved(saved).unwrap(),
        )
        .unwrap()
    }

    pub(super) fn last_code(state: &State, to: &str) -> String {
        state.inbox.messages(Some(to)).pop().unwrap().code
    }

    pub(super) fn sign_up(state: &mut State, login_id: &str) -> String {
        state
            .otp_sign_up(DeliveryMethod::Email, OtpSignUpRequest::new(login_id))
            .unwrap();
        let code = last_code(state, login_id);
        let grant = verify(state, login_id, &code).unwrap();
        assert!(grant.first_seen);
        grant.sign().unwrap().refresh_jwt
    }

    pub(super) fn verify(state: &mut State, login_id: &str, code: &str) -> Result<Grant, ApiError> {
        state.otp_verify(
            DeliveryMethod::Email,
            &OtpVerifyRequest::new(login_id, code),
            "127.0.0.1",
        )
    }

    #[test]
    fn time_stays_readable_for_go() {
        let mut state = state();
        state.advance(-3600);
        assert_eq!(state.now(), 1_799_996_400);
        state.advance(i64::MAX);
        assert_eq!(state.now(), MAX_TIME);
        state.advance(i64::MIN);
        state.advance(i64::MIN);
        assert_eq!(state.now(), 0);
    }

    #[test]
    fn counting_is_bounded() {
        let mut state = state();
        for n in 0..2_000 {
            state.count_call(&format!("/v1/{n}"));
        }
        assert_eq!(state.calls.len(), 1_001);
        assert_eq!(state.calls["other"], 1_000);
    }
}
