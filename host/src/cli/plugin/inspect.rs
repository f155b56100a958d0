//! `plugin inspect`: what a plugin may see and do, as it declares it under a configuration.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::workshop::{Blank, KindWord, Subject, Workshop};
use crate::{
    admission::pack,
    cli::output::{self, Colour, Paint, Stop, Verdict, grouped},
    plugin::Plugin,
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Inspect {
    #[command(flatten)]
    subject: Subject,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// Everything that there is to say.
#[derive(Debug, Serialize)]
struct Inspected {
    name: String,
    kind: &'static str,
    contract: Vec<String>,
    bytes: usize,
    zstd_bytes: usize,
    sha256: String,
    exports: Vec<String>,
    imports: Vec<String>,
    reads: Vec<String>,
    verifications: Vec<Verification>,
    facts: Vec<&'static str>,
    /// As the manifest has them.
    grants: Value,
}

#[derive(Debug, Serialize)]
struct Verification {
    key_set: String,
    /// None: not looked at.
    audiences: Vec<String>,
    issuers: Vec<String>,
    leeway_s: u32,
    claims: Vec<String>,
}

// === impl Inspect ===

impl Inspect {
    pub(super) fn run(self) -> ExitCode {
        output::finish(self.inspect())
    }

    fn inspect(self) -> Result<Verdict, Stop> {
        let workshop = Workshop::open(&self.subject.with)?;
        let (blank, plugin) = workshop.load(&self.subject)?;
        let inspected = Inspected::of(&blank, &plugin)?;
        if self.json {
            output::say_json(&inspected)?;
        } else {
            output::say(&inspected.in_words(&self.subject.file, Paint::of_stdout()))?;
        }
        Ok(Verdict::Good)
    }
}

// === impl Inspected ===

impl Inspected {
    fn of(blank: &Blank, plugin: &Plugin) -> Result<Self, Stop> {
        let declaration = plugin.declaration();
        let verification = |(key_set, requirements): &(String, crate::plugin::key_set::Requirements)| Verification {
            key_set: key_set.clone(),
            audiences: requirements.audiences.clone(),
            issuers: requirements.issuers.clone(),
            leeway_s: requirements.leeway_s,
            claims: requirements.claims.iter().map(ToString::to_string).collect(),
        };
        let verifications: Vec<Verification> = declaration.verifications.iter().map(verification).collect();
        let facts: Vec<&str> = declaration.may_read_session.then_some("may-read-session").into_iter().collect();
        let packed = zstd::encode_all(blank.component.as_slice(), pack::LEVEL).map_err(Stop::failed)?;
        Ok(Self {
            name: blank.name.clone(),
            kind: KindWord::of(plugin.spec.kind),
            contract: blank.survey.kinds().iter().map(|(_, version)| (*version).to_owned()).collect(),
            bytes: blank.component.len(),
            zstd_bytes: packed.len(),
            sha256: plugin.sha256.clone(),
            exports: blank.survey.exports.clone(),
            imports: blank.survey.imports.clone(),
            reads: declaration.inputs.describe(),
            grants: grants(blank, &verifications, &facts),
            verifications,
            facts,
        })
    }

    fn in_words(&self, file: &str, paint: Paint) -> String {
        let heading = |text: &str| format!("\n{}\n", paint.paint(Colour::Strong, text));
        let mut text = paint.paint(Colour::Strong, file) + "\n";
        let rows = [
            ("kind", format!("{}: {}", self.kind, purpose(self.kind))),
            ("contract", self.contract.join(", ")),
            ("size", format!("{} bytes, {} with zstd", grouped(self.bytes as u128), grouped(self.zstd_bytes as u128))),
            ("sha256", self.sha256.clone()),
            ("imports", if self.imports.is_empty() { "nothing".into() } else { self.imports.join(", ") }),
        ];
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect();
        text += &output::table(&rows, |_, cell| cell.to_owned());
        text += &heading("It sees, of each subject");
        let mut seen: Vec<String> = self.reads.iter().map(|word| explained(word)).collect();
        if seen.is_empty() {
            seen.push("nothing: its decision is the same for all".into());
        }
        seen.push("the current time".into());
        text += &lines(&seen);
        text += &heading("It may");
        let mut rights: Vec<String> = self.verifications.iter().map(Verification::in_words).collect();
        rights.extend(self.facts.iter().map(|_| "learn whether the server lets the visitor read the session".to_owned()));
        rights.extend(self.grants.get("log").map(|_| "write lines into the gateway's log".to_owned()));
        if rights.is_empty() {
            rights.push("decide, and nothing else".into());
        }
        text += &lines(&rights);
        text += &heading("It can't");
        text += &lines(&["see anything else of a request, or a key; reach files, network, environment or a clock".to_owned()]);
        text += &heading("Its entry in plugins.yaml");
        text += &self.entry(file);
        text
    }

    fn entry(&self, file: &str) -> String {
        let source = match file.strip_prefix("builtin:") {
            Some(name) => format!("builtin: {name}"),
            None => format!("file: {}", file.rsplit('/').next().unwrap_or(file)),
        };
        let mut text = format!("  - name: {}\n    kind: {}\n    {source}\n", self.name, self.kind);
        text += &format!("    sha256: {}\n", self.sha256);
        if self.grants.as_object().is_some_and(|grants| !grants.is_empty()) {
            text += &format!("    grants: {}\n", self.grants);
        }
        text
    }
}

/// What the manifest must grant for it to be loaded.
fn grants(blank: &Blank, verifications: &[Verification], facts: &[&str]) -> Value {
    let mut grants = serde_json::Map::new();
    if blank.survey.imports_ours("log") {
        grants.insert("log".into(), json!(true));
    }
    let mut key_sets: Vec<&str> = Vec::new();
    for verification in verifications {
        if !key_sets.contains(&verification.key_set.as_str()) {
            key_sets.push(&verification.key_set);
        }
    }
    if !key_sets.is_empty() {
        grants.insert("key_sets".into(), json!(key_sets));
    }
    if !facts.is_empty() {
        grants.insert("facts".into(), json!(facts));
    }
    Value::Object(grants)
}

pub(super) fn purpose(kind: &str) -> &'static str {
    match kind {
        "discovery-filter" => "decides which discovered endpoints are published",
        "authenticator" => "decides who a request or connection comes from",
        _ => "decides who may enter a session, and how",
    }
}

fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("  {text}\n")).collect()
}

