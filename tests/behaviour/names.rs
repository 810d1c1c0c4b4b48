//! The names of enums in configuration files and URLs.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use http::Request;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json, to_value};
use tower::ServiceExt;
use tower_descope::client::{BaseUrl, ProjectId};
use tower_descope::emulator::{self, RefreshRotation};
use tower_descope::routes::TokenDelivery;
use tower_descope::wire::{DeliveryMethod, NotpProvider};
use tower_descope::{SameSite, SignOut, SignatureAlgorithm, UnknownName};

/// The names of all values, and nothing else, are read; the error lists them.
fn texts<T>(values: &[(T, &str)])
where
    T: FromStr<Err = UnknownName> + Display + PartialEq + Debug,
{
    for (value, name) in values {
        assert_eq!(value.to_string(), *name);
        assert_eq!(name.parse::<T>().as_ref(), Ok(value));
        let other_case = match name.to_lowercase() {
            lower if lower == *name => name.to_uppercase(),
            lower => lower,
        };
        for text in [
            other_case,
            format!(" {name}"),
            format!("{name}\n"),
            String::new(),
        ] {
            let unknown = text.parse::<T>().unwrap_err();
            let names: Vec<_> = values.iter().map(|(_, name)| *name).collect();
            assert_eq!(unknown.accepted(), names);
            for name in names {
                assert!(unknown.to_string().contains(name), "{unknown}");
            }
        }
    }
    let unknown = "<script>".parse::<T>().unwrap_err();
    assert!(!unknown.to_string().contains("script"), "{unknown}");
}

/// The same names in JSON.
fn json<T>(values: &[(T, &str)])
where
    T: FromStr<Err = UnknownName> + Serialize + DeserializeOwned + PartialEq + Debug,
{
    for (value, name) in values {
        assert_eq!(to_value(value).unwrap(), json!(name));
        assert_eq!(&from_value::<T>(json!(name)).unwrap(), value);
    }
    for wrong in [
        json!("nonsense"),
        json!(7),
        json!(null),
        json!({}),
        json!(true),
    ] {
        let error = from_value::<T>(wrong.clone()).unwrap_err().to_string();
        let expected = match &wrong {
            Value::String(text) => text.parse::<T>().unwrap_err().to_string(),
            _ => "as a text".to_owned(),
        };
        assert!(error.contains(&expected), "{error}");
    }
}

macro_rules! both {
    ($($values:expr),+ $(,)?) => {
        $(texts(&$values);
        json(&$values);)+
    };
}

#[test]
fn names_are_those_of_the_wire_and_of_the_standards() {
    both![
        [
            (SameSite::Lax, "Lax"),
            (SameSite::Strict, "Strict"),
            (SameSite::None, "None")
        ],
        [
            (SignatureAlgorithm::Rs256, "RS256"),
            (SignatureAlgorithm::Es256, "ES256"),
            (SignatureAlgorithm::Es384, "ES384")
        ],
        DeliveryMethod::ALL.map(|method| (method, method.as_str())),
        [
            (DeliveryMethod::Email, "email"),
            (DeliveryMethod::Sms, "sms"),
            (DeliveryMethod::Voice, "voice"),
            (DeliveryMethod::Whatsapp, "whatsapp"),
            (DeliveryMethod::Im, "im")
        ],
        [(NotpProvider::Whatsapp, "whatsapp")],
        [
            (SignOut::ThisSession, "logout"),
            (SignOut::Everywhere, "logoutall")
        ],
        [
            (TokenDelivery::Cookies, "cookies"),
            (TokenDelivery::CookiesAndSession, "cookies-and-session"),
            (TokenDelivery::Body, "body")
        ],
    ];
}

#[test]
fn settings_of_the_emulator_have_names_and_keep_their_json() {
    texts(&[
        (emulator::TokenDelivery::Body, "body"),
        (emulator::TokenDelivery::Cookies, "cookies"),
    ]);
    assert_eq!(
        to_value(emulator::TokenDelivery::Cookies).unwrap(),
        "cookies"
    );
    for (rotation, name, shown) in [
        (RefreshRotation::None, "none", json!(false)),
        (RefreshRotation::SingleUse, "single-use", json!(true)),
        (
            RefreshRotation::ReuseInterval,
            "reuse-interval",
            json!("reuse-interval"),
        ),
    ] {
        assert_eq!(name.parse(), Ok(rotation));
        assert_eq!(rotation.to_string(), name);
        assert_eq!(to_value(rotation).unwrap(), shown);
        for read in [json!(name), shown] {
            assert_eq!(from_value::<RefreshRotation>(read).unwrap(), rotation);
        }
    }
    assert!(from_value::<RefreshRotation>(json!("None")).is_err());
}

#[test]
fn an_error_is_a_sentence() {
    for (error, sentence) in [
        (
            "E-Mail".parse::<DeliveryMethod>().unwrap_err(),
            "unknown delivery method, expected email, sms, voice, whatsapp or im",
        ),
        (
            "lax".parse::<SameSite>().unwrap_err(),
            "unknown SameSite attribute, expected Lax, Strict or None",
        ),
        (
            "telegram".parse::<NotpProvider>().unwrap_err(),
            "unknown nOTP provider, expected whatsapp",
        ),
        (
            "all".parse::<SignOut>().unwrap_err(),
            "unknown kind of sign-out, expected logout or logoutall",
        ),
    ] {
        assert_eq!(error.to_string(), sentence);
    }
}

#[test]
fn a_project_id_and_a_base_url_are_texts_that_are_checked() {
    let project: ProjectId = from_value(json!("P2abc")).unwrap();
    assert_eq!(to_value(&project).unwrap(), "P2abc");
    let base: BaseUrl = from_value(json!("https://auth.example.com/")).unwrap();
    assert_eq!(to_value(&base).unwrap(), "https://auth.example.com");
    let error = from_value::<BaseUrl>(json!("http://auth.example.com"));
    let expected = "http://auth.example.com".parse::<BaseUrl>().unwrap_err();
    assert_eq!(error.unwrap_err().to_string(), expected.to_string());
    assert!(from_value::<ProjectId>(json!("P2/..")).is_err());
}

#[tokio::test]
async fn names_work_as_keys_of_maps_and_in_the_paths_of_an_app() {
    let limits = json!({"email": 5, "sms": 1});
    let limits: BTreeMap<DeliveryMethod, u32> = from_value(limits).unwrap();
    assert_eq!(limits[&DeliveryMethod::Sms], 1);
    assert_eq!(to_value(&limits).unwrap(), json!({"email": 5, "sms": 1}));

    let app = Router::new().route(
        "/code/{method}",
        get(async |Path(method): Path<DeliveryMethod>| method.is_phone().to_string()),
    );
    for (path, status) in [("/code/sms", 200), ("/code/SMS", 400)] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
    }
}
