//! A handle on a project whose Descope is a [`Fake`] and whose clock is moved by hand.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tower_descope::clock::ManualClock;
use tower_descope::{AuthError, AuthErrorKind, Descope, DescopeBuilder, InvalidToken, User};

use super::fake::{Answer, Fake};
use super::signer::{self, KEYS_PATH, PROJECT, Signer, encode};

pub const NOW: i64 = 1_800_000_000;

pub struct Project {
    pub descope: Descope,
    pub fake: Fake,
    pub clock: Arc<ManualClock>,
}

impl Project {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(configure: impl FnOnce(DescopeBuilder) -> DescopeBuilder) -> Self {
        let fake = Fake::new();
        let clock = Arc::new(ManualClock::at_unix_seconds(NOW));
        let builder = Descope::builder(PROJECT)
            .transport(fake.clone())
            .clock(clock.clone());
        Self {
            descope: configure(builder).build().unwrap(),
            fake,
            clock,
        }
    }

    /// A project that has its keys.
    pub async fn loaded<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Self {
        let project = Self::new();
        project.publish(signers);
        project.descope.ready().await.unwrap();
        project
    }

    pub fn publish<'a>(&self, signers: impl IntoIterator<Item = &'a Signer>) {
        self.answer(keys(signers));
    }

    pub fn answer(&self, answer: Answer) {
        self.fake.always(KEYS_PATH, answer);
    }

    pub fn fetches(&self) -> usize {
        assert_eq!(self.fake.calls(), self.fake.calls_of(KEYS_PATH));
        self.fake.calls()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn check(&self, token: &str) -> Result<User, AuthError> {
        self.descope.validate_session(token).await
    }

    pub async fn accepts(&self, token: &str) {
        if let Err(error) = self.check(token).await {
            panic!("refused: {error:?}");
        }
    }

    pub async fn refuses(&self, token: &str, why: InvalidToken) {
        let error = self.check(token).await.unwrap_err();
        assert_eq!(error.invalid_token(), Some(why), "{error:?}");
    }

    /// Cannot say now. Returns the seconds of `Retry-After`.
    pub async fn cannot_say(&self, token: &str) -> u64 {
        retry_after(&self.check(token).await.unwrap_err())
    }

    /// Verifies all of them at once.
    pub async fn check_all(
        &self,
        tokens: impl IntoIterator<Item = String>,
    ) -> Vec<Result<User, AuthError>> {
        let mut set = JoinSet::new();
        for token in tokens {
            let descope = self.descope.clone();
            set.spawn(async move { descope.validate_session(&token).await });
        }
        set.join_all().await
    }
}

/// The seconds of `Retry-After` of an outage.
pub fn retry_after(error: &AuthError) -> u64 {
    assert!(
        matches!(error.kind(), AuthErrorKind::Unavailable { .. }),
        "{error:?}"
    );
    assert_eq!(error.status(), 503);
    error.retry_after().unwrap().as_secs()
}

pub fn keys<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Answer {
    Answer::json(signer::jwks(signers))
}

/// A token that lives for a month.
pub fn token(signer: &Signer) -> String {
    let mut claims = signer::session("U1", NOW);
    claims["exp"] = json!(NOW + 30 * 24 * 3600);
    signer.sign(&claims)
}

/// A token whose kid nobody has seen.
pub fn unknown_kid(number: usize) -> String {
    let header = json!({"alg": "RS256", "kid": format!("SK{number:032x}"), "typ": "JWT"});
    let claims = signer::session("U1", NOW);
    format!(
        "{}.{}.{}",
        encode(header.to_string()),
        encode(claims.to_string()),
        encode([7; 256])
    )
}

/// Lets tasks run that were started beside a request.
pub async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