/// A declared input with what it means, where its name doesn't say it.
fn explained(word: &str) -> String {
    if word.ends_with(" (credential)") {
        return format!("{word}: never shown, and kept from the session");
    }
    match word {
        "identity" => "identity: who the authenticators say it is".into(),
        "authority" => "authority: the host's name that was asked for".into(),
        "path" => "path: the whole of it, behind the session's own prefix".into(),
        "client-certificate" => "client-certificate: the one that the gateway verified".into(),
        word => word.strip_prefix("session ").map_or_else(|| word.to_owned(), |name| format!("session attribute {name}")),
    }
}

// === impl Verification ===

impl Verification {
    fn in_words(&self) -> String {
        let any = |names: &[String], what: &str| {
            if names.is_empty() { format!("any {what}") } else { format!("{what} {}", names.join(" or ")) }
        };
        let claims = if self.claims.is_empty() { "no claims".to_owned() } else { format!("the claims {}", self.claims.join(", ")) };
        format!(
            "have tokens verified by key set '{}' ({}, {}, {} s of leeway), and gets {claims}",
            self.key_set,
            any(&self.audiences, "audience"),
            any(&self.issuers, "issuer"),
            self.leeway_s
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected() -> Inspected {
        Inspected {
            name: "auth".into(),
            kind: "authenticator",
            contract: vec!["0.1.0".into()],
            bytes: 34_567,
            zstd_bytes: 12_345,
            sha256: "ab".repeat(32),
            exports: Vec::new(),
            imports: vec!["wicketgate:plugin/jwt@0.1.0".into()],
            reads: vec!["cookie token (credential)".into(), "session owner".into()],
            verifications: vec![Verification {
                key_set: "sso".into(),
                audiences: vec!["a".into(), "b".into()],
                issuers: Vec::new(),
                leeway_s: 30,
                claims: vec!["sub".into(), r"x\.y.z".into()],
            }],
            facts: Vec::new(),
            grants: json!({"key_sets": ["sso"]}),
        }
    }

    #[test]
    fn what_it_may_see_and_do_is_said_in_words() {
        let text = inspected().in_words("plugins/auth.wasm", Paint::none());
        for part in [
            "authenticator: decides who a request or connection comes from",
            "34,567 bytes, 12,345 with zstd",
            "cookie token (credential): never shown, and kept from the session",
            "session attribute owner",
            r"have tokens verified by key set 'sso' (audience a or b, any issuer, 30 s of leeway), and gets the claims sub, x\.y.z",
            "\n  - name: auth\n    kind: authenticator\n    file: auth.wasm\n    sha256: abab",
            "    grants: {\"key_sets\":[\"sso\"]}\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn the_entry_that_is_shown_is_one() {
        let text = inspected().in_words("auth.wasm", Paint::none());
        let (_, entry) = text.split_once("Its entry in plugins.yaml\n").unwrap();
        let rest = "  - {name: f, kind: discovery-filter, builtin: discovery-filter}\n  - {name: p, kind: routing-policy, builtin: routing-policy}\n";
        let manifest = crate::admission::Manifest::parse(&format!("version: 1\nplugins:\n{entry}{rest}")).unwrap();
        assert_eq!(manifest.entries[0].grants.key_sets, ["sso"]);
        assert_eq!(manifest.entries[0].kind, crate::domain::decision::Kind::Authenticator);
    }
}
