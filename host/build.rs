//! Builds the default plugins and writes `embedded_plugins.rs`: their names and the bytes of their components.
//!
//! They are ordinary plugins, built from `plugins/` as anybody else's would be; only the way to the gateway is different.

use std::{fmt::Write as _, process::ExitCode};

use wicketgate_plugin_build::BuildScript;

/// The name in the manifest, which is also the directory under `plugins/`.
const DEFAULTS: [&str; 3] = ["discovery-filter", "cookie-auth", "routing-policy"];

fn main() -> ExitCode {
    BuildScript::run(&["plugins", "wit", "Cargo.lock"], |script| {
        let mut table = String::from("/// The default plugins: name and component.\npub static EMBEDDED: &[(&str, &[u8])] = &[\n");
        for name in DEFAULTS {
            let component = script.component(&format!("plugins/{name}"), &[], name)?;
            writeln!(table, "    ({name:?}, include_bytes!({:?})),", component.display().to_string())?;
        }
        table.push_str("];\n");
        std::fs::write(script.out().join("embedded_plugins.rs"), table)?;
        Ok(())
    })
}
