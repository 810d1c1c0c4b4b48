//! Deserialisers that accept the variants of JSON that Descope and its SDKs send.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads `null` as the default value, like an absent member.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads whole seconds from an integer, a float or a string with an integer. `null` and an empty string are 0. A number
/// beyond the range is clamped: refusing it would lose the tokens in the same answer.
pub(crate) fn seconds<'de, D>(deserializer: D) -> Result<i64, D::Error>
where
    D: Deserializer<'de>,
{
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(0),
        Some(Value::Number(n)) => Ok(n
            .as_i64()
            // `as` clamps to the range of `i64`.
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
