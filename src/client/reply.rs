//! Reading answers. Nothing in this module relies on the answer being well-formed.

use std::fmt;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, Response};
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::error::ClientError;
use super::secret::has_token_characters;
use crate::wire::ErrorBody;
use crate::wire::endpoint::{Answer, has_needed, is_blank as has_nothing};

/// Reads the answer to a call. It is malformed if it does not have the form of `A`, or lacks what `A` needs.
pub(super) fn answer<A: Answer>(
    cookies: &CookieNames,
    response: &Response<Bytes>,
) -> Result<A, ClientError> {
    match read(cookies, response)? {
        (answer, true) => Ok(answer),
        (_, false) => Err(ClientError::malformed(response.status())),
    }
}

/// As [`answer`], for a call that may be answered with an empty object. Returns the answer, and whether it has what
/// `A` needs.
pub(super) fn read<A: Answer>(
    cookies: &CookieNames,
    response: &Response<Bytes>,
) -> Result<(A, bool), ClientError> {
    let malformed = || ClientError::malformed(response.status());
    let mut is_complete = true;
    match value(response)? {
        Value::Object(mut members) if !A::IS_LIST => {
            let from_cookies =
                A::ISSUES_TOKENS && cookies.move_tokens(response.headers(), &mut members);
            let blank = A::MAY_BE_BLANK && has_nothing(&members);
            is_complete = blank || has_needed::<A>(&members);
            if from_cookies {
                let answer = serde_json::from_value(Value::Object(members));
                let answer: A = answer.map_err(|_| malformed())?;
                return Ok((answer.received(), is_complete));
            }
        }
        Value::Array(_) if A::IS_LIST => {}
        _ => return Err(malformed()),
    }
    // The text is parsed again, directly into `A`: this also refuses a member that occurs twice in a nested object.
    let answer: A = serde_json::from_slice(response.body()).map_err(|_| malformed())?;
    Ok((answer.received(), is_complete))
}

/// Reads any answer that is an array, or an object in which no member occurs twice.
pub(super) fn value(response: &Response<Bytes>) -> Result<Value, ClientError> {
    let body = response.body();
    let value = match first_byte(body) {
        Some(b'{') => serde_json::from_slice(body).map(|UniqueObject(it)| Value::Object(it)),
        Some(b'[') => serde_json::from_slice(body).map(Value::Array),
        _ => return Err(ClientError::malformed(response.status())),
    };
    value.map_err(|_| ClientError::malformed(response.status()))
}

/// Checks an answer whose content does not matter. The body must be blank or an object; an HTML page of a proxy, for
/// example, is malformed.
pub(super) fn acknowledgement(response: &Response<Bytes>) -> Result<(), ClientError> {
    if is_blank(response.body()) {
        return Ok(());
    }
    match value(response)? {
        Value::Object(_) => Ok(()),
        _ => Err(ClientError::malformed(response.status())),
    }
}

/// Reads the error body of an answer whose status is not 2xx. `None` if it has no error code.
pub(super) fn error_body(body: &[u8]) -> Option<ErrorBody> {
    if first_byte(body) != Some(b'{') {
        return None;
    }
    let body: ErrorBody = serde_json::from_slice(body).ok()?;
    // The error code appears in logs, so it must look like a code. The texts in the body do not appear there.
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
    /// These names, after others.
    pub(super) fn after(&self, session: &[String], refresh: &[String]) -> Self {
        let joined = |first: &[String], then: &[String]| {
            let new = then.iter().filter(|name| !first.contains(name));
            first.iter().chain(new).cloned().collect()
        };
        Self {
            session: joined(session, &self.session),
            refresh: joined(refresh, &self.refresh),
        }
    }

    /// Copies the tokens of `Set-Cookie` into those token members of `body` that are empty. Returns whether it copied
    /// any.
    pub(super) fn move_tokens(&self, headers: &HeaderMap, body: &mut Map<String, Value>) -> bool {
        let mut moved = false;
        for (member, names) in [("sessionJwt", &self.session), ("refreshJwt", &self.refresh)] {
            let is_empty = match body.get(member) {
                None | Some(Value::Null) => true,
                Some(Value::String(token)) => token.is_empty(),
                Some(_) => false,
            };
            if is_empty && let Some(token) = set_cookie(headers, names) {
                body.insert(member.to_owned(), token.into());
                moved = true;
            }
        }
        moved
    }
}

/// The value of the first of `names` for which a `Set-Cookie` holds a token. If several hold one for that name, the
/// last of them wins.
///
/// Names and values are not decoded: decoding could make a different name equal to one of `names`. A `Set-Cookie` that
/// deletes a cookie has an empty value and is skipped.
fn set_cookie<'a>(headers: &'a HeaderMap, names: &[String]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        headers
            .get_all(SET_COOKIE)
            .into_iter()
            .filter_map(|field| {
                let pair = field.as_bytes().split(|b| *b == b';').next()?;
                let equals = pair.iter().position(|b| *b == b'=')?;
                let (found, value) = (trim(&pair[..equals]), trim(&pair[equals + 1..]));
                (found == name.as_bytes() && has_token_characters(value))
                    .then(|| std::str::from_utf8(value).ok())
                    .flatten()
            })
            .next_back()
    })
}

