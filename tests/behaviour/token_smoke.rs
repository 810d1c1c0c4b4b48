//! The common attacks with keys made on the spot, for checkouts without the test vectors.

use std::sync::{Arc, LazyLock};

use crate::support::fake::{Answer, Fake};
use crate::support::signer::{self, KEYS_PATH, PROJECT, Signer, encode};
use crate::support::verdict::{Verdict, by_api, by_layer};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tower_descope::clock::ManualClock;
use tower_descope::{AuthErrorKind, Descope, DescopeBuilder, InvalidToken};

const NOW: i64 = 1_800_000_000;

static KEY: LazyLock<Signer> = LazyLock::new(|| Signer::new("SK1"));
static OTHER: LazyLock<Signer> = LazyLock::new(|| Signer::new("SK2"));
static EVIL: LazyLock<Signer> = LazyLock::new(|| Signer::new("SK1"));

fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = signer::session("U1", NOW);
    change(&mut claims);
    claims
}

fn without(name: &str) -> Value {
    claims(|claims| {
        claims.as_object_mut().unwrap().remove(name);
    })
}

fn handle_with(configure: impl FnOnce(DescopeBuilder) -> DescopeBuilder) -> (Descope, Fake) {
    let fake = Fake::new();
    fake.always(KEYS_PATH, Answer::json(signer::jwks([&*KEY, &*OTHER])));
    let builder = Descope::builder(PROJECT)
        .transport(fake.clone())
        .clock(Arc::new(ManualClock::at_unix_seconds(NOW)));
    (configure(builder).build().unwrap(), fake)
}

fn handle() -> (Descope, Fake) {
    handle_with(|builder| builder)
}

async fn accepted(name: &str, descope: &Descope, token: &str) {
    let verdict = by_api(descope, token).await;
    assert!(
        matches!(verdict, Verdict::Accepted(_)),
        "{name}: {verdict:?}"
    );
    let cookie = format!("DS={token}");
    match by_layer(descope, &[("cookie", &cookie)]).await {
        Verdict::AcceptedBy(id) => assert_eq!(id, "U1", "{name}"),
        other => panic!("{name}: {other:?}"),
    }
}

async fn refused(name: &str, descope: &Descope, token: &str, why: InvalidToken) {
    match by_api(descope, token).await {
        Verdict::Refused(error) => {
            assert_eq!(*error.kind(), AuthErrorKind::InvalidToken, "{name}");
            assert_eq!(error.invalid_token(), Some(why), "{name}");
            let shown = format!("{error} {error:?}");
            assert!(
                token.is_empty() || !shown.contains(token),
                "{name}: {shown}"
            );
        }
        other => panic!("{name}: {other:?}"),
    }
    for header in [
        ("authorization", format!("Bearer {token}")),
        ("cookie", format!("DS={token}")),
    ] {
        match by_layer(descope, &[(header.0, &header.1)]).await {
            Verdict::RefusedBy(401) => {}
            other => panic!("{name} as {}: {other:?}", header.0),
        }
    }
}

async fn all_refused(
    descope: &Descope,
    cases: impl IntoIterator<Item = (&str, String, InvalidToken)>,
) {
    for (name, token, why) in cases {
        refused(name, descope, &token, why).await;
    }
}

#[tokio::test]
async fn good_tokens() {
    let (descope, fake) = handle();
    let header = |members: Value| {
        let mut header: Value = serde_json::from_str(&KEY.header()).unwrap();
        header
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        header.to_string()
    };
    let plain = claims(|_| {}).to_string();
    for (name, token) in [
        ("plain", KEY.sign(&claims(|_| {}))),
        ("second key", OTHER.sign(&claims(|_| {}))),
        (
            "typ in lower case",
            KEY.sign_parts(&header(json!({"typ": "jwt"})), &plain),
        ),
        (
            "unknown header",
            KEY.sign_parts(&header(json!({"x": {"y": [1]}})), &plain),
        ),
        (
            "fractional exp",
            KEY.sign(&claims(|c| c["exp"] = json!(NOW as f64 + 0.5))),
        ),
        (
            "expired within the leeway",
            KEY.sign(&claims(|c| c["exp"] = json!(NOW - 4))),
        ),
        (
            "not before within the leeway",
            KEY.sign(&claims(|c| c["nbf"] = json!(NOW + 5))),
        ),
        ("without iat", KEY.sign(&without("iat"))),
        (
            "the project as the audience",
            KEY.sign(&claims(|c| c["aud"] = json!([7, PROJECT]))),
        ),
        (
            "issuer as a URL",
            KEY.sign(&claims(|c| {
                c["iss"] = json!(format!("https://api.descope.com/{PROJECT}"))
            })),
        ),
        (
            "odd custom claims",
            KEY.sign(&claims(|c| c["x"] = json!({"roles": 1, "é": null}))),
        ),
        (
            "escaped names",
            KEY.sign_parts(&KEY.header(), &plain.replace("\"sub\"", "\"s\\u0075b\"")),
        ),
    ] {
        accepted(name, &descope, &token).await;
    }
    assert_eq!(fake.calls(), 1);
}

