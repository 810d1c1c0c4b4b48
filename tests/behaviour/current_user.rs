//! An app's own rows: who gets one, how often it is loaded, and what the others are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use http::Request;
use tower::ServiceExt;
use tower_descope::require::GrpcStatus;
use tower_descope::{CurrentUser, LoadUser, User};

use crate::support::log::Log;
use crate::support::world::{Reply, SignedIn, World};

/// A table of users, and how often it was asked.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<Rows>>);

#[derive(Default)]
struct Rows {
    names: BTreeMap<String, String>,
    loads: u32,
    creates: bool,
    is_down: bool,
}

impl Table {
    fn rows(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.0.lock().unwrap()
    }

    fn loads(&self) -> u32 {
        std::mem::take(&mut self.rows().loads)
    }
}

#[derive(Clone, Debug)]
struct Account {
    name: String,
}

impl LoadUser<Table> for Account {
    type Error = std::io::Error;

    async fn load(user: &User, table: &Table) -> Result<Option<Self>, Self::Error> {
        tokio::task::yield_now().await;
        let mut rows = table.rows();
        rows.loads += 1;
        if rows.is_down {
            return Err(std::io::Error::other("password=hunter2 was refused"));
        }
        if rows.creates {
            let name = format!("account {}", rows.names.len() + 1);
            rows.names.entry(user.id().to_owned()).or_insert(name);
        }
        Ok(rows
            .names
            .get(user.id())
            .map(|name| Self { name: name.clone() }))
    }
}

/// Asks before the handler does.
async fn greeted(
    _: State<Table>,
    user: Option<CurrentUser<Account>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let name = user.map_or_else(|| "nobody".to_owned(), |user| user.name.clone());
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert("greeting", name.parse().unwrap());
    response
}

fn router(table: &Table) -> Router {
    Router::new()
        .route(
            "/me",
            get(async |account: CurrentUser<Account>| account.name.clone()),
        )
        .route(
            "/twice",
            get(
                async |one: CurrentUser<Account>, two: Option<CurrentUser<Account>>, user: User| {
                    assert_eq!(one.user().id(), user.id());
                    let shown = format!("{one:?}");
                    assert!(!shown.contains(&one.name), "{shown}");
                    format!("{} {}", one.into_row().name, two.unwrap().name)
                },
            ),
        )
        .route(
            "/maybe",
            get(async |account: Option<CurrentUser<Account>>| {
                account.map_or_else(|| "nobody".to_owned(), |account| account.name.clone())
            }),
        )
        .route_layer(middleware::from_fn_with_state(table.clone(), greeted))
        .with_state(table.clone())
}

async fn ask(app: &Router, path: &str, session: Option<&SignedIn>) -> Reply {
    let mut request = Request::get(path);
    if let Some(session) = session {
        request = request.header("cookie", session.cookies());
    }
    let request = request.body(Body::empty()).unwrap();
    Reply::read(app.clone().oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn each_user_gets_their_own_row_and_each_request_loads_it_once() {
    let world = World::new().await;
    let table = Table::default();
    table.rows().creates = true;
    let app = router(&table).layer(world.descope.session_layer());
    let ann = world.sign_in("ann@example.com").await;
    let bob = world.sign_in("bob@example.com").await;
    for (session, name) in [
        (&ann, "account 1"),
        (&bob, "account 2"),
        (&ann, "account 1"),
    ] {
        let reply = ask(&app, "/me", Some(session)).await;
        assert_eq!((reply.status(), &*reply.body), (200, name));
        assert_eq!(reply.header("greeting"), Some(name));
        assert_eq!(table.loads(), 1, "the middleware and the handler share it");
        let reply = ask(&app, "/twice", Some(session)).await;
        assert_eq!(reply.body, format!("{name} {name}"));
        assert_eq!(table.loads(), 1);
    }
    // A change is seen by the next request.
    table
        .rows()
        .names
        .insert(ann.user_id().to_owned(), "Ann".to_owned());
    assert_eq!(ask(&app, "/me", Some(&ann)).await.body, "Ann");
}

#[tokio::test]
async fn nobody_is_401_and_a_user_without_a_row_403() {
    let world = World::new().await;
    let table = Table::default();
    let app = router(&table).layer(world.descope.session_layer());
    let ann = world.sign_in("ann@example.com").await;
    let reply = ask(&app, "/me", None).await;
    assert_eq!(
        (reply.status(), reply.json()["code"].as_str()),
        (401, Some("missing_credentials"))
    );
    assert_eq!(table.loads(), 0);

    let reply = ask(&app, "/me", Some(&ann)).await;
    assert_eq!(
        (reply.status(), reply.json()["code"].as_str()),
        (403, Some("no_account"))
    );
    assert_eq!(reply.header("www-authenticate"), None);
    assert!(!reply.body.contains(ann.user_id()), "{}", reply.body);
    assert_eq!(table.loads(), 1, "that there is none is known as well");
    for session in [None, Some(&ann)] {
        let reply = ask(&app, "/maybe", session).await;
        assert_eq!((reply.status(), &*reply.body), (200, "nobody"));
    }
}

// Security requirement 46: what the database says is for the log.
#[tokio::test]
async fn a_load_that_fails_is_500_and_shows_nothing() {
    let world = World::new().await;
    let table = Table::default();
    let bare = router(&table);
    let app = bare.clone().layer(world.descope.session_layer());
    let ann = world.sign_in("ann@example.com").await;
    table.rows().is_down = true;
    let log = Log::start();
    for path in ["/me", "/maybe"] {
        let reply = ask(&app, path, Some(&ann)).await;
        assert_eq!(
            (reply.status(), reply.json()["code"].as_str()),
            (500, Some("load_failed"))
        );
        assert!(!reply.body.contains("hunter2"), "{}", reply.body);
    }
    assert!(log.count("user.load_failed") >= 2, "{}", log.text());
    drop(log);

    // Another renderer renders it as well.
    let layer = world.descope.session_layer().with_rejection(GrpcStatus);
    let reply = ask(&bare.layer(layer), "/me", Some(&ann)).await;
    assert_eq!(
        (reply.status(), reply.header("grpc-status")),
        (200, Some("13"))
    );
}

#[tokio::test]
async fn without_a_layer_it_is_the_mistake_of_the_app() {
    let table = Table::default();
    let reply = ask(&router(&table), "/me", None).await;
    assert_eq!(
        (reply.status(), reply.json()["code"].as_str()),
        (500, Some("missing_layer"))
    );
}

// Of two layers the inner one says who asks.
#[tokio::test]
async fn a_row_of_an_outer_layers_user_is_not_that_of_the_inner_ones() {
    let outer = World::new().await;
    let inner = World::of_project("P2otherproject0000000000000001").await;
    let table = Table::default();
    table.rows().creates = true;
    let (ann, bob) = (
        outer.sign_in("ann@example.com").await,
        inner.sign_in("bob@example.com").await,
    );
    let app = router(&table)
        .layer(inner.descope.session_layer())
        .layer(middleware::from_fn_with_state(table.clone(), greeted))
        .layer(outer.descope.session_layer());
    let request = Request::get("/me").header(
        "cookie",
        format!("DS={}; DS={}", ann.session_jwt(), bob.session_jwt()),
    );
    let response = app
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(Reply::read(response).await.body, "account 2");
    assert_eq!(table.loads(), 2);
}
