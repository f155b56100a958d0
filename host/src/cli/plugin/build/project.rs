//! What a project says of itself: its language by its files, kind and grants by its manifest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::plugin::Kind;

const MANIFEST: &str = "plugins.yaml";

/// A directory with a plugin's source.
#[derive(Debug)]
pub(super) struct Project {
    pub directory: PathBuf,
    pub language: Language,
    /// The name of the component in the directory.
    pub file: String,
    pub kind: Kind,
    /// Whether the component imports them: it imports what its manifest grants.
    pub log: bool,
    pub jwt: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Language {
    Rust,
    #[serde(rename = "javascript")]
    JavaScript,
    Python,
}

/// Of the manifest what a build needs; the rest is for admission.
#[derive(Deserialize)]
struct Manifest {
    plugins: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    kind: Kind,
    file: Option<String>,
    #[serde(default)]
    grants: Grants,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Grants {
    log: bool,
    key_sets: Vec<String>,
}

// === impl Project ===

impl Project {
    /// Reads a project.
    ///
    /// # Errors
    /// One sentence: what the directory lacks.
    pub fn read(directory: &Path) -> Result<Self, String> {
        let shown = directory.display();
        if !directory.is_dir() {
            return Err(format!("{shown}: found no directory, expected a plugin's project"));
        }
        let language = Language::of(directory).ok_or_else(|| {
            format!(
                "{shown}: found none of Cargo.toml (Rust), package.json (JavaScript, TypeScript) and requirements.txt (Python), \
                 expected a plugin's project, as `wicketgate plugin new` writes it"
            )
        })?;
        let path = directory.join(MANIFEST);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}: expected a manifest that says the plugin's kind and file", path.display()))?;
        let manifest: Manifest = serde_saphyr::from_str(&text)
            .map_err(|error| format!("{}: {}", path.display(), error.to_string().lines().next().unwrap_or_default()))?;
        let mut own = manifest.plugins.into_iter().filter_map(|entry| Some((entry.file.clone()?, entry)));
        let (Some((file, entry)), None) = (own.next(), own.next()) else {
            return Err(format!("{}: expected exactly one plugin with a file, the one that is built here", path.display()));
        };
        if Path::new(&file).file_name() != Some(file.as_ref()) {
            return Err(format!("{}: found the file {file:?}, expected a name without a path", path.display()));
        }
        let Entry { kind, grants, .. } = entry;
        let (log, jwt) = (grants.log, kind == Kind::Authenticator && !grants.key_sets.is_empty());
        Ok(Self { directory: directory.to_owned(), language, file, kind, log, jwt })
    }
}

// === impl Language ===

impl Language {
    fn of(directory: &Path) -> Option<Self> {
        let by_file = [("Cargo.toml", Self::Rust), ("package.json", Self::JavaScript), ("requirements.txt", Self::Python)];
        by_file.into_iter().find(|(file, _)| directory.join(file).is_file()).map(|(_, language)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> Result<Project, String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Project::read(directory.path()).map_err(|error| error.replace(directory.path().to_str().unwrap(), "DIR"))
    }

    const MANIFEST_OF_ONE: &str = "version: 1\nplugins:\n- {name: filter, kind: discovery-filter, builtin: discovery-filter}\n\
        - {name: keys, kind: authenticator, file: keys.wasm, grants: {key_sets: [a]}, later: key}\n";

    #[test]
    fn language_kind_and_grants_are_read_from_what_is_there() {
        for (file, language) in
            [("Cargo.toml", Language::Rust), ("package.json", Language::JavaScript), ("requirements.txt", Language::Python)]
        {
            let project = project(&[(file, ""), ("plugins.yaml", MANIFEST_OF_ONE)]).unwrap();
            assert_eq!((project.language, project.kind, project.file.as_str()), (language, Kind::Authenticator, "keys.wasm"));
            assert_eq!((project.log, project.jwt), (false, true));
        }
    }

    #[test]
    fn what_a_directory_lacks_is_one_sentence() {
        let two = MANIFEST_OF_ONE.replace("builtin: discovery-filter", "file: filter.wasm");
        let climbing = MANIFEST_OF_ONE.replace("keys.wasm", "../keys.wasm");
        for (files, expected) in [
            (vec![], "DIR: found none of Cargo.toml"),
            (vec![("Cargo.toml", "")], "DIR/plugins.yaml: No such file"),
            (vec![("Cargo.toml", ""), ("plugins.yaml", "plugins: 3")], "DIR/plugins.yaml: "),
            (vec![("Cargo.toml", ""), ("plugins.yaml", "plugins: []")], "expected exactly one plugin with a file"),
            (vec![("Cargo.toml", ""), ("plugins.yaml", &two)], "expected exactly one plugin with a file"),
            (vec![("Cargo.toml", ""), ("plugins.yaml", &climbing)], "expected a name without a path"),
        ] {
            let error = project(&files).unwrap_err();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