// Security requirements 1, 2, 3 and 8.
#[tokio::test]
async fn keys_and_algorithms() {
    let (descope, fake) = handle();
    descope.ready().await.unwrap();
    let payload = claims(|_| {}).to_string();
    let with_header = |header: Value| KEY.sign_parts(&header.to_string(), &payload);
    let unsigned = |alg: &str| {
        let header = json!({"alg": alg, "kid": "SK1"}).to_string();
        format!("{}.{}.c2ln", encode(header), encode(&payload))
    };
    let hmac = {
        let header = encode(json!({"alg": "HS256", "kid": "SK1"}).to_string());
        let input = format!("{header}.{}", encode(&payload));
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &KEY.public_der());
        let tag = hmac::sign(&secret, input.as_bytes());
        format!("{input}.{}", encode(tag))
    };
    let mut jwk = EVIL.jwk();
    jwk["kid"] = json!("mine");
    let own_key = json!({"alg": "RS256", "kid": "mine", "jwk": jwk}).to_string();
    all_refused(
        &descope,
        [
            ("none", unsigned("none"), InvalidToken::Algorithm),
            ("nOnE", unsigned("nOnE"), InvalidToken::Algorithm),
            ("hmac with the public key", hmac, InvalidToken::Algorithm),
            (
                "rs256",
                with_header(json!({"alg": "rs256", "kid": "SK1"})),
                InvalidToken::Algorithm,
            ),
            (
                "RS384",
                with_header(json!({"alg": "RS384", "kid": "SK1"})),
                InvalidToken::Algorithm,
            ),
            (
                "no kid",
                with_header(json!({"alg": "RS256"})),
                InvalidToken::Malformed,
            ),
            (
                "other kid",
                with_header(json!({"alg": "RS256", "kid": "SK2"})),
                InvalidToken::Signature,
            ),
            (
                "other key",
                EVIL.sign(&claims(|_| {})),
                InvalidToken::Signature,
            ),
            (
                "own key",
                EVIL.sign_parts(&own_key, &payload),
                InvalidToken::UnknownKey,
            ),
            (
                "crit",
                with_header(json!({"alg": "RS256", "kid": "SK1", "crit": ["x"], "x": 1})),
                InvalidToken::UnsupportedHeader,
            ),
            (
                "b64",
                with_header(json!({"alg": "RS256", "kid": "SK1", "b64": false})),
                InvalidToken::UnsupportedHeader,
            ),
            (
                "typ",
                with_header(json!({"alg": "RS256", "kid": "SK1", "typ": "at+jwt"})),
                InvalidToken::WrongType,
            ),
        ],
    )
    .await;
    assert_eq!(fake.calls(), 1, "nothing of this is worth a question");

    refused(
        "unknown kid",
        &descope,
        &with_header(json!({"alg": "RS256", "kid": "SK3"})),
        InvalidToken::UnknownKey,
    )
    .await;
    assert_eq!(fake.calls(), 2, "a kid may be new");
    assert_eq!(fake.calls_of(KEYS_PATH), 2);
}

