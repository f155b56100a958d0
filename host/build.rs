//! Builds the default plugins and writes `embedded_plugins.rs`: their names and the bytes of their components. They are ordinary
//! plugins, built from `plugins/` as anybody else's would be; only the way to the gateway is different.
//!
//! And `author_files.rs`: the templates, SDKs and the contract that `plugin new` writes, so that authors need no checkout.

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use wicketgate_plugin_build::BuildScript;

/// The name in the manifest, which is also the directory under `plugins/`.
const DEFAULTS: [&str; 3] = ["discovery-filter", "cookie-auth", "routing-policy"];

/// What authors get: a directory of the checkout, and the name that it has in the table.
const FOR_AUTHORS: [(&str, &str); 5] = [
    ("plugins/templates", "templates"),
    ("plugins/sdk", "sdk/rust"),
    ("plugins/sdk-js", "sdk/js"),
    ("plugins/sdk-python", "sdk/python"),
    ("wit", "wit"),
];

fn main() -> ExitCode {
    BuildScript::run(&["plugins", "wit", "Cargo.lock"], |script| {
        let mut table = String::from("/// The default plugins: name and component.\npub static EMBEDDED: &[(&str, &[u8])] = &[\n");
        for name in DEFAULTS {
            let component = script.component(&format!("plugins/{name}"), &[], name)?;
            writeln!(table, "    ({name:?}, include_bytes!({:?})),", component.display().to_string())?;
        }
        table.push_str("];\n");
        std::fs::write(script.out().join("embedded_plugins.rs"), table)?;
        write_author_files(script)
    })
}

fn write_author_files(script: &BuildScript) -> Result<(), Box<dyn Error>> {
    let mut table =
        String::from("/// What projects of plugins are made of: name and content.\npub static FILES: &[(&str, &[u8])] = &[\n");
    for (directory, name) in FOR_AUTHORS {
        let root = script.checkout().join(directory);
        let mut files = Vec::new();
        collect(&root, &mut files)?;
        files.sort();
        for file in files {
            let name = Path::new(name).join(file.strip_prefix(&root)?);
            let content = if file.ends_with("plugins/sdk/Cargo.toml") { standing_alone(script, &file)? } else { file };
            let content = fs::canonicalize(content)?;
            writeln!(table, "    ({:?}, include_bytes!({:?})),", name.display().to_string(), content.display().to_string())?;
        }
    }
    table.push_str("];\n");
    fs::write(script.out().join("author_files.rs"), table)?;
    Ok(())
}

/// All files of a directory but those of tests, and whatever is hidden or installed there.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || ["node_modules", "__pycache__", "test"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The SDK's manifest outside this workspace: what it takes from there stands in it, but for the lints.
fn standing_alone(script: &BuildScript, manifest: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let workspace = fs::read_to_string(script.checkout().join("Cargo.toml"))?;
    let section = workspace.split("\n[").find_map(|section| section.strip_prefix("workspace.package]\n"));
    let section = section.ok_or("Cargo.toml has no [workspace.package]")?;
    let mut own = fs::read_to_string(manifest)?.replace("\n[lints]\nworkspace = true\n", "");
    for line in section.lines() {
        if let Some((key, _)) = line.split_once(" = ") {
            own = own.replace(&format!("\n{key}.workspace = true\n"), &format!("\n{line}\n"));
        }
    }
    if own.contains("workspace = true") {
        return Err("plugins/sdk/Cargo.toml takes something from the workspace that host/build.rs doesn't know".into());
    }
    let path = script.out().join("sdk-Cargo.toml");
    fs::write(&path, own)?;
    Ok(path)
}
