//! Reading answers. Nothing here trusts the other side.

use std::fmt;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, Response};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::error::ClientError;
use super::secret::is_token;
use crate::wire::{ErrorBody, JwtResponse, MaskedAddress};

/// The body as a `T` that is written as a JSON object.
pub(super) fn object<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, ClientError> {
    decode(response, b'{')
}

/// The answer to a call that sent a code. The API's documentation still speaks of an empty object; one with other
/// members and no address is the answer to something else.
pub(super) fn masked(response: &Response<Bytes>) -> Result<MaskedAddress, ClientError> {
    let address: MaskedAddress = object(response)?;
    let is_answer = !address.as_str().is_empty()
        || object::<Map<String, Value>>(response)?
            .values()
            .all(Value::is_null);
    if is_answer {
        Ok(address)
    } else {
        Err(ClientError::malformed(response.status()))
    }
}

/// The body as a `T` that is written as a JSON array.
pub(super) fn array<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, ClientError> {
    decode(response, b'[')
}

/// A body that may hold anything of no interest, or nothing; but not a page of somebody else.
pub(super) fn acknowledgement(response: &Response<Bytes>) -> Result<(), ClientError> {
    if is_blank(response.body()) {
        return Ok(());
    }
    object::<UniqueObject>(response).map(drop)
}

// serde's structs accept arrays too, and a struct whose members are all optional accepts an empty one.
fn decode<T: DeserializeOwned>(response: &Response<Bytes>, first: u8) -> Result<T, ClientError> {
    let body = response.body();
    if first_byte(body) != Some(first) {
        return Err(ClientError::malformed(response.status()));
    }
    serde_json::from_slice(body).map_err(|_| ClientError::malformed(response.status()))
}

/// The error body of an answer other than 2xx, if it has an error code.
pub(super) fn error_body(body: &[u8]) -> Option<ErrorBody> {
    if first_byte(body) != Some(b'{') {
        return None;
    }
    let body: ErrorBody = serde_json::from_slice(body).ok()?;
    // The code is shown in logs, so it must be one; the text beside it is not shown.
    let code = body.error_code.as_bytes();
    let is_code = (1..=MAX_CODE).contains(&code.len())
        && code
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    is_code.then_some(body)
}

/// The names of the cookies in which Descope delivers tokens, in order of priority.
#[derive(Debug)]
pub(super) struct CookieNames {
    pub(super) session: Vec<String>,
    pub(super) refresh: Vec<String>,
}

impl CookieNames {
    /// A token reply, from the body or from `Set-Cookie`, whichever the project is set to.
    pub(super) fn tokens(&self, response: &Response<Bytes>) -> Result<JwtResponse, ClientError> {
        let mut reply: JwtResponse = object(response)?;
        for (member, names) in [
            (&mut reply.session_jwt, &self.session),
            (&mut reply.refresh_jwt, &self.refresh),
        ] {
            if member.is_empty()
                && let Some(token) = set_cookie(response.headers(), names)
            {
                *member = token.to_owned();
            }
        }
        Ok(reply)
    }

    /// The same on an object whose other members stay as they are.
    pub(super) fn move_tokens(&self, headers: &HeaderMap, body: &mut Map<String, Value>) {
        for (member, names) in [("sessionJwt", &self.session), ("refreshJwt", &self.refresh)] {
            let is_empty = match body.get(member) {
                None | Some(Value::Null) => true,
                Some(Value::String(token)) => token.is_empty(),
                Some(_) => false,
            };
            if is_empty && let Some(token) = set_cookie(headers, names) {
                body.insert(member.to_owned(), token.into());
            }
        }
    }
}

/// The last non-empty value that a `Set-Cookie` gives the first of `names` that has one.
///
/// Names and values are compared and taken byte for byte: decoding would let another name pass for ours.
/// Deletions have an empty value and are passed over.
fn set_cookie<'a>(headers: &'a HeaderMap, names: &[String]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        headers
            .get_all(SET_COOKIE)
            .into_iter()
            .filter_map(|field| {
                let pair = field.as_bytes().split(|b| *b == b';').next()?;
                let equals = pair.iter().position(|b| *b == b'=')?;
                let (found, value) = (trim(&pair[..equals]), trim(&pair[equals + 1..]));
                (found == name.as_bytes() && is_token(value))
                    .then(|| std::str::from_utf8(value).ok())
                    .flatten()
            })
            .next_back()
    })
}

