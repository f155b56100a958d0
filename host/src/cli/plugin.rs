//! `plugin`: what somebody needs who writes plugins.

mod build;
mod files;
mod new;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Write the project of a new plugin: source, cases, manifest, and all that it's built with.
    New(new::New),
    /// Build a project into a component, by the tools of its language.
    Build(build::Build),
}

pub(super) fn run(command: PluginCommand) -> ExitCode {
    match command {
        PluginCommand::New(new) => new.run(),
        PluginCommand::Build(build) => build.run(),
    }
}
