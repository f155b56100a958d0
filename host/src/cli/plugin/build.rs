//! `plugin build`: from a project to a component, by the tools of the project's language.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::cli::run::finish;

#[derive(Args, Debug)]
pub(in crate::cli) struct Build {
    /// The project.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// The file to write [default: what plugins.yaml of the project names].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Say what was built as JSON.
    #[arg(long)]
    json: bool,
}

// === impl Build ===

impl Build {
    pub(super) fn run(self) -> ExitCode {
        finish(Err(format!("can't build yet: {} {:?} {}", self.directory.display(), self.out, self.json).into()))
    }
}
