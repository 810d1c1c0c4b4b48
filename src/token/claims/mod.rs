//! The claims set: read once into the shape that handlers ask for.
//!
//! All strings live in one buffer, and the claims hold positions in it, so that a verified token is a handful of
//! allocations. Custom claims stay in the token, and are decoded when somebody asks.

mod raw;

use std::borrow::Cow;
use std::ops::Range;

use self::raw::Raw;
use super::error::InvalidToken;
use super::nesting::is_nested_within;

/// Levels of objects and arrays. Below serde_json's limit, so that what was accepted can be decoded as anything.
const MAX_DEPTH: usize = 100;

/// Claims that are checked and not kept.
pub(crate) struct Checks<'a> {
    pub(crate) iss: Option<Cow<'a, str>>,
    /// `None` without the member. A member of a wrong type names nobody.
    pub(crate) aud: Option<Vec<Cow<'a, str>>>,
    pub(crate) drn: Option<Cow<'a, str>>,
    pub(crate) has_cnf: bool,
}

/// Claims that are kept of a verified token.
pub(crate) struct Claims {
    text: Box<str>,
    sub: Span,
    id: Span,
    dct: Option<Span>,
    lists: Box<[Span]>,
    amr: Run,
    roles: Run,
    permissions: Run,
    tenants: Option<Box<[TenantClaims]>>,
    pub(crate) exp: i64,
    pub(crate) iat: Option<i64>,
    pub(crate) nbf: Option<i64>,
    pub(crate) su: bool,
}

struct TenantClaims {
    id: Span,
    roles: Run,
    permissions: Run,
}

/// A string in the buffer.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

/// A run of strings in `lists`.
type Run = Range<u32>;

impl Claims {
    /// What the claims occupy outside of themselves.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.text.len()
            + size_of_val(&*self.lists)
            + self.tenants.as_deref().map_or(0, size_of_val)
            + size_of::<Self>()
    }

    pub(crate) fn sub(&self) -> &str {
        self.str(self.sub)
    }

    /// `dsub` when a JWT template took over `sub`, else `sub`.
    pub(crate) fn id(&self) -> &str {
        self.str(self.id)
    }

    /// Whether both tokens are of one user. `sub` does not tell: a JWT template may put anything into it, also the id
    /// of somebody else.
    pub(crate) fn same_user(&self, other: &Self) -> bool {
        self.id() == other.id()
    }

    /// The current tenant.
    pub(crate) fn dct(&self) -> Option<&str> {
        self.dct.map(|span| self.str(span))
    }

    pub(crate) fn amr(&self) -> impl Iterator<Item = &str> + Clone {
        self.run(&self.amr)
    }

    /// Roles in the project: the top-level ones, unless they are those of the token's only tenant.
    pub(crate) fn roles(&self) -> impl Iterator<Item = &str> + Clone {
        self.run(&self.in_project(&self.roles))
    }

    /// Permissions in the project, by the same rule as [`Self::roles`].
    pub(crate) fn permissions(&self) -> impl Iterator<Item = &str> + Clone {
        self.run(&self.in_project(&self.permissions))
    }

    /// The ids of all tenants that the token names: the keys of `tenants`, else `dct`.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &str> + Clone {
        let listed = self.tenants.as_deref().unwrap_or_default();
        listed
            .iter()
            .map(|tenant| self.str(tenant.id))
            .chain(self.owner_of_top_level())
    }

    /// Whether the token belongs to the tenant: a key of `tenants`, or the current tenant.
    pub(crate) fn is_in_tenant(&self, tenant: &str) -> bool {
        self.tenant(tenant).is_some() || self.dct() == Some(tenant)
    }

    /// Roles in a tenant by the Go SDK's rule: those under `tenants`; else, only when the token is in that tenant
    /// and has no `tenants` at all, the top-level ones. With `tenants` present the top level is the project's.
    pub(crate) fn tenant_roles(&self, tenant: &str) -> impl Iterator<Item = &str> + Clone {
        self.run(&self.in_tenant(tenant, |listed| &listed.roles, &self.roles))
    }

    /// Permissions in a tenant, by the same rule as [`Self::tenant_roles`].
    pub(crate) fn tenant_permissions(&self, tenant: &str) -> impl Iterator<Item = &str> + Clone {
        self.run(&self.in_tenant(tenant, |listed| &listed.permissions, &self.permissions))
    }

    /// The tenant that the top-level lists belong to, by the Go SDK's rule: the current one of a token that has no
    /// `tenants` at all. Without such a tenant they are the project's.
    fn owner_of_top_level(&self) -> Option<&str> {
        match self.tenants {
            None => self.dct(),
            Some(_) => None,
        }
    }

    fn in_project(&self, top_level: &Run) -> Run {
        match self.owner_of_top_level() {
            None => top_level.clone(),
            Some(_) => 0..0,
        }
    }

    fn in_tenant(
        &self,
        tenant: &str,
        listed: impl Fn(&TenantClaims) -> &Run,
        top_level: &Run,
    ) -> Run {
        match self.tenant(tenant) {
            Some(found) => listed(found).clone(),
            None if self.owner_of_top_level() == Some(tenant) => top_level.clone(),
            None => 0..0,
        }
    }

    fn tenant(&self, id: &str) -> Option<&TenantClaims> {
        self.tenants
            .as_deref()?
            .iter()
            .find(|tenant| self.str(tenant.id) == id)
    }

    fn str(&self, span: Span) -> &str {
        // Spans are made below from this very buffer, on string boundaries.
        &self.text[span.start as usize..][..span.len as usize]
    }

    fn run(&self, run: &Run) -> impl Iterator<Item = &str> + Clone + use<'_> {
        self.lists[run.start as usize..run.end as usize]
            .iter()
            .map(|span| self.str(*span))
    }
}

