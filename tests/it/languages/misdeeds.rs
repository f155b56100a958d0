//! Whatever an author's code throws or answers is an error with its message, and the instance lives on.

use serde_json::json;

use super::*;
use crate::site::{SESSION, defaults_with, generation, person, refused, swapped};

/// What a misdeed is called in the header, what it's counted as, and what of it stands in the log.
type Misdeed = (&'static str, &'static str, &'static str);

const BOTH: [Misdeed; 12] = [
    ("throw", "error", "Error: boom of the author"),
    ("throw-nothing", "error", ""),
    ("throw-unshowable", "error", "be shown"),
    ("throw-long", "error", "long long"),
    ("throw-surrogate", "error", "half"),
    ("unavailable", "unavailable", "the list is missing"),
    ("answer-nothing", "error", "route answered nothing, expected what one of forward, redirect, reject"),
    ("wrong-type", "error", "found \\\"tomorrow\\\", expected a whole number"),
    ("wrong-range", "error", "expected a whole number from 0 to"),
    ("wrong-text", "error", "half a surrogate pair"),
    ("undeclared", "error", "among what it said that it reads"),
    ("chance", "error", "a decision follows from its inputs alone"),
];
const JAVASCRIPT: [Misdeed; 5] = [
    // The engine doesn't notice the end of its stack before the component does.
    ("recurse", "trap", ""),
    ("answer-object", "error", "route answered an object"),
    ("answer-promise", "error", "route answered a promise"),
    ("wrong-key", "error", "mesage: found an unknown key"),
    ("deep", "error", "found more than 1000 levels"),
];
const PYTHON: [Misdeed; 14] = [
    ("recurse", "error", "RecursionError"),
    ("answer-object", "error", "route answered a mapping"),
    ("answer-of-another-kind", "error", "route answered keep"),
    ("wrong-key", "error", "mesage"),
    ("async", "error", "route answered a coroutine"),
    ("wait", "error", "a plugin can't wait"),
    ("chance-gauss", "error", "random.gauss isn't there"),
    ("chance-before", "error", "random.choice isn't there"),
    ("chance-unseeded", "error", "random.Random without a seed isn't there"),
    ("chance-secret", "error", "chance isn't there"),
    ("files", "error", "os.listdir: a plugin has no files"),
    ("file", "error", "a plugin has no files: read them at the beginning"),
    ("exit", "error", "os._exit: a plugin has no files, and no system below it"),
    ("input", "error", "EOFError"),
];
/// What an author may do all the same, and what would end an engine that isn't prepared for it.
const GOOD_IN_JAVASCRIPT: [&str; 3] = ["time", "time-text", "time-monotonic"];
const GOOD_IN_PYTHON: [&str; 12] = [
    "time",
    "time-before",
    "time-monotonic",
    "time-broken-down",
    "time-datetime",
    "seeded",
    "warning",
    "never-awaited",
    "traceback",
    "logged",
    "no-terminal",
    "no-file",
];

/// A new project of the language, with the fixture in place of the template's source.
fn project(language: &str, source: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path().join("misdeeds");
    let arguments = ["new", "--kind", "routing-policy", "--lang", language, "misdeeds", "--directory", project.to_str().unwrap()];
    let output = wicketgate(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let name = Path::new(source).file_name().unwrap();
    std::fs::copy(Path::new(CHECKOUT).join("tests/fixtures/languages").join(name), project.join(source)).unwrap();
    (directory, project)
}

fn entry(mark: &str) -> String {
    // Python recurses a thousand times before it notices.
    format!(
        "{{name: misdeeds, kind: routing-policy, file: misdeeds.wasm, limits: {{call_budget_ms: 500}}, \
         config: {{mark: {mark}}}}}"
    )
}

async fn misdeeds_are_errors_with_their_message(language: &str, source: &str, misdeeds: &[Misdeed], good: &[&str]) {
    let (_directory, project) = project(language, source);
    let out = project.join("misdeeds.wasm");
    build(&project, &out);
    let component = read(&out);
    let set = |mark: &str| defaults_with("routing-policy", &entry(mark)).into_bytes();
    let mut site = Site::new(&[("plugins.yaml", set("first")), ("misdeeds.wasm", component.clone())]);
    let gateway = gateway(&site).await;
    let alice = |what: &str| person("alice").with("x-do", what);

    for (what, fault, message) in BOTH.iter().chain(misdeeds) {
        let (before, seen) = (faults(&gateway, "misdeeds").await, site.upstream.seen().len());
        let reply = alice(what).get(&gateway.at(SESSION)).await;
        assert_eq!(reply.status, 503, "{language}, {what}: {}", reply.text());
        assert!(!reply.text().contains("boom"), "told to the client: {}", reply.text());
        assert_eq!(site.upstream.seen().len(), seen, "{language}, {what}: a request went through");
        let mut expected = before.as_object().unwrap().clone();
        expected[*fault] = json!(before[*fault].as_u64().unwrap() + 1);
        assert_eq!(faults(&gateway, "misdeeds").await, Value::Object(expected), "{language}, {what}\n{}", gateway.log());
        gateway.logs(message).await;
        let next = alice("nothing").get(&gateway.at(SESSION)).await;
        assert_eq!((next.status.as_u16(), got(&next.json(), "x-mark").as_deref()), (200, Some("first")), "after {what}");
    }
    for what in good {
        let echo = alice(what).get(&gateway.at(SESSION)).await;
        assert_eq!((echo.status.as_u16(), got(&echo.json(), "x-mark").as_deref()), (200, Some("true")), "{language}, {what}");
    }
    // What an author can't throw ends the instance; the next one is as good.
    assert_eq!(alice("spin").get(&gateway.at(SESSION)).await.status, 503);
    assert_eq!(faults(&gateway, "misdeeds").await["deadline"], 1);
    let time = alice("time").get(&gateway.at(SESSION)).await;
    assert_eq!(got(&time.json(), "x-mark").as_deref(), Some("true"), "the clock isn't the call's instant");

    // What `configure` throws refuses the set, and the one before goes on.
    let first = generation(&gateway).await.unwrap();
    let mut why = None;
    for (mark, expected) in [
        ("refused", "mark: found \"refused\", expected another mark"),
        ("throws", "Error: configure went wrong"),
        ("3", "mark: found 3, expected a text"),
        ("x, other: y", "other: found an unknown key, expected one of mark"),
    ] {
        site.plugins.replace(&[("plugins.yaml", set(mark)), ("misdeeds.wasm", component.clone())]);
        let said = refused(&gateway, why.as_deref()).await;
        assert!(said.contains(expected), "{language}, {mark}: {said}");
        why = Some(said);
    }
    site.plugins.replace(&[("plugins.yaml", set("second")), ("misdeeds.wasm", component)]);
    swapped_after_refusals(&gateway, first).await;
    let echo = alice("nothing").get(&gateway.at(SESSION)).await.json();
    assert_eq!(got(&echo, "x-mark").as_deref(), Some("second"));
}

async fn swapped_after_refusals(gateway: &Gateway, before: u64) {
    crate::site::settled(gateway).await;
    swapped(gateway, before).await;
}

#[tokio::test]
async fn javascript_misdeeds_are_errors_with_their_message() {
    misdeeds_are_errors_with_their_message("js", "src/plugin.js", &JAVASCRIPT, &GOOD_IN_JAVASCRIPT).await;
}

#[tokio::test]
async fn python_misdeeds_are_errors_with_their_message() {
    misdeeds_are_errors_with_their_message("python", "plugin.py", &PYTHON, &GOOD_IN_PYTHON).await;
}
