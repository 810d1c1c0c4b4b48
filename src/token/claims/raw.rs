//! Reading a claims set: what is there, and whether it has the right type.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::header::Text;
use super::Checks;

/// 9999-12-31T23:59:59Z, the last moment that RFC 3339 can write. A later `exp` is a mistake in the issuer.
const MAX_TIME: i64 = 253_402_300_799;

pub(super) struct Raw<'a> {
    pub(super) checks: Checks<'a>,
    pub(super) sub: Option<Cow<'a, str>>,
    pub(super) dsub: Option<Cow<'a, str>>,
    pub(super) dct: Option<Cow<'a, str>>,
    pub(super) exp: Option<i64>,
    pub(super) iat: Option<i64>,
    pub(super) nbf: Option<i64>,
    pub(super) su: bool,
    pub(super) amr: Vec<Cow<'a, str>>,
    pub(super) roles: Vec<Cow<'a, str>>,
    pub(super) permissions: Vec<Cow<'a, str>>,
    pub(super) tenants: Option<RawTenants<'a>>,
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a claims set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut iss, mut sub, mut dsub, mut drn) = (None, None, None, None);
        let (mut exp, mut nbf, mut iat) = (None, None, None);
        let (mut aud, mut dct, mut su, mut cnf, mut jti) = (None, None, None, None, None);
        let (mut amr, mut roles, mut permissions, mut tenants) = (None, None, None, None);

        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            match &*name {
                // Identity and time: a wrong type is an error, never "absent".
                "iss" => once(&mut iss, map.next_value::<Text<'de>>()?.0)?,
                "sub" => once(&mut sub, map.next_value::<Text<'de>>()?.0)?,
                "dsub" => once(&mut dsub, map.next_value::<Text<'de>>()?.0)?,
                "drn" => once(&mut drn, map.next_value::<Text<'de>>()?.0)?,
                "exp" => once(&mut exp, map.next_value::<NumericDate>()?.floor()?)?,
                "nbf" => once(&mut nbf, map.next_value::<NumericDate>()?.ceil()?)?,
                "iat" => once(&mut iat, map.next_value::<NumericDate>()?.floor()?)?,
                // A wrong type names nobody, and is not "absent" either.
                "aud" => once(&mut aud, map.next_value::<Loose<'de>>()?.text_or_list())?,
                // Grants: a wrong type grants nothing.
                "dct" => once(&mut dct, map.next_value::<Loose<'de>>()?.text())?,
                "su" => once(&mut su, map.next_value::<Loose<'de>>()?.truth())?,
                "amr" => once(&mut amr, map.next_value::<Loose<'de>>()?.list())?,
                "roles" => once(&mut roles, map.next_value::<Loose<'de>>()?.list())?,
                "permissions" => once(&mut permissions, map.next_value::<Loose<'de>>()?.list())?,
                "tenants" => once(&mut tenants, map.next_value::<RawTenants<'de>>()?)?,
                "cnf" => {
                    map.next_value::<IgnoredAny>()?;
                    once(&mut cnf, ())?;
                }
                // `jti` is not used here, but it is registered, so that a second occurrence is an error, too.
                "jti" => {
                    map.next_value::<IgnoredAny>()?;
                    once(&mut jti, ())?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Raw {
            checks: Checks {
                iss,
                aud,
                drn,
                has_cnf: cnf.is_some(),
            },
            sub,
            dsub,
            dct: dct.flatten(),
            exp,
            iat,
            nbf,
            su: su.unwrap_or(false),
            amr: amr.unwrap_or_default(),
            roles: roles.unwrap_or_default(),
            permissions: permissions.unwrap_or_default(),
            tenants,
        })
    }
}

/// A second occurrence is refused: parsers disagree about which one counts.
fn once<T, E: serde::de::Error>(slot: &mut Option<T>, value: T) -> Result<(), E> {
    match slot {
        Some(_) => Err(E::custom("duplicate member")),
        None => {
            *slot = Some(value);
            Ok(())
        }
    }
}

/// Seconds since the epoch, possibly with a fraction (RFC 7519 section 2).
struct NumericDate(f64);

impl NumericDate {
    /// Rounds towards the past.
    fn floor<E: serde::de::Error>(self) -> Result<i64, E> {
        in_range(self.0.floor())
    }

    /// Rounds towards the future.
    fn ceil<E: serde::de::Error>(self) -> Result<i64, E> {
        in_range(self.0.ceil())
    }
}

fn in_range<E: serde::de::Error>(seconds: f64) -> Result<i64, E> {
    if (0.0..=MAX_TIME as f64).contains(&seconds) {
        Ok(seconds as i64)
    } else {
        Err(E::custom("time out of range"))
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds")
            }
            // Times in range are far below 2^53, so the conversion is exact; others fail the range check.
            fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
                Ok(NumericDate(v as f64))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
                Ok(NumericDate(v as f64))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
                Ok(NumericDate(v))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// A value of which only the expected shape counts.
enum Loose<'a> {
    Text(Cow<'a, str>),
    List(Vec<Cow<'a, str>>),
    True,
    Other,
}

impl<'a> Loose<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn list(self) -> Vec<Cow<'a, str>> {
        match self {
            Self::List(list) => list,
            _ => Vec::new(),
        }
    }

    fn text_or_list(self) -> Vec<Cow<'a, str>> {
        match self {
            Self::Text(text) => vec![text],
            other => other.list(),
        }
    }

    fn truth(self) -> bool {
        matches!(self, Self::True)
    }
}

impl<'de> Deserialize<'de> for Loose<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(v)))
    }
    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(v.to_owned())))
    }
    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(if v { Loose::True } else { Loose::Other })
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<Loose<'de>>()? {
            list.extend(item.text());
        }
        Ok(Loose::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
}

/// The visitor methods for everything that is not an object.
macro_rules! wrong_types_read_as_default {
    ($what:literal) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str($what)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Default::default())
        }
    };
}

