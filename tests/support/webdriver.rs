//! As much of the WebDriver protocol as the browser test needs.
//!
//! Every call waits for its answer; a failed one panics with what the driver says.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

/// The programs: Chromium and the driver of the same version.
#[derive(Clone, Debug)]
pub struct Programs {
    pub chromium: PathBuf,
    pub chromedriver: PathBuf,
}

impl Programs {
    pub fn find() -> Result<Self, String> {
        Ok(Self {
            chromium: program("chromium")?,
            chromedriver: program("chromedriver")?,
        })
    }
}

/// Where the search path has this program.
pub fn program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("no {name} in PATH"))
}

/// A browser of its own, with nothing in it. [`quit`](Self::quit) it, or Chromium stays.
pub struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    profile: PathBuf,
}

/// A tab.
#[derive(Clone, Debug)]
pub struct Tab(String);

impl Browser {
    /// Starts a driver on a free port and a headless Chromium that keeps its data in `profile`.
    pub async fn start(programs: &Programs, profile: &Path) -> Self {
        let _ = std::fs::remove_dir_all(profile);
        std::fs::create_dir_all(profile).unwrap();
        let mut driver = Command::new(&programs.chromedriver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse::<u16>().ok()
            })
            .expect("the driver says its port");
        // Somebody must read on, or the driver blocks when it has much to say.
        std::thread::spawn(move || lines.for_each(drop));

        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut browser = Self {
            driver,
            http,
            session: format!("http://127.0.0.1:{port}/session"),
            profile: profile.to_owned(),
        };
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "binary": programs.chromium,
                "args": [
                    "--headless",
                    // As root Chromium cannot start its sandbox. It loads nothing but our own pages.
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--disable-quic",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--no-proxy-server",
                    // Nothing outside this machine has a name or an address.
                    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                    "--window-size=900,900",
                    format!("--user-data-dir={}", profile.display()),
                ],
            },
        });
        let body = json!({"capabilities": {"alwaysMatch": capabilities}});
        let session = browser.call(Method::POST, "", Some(body)).await;
        browser.session = format!(
            "{}/{}",
            browser.session,
            session["sessionId"].as_str().unwrap()
        );
        browser
    }

    pub async fn quit(&self) {
        self.call(Method::DELETE, "", None).await;
        let _ = std::fs::remove_dir_all(&self.profile);
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.session))
            .timeout(Duration::from_secs(30));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let reply = request.send().await.unwrap();
        let status = reply.status();
        let mut reply: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
        let value = reply["value"].take();
        assert!(status.is_success(), "{path}: {value}");
        value
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn open(&self, url: &str) {
        self.post("/url", json!({"url": url})).await;
    }

    pub async fn reload(&self) {
        self.post("/refresh", json!({})).await;
    }

    pub async fn tab(&self) -> Tab {
        let handle = self.call(Method::GET, "/window", None).await;
        Tab(handle.as_str().unwrap().to_owned())
    }

    pub async fn new_tab(&self) -> Tab {
        let made = self.post("/window/new", json!({"type": "tab"})).await;
        Tab(made["handle"].as_str().unwrap().to_owned())
    }

    /// What follows happens in this tab.
    pub async fn switch_to(&self, tab: &Tab) {
        self.post("/window", json!({"handle": tab.0})).await;
    }

    /// Runs the body of an async function in the page, and answers what it returns.
    pub async fn run(&self, script: &str, arguments: Value) -> Value {
        let script =
            format!("return (async (...arguments) => {{ {script} }}).apply(null, arguments)");
        self.post(
            "/execute/sync",
            json!({"script": script, "args": arguments}),
        )
        .await
    }

    /// Runs this in every page of the current tab from now on, before the page's own scripts.
    pub async fn run_first(&self, script: &str) {
        let body = json!({
            "cmd": "Page.addScriptToEvaluateOnNewDocument",
            "params": {"source": script},
        });
        self.post("/goog/cdp/execute", body).await;
    }

    /// Waits until this expression is true in the page.
    pub async fn until(&self, condition: &str) {
        let deadline = Instant::now() + Duration::from_secs(15);
        let script = format!("return Boolean({condition})");
        while self.run(&script, json!([])).await != true {
            if Instant::now() > deadline {
                let text = self.run("return document.body.innerText", json!([])).await;
                panic!(
                    "never came true: {condition}; the page says {}",
                    text.as_str().unwrap_or_default()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn element(&self, selector: &str) -> String {
        let found = self
            .post(
                "/element",
                json!({"using": "css selector", "value": selector}),
            )
            .await;
        let id = found["element-6066-11e4-a52e-4f735466cecf"]
            .as_str()
            .unwrap();
        format!("/element/{id}")
    }

    /// Clicks like a user: the element must be there, visible and not covered.
    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.post(&format!("{element}/click"), json!({})).await;
    }

    pub async fn type_in(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.post(&format!("{element}/clear"), json!({})).await;
        self.post(&format!("{element}/value"), json!({"text": text}))
            .await;
    }

    /// The cookies that the browser would send to the page that is open, `HttpOnly` ones included.
    pub async fn cookies(&self) -> Vec<Value> {
        let cookies = self.call(Method::GET, "/cookie", None).await;
        cookies.as_array().unwrap().clone()
    }

    pub async fn delete_cookie(&self, name: &str) {
        self.call(Method::DELETE, &format!("/cookie/{name}"), None)
            .await;
    }

    /// What the console says about violations of the pages' policies since the last call.
    pub async fn policy_violations(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({"type": "browser"})).await;
        let messages = log
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|entry| entry["message"].as_str());
        messages
            .filter(|message| message.contains("Content Security Policy"))
            .map(str::to_owned)
            .collect()
    }

    /// The visible part of the page, as base64 of a PNG.
    pub async fn screenshot(&self) -> String {
        let image = self.call(Method::GET, "/screenshot", None).await;
        image.as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
