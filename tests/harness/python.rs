//! Python packages from PyPI, each choice of them in an environment of its own outside the checkout, made when it's absent.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::cache;

/// One environment at a time is made by this process.
static MAKING: Mutex<()> = Mutex::new(());

/// The interpreter of an environment that has this one package with what it needs (`clearml`, `2.0.2`).
///
/// # Panics
/// When Python or the package can't be had: a test that needs it can't be passed over.
pub fn with_package(package: &str, version: &str) -> PathBuf {
    with_packages(&[(package, version)])
}

/// The same with several.
pub fn with_packages(packages: &[(&str, &str)]) -> PathBuf {
    let _one = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let name = packages.iter().fold("venv".to_owned(), |name, (package, version)| format!("{name}-{package}-{version}"));
    let directory = cache::directory().join(name);
    let (python, made) = (directory.join("bin/python"), directory.join("complete"));
    if made.exists() && python.exists() {
        return python;
    }
    let _ = std::fs::remove_dir_all(&directory);
    run(Path::new("python3"), &["-m", "venv", directory.to_str().unwrap()]);
    let wanted: Vec<String> = packages.iter().map(|(package, version)| format!("{package}=={version}")).collect();
    let wanted = wanted.iter().map(String::as_str);
    let install: Vec<&str> = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"].into_iter().chain(wanted).collect();
    run(&python, &install);
    // Only now: what was interrupted is made again.
    std::fs::write(made, "").unwrap();
    python
}

fn run(program: &Path, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}: the tests need Python 3 with venv", program.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {}\n{said}", program.display(), output.status);
}
