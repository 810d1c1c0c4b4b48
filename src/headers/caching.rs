//! What caches may keep of a response.

use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderMap, VARY};

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

/// Keeps every cache away from a response that depends on who asked, unless the handler has said something else.
pub(crate) fn keep_private(headers: &mut HeaderMap) {
    // Twice as fast as an `Entry`, which is a larger value to move.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, PRIVATE);
    }
}

/// Forbids caching, whatever the handler has said: no cache may store a response that sets a session cookie.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, PRIVATE);
    let varies = headers.get_all(VARY).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|name| {
            let name = name.trim_ascii();
            name == b"*" || name.eq_ignore_ascii_case(b"cookie")
        })
    });
    if !varies {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
}
