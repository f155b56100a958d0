//! `plugin check`: whether a plugin, or a whole plugin directory, keeps the contract.

mod behaviour;
mod stale;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use self::{behaviour::examine, stale::stale};
use super::{
    cases,
    workshop::{Blank, KindWord, With, Workshop, read_directory},
};
use crate::{
    admission::{Files, Tried, cases::Case, pack},
    cli::output::{self, Colour, Paint, Stop, Verdict, counted, plain, size},
    plugin::{LoadError, Plugin},
};

/// What a ConfigMap holds at most, in bytes, and what travels within the values of a Helm release.
pub(super) const CONFIG_MAP_BYTES: usize = 1 << 20;
pub(super) const HELM_BYTES: usize = 300 << 10;
/// Of a detail, on one line.
const SHOWN: usize = 400;

#[derive(Args, Debug)]
pub(in crate::cli) struct Check {
    /// A component (.wasm or .wasm.zst), `builtin:` and a default plugin's name, or a plugin directory.
    #[arg(value_name = "FILE|DIR")]
    file: String,
    #[command(flatten)]
    with: With,
    /// Cases that it must pass as well; may be given more than once.
    #[arg(long, value_name = "FILE")]
    cases: Vec<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    pub check: &'static str,
    pub result: Outcome,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Ok,
    Failed,
    /// No fault, and worth knowing.
    Note,
    /// Nothing could be said.
    Skipped,
}

#[derive(Serialize)]
struct Report<'a> {
    file: &'a str,
    ok: bool,
    checks: &'a [Finding],
}

// === impl Check ===

impl Check {
    pub(super) fn run(self) -> ExitCode {
        output::finish(self.check())
    }

    fn check(self) -> Result<Verdict, Stop> {
        let workshop = Workshop::open(&self.with)?;
        let findings = if PathBuf::from(&self.file).is_dir() { self.directory(&workshop)? } else { self.component(&workshop)? };
        let failed = findings.iter().filter(|finding| finding.result == Outcome::Failed).count();
        if self.json {
            output::say_json(&Report { file: &self.file, ok: failed == 0, checks: &findings })?;
        } else {
            output::say(&in_words(&findings, Paint::of_stdout()))?;
        }
        Ok(if failed == 0 { Verdict::Good } else { Verdict::Bad })
    }

    fn component(&self, workshop: &Workshop) -> Result<Vec<Finding>, Stop> {
        let config = self.with.config()?;
        let component = workshop.read(&self.file)?;
        let mut findings = Vec::new();
        let blank = match workshop.compile(&self.file, component) {
            Ok(blank) => blank,
            Err(error) => return Ok(vec![refused(&error)]),
        };
        let took = format!("a component, compiled in {} ms", blank.compiling.as_millis());
        findings.push(Finding::ok("format", took));
        let kind = match blank.kind(self.with.kind) {
            Ok(kind) => kind,
            Err(why) => {
                findings.push(Finding::failed("contract", why));
                return Ok(findings);
            }
        };
        findings.push(blank_size(workshop, &blank));
        let plugin = match workshop.configure(&blank, kind, &config) {
            Ok(plugin) => Arc::new(plugin),
            Err(error @ LoadError::Configure(_)) if self.with.config.is_none() => {
                findings.push(Finding::failed("configure", format!("{error} (--config gives it a configuration)")));
                return Ok(findings);
            }
            Err(error) => {
                findings.push(refused(&error));
                return Ok(findings);
            }
        };
        findings.push(Finding::ok("contract", format!("{}, version {}", KindWord::of(kind), version(&blank))));
        findings.push(imports(&blank));
        findings.push(declared(&plugin));
        findings.push(unknown_key(workshop, &plugin, &config));
        if !self.cases.is_empty() {
            findings.push(own_cases(workshop, &plugin, &cases::read(&self.cases, kind)?));
        }
        findings.extend(examine(workshop, &plugin));
        Ok(findings)
    }

