//! See [`crate::__fuzzing`].

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value};

use super::reply::{self, CookieNames};
use super::retry_after;
use crate::wire::{
    AccessKeyExchangeResponse, HistoryEntry, JwtResponse, MaskedAddress, NotpLinkResponse,
    TenantsResponse, TotpEnrolment, UserProfile,
};

pub(crate) fn upstream_json(body: &[u8]) {
    let response = Response::new(Bytes::copy_from_slice(body));
    let names = CookieNames {
        session: vec!["DS".to_owned()],
        refresh: vec!["DSR".to_owned()],
    };
    let _ = reply::answer::<JwtResponse>(&names, &response);
    let _ = reply::answer::<UserProfile>(&names, &response);
    let _ = reply::answer::<MaskedAddress>(&names, &response);
    let _ = reply::answer::<NotpLinkResponse>(&names, &response);
    let _ = reply::answer::<TotpEnrolment>(&names, &response);
    let _ = reply::answer::<TenantsResponse>(&names, &response);
    let _ = reply::answer::<AccessKeyExchangeResponse>(&names, &response);
    let _ = reply::answer::<Map<String, Value>>(&names, &response);
    let _ = reply::answer::<Vec<HistoryEntry>>(&names, &response);
    let _ = reply::value(&response);
    let _ = reply::acknowledgement(&response);
    let _ = reply::error_body(body);
}

pub(crate) fn retry_after(value: &[u8], now: u64) -> Option<u64> {
    retry_after::parse(value, Duration::from_secs(now)).map(|wait| wait.as_secs())
}
