//! `run`: the configuration, then the log, then the gateway.

use std::{error::Error, io::Write, path::Path, process::ExitCode};

use super::{BAD_CONFIGURATION, FAILED};
use crate::{
    config::{self, Environment},
    run::Start,
    telemetry,
};

/// Loads the configuration and runs the gateway under it.
pub(super) fn configured(file: Option<&Path>) -> ExitCode {
    let loaded = match config::load(file, &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(error) => return complain(BAD_CONFIGURATION, &error),
    };
    if let Err(error) = telemetry::start_log(&loaded.config.log) {
        return complain(FAILED, &error);
    }
    for notice in &loaded.notices {
        tracing::warn!("{notice}");
    }
    finish(crate::run::run(Start::Configured(Box::new(loaded))))
}

/// The exit code of a run that is over, with its error on standard error: the log may be set to show nothing.
pub(super) fn finish(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(FAILED, error.as_ref()),
    }
}

/// Says what is wrong on standard error. When even that is gone, the exit code is all there is.
pub(super) fn complain(code: u8, error: &dyn Error) -> ExitCode {
    let _ = writeln!(std::io::stderr().lock(), "wicketgate: {error}");
    ExitCode::from(code)
}
