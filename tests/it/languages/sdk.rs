//! The SDKs' own tests, each by its language's test runner.

use super::*;

fn passes(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&said));
}

#[test]
fn the_sdk_for_javascript_passes_its_tests() {
    passes(Command::new("node").arg("--test").current_dir(Path::new(CHECKOUT).join("plugins/sdk-js")));
}

#[test]
fn the_sdk_for_python_passes_its_tests() {
    let tests = Path::new(CHECKOUT).join("plugins/sdk-python/test");
    // Nothing is left beside the sources, which the gateway embeds.
    let unittest = ["-B", "-m", "unittest", "discover", "--start-directory"];
    passes(Command::new("python3").args(unittest).arg(tests));
}
