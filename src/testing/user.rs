use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{SignedIn, TEST_PROJECT_ID, TestDescope};
use crate::token::{TokenKind, test_key};

/// How long session and refresh JWTs live, in seconds.
pub(super) const SESSION: i64 = 600;
const REFRESH: i64 = 28 * 24 * 3600;

/// Tells tokens apart that have the same claims otherwise.
static ISSUED: AtomicU64 = AtomicU64::new(0);

/// Somebody who is signed in to the app under test. Made by [`TestDescope::user`].
///
/// Methods that say who the user is come first, those that make requests last. Each of the latter issues new tokens; to
/// use the same ones twice, keep what [`sign_in`](Self::sign_in) returns.
#[derive(Clone)]
pub struct TestUser {
    test: TestDescope,
    id: String,
    claims: Map<String, Value>,
    project: &'static str,
    expired: bool,
    revoked: bool,
}

impl TestUser {
    pub(super) fn new(test: TestDescope, id: String) -> Self {
        let claims = json!({"amr": ["email"]});
        Self {
            test,
            id,
            claims: claims.as_object().cloned().unwrap_or_default(),
            project: TEST_PROJECT_ID,
            expired: false,
            revoked: false,
        }
    }

    /// With this role in the project.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        push(&mut self.claims, "roles", role.into());
        self
    }

    /// With this permission in the project.
    #[must_use]
    pub fn permission(mut self, permission: impl Into<String>) -> Self {
        push(&mut self.claims, "permissions", permission.into());
        self
    }

    /// As a member of this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.in_tenant(tenant);
        self
    }

    /// As a member of this tenant, with this role there.
    #[must_use]
    pub fn tenant_role(mut self, tenant: &str, role: impl Into<String>) -> Self {
        push(self.in_tenant(tenant), "roles", role.into());
        self
    }

    /// As a member of this tenant, with this permission there.
    #[must_use]
    pub fn tenant_permission(mut self, tenant: &str, permission: impl Into<String>) -> Self {
        push(self.in_tenant(tenant), "permissions", permission.into());
        self
    }

    /// With a session that is in this tenant, of which the user is a member.
    #[must_use]
    pub fn current_tenant(mut self, tenant: &str) -> Self {
        self.in_tenant(tenant);
        self.claim("dct", tenant)
    }

    /// With these methods of signing in ([`User::amr`](crate::User::amr)). Default: `email`.
    #[must_use]
    pub fn amr<'a>(self, factors: impl IntoIterator<Item = &'a str>) -> Self {
        let factors: Vec<_> = factors.into_iter().collect();
        self.claim("amr", factors)
    }

    /// With a session that has just been stepped up.
    #[must_use]
    pub fn stepped_up(self) -> Self {
        self.claim("su", true)
    }

    /// With this claim in the session JWT, as a JWT template adds it.
    ///
    /// # Panics
    ///
    /// If the value is not representable in JSON.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("a claim is a value of JSON");
        self.claims.insert(name.into(), value);
        self
    }

    /// With a session JWT that has expired a minute ago. The refresh JWT is good: a browser's session is renewed, and an
    /// API client is refused.
    #[must_use]
    pub fn expired(mut self) -> Self {
        self.expired = true;
        self
    }

    /// With a session that was signed out: both tokens are revoked.
    #[must_use]
    pub fn revoked(mut self) -> Self {
        self.revoked = true;
        self
    }

    /// With tokens of another project.
    #[must_use]
    pub fn of_other_project(mut self) -> Self {
        self.project = "P2otherproject0000000000000000";
        self
    }

    /// Issues tokens.
    pub fn sign_in(&self) -> SignedIn {
        let now = self.test.unix();
        let issued = if self.expired {
            now - SESSION - 60
        } else {
            now
        };
        let template = self.template();
        let session_jwt = session(&template, issued);
        let mut refresh = template.clone();
        refresh.retain(|name, _| matches!(name.as_str(), "iss" | "sub"));
        let refresh_jwt = token(refresh, "DSR", issued, REFRESH);
        let project = self.test.descope.project();
        if self.revoked {
            for (jwt, kind) in [
                (&session_jwt, TokenKind::Session),
                (&refresh_jwt, TokenKind::Refresh),
            ] {
                let verdict = project.verifier.verify_now(jwt.as_bytes(), kind);
                if let Some(Ok(verified)) = verdict {
                    project.renewer.revoke(&verified);
                }
            }
        } else {
            self.test.upstream.sign_in(&refresh_jwt, template);
        }
        SignedIn {
            user_id: self.id.clone(),
            session_jwt,
            refresh_jwt,
            session_cookie: project.cookies.session_name().to_owned(),
            refresh_cookie: project.cookies.refresh_name().to_owned(),
        }
    }

    /// The value of `Authorization` with which an API client sends a new session JWT.
    pub fn bearer(&self) -> HeaderValue {
        self.sign_in().bearer()
    }

    /// The value of `Cookie` with which a browser sends new tokens.
    pub fn cookies(&self) -> HeaderValue {
        self.sign_in().cookies()
    }

    /// A GET with a bearer, as an API client sends it. [`SignedIn::with_bearer`] makes any
    /// other request.
    ///
    /// # Panics
    ///
    /// If `uri` is none.
    pub fn get(&self, uri: &str) -> Request<String> {
        self.sign_in().get(uri)
    }

    /// A GET with cookies, as a browser sends it that is to show a page of this app. [`SignedIn::with_cookies`] makes any
    /// other request.
    ///
    /// # Panics
    ///
    /// If `uri` is none.
    pub fn browse(&self, uri: &str) -> Request<String> {
        self.sign_in().browse(uri)
    }

    /// A form that a browser submits, with cookies. See [`SignedIn::submit`].
    ///
    /// # Panics
    ///
    /// If `uri` is none.
    pub fn submit(&self, uri: &str, fields: &[(&str, &str)]) -> Request<String> {
        self.sign_in().submit(uri, fields)
    }

    /// A POST of JSON with a bearer, as an API client sends it.
    ///
    /// # Panics
    ///
    /// If `uri` is none, or the value is not representable in JSON.
    pub fn post_json(&self, uri: &str, value: &impl Serialize) -> Request<String> {
        self.sign_in().post_json(uri, value)
    }

    /// The claims of a session JWT, without those that change from one to the next.
    fn template(&self) -> Map<String, Value> {
        let mut claims = self.claims.clone();
        claims.insert("iss".to_owned(), self.project.into());
        claims.insert("sub".to_owned(), self.id.as_str().into());
        claims
    }

    fn in_tenant(&mut self, tenant: &str) -> &mut Map<String, Value> {
        let tenants = object(&mut self.claims, "tenants");
        object(tenants, tenant)
    }
}

/// A session JWT with these claims.
pub(super) fn session(template: &Map<String, Value>, issued: i64) -> String {
    token(template.clone(), "DS", issued, SESSION)
}

fn token(mut claims: Map<String, Value>, kind: &str, issued: i64, lives: i64) -> String {
    let number = ISSUED.fetch_add(1, Ordering::Relaxed);
    for (name, value) in [
        ("drn", json!(kind)),
        ("iat", json!(issued)),
        ("exp", json!(issued + lives)),
        ("jti", json!(number.to_string())),
    ] {
        claims.entry(name).or_insert(value);
    }
    test_key::sign(&claims).expect("the key is a constant that signs")
}

fn object<'a>(parent: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(name).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object"),
    }
}

fn push(claims: &mut Map<String, Value>, name: &str, value: String) {
    let list = claims.entry(name).or_insert_with(|| json!([]));
    if !list.is_array() {
        *list = json!([]);
    }
    if let Value::Array(list) = list {
        list.push(value.into());
    }
}

impl fmt::Debug for TestUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestUser")
            .field("id", &self.id)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}