/// Reads a payload. `check` sees the members that decide whether the token is for us.
pub(crate) fn parse<F>(payload: &[u8], check: F) -> Result<Claims, InvalidToken>
where
    F: FnOnce(&Checks<'_>) -> Result<(), InvalidToken>,
{
    if !is_nested_within(payload, MAX_DEPTH) {
        return Err(InvalidToken::Malformed);
    }
    let json = std::str::from_utf8(payload).map_err(|_| InvalidToken::Malformed)?;
    if u32::try_from(json.len()).is_err() {
        return Err(InvalidToken::TooLong);
    }
    let raw: Raw<'_> = serde_json::from_str(json).map_err(|_| InvalidToken::Malformed)?;
    check(&raw.checks)?;
    let sub = raw
        .sub
        .filter(|sub| !sub.is_empty())
        .ok_or(InvalidToken::Subject)?;
    let exp = raw.exp.ok_or(InvalidToken::Time)?;

    // Half of the JSON is usually enough: most of it is times and names of members, which are not kept here.
    let mut arena = Arena {
        text: String::with_capacity(json.len() / 2),
        lists: Vec::with_capacity(16),
    };
    let sub = arena.span(&sub);
    let id = raw
        .dsub
        .filter(|dsub| !dsub.is_empty())
        .map_or(sub, |dsub| arena.span(&dsub));
    let dct = raw
        .dct
        .filter(|dct| !dct.is_empty())
        .map(|dct| arena.span(&dct));
    let amr = arena.run(&raw.amr);
    let roles = arena.run(&raw.roles);
    let permissions = arena.run(&raw.permissions);
    let tenants = raw.tenants.map(|tenants| {
        tenants
            .0
            .iter()
            .map(|(id, tenant)| TenantClaims {
                id: arena.span(id),
                roles: arena.run(&tenant.roles),
                permissions: arena.run(&tenant.permissions),
            })
            .collect()
    });
    Ok(Claims {
        text: arena.text.into_boxed_str(),
        sub,
        id,
        dct,
        lists: arena.lists.into_boxed_slice(),
        amr,
        roles,
        permissions,
        tenants,
        exp,
        iat: raw.iat,
        nbf: raw.nbf,
        su: raw.su,
    })
}

/// Turns strings into positions.
struct Arena {
    text: String,
    lists: Vec<Span>,
}

impl Arena {
    fn span(&mut self, string: &str) -> Span {
        // The JSON is shorter than 4 GiB, and unescaping never lengthens a string.
        let start = self.text.len() as u32;
        self.text.push_str(string);
        Span {
            start,
            len: string.len() as u32,
        }
    }

    fn run(&mut self, strings: &[Cow<'_, str>]) -> Run {
        let start = self.lists.len() as u32;
        for string in strings {
            let span = self.span(string);
            self.lists.push(span);
        }
        start..self.lists.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Result<Claims, InvalidToken> {
        parse(json.as_bytes(), |_| Ok(()))
    }

    fn all<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        items.collect()
    }

    #[test]
    fn strings_with_and_without_escapes() {
        let claims = claims(
            r#"{"sub":"U\u0031","exp":10.9,"amr":["email","\u00e9"],"roles":["a"],"dct":"T","x":{"y":1}}"#,
        )
        .unwrap();
        assert_eq!(claims.sub(), "U1");
        assert_eq!(claims.id(), "U1");
        assert_eq!(claims.exp, 10);
        assert_eq!(all(claims.amr()), ["email", "é"]);
        assert_eq!(all(claims.tenant_roles("T")), ["a"]);
    }

    #[test]
    fn dsub_is_the_id() {
        let claims = claims(r#"{"sub":"template","dsub":"U1","exp":1}"#).unwrap();
        assert_eq!((claims.id(), claims.sub()), ("U1", "template"));
    }

    #[test]
    fn the_id_tells_users_apart() {
        let [ann, templated, other] = [
            r#"{"sub":"U1","exp":1}"#,
            r#"{"sub":"ann@corp","dsub":"U1","exp":1}"#,
            r#"{"sub":"U1","dsub":"U2","exp":1}"#,
        ]
        .map(|json| claims(json).unwrap());
        assert!(ann.same_user(&templated) && templated.same_user(&ann));
        assert!(!ann.same_user(&other) && !templated.same_user(&other));
    }

    #[test]
    fn wrong_types_grant_nothing() {
        let claims = claims(
            r#"{"sub":"U","exp":1,"roles":"admin","permissions":{"a":1},"amr":null,"su":"true","dct":7}"#,
        )
        .unwrap();
        assert_eq!(claims.roles().chain(claims.permissions()).count(), 0);
        assert!(!claims.su && claims.dct().is_none());
    }

    // The Go SDK's rule, see [`Claims::tenant_roles`].
    #[test]
    fn tenant_roles() {
        let alone =
            claims(r#"{"sub":"U","exp":1,"dct":"T1","roles":["r"],"permissions":["p"]}"#).unwrap();
        assert_eq!(all(alone.tenant_roles("T1")), ["r"]);
        assert_eq!(all(alone.tenant_permissions("T1")), ["p"]);
        assert_eq!(alone.roles().chain(alone.permissions()).count(), 0);
        assert_eq!(alone.tenant_roles("T2").count(), 0);
        assert!(alone.is_in_tenant("T1") && !alone.is_in_tenant("T2"));

        let listed = claims(
            r#"{"sub":"U","exp":1,"dct":"T2","roles":["project"],"tenants":{"T1":{"roles":["owner"],"permissions":["pay"]},"T3":null}}"#,
        )
        .unwrap();
        assert_eq!(all(listed.tenant_roles("T1")), ["owner"]);
        assert_eq!(all(listed.tenant_permissions("T1")), ["pay"]);
        assert_eq!(all(listed.roles()), ["project"]);
        assert_eq!(
            listed.tenant_roles("T2").count(),
            0,
            "project roles must not leak"
        );
        assert!(listed.is_in_tenant("T2") && listed.is_in_tenant("T3"));
        assert_eq!(all(listed.tenants()), ["T1", "T3"]);

        for present in ["null", "[]", "7"] {
            let json =
                format!(r#"{{"sub":"U","exp":1,"dct":"T","roles":["r"],"tenants":{present}}}"#);
            assert_eq!(
                claims(&json).unwrap().tenant_roles("T").count(),
                0,
                "{present}"
            );
        }
    }

    // The bound of the cache of verified tokens is counted in these.
    #[test]
    fn heap_bytes_count_strings_lists_and_tenants() {
        let bytes = |json: &str| claims(json).unwrap().heap_bytes();
        let plain = bytes(r#"{"sub":"U","exp":1}"#);
        assert_eq!(plain, size_of::<Claims>() + 1);
        let with_role = bytes(r#"{"sub":"U","exp":1,"roles":["abc"]}"#);
        assert_eq!(with_role, plain + 3 + size_of::<Span>());
        let with_tenant = bytes(r#"{"sub":"U","exp":1,"tenants":{"T1":{}}}"#);
        assert_eq!(with_tenant, plain + 2 + size_of::<TenantClaims>());
    }

    // Security requirements 9, 10 and 14.
    #[test]
    fn refusals() {
        for (json, want) in [
            (r#"{"exp":1}"#, InvalidToken::Subject),
            (r#"{"sub":"","exp":1}"#, InvalidToken::Subject),
            (r#"{"sub":"U"}"#, InvalidToken::Time),
            (r#"{"sub":"U","exp":null}"#, InvalidToken::Malformed),
            (r#"{"sub":"U","exp":"1"}"#, InvalidToken::Malformed),
            (r#"{"sub":"U","exp":-1}"#, InvalidToken::Malformed),
            (r#"{"sub":"U","exp":1e300}"#, InvalidToken::Malformed),
            (r#"{"sub":"U","exp":1,"exp":2}"#, InvalidToken::Malformed),
            (
                r#"{"sub":"U","exp":1,"\u0065xp":2}"#,
                InvalidToken::Malformed,
            ),
            (
                r#"{"sub":"U","exp":1,"roles":[],"roles":["admin"]}"#,
                InvalidToken::Malformed,
            ),
            (
                r#"{"sub":"U","exp":1,"tenants":{"T":{},"T":{"roles":["admin"]}}}"#,
                InvalidToken::Malformed,
            ),
            (
                r#"{"sub":"U","exp":1,"jti":"a","jti":"b"}"#,
                InvalidToken::Malformed,
            ),
            (r#"{"sub":"U","exp":1} {}"#, InvalidToken::Malformed),
            ("[]", InvalidToken::Malformed),
        ] {
            assert_eq!(claims(json).err(), Some(want), "{json}");
        }
    }
}
