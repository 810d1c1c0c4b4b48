//! Reading what the SDKs really send.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `null` reads like an absent member.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Whole seconds from an integer, a float or a numeric string; out-of-range values are clamped, because a
/// lifetime that is too large is no reason to lose the tokens beside it.
pub(crate) fn seconds<'de, D>(deserializer: D) -> Result<i64, D::Error>
where
    D: Deserializer<'de>,
{
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(0),
        Some(Value::Number(n)) => Ok(n
            .as_i64()
            // `as` saturates, which is the clamp.
            .unwrap_or_else(|| n.as_f64().unwrap_or_default() as i64)),
        Some(Value::String(s)) if s.is_empty() => Ok(0),
        Some(Value::String(s)) => s
            .parse()
            .map_err(|_| serde::de::Error::custom("expected whole seconds")),
        Some(_) => Err(serde::de::Error::custom("expected whole seconds")),
    }
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