/// A JSON object in which no member occurs twice.
///
/// `serde_json::Map` alone takes the last of two, and what reads the body after us may take the first.
#[derive(Debug)]
pub(super) struct UniqueObject(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueObject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = UniqueObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member occurs twice"));
                    }
                }
                Ok(UniqueObject(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

pub(super) fn is_blank(body: &[u8]) -> bool {
    first_byte(body).is_none()
}

pub(super) fn first_byte(body: &[u8]) -> Option<u8> {
    body.iter()
        .copied()
        .find(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

const MAX_CODE: usize = 32;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::client::{ClientErrorKind, UnavailableReason};
    use crate::wire::HistoryEntry;

    fn response(body: &str, cookies: &[&str]) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body.to_owned()));
        for cookie in cookies {
            response.headers_mut().append(
                SET_COOKIE,
                HeaderValue::from_bytes(cookie.as_bytes()).unwrap(),
            );
        }
        response
    }

    fn names() -> CookieNames {
        CookieNames {
            session: vec!["app_s".into(), "DS".into()],
            refresh: vec!["DSR".into()],
        }
    }

    #[test]
    fn an_object_is_an_object() {
        for bad in [
            "", " ", "[]", "[\"a\"]", "null", "1", "\"x\"", "{", "{}x", "<html>", "{\"a\":1",
        ] {
            let error = object::<MaskedAddress>(&response(bad, &[])).unwrap_err();
            assert_eq!(error.kind(), ClientErrorKind::Unavailable, "{bad}");
            assert_eq!(
                error.unavailable_reason(),
                Some(UnavailableReason::Malformed)
            );
        }
        assert!(object::<MaskedAddress>(&response(" \r\n{} ", &[])).is_ok());
        assert!(array::<Vec<HistoryEntry>>(&response("{}", &[])).is_err());
        assert!(
            array::<Vec<HistoryEntry>>(&response("[]", &[]))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_send_is_answered_with_an_address_or_with_nothing() {
        for good in [
            "{}",
            r#"{"maskedEmail":null}"#,
            r#"{"maskedEmail":"j***@example.com","new":{}}"#,
            r#"{"maskedPhone":"+1***7"}"#,
        ] {
            assert!(masked(&response(good, &[])).is_ok(), "{good}");
        }
        for bad in [
            r#"{"sessionJwt":1}"#,
            r#"{"sessionJwt":"a.b.c"}"#,
            r#"{"maskedEmail":1}"#,
            r#"{"maskedEmail":""}"#,
            r#"{"verificationAttempts":3}"#,
            "[]",
        ] {
            let error = masked(&response(bad, &[])).unwrap_err();
            assert_eq!(
                error.unavailable_reason(),
                Some(UnavailableReason::Malformed),
                "{bad}"
            );
        }
    }

    #[test]
    fn members_occur_once() {
        let twice = response(r#"{"sessionJwt":"a","sessionJwt":"b"}"#, &[]);
        assert!(names().tokens(&twice).is_err());
        assert!(object::<UniqueObject>(&twice).is_err());
        assert!(object::<UniqueObject>(&response(r#"{"x":1,"x":1}"#, &[])).is_err());
        let fine = response(r#"{"x":1.5,"y":{"z":[1]}}"#, &[]);
        assert_eq!(object::<UniqueObject>(&fine).unwrap().0.len(), 2);
    }

    #[test]
    fn tokens_come_from_the_body_or_from_cookies() {
        let cookies = [
            "DS=; Max-Age=0",
            "DS=s.s.s; Path=/; HttpOnly",
            "DSR=r.r.r; Domain=.example",
            "evil=1; Domain=.example",
        ];
        let reply = names()
            .tokens(&response(r#"{"sessionJwt":""}"#, &cookies))
            .unwrap();
        assert_eq!(
            (&*reply.session_jwt, &*reply.refresh_jwt),
            ("s.s.s", "r.r.r")
        );

        let reply = names()
            .tokens(&response(
                r#"{"sessionJwt":"b.b.b","refreshJwt":null}"#,
                &cookies,
            ))
            .unwrap();
        assert_eq!(
            (&*reply.session_jwt, &*reply.refresh_jwt),
            ("b.b.b", "r.r.r")
        );

        let reply = names()
            .tokens(&response("{}", &["DS=s.s.s", "app_s=c.c.c"]))
            .unwrap();
        assert_eq!(reply.session_jwt, "c.c.c");
    }

    #[test]
    fn foreign_and_broken_cookies_are_passed_over() {
        for cookie in [
            "DS=",
            "DS",
            "=DS",
            "ds=a.b.c",
            "%44S=a.b.c",
            "XDS=a.b.c",
            "DS\u{a0}=a.b.c",
            "DS=\"a.b.c\"",
            "DS=a b",
            "DS=a%2e",
            "x=1; DS=a.b.c",
            "x=1, DS=a.b.c",
            "DS=\u{e9}",
        ] {
            let reply = names().tokens(&response("{}", &[cookie])).unwrap();
            assert_eq!(reply.session_jwt, "", "{cookie}");
        }
        // Blanks around name and value are not part of them (RFC 6265bis, 5.6).
        let reply = names()
            .tokens(&response("{}", &[" DS\t= a.b.c ;x"]))
            .unwrap();
        assert_eq!(reply.session_jwt, "a.b.c");
    }

    #[test]
    fn error_codes_are_codes() {
        let code = |body: &str| error_body(body.as_bytes()).map(|body| body.error_code);
        assert_eq!(code(r#"{"errorCode":"E061005"}"#).unwrap(), "E061005");
        assert_eq!(
            code(r#"{"errorCode":"E061005","errorMessage":null,"extra":{}}"#).unwrap(),
            "E061005"
        );
        for bad in [
            "",
            "{}",
            r#"["E061005","a"]"#,
            r#"{"errorCode":""}"#,
            r#"{"errorCode":null}"#,
            r#"{"errorCode":5}"#,
            r#"{"errorCode":"E1","errorCode":"E2"}"#,
            r#"{"errorCode":"E1\r\nx: y"}"#,
            r#"{"errorCode":"jane@example.com"}"#,
            r#"{"errorCode":"123456789012345678901234567890123"}"#,
            "<html>E061005</html>",
        ] {
            assert_eq!(code(bad), None, "{bad}");
        }
    }
}
