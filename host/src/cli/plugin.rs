//! `plugin`: what somebody needs who writes plugins.

mod bench;
mod build;
mod cases;
mod check;
mod files;
mod inspect;
mod new;
mod pack;
mod replay;
mod workshop;

use std::process::ExitCode;

use clap::Subcommand;

use super::output::{self, Verdict};
use crate::admission::manifest_schema;

pub(super) use self::workshop::KindWord;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Write the project of a new plugin: source, cases, manifest, and all that it's built with.
    New(new::New),
    /// Build a project into a component, by the tools of its language.
    Build(build::Build),
    /// Say what a plugin may see and do.
    Inspect(inspect::Inspect),
    /// Try whether a plugin keeps the contract: determinism, hostile inputs, limits. Exits with 1 when it doesn't.
    Check(check::Check),
    /// Run a plugin's cases. Exits with 1 when one fails.
    Test(cases::Test),
    /// Measure what a plugin's calls take.
    Bench(bench::Bench),
    /// Run recorded decisions through another plugin and show what differs. Exits with 1 when more differs than may.
    Replay(replay::Replay),
    /// Make a directory or ConfigMap of a plugin directory, compressed and with its size checked.
    Pack(pack::Pack),
    /// Print the JSON Schema of `plugins.yaml`, by which editors complete it.
    Schema,
}

pub(super) fn run(command: PluginCommand) -> ExitCode {
    match command {
        PluginCommand::New(new) => new.run(),
        PluginCommand::Build(build) => build.run(),
        PluginCommand::Inspect(inspect) => inspect.run(),
        PluginCommand::Check(check) => check.run(),
        PluginCommand::Test(test) => test.run(),
        PluginCommand::Bench(bench) => bench.run(),
        PluginCommand::Replay(replay) => replay.run(),
        PluginCommand::Pack(pack) => pack.run(),
        PluginCommand::Schema => output::finish(output::say_json(&manifest_schema()).map(|()| Verdict::Good)),
    }
}