    /// As the gateway would take it, and then each plugin by itself.
    fn directory(&self, workshop: &Workshop) -> Result<Vec<Finding>, Stop> {
        self.with.belongs_to_a_component(!self.cases.is_empty())?;
        let files = match read_directory(Path::new(&self.file)) {
            Ok(files) => files,
            Err(Stop::Failed(why)) => return Ok(vec![Finding::failed("directory", why)]),
            Err(stop) => return Err(stop),
        };
        let loaded = match workshop.load_directory(&files) {
            Ok(loaded) => loaded,
            Err(Stop::Failed(why)) => return Ok(vec![Finding::failed("directory", why)]),
            Err(stop) => return Err(stop),
        };
        let mut findings = vec![Finding::ok("directory", format!("{} in a set that loads", counted(loaded.tried.len(), "plugin")))];
        findings.push(members_size(&files)?);
        findings.extend(stale(Path::new(&self.file)));
        for Tried { plugin, cases } in &loaded.tried {
            let named = |finding: Finding| Finding { plugin: Some(plugin.spec.name.clone()), ..finding };
            findings.push(named(Finding::ok("contract", contract(plugin))));
            findings.push(named(declared(plugin)));
            let config = serde_json::from_str(&plugin.spec.config).map_err(Stop::failed)?;
            findings.push(named(unknown_key(workshop, plugin, &config)));
            if !cases.is_empty() {
                findings.push(named(own_cases(workshop, plugin, cases)));
            }
            findings.extend(examine(workshop, plugin).into_iter().map(named));
        }
        Ok(findings)
    }
}

/// What a plugin that wasn't loaded failed in.
fn refused(error: &LoadError) -> Finding {
    let check = match error {
        LoadError::TooLarge { .. } => "size",
        LoadError::NotAComponent(_) | LoadError::Compile(_) => "format",
        LoadError::WrongKind { .. } | LoadError::WrongVersion { .. } => "contract",
        LoadError::Ungranted { .. } | LoadError::Link(_) => "imports",
        LoadError::Declaration(_) | LoadError::KeySet { .. } | LoadError::Configure(_) | LoadError::Fault(_) => "configure",
    };
    Finding::failed(check, error.to_string())
}

fn version(blank: &Blank) -> String {
    blank.survey.kinds().iter().map(|(_, version)| *version).collect::<Vec<_>>().join(", ")
}

fn blank_size(workshop: &Workshop, blank: &Blank) -> Finding {
    let packed = zstd::encode_all(blank.component.as_slice(), pack::LEVEL).map_or(usize::MAX, |packed| packed.len());
    let most = workshop.limits().component_mib << 20;
    let sizes = format!("{}, {} with zstd, of {}", size(blank.component.len()), size(packed), size(most));
    fit(&sizes, packed)
}

/// What is packed always fits a registry or volume.
fn fit(sizes: &str, packed: usize) -> Finding {
    if packed > CONFIG_MAP_BYTES {
        let says = format!("{sizes}; no ConfigMap holds it ({}): a registry (oci) or a volume", size(CONFIG_MAP_BYTES));
        return Finding::note("size", says);
    }
    let helm = if packed > HELM_BYTES { "not Helm's values" } else { "Helm's values as well" };
    Finding::ok("size", format!("{sizes}; packed it fits a ConfigMap, {helm}"))
}

fn members_size(files: &Files) -> Result<Finding, Stop> {
    let (mut bytes, mut packed) = (files.manifest.len(), files.manifest.len());
    for (name, content) in &files.members {
        bytes += content.len();
        let smaller = if name.ends_with(".wasm") {
            zstd::encode_all(content.as_slice(), pack::LEVEL).map_err(Stop::failed)?.len()
        } else {
            content.len()
        };
        packed += smaller;
    }
    Ok(fit(&format!("{} in all, {} packed", size(bytes), size(packed)), packed))
}

fn imports(blank: &Blank) -> Finding {
    let foreign = blank.survey.imports.iter().filter(|import| !import.starts_with("wicketgate:")).count();
    match (blank.survey.imports.len(), foreign) {
        (0, _) => Finding::ok("imports", "nothing".into()),
        (_, 0) => Finding::ok("imports", blank.survey.imports.join(", ")),
        (all, foreign) => {
            let says = format!("{foreign} of {all} are WASI's: it runs on threads of its own, with nothing granted");
            Finding::note("imports", says)
        }
    }
}

/// What a set that loads has shown of one of its plugins.
fn contract(plugin: &Plugin) -> String {
    let wasi = if plugin.wasi_imports().is_empty() { "" } else { "; it imports WASI and runs on threads of its own" };
    format!("{}, version {}, {}{wasi}", KindWord::of(plugin.spec.kind), plugin.contract(), size(plugin.component_bytes))
}

fn declared(plugin: &Plugin) -> Finding {
    let declaration = plugin.declaration();
    let says = format!(
        "reads {}, has {}",
        counted(declaration.inputs.describe().len(), "input"),
        counted(declaration.verifications.len(), "verification")
    );
    Finding::ok("configure", says)
}

