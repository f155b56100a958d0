//! h2spec, which tries what a server of HTTP/2 must get right. Built from its source by Go where it isn't cached.

use std::process::Stdio;

use super::go;
use crate::PATIENCE;

/// The tool with all that it's made of, so that each build is the same, and one that old releases of Go can make.
const MODULE: &str = "module peers

go 1.17

require (
	github.com/fatih/color v1.15.0
	github.com/spf13/cobra v1.7.0
	github.com/summerwind/h2spec v2.2.1+incompatible
	golang.org/x/net v0.17.0
)
";
const TOOL: go::Tool = go::Tool { name: "h2spec-2.2.1", module: MODULE, package: "github.com/summerwind/h2spec/cmd/h2spec" };

/// One thing that was tried.
#[derive(Debug)]
pub struct Case {
    /// `http2/5.1.1: Sends …`
    pub name: String,
    /// Why it isn't right.
    pub fault: Option<String>,
}

/// Tries everything at a port of loopback that speaks HTTP/2 with prior knowledge; `path` must answer with 200 and a body.
///
/// # Panics
/// When the tool can't be had or doesn't run: a test that needs it can't be passed over.
pub async fn run(port: u16, path: &str) -> Vec<Case> {
    let tool = TOOL.path().await;
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.xml");
    let mut h2spec = tokio::process::Command::new(tool);
    h2spec.args(["--port", &port.to_string(), "--path", path, "--timeout", "10", "--junit-report"]).arg(&report);
    let run = h2spec.stdin(Stdio::null()).kill_on_drop(true).output();
    // It fails when a case does; what matters is the report.
    let run = tokio::time::timeout(PATIENCE.saturating_mul(5), run).await.expect("h2spec ends").unwrap();
    let text = std::fs::read_to_string(&report);
    let text = text.unwrap_or_else(|error| panic!("{error}; h2spec said:\n{}", String::from_utf8_lossy(&run.stdout)));
    cases(&text)
}

/// The report is XML with one element to a line.
fn cases(report: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in report.lines() {
        let attribute = |name: &str| line.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        if let (true, Some(package), Some(title)) = (line.contains("<testcase "), attribute("package"), attribute("classname")) {
            cases.push(Case { name: format!("{package}: {title}"), fault: None });
        }
        if let Some(case) = cases.last_mut() {
            let begins = ["<failure>", "<error>"].iter().find_map(|element| line.split_once(element));
            match (&mut case.fault, begins) {
                (None, Some((_, why))) => case.fault = Some(text(why)),
                // What was expected stands on the first line, what was found on those after it.
                (Some(why), _) if !line.contains("<test") && !line.contains("</test") => *why += &format!("; {}", text(line)),
                _ => {}
            }
        }
    }
    cases
}

/// What stands on a line before an element's end.
fn text(line: &str) -> String {
    line.split("</").next().unwrap_or_default().trim().to_owned()
}
