//! JavaScript and TypeScript: npm for the tools, esbuild to make one module of all, componentize-qjs to put it into an engine.

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

const NODE: &str = "install Node.js 18 or newer with npm (on Debian: apt install nodejs npm)";
const TOOLS: &str = "package.json must name componentize-qjs and esbuild among its devDependencies, \
    as `wicketgate plugin new --lang js` writes them";
/// Where the source may begin, the first that is there.
const SOURCES: [&str; 4] = ["src/plugin.ts", "src/plugin.js", "plugin.ts", "plugin.js"];

pub(super) fn component(project: &Project, steps: &Steps) -> Result<Vec<u8>, String> {
    let directory = fs::canonicalize(&project.directory).map_err(|error| format!("{}: {error}", project.directory.display()))?;
    let source = SOURCES
        .into_iter()
        .find(|name| directory.join(name).is_file())
        .ok_or_else(|| format!("{}: found no source, expected one of {}", project.directory.display(), SOURCES.join(", ")))?;
    install(&directory, steps)?;
    let made = tempfile::tempdir().map_err(|error| format!("a directory for temporary files: {error}"))?;
    let (module, component) = (made.path().join("plugin.js"), made.path().join("plugin.wasm"));

    steps.step("bundling");
    let mut esbuild = tool(&directory, "esbuild");
    esbuild.arg(source).arg(format!("--outfile={}", module.display())).args([
        "--bundle",
        "--format=esm",
        "--target=es2022",
        "--external:wicketgate:*",
        "--log-level=warning",
    ]);
    steps.run(&mut esbuild, TOOLS)?;
    check_imports(&module, project)?;

    steps.step("making the component");
    let contract = Contract::write(project)?;
    let mut componentize = tool(&directory, "componentize-qjs");
    componentize.args(["--sync", "--stub-wasi", "--world", WORLD, "--wit"]).arg(contract.path());
    componentize.arg("--js").arg(&module).arg("--output").arg(&component);
    steps.run(&mut componentize, TOOLS)?;
    fs::read(&component).map_err(|error| format!("componentize-qjs left no component: {error}"))
}

/// Installs what the project names, unless that was done after it was last changed.
fn install(directory: &Path, steps: &Steps) -> Result<(), String> {
    let changed = |file: &str| fs::metadata(directory.join(file)).and_then(|it| it.modified()).ok();
    let (package, lock, installed) =
        (changed("package.json"), changed("package-lock.json"), changed("node_modules/.package-lock.json"));
    if installed.is_some() && package <= installed && lock <= installed {
        return Ok(());
    }
    steps.step("npm: installing the tools");
    let mut npm = Command::new("npm");
    // It takes the versions of a lock file, too. `npm ci` doesn't do: it objects to lock files that npm wrote itself, where a package
    // names optional ones that its registry doesn't have, as componentize-qjs does.
    // What these packages would run after installation isn't needed, and a build runs as little of others' code as can be.
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    steps.run(npm.current_dir(directory), NODE)
}

fn tool(directory: &Path, name: &str) -> Command {
    let program: PathBuf = directory.join("node_modules/.bin").join(name);
    let mut command = Command::new(program);
    command.current_dir(directory);
    command
}

/// What isn't in the world can't be imported; the tool's own words for that name neither grant nor manifest.
fn check_imports(module: &Path, project: &Project) -> Result<(), String> {
    let text = fs::read_to_string(module).map_err(|error| format!("esbuild left no module: {error}"))?;
    for (granted, interface, key) in [(project.log, "log", "log: true"), (project.jwt, "jwt", "key_sets: […]")] {
        if !granted && text.contains(&format!("\"wicketgate:plugin/{interface}@")) {
            return Err(format!("the source imports {interface}, which plugins.yaml doesn't grant: give it grants: {{{key}}}"));
        }
    }
    Ok(())
}
