//! The signing key that is published with the crate: who uses it, and who refuses it.

use bytes::Bytes;
use http::{Request, Uri};
use tower::ServiceExt;
use tower_descope::client::{Transport, TransportFuture};
use tower_descope::emulator::Emulator;
use tower_descope::{ConfigError, Descope, DescopeBuilder};

use super::support::{Api, client, part};
use crate::support::world::app;

const KID: &str = "SKemuPubliclyKnownDevelopment";

fn kid(jwt: &str) -> String {
    let header = part(jwt, 0);
    header["kid"].as_str().unwrap().to_owned()
}

async fn key_set(api: &Api) -> String {
    let path = format!("/v2/keys/{}", api.project_id());
    api.get(&path, "").await.ok().to_string()
}

fn builder(emulator: &Emulator) -> DescopeBuilder {
    Descope::builder(emulator.project_id())
}

/// The status of a request that carries this session JWT.
async fn status(descope: &Descope, session: &str) -> u16 {
    let request = Request::get("/me")
        .header("authorization", format!("Bearer {session}"))
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = app(descope).oneshot(request).await.unwrap();
    answer.status().as_u16()
}

#[tokio::test]
async fn only_the_development_project_on_loopback_starts_with_it() {
    let kid_of = async |builder: tower_descope::emulator::EmulatorBuilder| {
        let api = Api::over(builder.start().await.unwrap());
        kid(&api.sign_in("ann@example.com").await.session)
    };
    assert_eq!(kid_of(Emulator::builder()).await, KID);
    let others = [
        Emulator::builder().fresh_keys(),
        Emulator::builder().project_id("P2SomeOtherProject000000001"),
        Emulator::builder()
            .listen("0.0.0.0:0".parse().unwrap())
            .dangerous_listen_beyond_loopback(),
    ];
    for builder in others {
        assert_ne!(kid_of(builder).await, KID);
    }
}

// A snapshot was written on loopback, and its emulator is opened to other machines later.
#[tokio::test]
async fn a_snapshot_does_not_bring_it_beyond_loopback() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join("development-key.json");
    let _ = std::fs::remove_file(&file);
    let builder = || Emulator::builder().snapshot_file(&file);
    for rotates in [false, true] {
        let api = Api::over(builder().start().await.unwrap());
        if rotates {
            // It verifies on.
            api.rotate_keys().await.unwrap();
        }
        api.into_emulator().shutdown().await.unwrap();
        let open = builder()
            .listen("0.0.0.0:0".parse().unwrap())
            .dangerous_listen_beyond_loopback();
        let api = Api::over(open.start().await.unwrap());
        assert_ne!(kid(&api.sign_in("ann@example.com").await.session), KID);
        assert!(!key_set(&api).await.contains(KID));
        api.into_emulator().shutdown().await.unwrap();
        let _ = std::fs::remove_file(&file);
    }
}

#[tokio::test]
async fn after_a_rotation_a_new_key_signs() {
    let api = Api::start().await;
    let new = api.replace_keys().await.unwrap();
    assert_eq!(kid(&api.sign_in("ann@example.com").await.session), new);
    assert!(!key_set(&api).await.contains(KID));
}

#[tokio::test]
async fn a_handle_whose_key_endpoint_serves_other_keys_refuses_what_it_signed() {
    let known = Api::start().await;
    let other = Api::over(Emulator::builder().fresh_keys().start().await.unwrap());
    let session = known.sign_in("ann@example.com").await.session;
    for (endpoint, expected) in [(&known, 200), (&other, 401)] {
        let descope = builder(&known).base_url(endpoint.base_url());
        assert_eq!(status(&descope.build().unwrap(), &session).await, expected);
    }
}

/// Carries every call to the emulator, whatever host it is for.
struct Detour(Uri);

impl Transport for Detour {
    fn send(&self, mut request: Request<Bytes>, limit: usize) -> TransportFuture<'_> {
        let path = request.uri().path().to_owned();
        *request.uri_mut() = format!("{}{path}", self.0.to_string().trim_end_matches('/'))
            .parse()
            .unwrap();
        Box::pin(async move { Transport::send(&client(), request, limit).await })
    }
}

#[tokio::test]
async fn a_key_endpoint_beyond_this_machine_cannot_bring_it_in() {
    let known = Api::start().await;
    let fresh = Api::over(Emulator::builder().fresh_keys().start().await.unwrap());
    for (api, expected) in [(&known, 503), (&fresh, 200)] {
        let session = api.sign_in("ann@example.com").await.session;
        let descope = builder(api)
            .transport(Detour(api.base_url().parse().unwrap()))
            .build()
            .unwrap();
        assert_eq!(status(&descope, &session).await, expected);
    }
    // Beside another key, it is as if it were not there.
    known.rotate_keys().await.unwrap();
    let old = known.sign_in("bob@example.com").await.session;
    assert_ne!(kid(&old), KID);
    let descope = builder(&known)
        .transport(Detour(known.base_url().parse().unwrap()))
        .build()
        .unwrap();
    assert_eq!(status(&descope, &old).await, 200);
}

#[tokio::test]
async fn it_is_no_public_key_for_a_handle_of_anything_but_this_machine() {
    let api = Api::start().await;
    let keys = key_set(&api).await;
    let refused = builder(&api).public_key(&*keys).build();
    assert!(matches!(refused, Err(ConfigError::PublicKey)));
    let local = builder(&api).base_url(api.base_url());
    let session = api.sign_in("ann@example.com").await.session;
    let descope = local.public_key(keys).build().unwrap();
    assert_eq!(status(&descope, &session).await, 200);
}
