//! The contract as the tools of other languages need it: a world with exactly what the manifest grants. Their components import
//! everything that their world does, used or not, and the gateway refuses an import that isn't granted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::project::Project;
use crate::{cli::plugin::files, plugin::Kind};

/// The world's name: it must be none of the contract's.
pub(super) const WORLD: &str = "built-plugin";

/// A directory with the contract and the world, removed when it's dropped.
pub(super) struct Contract(TempDir);

// === impl Contract ===

impl Contract {
    /// The contract of the project's own directory `wit`, else of this gateway.
    pub fn write(project: &Project) -> Result<Self, String> {
        let own = project.directory.join("wit");
        let write = || -> std::io::Result<TempDir> {
            let directory = tempfile::tempdir()?;
            if own.is_dir() {
                copy(&own, directory.path())?;
            } else {
                for (name, content) in files::below("wit/").filter(|(name, _)| name.ends_with(".wit")) {
                    fs::write(directory.path().join(name), content)?;
                }
            }
            fs::write(directory.path().join("built-plugin.wit"), world(project))?;
            Ok(directory)
        };
        write().map(Self).map_err(|error| format!("the contract in {}: {error}", own.display()))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let path: PathBuf = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|it| it == "wit")) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

fn world(project: &Project) -> String {
    let export = match project.kind {
        Kind::DiscoveryFilter => "discovery",
        Kind::Authenticator => "authentication",
        Kind::RoutingPolicy => "routing",
    };
    let import = |granted: bool, interface: &str| if granted { format!("    import {interface};\n") } else { String::new() };
    let imports = import(project.log, "log") + &import(project.jwt, "jwt");
    format!("package wicketgate:plugin@0.1.0;\n\nworld {WORLD} {{\n{imports}    export {export};\n}}\n")
}
