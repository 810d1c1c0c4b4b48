//! Which tokens are stored in cookies, for how long, and which cookies a sign-out deletes. The attributes of the
//! cookies are in `headers/set_cookie.rs`.

use http::HeaderValue;

use super::Project;
use crate::headers::{CookieLines, MAX_COOKIE, Unwritable};
use crate::refresh::{Issued, Tokens};

impl Project {
    /// The `Set-Cookie` values that store issued tokens. Before each are those that delete left-over cookies of its
    /// name.
    pub(crate) fn store_cookies(&self, tokens: &Tokens) -> Vec<Result<HeaderValue, Unwritable>> {
        let mut values = Vec::new();
        for (name, issued) in self.named(tokens) {
            // A token without remaining time is valid only because of the leeway. It is not stored, because `Max-Age=0`
            // would delete the cookie.
            if !self.verifier.remaining(&issued.verified.claims).is_zero() {
                values.extend(self.cookies.delete_leftovers(name));
                values.push(self.store_cookie(name, issued));
            }
        }
        values
    }

    /// The `Set-Cookie` value that stores one token until it expires.
    pub(crate) fn store_cookie(
        &self,
        name: &str,
        issued: &Issued,
    ) -> Result<HeaderValue, Unwritable> {
        let max_age = self.verifier.remaining(&issued.verified.claims);
        self.cookies.store(name, &issued.jwt, max_age)
    }

    /// The `Set-Cookie` values that delete both cookies under every name that is read. A name is left out if the
    /// request has cookies of that name and all of them hold tokens that claim another issuer: they belong to another
    /// project.
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

    /// The size in bytes of a cookie that would be too large for browsers, if the tokens need one.
    pub(crate) fn oversized_cookie(&self, tokens: &Tokens) -> Option<usize> {
        self.named(tokens)
            .map(|(name, issued)| issued.jwt.len() + name.len())
            .find(|size| *size > MAX_COOKIE)
    }

    /// The issued tokens, each with the name of the cookie that stores it.
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
