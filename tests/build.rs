//! Builds the hostile plugins, one of each kind, and leaves their components where the tests embed them from.

use std::process::ExitCode;

use wicketgate_plugin_build::BuildScript;

/// The fixture, whose features are the kinds of plugin.
const HOSTILE: &str = "tests/fixtures/hostile";
const KINDS: [&str; 3] = ["discovery-filter", "authenticator", "routing-policy"];

fn main() -> ExitCode {
    BuildScript::run(&[HOSTILE, "wit", "Cargo.lock"], |script| {
        for kind in KINDS {
            script.component(HOSTILE, &[kind], &format!("hostile-{kind}"))?;
        }
        Ok(())
    })
}
