//! The one rule for `Set-Cookie` of tokens: which cookies a pair of tokens becomes, and which a sign-out deletes.

use http::HeaderValue;

use super::Project;
use crate::headers::{CookieLines, MAX_COOKIE, Unwritable};
use crate::refresh::{Issued, Tokens};

impl Project {
    /// The cookies that store what was issued, each after the deletion of its left-overs.
    pub(crate) fn store_cookies(&self, tokens: &Tokens) -> Vec<Result<HeaderValue, Unwritable>> {
        let mut values = Vec::new();
        for (name, issued) in self.named(tokens) {
            // Only the leeway keeps such a token valid, and `Max-Age=0` would delete the cookie.
            if !self.verifier.remaining(&issued.verified.claims).is_zero() {
                values.extend(self.cookies.delete_leftovers(name));
                values.push(self.store_cookie(name, issued));
            }
        }
        values
    }

    /// The cookie that stores one token for as long as it is valid.
    pub(crate) fn store_cookie(
        &self,
        name: &str,
        issued: &Issued,
    ) -> Result<HeaderValue, Unwritable> {
        let max_age = self.verifier.remaining(&issued.verified.claims);
        self.cookies.store(name, &issued.jwt, max_age)
    }

    /// Deletion of both cookies under every name that is read, except where the request carries a cookie of that name
    /// that says to be of another project, and none else: that one is not ours to delete.
    pub(crate) fn delete_cookies(
        &self,
        sent: &CookieLines,
    ) -> Vec<Result<HeaderValue, Unwritable>> {
        let mut values = Vec::new();
        for name in self.cookies.session.iter().chain(&self.cookies.refresh) {
            let mut sent = sent.values(name).peekable();
            let verifier = &self.verifier;
            if sent.peek().is_some() && sent.all(|value| verifier.claims_other_issuer(value)) {
                self.tell_shared_cookies(name);
                continue;
            }
            values.extend(self.cookies.delete_leftovers(name));
            values.push(self.cookies.delete(name));
        }
        values
    }

    /// The size of a cookie that browsers would drop.
    pub(crate) fn oversized_cookie(&self, tokens: &Tokens) -> Option<usize> {
        self.named(tokens)
            .map(|(name, issued)| issued.jwt.len() + name.len())
            .find(|size| *size > MAX_COOKIE)
    }

    /// What was issued, with the name of the cookie that stores it.
    fn named<'a>(&'a self, tokens: &'a Tokens) -> impl Iterator<Item = (&'a str, &'a Issued)> {
        let cookies = &self.cookies;
        [
            (cookies.session_name(), &tokens.session),
            (cookies.refresh_name(), &tokens.refresh),
        ]
        .into_iter()
        .filter_map(|(name, issued)| Some((name, issued.as_ref()?)))
    }
}
