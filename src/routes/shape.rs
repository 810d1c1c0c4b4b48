//! Which members an object may have, and the filter that removes all others.
//!
//! Answers of upstream pass through [`Shape::keep`] on their way to the page. It keeps known members instead of
//! removing known tokens, because nobody can list the names of all members that may hold a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The members that an object may have.
pub(super) struct Shape {
    #[cfg_attr(not(feature = "utoipa"), allow(dead_code))]
    pub(super) name: &'static str,
    pub(super) members: &'static [Member],
    /// Further members. They are a list of their own, so that `members` can be shared with another shape.
    pub(super) shared: &'static [Member],
}

/// The name and kind of a member, and its description in the OpenAPI document.
pub(super) type Member = (&'static str, MemberKind, &'static str);

#[cfg_attr(not(feature = "utoipa"), allow(dead_code))]
pub(super) enum MemberKind {
    Text,
    /// A string that is a token. Only answers to native apps have it.
    Token,
    Flag,
    Whole,
    /// An object of anything but tokens.
    Free,
    /// An object whose content the project decides. It passes unchanged, with tokens if it has any.
    Own,
    /// An object of booleans.
    Flags,
    /// An array of strings.
    List,
    Nested(&'static Shape),
    NestedList(&'static Shape),
}

pub(super) const fn shape(name: &'static str, members: &'static [Member]) -> Shape {
    Shape {
        name,
        members,
        shared: &[],
    }
}

impl Shape {
    /// Removes members that the shape does not name, that are of another kind, or that hold a token where the kind
    /// forbids it.
    pub(super) fn keep(&self, object: &mut Map<String, Value>) {
        object.retain(|name, value| {
            let mut members = self.members.iter().chain(self.shared);
            members
                .find(|(known, ..)| known == name)
                .is_some_and(|(_, kind, _)| kind.keep(value))
        });
    }

    /// Like [`Self::keep`] for an array of objects. Removes elements that are no objects.
    pub(super) fn keep_each(&self, array: &mut Vec<Value>) {
        array.retain_mut(|element| match element {
            Value::Object(object) => {
                self.keep(object);
                true
            }
            _ => false,
        });
    }
}

impl MemberKind {
    /// Whether the value is of this kind. Removes what may not stay inside of it.
    fn keep(&self, value: &mut Value) -> bool {
        match (self, value) {
            (Self::Text, Value::String(text)) => !has_token(text),
            (Self::Token, Value::String(_))
            | (Self::Flag, Value::Bool(_))
            | (Self::Whole, Value::Number(_))
            | (Self::Own, Value::Object(_)) => true,
            (Self::Whole, Value::String(text)) => text.parse::<i64>().is_ok(),
            (Self::Free, value @ Value::Object(_)) => without_tokens(value),
            (Self::Flags, Value::Object(object)) => {
                object.retain(|name, value| value.is_boolean() && !has_token(name));
                true
            }
            (Self::List, Value::Array(array)) => {
                array.retain_mut(|element| Self::Text.keep(element));
                true
            }
            (Self::Nested(shape), Value::Object(object)) => {
                shape.keep(object);
                true
            }
            (Self::NestedList(shape), Value::Array(array)) => {
                shape.keep_each(array);
                true
            }
            _ => false,
        }
    }
}

/// Whether a value may stay: `false` for a text that has a token in it. Removes members and elements with tokens from
/// objects and arrays.
pub(super) fn without_tokens(value: &mut Value) -> bool {
    match value {
        Value::String(text) => !has_token(text),
        Value::Object(object) => {
            object.retain(|name, value| !has_token(name) && without_tokens(value));
            true
        }
        Value::Array(array) => {
            array.retain_mut(without_tokens);
            true
        }
        _ => true,
    }
}

/// Whether the text is a token, or has one anywhere inside: in a URL, in quoted JSON, behind a prefix.
///
/// JWS and JWE begin with a JSON object that has `alg`, in base64url (RFC 7515 section 4.1.1, RFC 7516 section 4.1.1).
/// It is not known where in a run of base64url characters that object begins, so each of the four possible alignments
/// is decoded.
pub(super) fn has_token(text: &str) -> bool {
    let runs = text
        .as_bytes()
        .split(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_'));
    runs.filter(|run| run.len() >= SHORTEST_HEADER)
        .any(|run| (0..4).any(|start| has_header(&run[start..])))
}

fn has_header(run: &[u8]) -> bool {
    // The rest of up to three characters that is cut off is too short to hold `alg` and its value.
    let whole = &run[..run.len() / 4 * 4];
    URL_SAFE_NO_PAD
        .decode(whole)
        .is_ok_and(|json| json.windows(ALG.len()).any(|window| window == ALG))
}

const ALG: &[u8] = b"\"alg\"";
/// `{"alg":""}` in base64url.
const SHORTEST_HEADER: usize = 14;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encode(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    #[test]
    fn req_31_a_token_is_found_wherever_it_stands() {
        for header in [
            r#"{"alg":""}"#,
            r#"{"alg":"RS256","kid":"k"}"#,
            r#"{ "kid" : "k", "alg" : "RS256" }"#,
            "{\n\"typ\":\"JWT\",\"alg\":\"none\"}",
            r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#,
        ] {
            let token = format!("{}.e30.c2ln", encode(header));
            // Each alignment of the header in its run of characters.
            for place in [
                "",
                "x",
                "xy",
                "xyz",
                "Bearer ",
                "https://x.example/cb?t=",
                "{\"t\":\"",
                "\u{e9}",
            ] {
                let text = format!("{place}{token}");
                assert!(has_token(&text), "{text}");
                assert!(has_token(&format!("{text}\"}}&x=1#y")), "{text}");
                assert!(has_token(&text.replace('.', "%2E")), "{text}");
            }
        }
        for text in [
            "",
            "ann@example.com",
            "eyes.of.ewe",
            "https://cdn.example/eyes.of.ewe/ann.png?v=1.2.3",
            "192.0.2.1",
            "eyJ",
            "eyJub3QiOiJhIGhlYWRlciJ9.e30.c2ln",
            "the word \"alg\" in clear",
        ] {
            assert!(!has_token(text), "{text}");
        }
        assert!(!has_token(&encode(&"x".repeat(5000))));
        assert!(!has_token(&encode(r#"{"algorithm":"RS256"}"#)));
    }

    #[test]
    fn each_kind_keeps_what_is_of_its_kind() {
        static INNER: Shape = shape("Inner", &[("a", MemberKind::Flag, "")]);
        let token = format!("{}.e30.c2ln", encode(r#"{"alg":"RS256"}"#));
        let all = [
            json!("text"),
            json!(token),
            json!(true),
            json!(1),
            json!(1.5),
            json!("12"),
            json!({"a": true, "b": token, token.as_str(): 1}),
            json!(["x", token, {"a": false, "b": 1}]),
            json!(null),
        ];
        let kept = |kind: &MemberKind| {
            let mut kept = Vec::new();
            for mut value in all.clone() {
                if kind.keep(&mut value) {
                    kept.push(value);
                }
            }
            Value::from(kept)
        };
        for (kind, want) in [
            (MemberKind::Text, json!(["text", "12"])),
            (MemberKind::Token, json!(["text", token, "12"])),
            (MemberKind::Flag, json!([true])),
            (MemberKind::Whole, json!([1, 1.5, "12"])),
            (MemberKind::Free, json!([{"a": true}])),
            (
                MemberKind::Own,
                json!([{"a": true, "b": token, token.as_str(): 1}]),
            ),
            (MemberKind::Flags, json!([{"a": true}])),
            (MemberKind::List, json!([["x"]])),
            (MemberKind::Nested(&INNER), json!([{"a": true}])),
            (MemberKind::NestedList(&INNER), json!([[{"a": false}]])),
        ] {
            assert_eq!(kept(&kind), want);
        }
    }
}