/// `tenants`. Present with a wrong type it names no tenant, and still keeps the top-level roles out of any.
#[derive(Default)]
pub(super) struct RawTenants<'a>(pub(super) Vec<(Cow<'a, str>, RawTenant<'a>)>);

#[derive(Default)]
pub(super) struct RawTenant<'a> {
    pub(super) roles: Vec<Cow<'a, str>>,
    pub(super) permissions: Vec<Cow<'a, str>>,
}

impl<'de> Deserialize<'de> for RawTenants<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TenantsVisitor;
        impl<'de> Visitor<'de> for TenantsVisitor {
            type Value = RawTenants<'de>;

            wrong_types_read_as_default!("tenants");

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut tenants: Vec<(Cow<'de, str>, RawTenant<'de>)> = Vec::new();
                while let Some((Text(id), tenant)) = map.next_entry()? {
                    tenants.push((id, tenant));
                }
                // Duplicates are found by sorting the names, so that many tenants do not cost quadratic time.
                let mut names: Vec<&str> = tenants.iter().map(|(id, _)| &**id).collect();
                names.sort_unstable();
                if names.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(A::Error::custom("duplicate member"));
                }
                Ok(RawTenants(tenants))
            }
        }
        deserializer.deserialize_any(TenantsVisitor)
    }
}

impl<'de> Deserialize<'de> for RawTenant<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TenantVisitor;
        impl<'de> Visitor<'de> for TenantVisitor {
            type Value = RawTenant<'de>;

            wrong_types_read_as_default!("a tenant");

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut roles, mut permissions) = (None, None);
                while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
                    let value = map.next_value::<Loose<'de>>()?;
                    match &*name {
                        "roles" => once(&mut roles, value.list())?,
                        "permissions" => once(&mut permissions, value.list())?,
                        _ => {}
                    }
                }
                Ok(RawTenant {
                    roles: roles.unwrap_or_default(),
                    permissions: permissions.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_any(TenantVisitor)
    }
}
