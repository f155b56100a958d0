//! The house's walls, held by a test: which room may name what, and which floor may look at which. See ARCHITECTURE.md.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Rooms by floor, from the ground. A room imports from floors below, and from itself.
const FLOORS: [&[&str]; 8] = [
    &["domain"],
    &["config", "error", "shutdown", "background"],
    &["telemetry", "plugin", "clearml", "kubernetes", "upstream"],
    &["admission", "route"],
    &["snapshot"],
    &["discovery", "request"],
    &["auth"],
    &["listener", "admin", "demo"],
];
/// The roof, which may see everything.
const ROOF: [&str; 7] = ["run", "cli", "lib", "main", "walls", "examples", "certificates"];

/// A word with the rooms that may say it.
const WALLS: [(&str, &[&str]); 6] = [
    ("wasmtime", &["plugin"]),
    ("kube::", &["kubernetes"]),
    ("oci_client", &["admission"]),
    ("hyper::server", &["listener", "admin", "demo"]),
    ("env::var", &["config"]),
    ("bindings::", &["plugin"]),
];

fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn room(path: &Path) -> String {
    path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The code without comments and without tests: those may name anything.
fn code(path: &Path, text: &str) -> String {
    if path.ends_with("tests.rs") || path.iter().any(|part| part == "tests") {
        return String::new();
    }
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn every_room_has_a_floor() {
    for path in sources().keys() {
        let room = room(path);
        assert!(floor(&room).is_some() || ROOF.contains(&room.as_str()), "{room} ({}) has no floor", path.display());
    }
}

#[test]
fn only_the_room_behind_a_wall_names_what_is_there() {
    for (path, text) in sources() {
        let (room, code) = (room(&path), code(&path, &text));
        for (word, allowed) in WALLS {
            let outside = !allowed.contains(&room.as_str()) && room != "walls";
            assert!(!(outside && code.contains(word)), "{} names {word}, which belongs to {allowed:?}", path.display());
        }
    }
}

#[test]
fn rooms_import_from_floors_below() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let from = room(&path);
        let Some(from_floor) = floor(&from) else { continue };
        let code = code(&path, &text);
        for (to_floor, to) in FLOORS.iter().enumerate().flat_map(|(at, rooms)| rooms.iter().map(move |room| (at, *room))) {
            let named = code.contains(&format!("crate::{to}::"))
                || code.split("use crate::{").skip(1).any(|block| {
                    let block = block.split("};").next().unwrap_or_default();
                    block.split(|char: char| !char.is_alphanumeric() && char != '_').any(|word| word == to)
                        && block.contains(&format!("{to}::"))
                });
            let allowed = to == from || to_floor < from_floor;
            if named && !allowed {
                wrong.push(format!("{} looks at {to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