/// A key that nobody knows, among those of the configuration, must be refused: a misspelt rule is one that doesn't hold.
fn unknown_key(workshop: &Workshop, plugin: &Plugin, config: &Value) -> Finding {
    const KEY: &str = "a-key-that-nobody-knows";
    let Value::Object(keys) = config else {
        return Finding { result: Outcome::Skipped, ..Finding::ok("unknown key", "the configuration isn't a map".into()) };
    };
    let mut keys = keys.clone();
    keys.insert(KEY.into(), Value::Bool(true));
    match workshop.reconfigure(plugin, &Value::Object(keys)) {
        Err(LoadError::Configure(why)) => Finding::ok("unknown key", format!("is refused: {why}")),
        Err(error) => Finding::failed("unknown key", format!("expected that configure refuses it, found: {error}")),
        Ok(_) => {
            let says =
                format!("configure took '{KEY}': a misspelt key would go unnoticed, expected an error of kind invalid-config");
            Finding::failed("unknown key", says)
        }
    }
}

fn own_cases(workshop: &Workshop, plugin: &Arc<Plugin>, cases: &[Case]) -> Finding {
    let (set, worker) = (workshop.alone(plugin), workshop.worker());
    let failed: Vec<cases::Ran> = cases.iter().map(|case| cases::run(&set, &worker, case)).filter(|ran| !ran.passed).collect();
    match failed.first() {
        None => Finding::ok("cases", format!("{} passed", counted(cases.len(), "case"))),
        Some(first) => {
            let mismatch = first.mismatches.first().map(ToString::to_string).unwrap_or_default();
            Finding::failed("cases", format!("{} of {} failed, such as '{}': {mismatch}", failed.len(), cases.len(), first.name))
        }
    }
}

fn in_words(findings: &[Finding], paint: Paint) -> String {
    let word = |outcome| match outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "FAILED",
        Outcome::Note => "note",
        Outcome::Skipped => "skipped",
    };
    let with_plugins = findings.iter().any(|finding| finding.plugin.is_some());
    let row = |finding: &Finding| {
        let mut row = vec![word(finding.result).to_owned()];
        row.extend(with_plugins.then(|| finding.plugin.clone().unwrap_or_default()));
        row.extend([finding.check.to_owned(), plain(&finding.detail, SHOWN)]);
        row
    };
    let rows: Vec<Vec<String>> = findings.iter().map(row).collect();
    let mut text = output::table(&rows, |column, cell| match (column, cell) {
        (0, "ok") => paint.paint(Colour::Good, cell),
        (0, "FAILED") => paint.paint(Colour::Bad, cell),
        (0, _) => paint.paint(Colour::Warning, cell),
        _ => cell.to_owned(),
    });
    let failed = findings.iter().filter(|finding| finding.result == Outcome::Failed).count();
    text += &format!("{}, {failed} failed\n", counted(findings.len(), "check"));
    text
}

// === impl Finding ===

impl Finding {
    pub fn ok(check: &'static str, detail: String) -> Self {
        Self { plugin: None, check, result: Outcome::Ok, detail }
    }

    pub fn failed(check: &'static str, detail: String) -> Self {
        Self { result: Outcome::Failed, ..Self::ok(check, detail) }
    }

    pub fn note(check: &'static str, detail: String) -> Self {
        Self { result: Outcome::Note, ..Self::ok(check, detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_a_table() {
        let findings = [Finding::ok("format", "a component".into()), Finding::failed("determinism", "differs\u{7}".into())];
        assert_eq!(
            in_words(&findings, Paint::none()),
            "ok      format       a component\nFAILED  determinism  differs\\u{7}\n2 checks, 1 failed\n"
        );
        let named = Finding { plugin: Some("policy".into()), ..Finding::ok("size", "x".into()) };
        assert!(in_words(&[findings[0].clone(), named], Paint::none()).contains("\nok  policy  size    x\n"));
    }

    #[test]
    fn a_size_says_where_it_fits() {
        for (packed, result, part) in [
            (HELM_BYTES, Outcome::Ok, "Helm's values as well"),
            (HELM_BYTES + 1, Outcome::Ok, "not Helm's values"),
            (CONFIG_MAP_BYTES + 1, Outcome::Note, "a registry (oci) or a volume"),
        ] {
            let finding = fit("", packed);
            assert!(finding.result == result && finding.detail.contains(part), "{finding:?}");
        }
    }
}
