//! Python: a virtual environment in the project for componentize-py, which puts the module into an interpreter.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    project::Project,
    steps::Steps,
    world::{Contract, WORLD},
};

const SOURCE: &str = "plugin.py";
const REQUIREMENTS: &str = "requirements.txt";
const ENVIRONMENT: &str = ".venv";
const PYTHON: &str = "install Python 3.10 or newer with its module venv (on Debian: apt install python3 python3-venv)";
const TOOL: &str = "requirements.txt must name componentize-py, as `wicketgate plugin new --lang python` writes it";

pub(super) fn component(project: &Project, steps: &Steps) -> Result<Vec<u8>, String> {
    let directory = fs::canonicalize(&project.directory).map_err(|error| format!("{}: {error}", project.directory.display()))?;
    if !directory.join(SOURCE).is_file() {
        return Err(format!("{}: found no source, expected {SOURCE}", project.directory.display()));
    }
    let environment = environment(&directory, steps)?;
    let made = tempfile::tempdir().map_err(|error| format!("a directory for temporary files: {error}"))?;
    let component = made.path().join("plugin.wasm");

    steps.step("making the component");
    let contract = Contract::write(project)?;
    let mut componentize = Command::new(environment.join("bin/componentize-py"));
    // Further packages of the environment go into the component where the source imports them.
    componentize.current_dir(&directory).env("VIRTUAL_ENV", &environment);
    componentize.arg("--quiet").arg("--wit-path").arg(contract.path()).args(["--world", WORLD, "componentize", "plugin"]);
    for path in [".", "vendor"].iter().filter(|path| directory.join(path).is_dir()) {
        componentize.args(["--python-path", path]);
    }
    componentize.arg("--stub-wasi").arg("--output").arg(&component);
    steps.run(&mut componentize, TOOL)?;
    fs::read(&component).map_err(|error| format!("componentize-py left no component: {error}"))
}

/// The environment, with what the requirements name; made anew when they have changed.
fn environment(directory: &Path, steps: &Steps) -> Result<PathBuf, String> {
    let in_words = |error: std::io::Error| format!("{}: {error}", directory.join(ENVIRONMENT).display());
    let environment = directory.join(ENVIRONMENT);
    let installed = environment.join("installed-requirements.txt");
    // Its programs know the environment by its path: where the project was moved, it's made anew.
    let mut wanted = format!("# {}\n", environment.display()).into_bytes();
    wanted.extend(fs::read(directory.join(REQUIREMENTS)).map_err(in_words)?);
    if fs::read(&installed).is_ok_and(|have| have == wanted) {
        return Ok(environment);
    }
    if environment.exists() {
        fs::remove_dir_all(&environment).map_err(in_words)?;
    }
    steps.step("venv: making an environment");
    steps.run(Command::new("python3").args(["-m", "venv"]).arg(&environment), PYTHON)?;
    steps.step("pip: installing the tools");
    let mut pip = Command::new(environment.join("bin/python"));
    pip.current_dir(directory).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        REQUIREMENTS,
    ]);
    steps.run(&mut pip, PYTHON)?;
    // Only now: what was interrupted is made again.
    fs::write(&installed, wanted).map_err(in_words)?;
    Ok(environment)
}
