//! Builds the hostile plugins, one of each kind, and one with WASI, and leaves their components where the harness embeds them from;
//! beside them the default plugins, for tests that mount them as files.

use std::process::ExitCode;

use wicketgate_plugin_build::BuildScript;

/// The fixture, whose features are the kinds of plugin.
const HOSTILE: &str = "tests/fixtures/hostile";
const WASI: &str = "tests/fixtures/wasi";
const KINDS: [&str; 3] = ["discovery-filter", "authenticator", "routing-policy"];
/// Directories under `plugins/`.
const DEFAULTS: [&str; 3] = ["discovery-filter", "cookie-auth", "routing-policy"];

fn main() -> ExitCode {
    BuildScript::run(&[HOSTILE, WASI, "plugins", "wit", "Cargo.lock"], |script| {
        for kind in KINDS {
            script.component(HOSTILE, &[kind], &format!("hostile-{kind}"))?;
        }
        for name in DEFAULTS {
            script.component(&format!("plugins/{name}"), &[], name)?;
        }
        script.component(WASI, &[], "wasi")?;
        Ok(())
    })
}
