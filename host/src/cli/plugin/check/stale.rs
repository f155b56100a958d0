//! Whether a project's component is what its source says: a build that failed leaves the one before.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::Finding;

/// What components of projects are made of, as `plugin new` lays them out.
const SOURCES: [&str; 5] = ["src", "plugin.py", "Cargo.toml", "package.json", "requirements.txt"];

/// Says which component is older than which source. Where the directory is no project there is nothing to say.
pub(super) fn stale(directory: &Path) -> Option<Finding> {
    let (source, changed) = SOURCES.iter().filter_map(|name| newest(&directory.join(name))).max_by_key(|(_, at)| *at)?;
    let is_component = |path: &PathBuf| path.to_str().is_some_and(|name| name.ends_with(".wasm") || name.ends_with(".wasm.zst"));
    let built = entries(directory).filter(is_component).filter_map(|path| Some((modified(&path)?, path)));
    let (_, component) = built.filter(|(at, _)| *at < changed).min()?;
    let shown = |path: &Path| path.strip_prefix(directory).unwrap_or(path).display().to_string();
    let says = format!("{} is older than {}: `wicketgate plugin build` makes it anew", shown(&component), shown(&source));
    Some(Finding::note("build", says))
}

/// The file that was changed last, of one or of all in a directory.
fn newest(path: &Path) -> Option<(PathBuf, SystemTime)> {
    if path.is_dir() {
        return entries(path).filter_map(|path| newest(&path)).max_by_key(|(_, at)| *at);
    }
    Some((path.to_owned(), modified(path)?))
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path())
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_component_that_is_older_than_its_source_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, seconds: u64| {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = fs::File::create(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        write("ours.wasm", 20);
        assert_eq!(stale(directory.path()), None, "no project");
        write("package.json", 5);
        write("src/deep/rules.js", 10);
        assert_eq!(stale(directory.path()), None);
        write("src/deep/rules.js", 30);
        let found = stale(directory.path()).unwrap();
        assert_eq!(found.detail, "ours.wasm is older than src/deep/rules.js: `wicketgate plugin build` makes it anew");
    }
}
