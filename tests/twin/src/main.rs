use std::{collections::HashMap, convert::Infallible, sync::Arc, sync::Mutex};

use axum::{Form, Json, Router, extract::State, response::Html, response::Redirect, routing::get};
use tower_descope::{CurrentUser, Descope, LoadUser, User};

type Users = Arc<Mutex<HashMap<String, Row>>>;

#[derive(Clone, Default, serde::Deserialize, serde::Serialize)]
struct Row {
    name: String,
}

impl LoadUser<Users> for Row {
    type Error = Infallible;
    async fn load(user: &User, users: &Users) -> Result<Option<Self>, Infallible> {
        let mut users = users.lock().unwrap();
        Ok(Some(users.entry(user.id().into()).or_default().clone()))
    }
}

const FORM: Html<&str> = Html("<form method=post>Name <input name=name><button>Save</button>");
async fn save(State(users): State<Users>, user: User, Form(row): Form<Row>) -> Redirect {
    users.lock().unwrap().insert(user.id().into(), row);
    Redirect::to("/me")
}

fn app(descope: &Descope, users: Users) -> Router {
    Router::new()
        .route("/me", get(async |me: CurrentUser<Row>| Json(me.into_row())))
        .route("/", get(FORM).post(save))
        .nest("/auth", descope.routes())
        .layer(descope.session_layer())
        .with_state(users)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app(&Descope::from_env()?, Users::default())).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceExt;
    use tower_descope::{Emulator, testing::TestDescope};

    #[tokio::test]
    async fn whoever_comes_gets_a_row() {
        let (test, users) = (TestDescope::new(), Users::default());
        let app = app(test.descope(), users.clone());
        app.oneshot(test.user("ann").get("/me")).await.unwrap();
        assert!(users.lock().unwrap().contains_key("ann"));
    }

    #[tokio::test]
    async fn the_form_is_saved() {
        let (test, users) = (TestDescope::new(), Users::default());
        let form = test.user("ann").sign_in().submit("/", &[("name", "Ann")]);
        let app = app(test.descope(), users.clone());
        app.oneshot(form).await.unwrap();
        assert_eq!(users.lock().unwrap()["ann"].name, "Ann");
    }

    #[tokio::test]
    async fn the_api_is_for_those_who_signed_in() {
        let emulator = Emulator::builder().start().await.unwrap();
        let app = app(&emulator.descope().build().unwrap(), Users::default());
        let ann = emulator.sign_in("ann@example.com").unwrap().get("/me");
        let nobody = axum::http::Request::get("/me").body(String::new()).unwrap();
        for (request, status) in [(ann, 200), (nobody, 401)] {
            assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status);
        }
    }
}
