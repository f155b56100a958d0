//! The command line. Called by the program alone; knows the configuration, and of the gateway only how it's started.

mod check;
mod operator;
mod output;
mod plugin;
mod probe;
mod run;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    admission::pull_standard_input,
    demo::{self, Place},
    plugin::compile_standard_input,
    run::Start,
};

/// Something failed that was asked for properly.
pub const FAILED: u8 = 1;
/// The configuration is bad. (2, a command line that can't be read, is clap's own.)
pub const BAD_CONFIGURATION: u8 = 64;

#[derive(Debug, Parser)]
#[command(name = "wicketgate", version, about = "An access gateway for AI sessions whose decisions are WebAssembly components")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until it's told to stop (SIGTERM or SIGINT).
    Run {
        #[command(flatten)]
        source: Source,
    },
    /// Run the gateway on this machine alone, with small sessions and two users to try it out. Reads no configuration.
    Demo(Demo),
    /// Compile a component from standard input to standard output; the gateway runs itself so, as a limited child.
    #[command(hide = true)]
    CompilePlugin {
        #[arg(long)]
        memory_mib: u64,
        #[arg(long)]
        cpu_s: u64,
        #[arg(long)]
        priority: Priority,
    },
    /// Pull a plugin as standard input says, to standard output; the gateway runs itself so, as a limited child.
    #[command(hide = true)]
    PullPlugin {
        #[arg(long)]
        memory_bytes: u64,
    },
    /// Ask for a page, such as a gateway's /readyz; exit with 1 unless the answer is good. For health checks in images.
    Probe { url: String },
    /// Work with configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write, build, try and pack plugins.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Say which plugins decide in a running gateway, and what became of the last change. Exits with 1 when it isn't ready.
    Status(operator::Status),
    /// Say why a request got in or didn't: one recorded decision of a running gateway, by its id.
    Explain(operator::Explain),
    /// Write the recorded decisions of a running gateway to standard output, one JSON a line.
    Decisions(operator::Decisions),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Priority {
    Lowest,
    Normal,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the configuration in force, with secrets as `…`; exit with 64 when it's bad.
    Check {
        #[command(flatten)]
        source: Source,
    },
}

#[derive(Debug, clap::Args)]
struct Source {
    /// A YAML file. Environment variables win over it; without it there are only they and the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Demo {
    /// Where the gateway listens: an address of this machine's loopback. Port 0: any that is free.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = loopback)]
    listen: SocketAddr,
    /// Where health, metrics and status are, on loopback, too.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090", value_parser = loopback)]
    admin: SocketAddr,
    /// Where its files are written anew. Two demonstrations at a time need two directories [default: wicketgate-demo in the
    /// directory for temporary files].
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run { source } => run::configured(source.config.as_deref()),
        Command::Demo(demo) => run::finish(demo.place().and_then(|place| crate::run::run(Start::Demo(place)))),
        Command::CompilePlugin { memory_mib, cpu_s, priority } => {
            let compiled = compile_standard_input(memory_mib, cpu_s, priority == Priority::Lowest);
            run::finish(compiled.map_err(Into::into))
        }
        Command::PullPlugin { memory_bytes } => run::finish(pull_standard_input(memory_bytes).map_err(Into::into)),
        Command::Probe { url } => probe::probe(&url),
        Command::Config(ConfigCommand::Check { source }) => check::check(source.config.as_deref()),
        Command::Plugin(command) => plugin::run(command),
        Command::Status(status) => status.run(),
        Command::Explain(explain) => explain.run(),
        Command::Decisions(decisions) => decisions.run(),
    }
}

// === impl Demo ===

impl Demo {
    fn place(self) -> Result<Place, Box<dyn std::error::Error>> {
        let directory = self.directory.unwrap_or_else(demo::usual_directory);
        let absolute = std::path::absolute(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        Ok(Place { gateway: self.listen, admin: self.admin, directory: absolute })
    }
}

/// The demonstration's passwords stand in its introduction: nobody else may reach it.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "expected an address with a port, as 127.0.0.1:8080".to_owned())?;
    if !address.ip().is_loopback() {
        return Err("expected an address of loopback: the demonstration is for this machine alone".into());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_unreadable_command_line_exits_with_2() {
        for bad in [
            &["wicketgate"][..],
            &["wicketgate", "fly"],
            &["wicketgate", "run", "--config"],
            &["wicketgate", "demo", "--config", "x"],
            &["wicketgate", "demo", "--listen", "8080"],
            &["wicketgate", "demo", "--listen", "0.0.0.0:8080"],
            &["wicketgate", "demo", "--admin", "[::]:9090"],
        ] {
            let error = Cli::try_parse_from(bad).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}");
        }
        assert_eq!(Cli::try_parse_from(["wicketgate", "--version"]).unwrap_err().kind(), ErrorKind::DisplayVersion);
    }

    #[test]
    fn run_takes_a_configuration_or_none() {
        for (args, file) in [(vec!["wicketgate", "run"], None), (vec!["wicketgate", "run", "--config", "a.yaml"], Some("a.yaml"))] {
            let Command::Run { source } = Cli::try_parse_from(args).unwrap().command else { panic!("another command") };
            assert_eq!(source.config, file.map(PathBuf::from));
        }
    }
}