/// A JSON object in which no member occurs twice.
///
/// `serde_json::Map` would keep the last of two members with one name. Another reader of the same body may keep the
/// first, and so read something else.
#[derive(Debug)]
struct UniqueObject(Map<String, Value>);

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
    use crate::wire::{HistoryEntry, JwtResponse, MaskedAddress, UserProfile};

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
            let error = answer::<MaskedAddress>(&names(), &response(bad, &[])).unwrap_err();
            assert_eq!(error.kind(), ClientErrorKind::Unavailable, "{bad}");
            assert_eq!(
                error.unavailable_reason(),
                Some(UnavailableReason::Malformed)
            );
        }
        assert!(answer::<MaskedAddress>(&names(), &response(" \r\n{} ", &[])).is_ok());
        assert!(answer::<Vec<HistoryEntry>>(&names(), &response("{}", &[])).is_err());
        assert!(
            answer::<Vec<HistoryEntry>>(&names(), &response("[]", &[]))
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
            assert!(
                answer::<MaskedAddress>(&names(), &response(good, &[])).is_ok(),
                "{good}"
            );
        }
        for bad in [
            r#"{"sessionJwt":1}"#,
            r#"{"sessionJwt":"a.b.c"}"#,
            r#"{"maskedEmail":1}"#,
            r#"{"maskedEmail":""}"#,
            r#"{"verificationAttempts":3}"#,
            "[]",
        ] {
            let error = answer::<MaskedAddress>(&names(), &response(bad, &[])).unwrap_err();
            assert_eq!(
                error.unavailable_reason(),
                Some(UnavailableReason::Malformed),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_answer_with_nothing_in_it_is_told_from_one_that_is_malformed() {
        let read = |body: &str, cookies: &[&str]| {
            let answer = read::<JwtResponse>(&names(), &response(body, cookies));
            answer.map(|(tokens, is_complete)| (tokens.session_jwt, is_complete))
        };
        assert_eq!(read("{}", &[]).unwrap(), (String::new(), false));
        let cookie = ["DS=s.s.s; Path=/"];
        assert_eq!(read("{}", &cookie).unwrap(), ("s.s.s".to_owned(), true));
        for bad in [
            "",
            "[]",
            r#"{"sessionJwt":1}"#,
            r#"{"user":{"userId":"a","userId":"b"}}"#,
        ] {
            assert!(read(bad, &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn members_occur_once() {
        let twice = response(r#"{"sessionJwt":"a","sessionJwt":"b"}"#, &[]);
        assert!(answer::<JwtResponse>(&names(), &twice).is_err());
        assert!(value(&twice).is_err());
        assert!(value(&response(r#"{"x":1,"x":1}"#, &[])).is_err());
        let inside = r#"{"userId":"u","userTenants":[{"tenantId":"a","tenantId":"b"}]}"#;
        assert!(answer::<UserProfile>(&names(), &response(inside, &[])).is_err());
        let fine = response(r#"{"x":1.5,"y":{"z":[1]}}"#, &[]);
        assert_eq!(value(&fine).unwrap().as_object().unwrap().len(), 2);
    }

    /// The tokens of an answer, from its body or from its cookies.
    fn tokens(response: &Response<Bytes>) -> JwtResponse {
        let Value::Object(mut members) = value(response).unwrap() else {
            panic!("no object")
        };
        names().move_tokens(response.headers(), &mut members);
        serde_json::from_value(Value::Object(members)).unwrap()
    }

    #[test]
    fn tokens_come_from_the_body_or_from_cookies() {
        let cookies = [
            "DS=; Max-Age=0",
            "DS=s.s.s; Path=/; HttpOnly",
            "DSR=r.r.r; Domain=.example",
            "evil=1; Domain=.example",
        ];
        let reply = tokens(&response(r#"{"sessionJwt":""}"#, &cookies));
        assert_eq!(
            (&*reply.session_jwt, &*reply.refresh_jwt),
            ("s.s.s", "r.r.r")
        );

        let reply = tokens(&response(
            r#"{"sessionJwt":"b.b.b","refreshJwt":null}"#,
            &cookies,
        ));
        assert_eq!(
            (&*reply.session_jwt, &*reply.refresh_jwt),
            ("b.b.b", "r.r.r")
        );

        let reply = tokens(&response("{}", &["DS=s.s.s", "app_s=c.c.c"]));
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
            let reply = tokens(&response("{}", &[cookie]));
            assert_eq!(reply.session_jwt, "", "{cookie}");
        }
        // Blanks around name and value are not part of them (RFC 6265bis, 5.6).
        let reply = tokens(&response("{}", &[" DS\t= a.b.c ;x"]));
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
