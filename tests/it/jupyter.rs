//! A real JupyterLab behind the gateway, as a person uses it: the page, the log-in, a kernel and its WebSocket, and a policy
//! that changes while a notebook is open.

mod lab;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use wicketgate_tests::{
    Browser, Client, ConfigMap, Gateway, PATIENCE,
    browser::{ENTER, RELEASE, SHIFT},
    eventually, python,
};

use self::lab::JupyterLab;

const SESSION: &str = "notebook";

/// JupyterLab and the gateway before it. Sessions end after the gateway.
struct Desk {
    gateway: Gateway,
    policy: ConfigMap,
    _sessions: TempDir,
    _lab: JupyterLab,
}

/// The person's program, and what it says line by line.
struct Person {
    process: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

#[tokio::test]
async fn an_open_notebook_goes_on_while_a_new_policy_refuses_its_next_request() {
    let mut desk = Desk::start().await;
    let mut alice = Person::start(&desk.gateway).await;

    let away = alice.tells("away").await;
    assert_eq!((&away["status"], &away["location"]), (&302.into(), &"/login?return=%2Fservice%2Fnotebook%2Flab".into()));
    let back = alice.tells("back").await;
    assert_eq!((&back["status"], &back["location"]), (&303.into(), &"/service/notebook/lab".into()));
    let page = alice.tells("lab").await;
    assert_eq!(page["status"], 200);
    let text = page["text"].as_str().unwrap();
    assert!(text.contains("<title>JupyterLab</title>") && text.contains(r#""baseUrl": "/service/notebook/""#), "{text}");
    let kernel = alice.tells("kernel").await;
    assert_eq!(kernel["status"], 201, "{kernel}");
    assert_eq!(alice.tells("cell").await["output"], "42\n");

    // The first request under the new policy is Alice's own: the gateway is asked by somebody else whether it's in force.
    let before = desk.generation().await;
    desk.policy.replace(&[("plugins.yaml", plugins("deny_users: [alice], message: The notebooks are closed."))]);
    eventually("the new policy is in force", async || (desk.generation().await > before).then_some(())).await;
    alice.goes_on().await;

    assert_eq!(alice.tells("cell").await["output"], "43\n", "the open socket outlives the swap");
    let refused = alice.tells("refused").await;
    assert_eq!(refused["status"], 403);
    assert!(refused["text"].as_str().unwrap().contains("The notebooks are closed."), "{refused}");
    assert_eq!(alice.tells("call").await["status"], 403);
    assert_eq!(alice.tells("handshake").await["status"], 403);
    assert_eq!(alice.tells("cell").await["output"], "44\n", "it outlives refusals, too");

    let before = desk.generation().await;
    desk.policy.replace(&[("plugins.yaml", plugins("deny_users: []"))]);
    eventually("the old policy is back", async || (desk.generation().await > before).then_some(())).await;
    alice.goes_on().await;
    assert_eq!(alice.tells("again").await["status"], 200);
    let ended = timeout(PATIENCE, alice.process.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn a_browser_lands_in_jupyterlab_after_the_log_in_and_runs_a_cell() {
    let desk = Desk::start().await;
    let browser = Browser::start().await;
    browser.open(&desk.gateway.at(&format!("/service/{SESSION}/lab"))).await;
    assert!(browser.address().await.starts_with(&desk.gateway.at("/login?return=")), "{}", browser.address().await);
    browser.write("#user", "alice").await;
    browser.write("#password", "opensesame").await;
    browser.click("form button").await;

    browser.sees("#jp-main-dock-panel").await;
    browser.picture(&picture("jupyterlab.png")).await;
    browser.click(".jp-LauncherCard[data-category=Notebook]").await;
    // What is typed before the kernel is there may be lost: the page draws its cells anew.
    browser.sees(".jp-Notebook-ExecutionIndicator[data-status=idle]").await;
    let cell = ".jp-Notebook .jp-Cell .cm-content";
    browser.click(cell).await;
    browser.write(cell, "print(6*7)").await;
    eventually("the cell's text", async || browser.text(cell).await.filter(|text| text == "print(6*7)")).await;
    // JupyterLab, with or without a gateway, sometimes drops without a word what is run just after the kernel's start: a person
    // presses the keys again.
    eventually("the cell's output", async || {
        browser.click(cell).await;
        browser.write(cell, &format!("{SHIFT}{ENTER}{RELEASE}")).await;
        for _ in 0..20 {
            if browser.text(".jp-OutputArea-output").await.is_some_and(|output| output.trim() == "42") {
                return Some(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    })
    .await;
    browser.picture(&picture("notebook.png")).await;
}

/// Pictures are left there for whoever wants to look.
fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The default plugins, with something to say to the policy.
fn plugins(policy: &str) -> String {
    format!(
        "version: 1
plugins:
  - {{name: filter, kind: discovery-filter, builtin: discovery-filter}}
  - {{name: auth, kind: authenticator, builtin: cookie-auth, grants: {{key_sets: [gateway]}}, config: {{key_sets: [gateway]}}}}
  - {{name: policy, kind: routing-policy, builtin: routing-policy, config: {{{policy}}}}}
"
    )
}

// === impl Desk ===

impl Desk {
    async fn start() -> Self {
        let lab = JupyterLab::start(SESSION).await;
        let policy = ConfigMap::new(&[("plugins.yaml", plugins("deny_users: []"))]);
        let sessions = tempfile::tempdir().unwrap();
        let file = sessions.path().join("sessions.yaml");
        let endpoint = format!("{{address: 127.0.0.1, port: {}, upstream_path: keep}}", lab.port);
        std::fs::write(&file, format!("sessions: [{{id: {SESSION}, owner: alice, endpoints: [{endpoint}]}}]\n")).unwrap();
        let gateway = Gateway::start(&format!(
            "plugins: {{directory: '{}'}}\n\
             discovery: {{file: '{}', dial: {{networks: [127.0.0.0/8]}}}}\n\
             login: {{users: [{{id: alice, password: opensesame}}]}}\n",
            policy.path().display(),
            file.display()
        ))
        .await;
        // Ready means that plugins decide; the file of sessions may take a moment more.
        let url = gateway.at(&format!("/service/{SESSION}/lab"));
        eventually("the session is known", async || {
            let sessions = gateway.status("/sessions").await;
            sessions.to_string().contains(SESSION).then_some(())
        })
        .await;
        assert_eq!(Client::default().get(&url).await.status, 401, "programs aren't sent to a page");
        Self { gateway, policy, _sessions: sessions, _lab: lab }
    }

    /// Of the plugins that decide.
    async fn generation(&self) -> u64 {
        let plugins = self.gateway.status("/plugins").await;
        plugins["generation"].as_u64().unwrap_or_else(|| panic!("no generation in {plugins}"))
    }
}

// === impl Person ===

impl Person {
    async fn start(gateway: &Gateway) -> Self {
        let python = tokio::task::spawn_blocking(|| python::with_package("jupyterlab", lab::VERSION)).await.unwrap();
        let mut process = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/notebook.py"))
            .args([&gateway.url, SESSION])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, input, lines }
    }

    /// The next thing that was done, which must be this one.
    async fn tells(&mut self, step: &str) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await.unwrap_or_else(|_| panic!("{step}: not within {PATIENCE:?}"));
        let line = line.unwrap().unwrap_or_else(|| panic!("{step}: the program ended; its error is above"));
        let told: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(told["step"], step, "{told}");
        told
    }

    async fn goes_on(&mut self) {
        self.input.write_all(b"go on\n").await.unwrap();
    }
}