// Security requirements 4, 5, 6 and 9.
#[tokio::test]
async fn spelling() {
    let (descope, fake) = handle();
    descope.ready().await.unwrap();
    let token = KEY.sign(&claims(|_| {}));
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let mut spare_bits = token.clone();
    // The last of 342 characters carries four bits of the signature and two spare ones.
    let last = spare_bits.pop().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    spare_bits.push(alphabet.as_bytes()[at ^ 1] as char);
    let twice = claims(|_| {})
        .to_string()
        .replacen('{', r#"{"sub":"admin","#, 1);
    let header_twice = KEY.header().replacen('{', r#"{"alg":"none","#, 1);
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));

    all_refused(
        &descope,
        [
            ("empty", String::new(), InvalidToken::Malformed),
            ("two parts", input.to_owned(), InvalidToken::Malformed),
            ("no signature", format!("{input}."), InvalidToken::Malformed),
            ("four parts", format!("{token}.x"), InvalidToken::Malformed),
            ("a JWE", format!("{token}.x.y"), InvalidToken::Malformed),
            ("padding", format!("{token}=="), InvalidToken::Malformed),
            ("spare bits", spare_bits, InvalidToken::Malformed),
            (
                "truncated",
                token[..token.len() - 2].to_owned(),
                InvalidToken::Signature,
            ),
            ("too long", "a".repeat(16_385), InvalidToken::TooLong),
            (
                "long header",
                format!("{}.{payload}.{signature}", "A".repeat(9000)),
                InvalidToken::TooLong,
            ),
            (
                "header swapped",
                format!(
                    "{}.{payload}.{signature}",
                    encode(r#"{"kid":"SK1","alg":"RS256"}"#)
                ),
                InvalidToken::Signature,
            ),
            (
                "payload swapped",
                format!("{header}.{}.{signature}", encode("{}")),
                InvalidToken::Signature,
            ),
            (
                "sub twice",
                KEY.sign_parts(&KEY.header(), &twice),
                InvalidToken::Malformed,
            ),
            (
                "alg twice",
                KEY.sign_parts(&header_twice, payload),
                InvalidToken::Malformed,
            ),
            (
                "not an object",
                KEY.sign_parts(&KEY.header(), "[]"),
                InvalidToken::Malformed,
            ),
            (
                "nested deeply",
                KEY.sign_parts(&KEY.header(), &deep),
                InvalidToken::Malformed,
            ),
        ],
    )
    .await;
    for json in [
        format!(r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{header}.\u{a0}{payload}.{signature}"),
    ] {
        match by_api(&descope, &json).await {
            Verdict::Refused(error) => {
                assert_eq!(error.invalid_token(), Some(InvalidToken::Malformed))
            }
            other => panic!("{json}: {other:?}"),
        }
    }
    assert_eq!(fake.calls(), 1);
}

// Security requirements 0.1 and 10 to 15.
#[tokio::test]
async fn what_the_claims_say() {
    let (descope, _) = handle();
    let set = |name: &str, value: Value| KEY.sign(&claims(|claims| claims[name] = value));
    for (name, value, why) in [
        (
            "exp",
            json!((NOW + 60).to_string()),
            InvalidToken::Malformed,
        ),
        ("exp", json!(null), InvalidToken::Malformed),
        ("exp", json!([NOW + 60]), InvalidToken::Malformed),
        ("exp", json!(1e30), InvalidToken::Malformed),
        ("exp", json!(-1), InvalidToken::Malformed),
        ("nbf", json!("1"), InvalidToken::Malformed),
        ("nbf", json!(NOW + 6), InvalidToken::NotYetValid),
        ("iat", json!(NOW + 6), InvalidToken::NotYetValid),
        (
            "iss",
            json!("P2bOtherProject00000000000001"),
            InvalidToken::Issuer,
        ),
        (
            "iss",
            json!(format!("https://api.descope.com/{PROJECT}/")),
            InvalidToken::Issuer,
        ),
        (
            "iss",
            json!(format!("https://evil.example/{PROJECT}")),
            InvalidToken::Issuer,
        ),
        ("iss", json!([PROJECT]), InvalidToken::Malformed),
        ("sub", json!(""), InvalidToken::Subject),
        ("sub", json!(7), InvalidToken::Malformed),
        ("drn", json!("DSR"), InvalidToken::Kind),
        ("drn", json!("ds"), InvalidToken::Kind),
        ("cnf", json!({"jkt": "x"}), InvalidToken::SenderConstrained),
    ] {
        refused(
            &format!("{name}: {value}"),
            &descope,
            &set(name, value.clone()),
            why,
        )
        .await;
    }
    for (name, why) in [
        ("exp", InvalidToken::Time),
        ("iss", InvalidToken::Issuer),
        ("sub", InvalidToken::Subject),
        ("drn", InvalidToken::Kind),
    ] {
        refused(
            &format!("no {name}"),
            &descope,
            &KEY.sign(&without(name)),
            why,
        )
        .await;
    }

    match by_api(&descope, &set("exp", json!(NOW - 5))).await {
        Verdict::Refused(error) => assert_eq!(*error.kind(), AuthErrorKind::ExpiredToken),
        other => panic!("{other:?}"),
    }

    let (lenient, _) = handle_with(DescopeBuilder::accept_missing_drn);
    accepted("no drn", &lenient, &KEY.sign(&without("drn"))).await;

    let (api, _) = handle_with(|builder| builder.audience("my-api"));
    accepted("aud", &api, &set("aud", json!("my-api"))).await;
    accepted("auds", &api, &set("aud", json!(["x", "my-api"]))).await;
    for aud in [
        json!("my-ap"),
        json!([["my-api"]]),
        json!({"my-api": 1}),
        json!(null),
    ] {
        refused(
            &format!("aud: {aud}"),
            &api,
            &set("aud", aud.clone()),
            InvalidToken::Audience,
        )
        .await;
    }
    refused(
        "no aud",
        &api,
        &KEY.sign(&claims(|_| {})),
        InvalidToken::Audience,
    )
    .await;
}
