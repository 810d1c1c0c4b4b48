//! What several ways of signing in ask of a request before they look at the user.

use super::super::error::ApiError;
use crate::wire::{LoginOptions, UpdateOptions};

/// Refuses a request without a login id.
pub(super) fn require_login_id(login_id: &str) -> Result<(), ApiError> {
    if login_id.trim().is_empty() {
        Err(ApiError::missing("loginId"))
    } else {
        Ok(())
    }
}

/// Descope's documented limits: 60 characters for a name, 500 for a value.
pub(super) fn check_custom_claims(options: &LoginOptions) -> Result<(), ApiError> {
    let too_long = options.custom_claims.iter().any(|(name, value)| {
        name.chars().count() > 60
            || value
                .as_str()
                .is_some_and(|text| text.chars().count() > 500)
    });
    if too_long {
        Err(ApiError::invalid("A custom claim is too long"))
    } else {
        Ok(())
    }
}

/// The login options that an update stands for.
pub(super) fn mfa_options(options: &UpdateOptions) -> LoginOptions {
    LoginOptions {
        mfa: options.mfa,
        ..LoginOptions::default()
    }
}
