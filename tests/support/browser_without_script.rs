//! A browser without script, and a server for it to talk to over a socket.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use axum::Router;
use http::header::{LOCATION, SET_COOKIE};
use tower_descope::Emulator;
use tower_descope::testing::SignedIn;

/// A browser that submits forms, follows redirects and keeps cookies.
pub struct Browser {
    client: reqwest::Client,
    pub origin: String,
    pub cookies: BTreeMap<String, String>,
}

/// What the browser shows in the end. Dereferences to the text.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    text: String,
}

impl Browser {
    /// A browser that has not visited the app yet.
    pub async fn new(app: Router) -> Self {
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

    /// Replaces the cookies by those of somebody who has signed in before.
    pub fn sign_in(&mut self, user: &SignedIn) {
        let cookies = user.cookies();
        let pairs = cookies.to_str().unwrap().split("; ");
        self.cookies = pairs
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
    }

    /// Signs in by an e-mailed code, with the two forms that the examples have for it.
    pub async fn sign_in_by_code(&mut self, emulator: &Emulator, email: &str) -> Page {
        let page = self.submit("/code", &[("email", email)]).await;
        assert!(page.contains("name=code"), "{page}");
        let code = emulator.last_code(email).unwrap();
        let fields = [("email", email), ("code", &*code)];
        self.submit("/sign-in", &fields).await
    }

    /// Opens a page and follows where it leads.
    pub async fn open(&mut self, path: &str) -> Page {
        let request = self.client.get(format!("{}{path}", self.origin));
        self.send(request).await
    }

    /// Submits a form of the app's own page and follows where it leads.
    pub async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let origin = self.origin.clone();
        self.submit_from(&origin, path, fields).await
    }

    /// Submits a form that is on a page of this origin.
    pub async fn submit_from(&mut self, origin: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut body = reqwest::Url::parse("http://form").unwrap();
        body.query_pairs_mut().extend_pairs(fields);
        let request = self.client.post(format!("{}{path}", self.origin));
        let request = request
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.query().unwrap_or_default().to_owned());
        self.send(request).await
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let pairs = self.cookies.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={value}"));
        let line = pairs.collect::<Vec<_>>().join("; ");
        let request = request
            .header("cookie", line)
            .header("accept", "text/html,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate");
        let response = request.send().await.unwrap();
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
        if let Some(location) = response.headers().get(LOCATION) {
            let location = location.to_str().unwrap().to_owned();
            return Box::pin(self.open(&location)).await;
        }
        Page {
            status: response.status().as_u16(),
            text: response.text().await.unwrap(),
        }
    }
}

impl Deref for Page {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.text)
    }
}
