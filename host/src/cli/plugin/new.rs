//! `plugin new`: the project of a new plugin, written from what is in this program. It holds all that it's built with, but for the
//! tools that come from package registries.

use std::{
    error::Error,
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use super::files;
use crate::{admission::manifest_schema, cli::run::finish};

const SCHEMA: &str = "plugins.schema.json";

#[derive(Args, Debug)]
pub(in crate::cli) struct New {
    /// What the plugin decides.
    #[arg(long)]
    kind: Kind,
    /// What it's written in; js is TypeScript, too.
    #[arg(long)]
    lang: Language,
    /// What it's called: lower-case letters, digits and hyphens, a letter first.
    #[arg(value_parser = name)]
    name: String,
    /// Where its project goes [default: a directory of its name].
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Authenticator,
    RoutingPolicy,
    DiscoveryFilter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Js,
    Python,
}

/// Cargo and npm take more, and neither takes all of the other's.
fn name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() > 63 || !text.starts_with(|first: char| first.is_ascii_lowercase()) || !text.bytes().all(fits) {
        return Err("expected at most 63 lower-case letters, digits and hyphens, a letter first".into());
    }
    let taken = ["cookie-auth", "discovery-filter", "plugin", "routing-policy", "test"];
    if taken.contains(&text) || text.starts_with("wicketgate") {
        return Err("expected another name than that of a tool or of one of the gateway's own plugins".into());
    }
    Ok(text.to_owned())
}

// === impl New ===

impl New {
    pub(super) fn run(self) -> ExitCode {
        finish(self.write())
    }

    fn write(self) -> Result<(), Box<dyn Error>> {
        let directory = self.directory.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        if fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(format!("{}: found files in it, expected an empty directory or none", directory.display()).into());
        }
        for (name, content) in self.files()? {
            put(&directory.join(&name), &content).map_err(|error| format!("{}: {error}", directory.join(name).display()))?;
        }
        let shown = directory.display();
        let source = match self.lang {
            Language::Rust => "src/lib.rs",
            Language::Js => "src/plugin.js",
            Language::Python => "plugin.py",
        };
        writeln!(
            std::io::stdout().lock(),
            "{shown}: a plugin of kind {} in {}. What it decides stands in {shown}/{source}; {shown}/README.md leads on.\n\
             Build it: wicketgate plugin build {shown}",
            self.kind.word(),
            self.lang.word(),
        )?;
        Ok(())
    }

    /// Each file of the project: what all have, then what its kind and language add.
    fn files(&self) -> Result<Vec<(String, Vec<u8>)>, serde_json::Error> {
        let (kind, lang) = (self.kind.word(), self.lang.word());
        let layers = [format!("any/{kind}"), format!("{lang}/any"), format!("{lang}/{kind}")];
        let templates = layers.iter().flat_map(|layer| {
            files::below("templates/")
                .filter_map(move |(name, content)| Some((name.strip_prefix(layer.as_str())?.strip_prefix('/')?, content)))
        });
        let mut project: Vec<_> = templates.map(|(name, content)| (visible(name), self.filled(content))).collect();
        let sdk = format!("sdk/{lang}/");
        let vendored = match self.lang {
            Language::Python => "vendor/",
            Language::Rust | Language::Js => "vendor/wicketgate-plugin/",
        };
        project.extend(files::below(&sdk).map(|(name, content)| (format!("{vendored}{name}"), content.to_vec())));
        project.extend(files::below("wit/").map(|(name, content)| (format!("wit/{name}"), content.to_vec())));
        // By which editors complete the manifest, whose first line names it.
        project.push((SCHEMA.to_owned(), serde_json::to_vec_pretty(&manifest_schema())?));
        Ok(project)
    }

    fn filled(&self, template: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(template) else { return template.to_vec() };
        // A fresh interpreter takes most of the usual budget and memory.
        let limits = if self.lang == Language::Python { "\n    limits: {call_budget_ms: 20, memory_mib: 32}" } else { "" };
        let words = [("{{name}}", self.name.as_str()), ("{{kind}}", self.kind.word()), ("{{limits}}", limits)];
        words.into_iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value)).into_bytes()
    }
}

/// Names that would mean something in the gateway's own checkout are kept there without their beginning or end.
fn visible(name: &str) -> String {
    match name {
        "gitignore" => ".gitignore".to_owned(),
        "Cargo.toml.template" => "Cargo.toml".to_owned(),
        name => name.to_owned(),
    }
}

/// Writes a file that isn't there yet.
fn put(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().ok_or(ErrorKind::InvalidInput)?;
    fs::create_dir_all(directory)?;
    fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(content)
}

// === impl Kind ===

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Authenticator => "authenticator",
            Self::RoutingPolicy => "routing-policy",
            Self::DiscoveryFilter => "discovery-filter",
        }
    }
}

// === impl Language ===

impl Language {
    fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::admission::{Manifest, cases};

    fn all() -> impl Iterator<Item = New> {
        Kind::value_variants().iter().flat_map(|kind| {
            let of = |lang: &Language| New { kind: *kind, lang: *lang, name: "our-plugin".into(), directory: None };
            Language::value_variants().iter().map(of)
        })
    }

    #[test]
    fn each_project_is_whole_and_filled_in() {
        for new in all() {
            let files = new.files().unwrap();
            let names: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names.len(), files.len(), "{new:?}: a file is there twice");
            for expected in ["cases.yaml", "plugins.yaml", SCHEMA, "README.md", ".gitignore", "wit/worlds.wit"] {
                assert!(names.contains(expected), "{new:?}: {expected}");
            }
            let vendored = names.iter().filter(|name| name.starts_with("vendor/")).count();
            assert!(vendored >= 1, "{new:?}: no SDK");
            for (name, content) in files.iter().filter(|(name, _)| !name.starts_with("vendor/") && !name.starts_with("wit/")) {
                let text = std::str::from_utf8(content).unwrap();
                assert!(!text.contains("{{"), "{new:?}: {name} has a placeholder left");
            }
        }
    }

    #[test]
    fn manifest_and_cases_of_each_project_are_read_by_their_parsers() {
        for new in all() {
            let files = new.files().unwrap();
            let text = |wanted: &str| {
                let (_, content) = files.iter().find(|(name, _)| name == wanted).unwrap();
                std::str::from_utf8(content).unwrap()
            };
            assert!(text("plugins.yaml").starts_with(&format!("# yaml-language-server: $schema={SCHEMA}\n")));
            let manifest = Manifest::parse(text("plugins.yaml")).unwrap_or_else(|error| panic!("{new:?}: {error}"));
            let own = manifest.entries.iter().find(|entry| entry.name == new.name).unwrap();
            assert_eq!(own.memory_mib.is_some(), new.lang == Language::Python);
            let cases = cases::parse("cases.yaml", text("cases.yaml"), own.kind);
            assert!(cases.unwrap_or_else(|error| panic!("{new:?}: {error}")).len() >= 3);
        }
    }

    #[test]
    fn names_that_a_tool_would_refuse_are_refused_here() {
        for bad in
            ["", "Our", "our_policy", "1st", "-a", "a/b", "..", "plugin", "cookie-auth", "wicketgate-plugin", &"a".repeat(64)]
        {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(name("our-policy-2"), Ok("our-policy-2".to_owned()));
    }
}
