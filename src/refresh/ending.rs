//! How sessions are ended, and whether a token is denied.

use super::flight::Key;
use super::{Outcome, Presented, Renewer};
#[cfg(feature = "shared-store")]
use crate::store::Notice;
use crate::token::{Name, TokenId, Verified};

impl Renewer {
    /// Whether a token of this outcome is denied by now.
    pub(crate) fn is_revoked(&self, outcome: &Outcome) -> bool {
        let tokens = outcome.tokens();
        let issued = [&tokens.session, &tokens.refresh];
        issued
            .into_iter()
            .flatten()
            .any(|issued| self.is_denied(&issued.verified))
    }

    pub(super) fn is_denied(&self, token: &Verified) -> bool {
        let revoked = &self.verifier.revoked;
        revoked.contains(&token.id, &token.claims)
    }

    /// Somebody signs in anew: what is remembered of the old refresh JWT, or under way, must reach no browser any
    /// more. The session itself goes on.
    pub(crate) fn forget(&self, token: &Presented) {
        self.flights().end(&token.key);
        #[cfg(feature = "shared-store")]
        if let Some(replicas) = &self.replicas {
            replicas.forget(&token.jwt);
            self.announce(&Notice::Renewal { digest: token.key });
        }
    }

    /// Ends a session: its refresh JWT, the sessions that were issued for it, and renewals under way.
    pub(crate) fn end(&self, token: &Presented) {
        let Verified { id, claims, .. } = &*token.verified;
        self.end_here(token.key, id, claims.exp);
        #[cfg(feature = "shared-store")]
        if let Some(replicas) = &self.replicas {
            replicas.end(&token.jwt);
            self.announce(&Notice::Session {
                id: *id,
                digest: token.key,
                exp: claims.exp,
            });
        }
    }

    pub(super) fn end_here(&self, key: Key, id: &TokenId, exp: i64) {
        self.flights().end(&key);
        for session in self.lineage.of(id).iter() {
            self.deny(session.id, session.exp);
        }
        self.deny(*id, exp);
    }

    /// Denies one token until it expires.
    pub(crate) fn revoke(&self, token: &Verified) {
        self.deny(token.id, token.claims.exp);
        #[cfg(feature = "shared-store")]
        self.announce(&Notice::Token {
            id: token.id,
            exp: token.claims.exp,
        });
    }

    /// Denies all tokens of a user that were issued up to now.
    pub(crate) fn revoke_user(&self, user: &str, name: Name) {
        let now = self.verifier.clock.unix().as_secs();
        let issued_until = i64::try_from(now).unwrap_or(i64::MAX);
        self.verifier.revoked.subject(user, name, issued_until);
        #[cfg(feature = "shared-store")]
        self.announce(&Notice::Subject {
            sub: user.to_owned(),
            id_only: name == Name::Id,
            issued_until,
        });
    }

    pub(super) fn deny(&self, id: TokenId, exp: i64) {
        self.verifier.revoked.token(id, self.verifier.until(exp));
    }
}
