//! What a build script of this checkout needs that builds guests: the checkout, a compiler, and where to put components. For the
//! gateway, which embeds its default plugins, and for the tests, which embed hostile ones.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{Compiler, Guest, LockFile, build};

type Failure = Box<dyn Error>;

/// A running build script of a package that stands directly below the checkout.
#[derive(Debug)]
pub struct BuildScript {
    checkout: PathBuf,
    out: PathBuf,
    compiler: Compiler,
}

// === impl BuildScript ===

impl BuildScript {
    /// Runs a build script's work; what goes wrong becomes cargo's error, in one sentence. `inputs` are paths of the checkout
    /// whose change makes it run again.
    #[expect(clippy::print_stdout, reason = "that's how a build script speaks to cargo")]
    pub fn run(inputs: &[&str], work: impl FnOnce(&Self) -> Result<(), Failure>) -> ExitCode {
        match Self::begin(inputs).and_then(|script| work(&script)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                println!("cargo::error={failure}");
                ExitCode::FAILURE
            }
        }
    }

    #[expect(clippy::print_stdout, reason = "that's how a build script speaks to cargo")]
    fn begin(inputs: &[&str]) -> Result<Self, Failure> {
        let checkout = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("..");
        let out = PathBuf::from(std::env::var("OUT_DIR")?);
        for input in inputs {
            println!("cargo::rerun-if-changed={}", checkout.join(input).display());
        }
        println!("cargo::rerun-if-env-changed=WICKETGATE_WASM_TOOLCHAIN");
        let private = std::env::var_os("WICKETGATE_WASM_TOOLCHAIN").map(PathBuf::from);
        let compiler = Compiler::find(Some(&private.unwrap_or_else(|| checkout.join("target/wasm-toolchain"))))?;
        Ok(Self { checkout, out, compiler })
    }

    /// The checkout that the package stands in.
    pub fn checkout(&self) -> &Path {
        &self.checkout
    }

    /// Where the script's own output goes.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Builds the guest in a directory of the checkout. Answers where its component is: `<name>.wasm` in `out`.
    ///
    /// # Errors
    /// The guest can't be built.
    pub fn component(&self, directory: &str, features: &[&str], name: &str) -> Result<PathBuf, Failure> {
        let guest = Guest {
            manifest: &self.checkout.join(directory).join("Cargo.toml"),
            target_dir: &guest_target_dir(&self.out),
            features,
            lock_file: LockFile::Keep,
        };
        let component = self.out.join(format!("{name}.wasm"));
        std::fs::write(&component, build(&self.compiler, &guest)?)?;
        Ok(component)
    }
}

/// `target/wasm`: beside the directories of the profiles, so that debug, release and the tests build each guest once.
/// Cargo gives no other way to know it than from `target/<profile>/build/<package>/out`.
fn guest_target_dir(out: &Path) -> PathBuf {
    out.ancestors()
        .find(|directory| directory.file_name().is_some_and(|name| name == "build"))
        .and_then(|build| build.parent()?.parent())
        .map_or_else(|| out.join("wasm"), |target| target.join("wasm"))
}
