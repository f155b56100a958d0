//! The programs of a cluster, which `tests/cluster/tools/get` builds where they aren't kept from before.

use std::{collections::HashMap, path::PathBuf, process::Command, sync::OnceLock};

const GET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/tools/get");

/// Where one of them is.
///
/// # Panics
/// When they can't be had; `tests/cluster/run` counts the tests as skipped there and doesn't come here.
pub fn tool(name: &str) -> PathBuf {
    static TOOLS: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    let tools = TOOLS.get_or_init(|| {
        let run = Command::new(GET).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let lines = String::from_utf8(run.stdout).unwrap();
        lines.lines().filter_map(|line| line.split_once(' ')).map(|(name, path)| (name.to_owned(), path.into())).collect()
    });
    tools.get(name).unwrap_or_else(|| panic!("{GET} knows no {name}")).clone()
}
