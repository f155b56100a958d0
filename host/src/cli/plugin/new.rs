//! `plugin new`: the project of a new plugin, written from templates that are in this program.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};

use crate::cli::run::finish;

#[derive(Args, Debug)]
pub(in crate::cli) struct New {
    /// What the plugin decides.
    #[arg(long)]
    kind: Kind,
    /// What it's written in.
    #[arg(long)]
    lang: Language,
    /// What it's called: lower-case letters, digits and hyphens.
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

// === impl New ===

impl New {
    pub(super) fn run(self) -> ExitCode {
        finish(Err(format!("no template yet: {:?} {:?} {} {:?}", self.kind, self.lang, self.name, self.directory).into()))
    }
}
