//! A real browser (Debian's Chromium), driven by its own driver in the WebDriver protocol. It reaches loopback only.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Client, PATIENCE, eventually, programs::need};

/// What WebDriver calls the one member of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys as WebDriver writes them.
pub const SHIFT: char = '\u{e008}';
pub const ENTER: char = '\u{e007}';
/// Lets go of what is held.
pub const RELEASE: char = '\u{e000}';

/// One window with a profile of its own. Closed when it's dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// # Panics
    /// When there's no browser: a test that needs it can't be passed over.
    pub async fn start() -> Self {
        let (chromium, driver) = (need("chromium", "chromium"), need("chromedriver", "chromium-driver"));
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = port_of(&mut driver);
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--no-proxy-server".into(),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".into(),
            "--window-size=1200,800".into(),
            format!("--user-data-dir={}", browser._profile.path().join("profile").display()),
        ];
        let options = json!({"binary": chromium, "args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let made = browser.call(http::Method::POST, "/session", wanted).await;
        browser.session = made["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {made}")).to_owned();
        browser
    }

    pub async fn open(&self, url: &str) {
        self.act("url", json!({ "url": url })).await;
    }

    /// What a script answers, which is the body of a function.
    pub async fn script(&self, body: &str) -> Value {
        self.act("execute/sync", json!({"script": body, "args": []})).await
    }

    pub async fn address(&self) -> String {
        self.script("return location.href").await.as_str().unwrap_or_default().to_owned()
    }

    /// The text of the first element of a CSS selector; None where there's none.
    pub async fn text(&self, selector: &str) -> Option<String> {
        let script = format!("return document.querySelector({})?.textContent ?? null", json!(selector));
        self.script(&script).await.as_str().map(str::to_owned)
    }

    /// Waits until the first element of a CSS selector can be seen.
    pub async fn sees(&self, selector: &str) {
        let script = format!("return document.querySelector({})?.checkVisibility() ?? false", json!(selector));
        eventually(selector, async || (self.script(&script).await == true).then_some(())).await;
    }

    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.act(&format!("element/{element}/click"), json!({})).await;
    }

    /// Types into an element, as a person does who clicked it.
    pub async fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.act(&format!("element/{element}/value"), json!({ "text": text })).await;
    }

    /// Keeps a picture of the window for whoever wants to look.
    pub async fn picture(&self, file: &Path) {
        let picture = self.call(http::Method::GET, &format!("/session/{}/screenshot", self.session), Value::Null).await;
        let picture = BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap();
        std::fs::write(file, picture).unwrap();
    }

    async fn element(&self, selector: &str) -> String {
        self.sees(selector).await;
        let found = self.act("element", json!({"using": "css selector", "value": selector})).await;
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("{selector}: {found}")).to_owned()
    }

    async fn act(&self, command: &str, arguments: Value) -> Value {
        self.call(http::Method::POST, &format!("/session/{}/{command}", self.session), arguments).await
    }

    async fn call(&self, method: http::Method, path: &str, arguments: Value) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let body = if method == http::Method::GET { String::new() } else { arguments.to_string() };
        let client = Client::default().with("content-type", "application/json");
        let reply = tokio::time::timeout(PATIENCE, client.send(method, &url, body.into())).await;
        let reply = reply.unwrap_or_else(|_| panic!("{path}: the browser doesn't answer"));
        assert_eq!(reply.status, 200, "{path} {arguments}: {}", reply.text());
        reply.json()["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver closes its browser when it's asked to end, and not when it's killed.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = write!(stream, "GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port);
            let started = Instant::now();
            while started.elapsed() < PATIENCE && matches!(self.driver.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Where the driver listens, which it says when it does.
fn port_of(driver: &mut Child) -> u16 {
    let mut output = BufReader::new(driver.stdout.take().unwrap());
    let mut said = String::new();
    while output.read_line(&mut said).unwrap() > 0 {
        let line = said.lines().last().unwrap_or_default();
        let port = line.split_once("successfully on port ").and_then(|(_, port)| port.trim_end_matches('.').parse().ok());
        if let Some(port) = port {
            // Read on, so that it can go on writing.
            std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
            return port;
        }
    }
    panic!("chromedriver ended: {said}");
}
