//! See [`crate::__fuzzing`].

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::reply::{self, UniqueObject};
use super::retry_after;
use crate::wire::{
    AccessKeyExchangeResponse, HistoryEntry, JwtResponse, MaskedAddress, NotpLinkResponse,
    TenantsResponse, TotpEnrolment, UserProfile,
};

pub(crate) fn upstream_json(body: &[u8]) {
    let response = Response::new(Bytes::copy_from_slice(body));
    let _ = reply::object::<JwtResponse>(&response);
    let _ = reply::object::<UserProfile>(&response);
    let _ = reply::object::<MaskedAddress>(&response);
    let _ = reply::object::<NotpLinkResponse>(&response);
    let _ = reply::object::<TotpEnrolment>(&response);
    let _ = reply::object::<TenantsResponse>(&response);
    let _ = reply::object::<AccessKeyExchangeResponse>(&response);
    let _ = reply::object::<UniqueObject>(&response);
    let _ = reply::array::<Vec<HistoryEntry>>(&response);
    let _ = reply::acknowledgement(&response);
    let _ = reply::error_body(body);
}

pub(crate) fn retry_after(value: &[u8], now: u64) -> Option<u64> {
    retry_after::parse(value, Duration::from_secs(now)).map(|wait| wait.as_secs())
}
