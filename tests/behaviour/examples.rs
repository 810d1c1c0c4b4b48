//! The examples, served over a socket and used as a browser uses them.

use std::collections::BTreeMap;

use http::header::{LOCATION, SET_COOKIE};
use tower_descope::{Descope, Emulator};

#[allow(dead_code, unreachable_pub)]
#[path = "../../examples/html_forms.rs"]
mod html_forms;

/// A browser without script.
struct Browser {
    client: reqwest::Client,
    origin: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn new(app: axum::Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let builder = reqwest::Client::builder().no_proxy();
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            client,
            origin,
            cookies: BTreeMap::new(),
        }
    }

    /// Opens a page, or submits a form, and follows where it leads.
    async fn open(&mut self, path: &str, form: Option<&[(&str, &str)]>) -> String {
        let url = format!("{}{path}", self.origin);
        let request = match form {
            Some(fields) => {
                let mut body = reqwest::Url::parse("http://form").unwrap();
                body.query_pairs_mut().extend_pairs(fields);
                self.client
                    .post(url)
                    .header("origin", &self.origin)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(body.query().unwrap_or_default().to_owned())
            }
            None => self.client.get(url),
        };
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let line = pairs.collect::<Vec<_>>().join("; ");
        let response = request.header("cookie", line).send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly"), "{cookie}");
            let (name, rest) = cookie.split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                let value = rest.split(';').next().unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        match response.headers().get(LOCATION) {
            Some(location) => {
                let location = location.to_str().unwrap().to_owned();
                Box::pin(self.open(&location, None)).await
            }
            None => response.text().await.unwrap(),
        }
    }
}

#[tokio::test]
async fn html_forms_sign_in_and_out_without_script() {
    let emulator = Emulator::builder().start().await.unwrap();
    let descope = Descope::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .build()
        .unwrap();
    let mut browser = Browser::new(html_forms::app(&descope)).await;
    assert!(browser.open("/", None).await.contains("Send a code"));
    let email = "ann@example.com";
    let page = browser.open("/code", Some(&[("email", email)])).await;
    assert!(page.contains("Code"), "{page}");
    let page = browser
        .open("/sign-in", Some(&[("email", "\"><script>"), ("code", "1")]))
        .await;
    assert!(
        page.contains("not the code") && !page.contains("<script>"),
        "{page}"
    );
    let code = emulator.last_code(email).unwrap();
    let page = browser
        .open("/sign-in", Some(&[("email", email), ("code", &code)]))
        .await;
    assert!(page.contains("Hello"), "{page}");
    assert_eq!(browser.cookies.len(), 2);
    assert!(browser.open("/", None).await.contains("Hello"));
    let page = browser.open("/sign-out", Some(&[])).await;
    assert!(page.contains("Send a code"), "{page}");
    assert!(browser.cookies.is_empty());
}
