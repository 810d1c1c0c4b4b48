//! The settings that can be changed while the emulator runs.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::names::names;

/// What an operator sets in Descope's console, and a few switches for tests.
///
/// `PATCH /emulator/v1/config` changes them by their camelCase names; `{}` reads them. They go back to the
/// values of [`EmulatorBuilder::config`](crate::emulator::EmulatorBuilder::config) on reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// What a refresh does to the refresh JWT. Default: [`RefreshRotation::None`].
    pub refresh_rotation: RefreshRotation,
    /// For how many seconds [`RefreshRotation::ReuseInterval`] still accepts the refresh JWT that was replaced last.
    /// Default 10.
    pub refresh_reuse_seconds: u32,
    /// How tokens reach the caller. Default: [`TokenDelivery::Body`].
    pub token_delivery: TokenDelivery,
    /// How often a one-time code may be tried. A change also applies to codes that were sent before it. It is also
    /// the number of authenticator codes that may be tried per user and step of 30 s. Default 5.
    pub otp_max_attempts: u32,
    /// Life of a one-time code in seconds. Default 180.
    pub otp_ttl_seconds: u32,
    /// For how many seconds after a code was sent no other is sent to the same address or for the same login id. Such a
    /// call is refused with 429 and `Retry-After`. Descope also limits sending, but does not document the limits.
    /// Default 0, no limit.
    pub otp_cooldown_seconds: u32,
    /// Life of a pending nOTP sign-in in seconds. Default 600.
    pub notp_ttl_seconds: u32,
    /// Life of a session JWT in seconds. Default 600.
    pub session_ttl_seconds: u32,
    /// Life of a session JWT that a step-up issued, in seconds, if it is shorter than `session_ttl_seconds`. Default
    /// 600.
    pub step_up_ttl_seconds: u32,
    /// Life of a session in seconds, counted from the sign-in; rotation does not prolong it. Default 2419200
    /// (28 days).
    pub refresh_ttl_seconds: u32,
    /// By how many milliseconds every answer of the API is delayed, after the call was executed. Default 0.
    pub latency_ms: u32,
    /// Whether known and unknown login ids get the same answers. `false` mirrors Descope, whose answers differ
    /// (E062107, E062108). Default `false`.
    pub uniform_errors: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            refresh_rotation: RefreshRotation::None,
            refresh_reuse_seconds: 10,
            token_delivery: TokenDelivery::Body,
            otp_max_attempts: 5,
            otp_ttl_seconds: 180,
            otp_cooldown_seconds: 0,
            notp_ttl_seconds: 600,
            session_ttl_seconds: 600,
            step_up_ttl_seconds: 600,
            refresh_ttl_seconds: 2_419_200,
            latency_ms: 0,
            uniform_errors: false,
        }
    }
}

impl Config {
    /// The settings after this JSON patch. An unknown name is refused, so that a misspelt setting is noticed.
    pub(crate) fn patched(&self, patch: Map<String, Value>) -> Result<Self, ApiError> {
        let Ok(Value::Object(mut all)) = serde_json::to_value(self) else {
            return Err(ApiError::internal("settings"));
        };
        all.extend(patch);
        serde_json::from_value(Value::Object(all))
            .map_err(|error| ApiError::bad_request(error.to_string()))
    }
}

/// What a refresh does to the refresh JWT.
///
/// In JSON `"none"` (also `false`), `"single-use"` (also `true`) and `"reuse-interval"`; reported as `false`,
/// `true` and `"reuse-interval"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshRotation {
    /// The refresh JWT stays valid, and the answer carries no new one.
    #[default]
    None,
    /// The answer carries a new refresh JWT. The old one is at once refused by all calls.
    SingleUse,
    /// As `SingleUse`, but the refresh JWT that was replaced last is accepted for a further
    /// [`Config::refresh_reuse_seconds`]. A refresh with it yields the same new refresh JWT again. Older ones are
    /// refused.
    ReuseInterval,
}

names!(
    RefreshRotation,
    "refresh rotation",
    [None => "none", SingleUse => "single-use", ReuseInterval => "reuse-interval"]
);

impl Serialize for RefreshRotation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_bool(false),
            Self::SingleUse => serializer.serialize_bool(true),
            Self::ReuseInterval => serializer.serialize_str("reuse-interval"),
        }
    }
}

impl<'de> Deserialize<'de> for RefreshRotation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(false) => Ok(Self::None),
            Value::Bool(true) => Ok(Self::SingleUse),
            Value::String(name) => name.parse().map_err(|_| ()),
            _ => Err(()),
        }
        .map_err(|()| {
            serde::de::Error::custom(
                "refreshRotation: expected a boolean, \"none\", \"single-use\" or \"reuse-interval\"",
            )
        })
    }
}

/// How tokens reach the caller: Descope's project setting "manage in response body" or "manage in cookies".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenDelivery {
    /// As `sessionJwt` and `refreshJwt` in the body.
    #[default]
    Body,
    /// As `Set-Cookie` headers `DS` and `DSR`; the members of the body are `""`.
    Cookies,
}

names!(TokenDelivery, "token delivery", [Body => "body", Cookies => "cookies"]);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(value: Value) -> Result<Config, ApiError> {
        let Value::Object(patch) = value else {
            unreachable!()
        };
        Config::default().patched(patch)
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let config = patch(json!({"refreshRotation": true, "otpMaxAttempts": 3})).unwrap();
        assert_eq!(config.refresh_rotation, RefreshRotation::SingleUse);
        assert_eq!(config.otp_max_attempts, 3);
        assert_eq!(config.otp_ttl_seconds, 180);
    }

    #[test]
    fn what_is_reported_can_be_sent_back() {
        for rotation in [
            json!(false),
            json!(true),
            json!("none"),
            json!("single-use"),
            json!("reuse-interval"),
        ] {
            let config = patch(json!({"refreshRotation": rotation})).unwrap();
            let Value::Object(all) = serde_json::to_value(&config).unwrap() else {
                unreachable!()
            };
            assert_eq!(Config::default().patched(all).unwrap(), config);
        }
    }

    #[test]
    fn a_misspelt_or_mistyped_setting_is_refused() {
        assert!(patch(json!({"refreshRotatoin": true})).is_err());
        assert!(patch(json!({"otpMaxAttempts": -1})).is_err());
        assert!(patch(json!({"tokenDelivery": "pigeon"})).is_err());
        assert!(patch(json!({"otpTtlSeconds": null})).is_err());
    }
}
