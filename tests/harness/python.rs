//! Python packages from PyPI, each version in an environment of its own outside the checkout, made when it's absent.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

/// One environment at a time is made by this process.
static MAKING: Mutex<()> = Mutex::new(());

/// The interpreter of an environment that has this one package with what it needs (`clearml`, `2.0.2`).
///
/// # Panics
/// When Python or the package can't be had: a test that needs it can't be passed over.
pub fn with_package(package: &str, version: &str) -> PathBuf {
    let _one = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let directory = cache().join(format!("venv-{package}-{version}"));
    let (python, made) = (directory.join("bin/python"), directory.join("complete"));
    if made.exists() && python.exists() {
        return python;
    }
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(cache()).unwrap();
    run(Path::new("python3"), &["-m", "venv", directory.to_str().unwrap()]);
    run(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &format!("{package}=={version}")]);
    // Only now: what was interrupted is made again.
    std::fs::write(made, "").unwrap();
    python
}

fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    base.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME isn't set")).join(".cache")).join("wicketgate")
}

fn run(program: &Path, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}: the tests need Python 3 with venv", program.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {}\n{said}", program.display(), output.status);
}
