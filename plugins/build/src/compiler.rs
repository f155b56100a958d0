//! Which compiler can build for Wasm: the active one if it has the target, else a private one of `plugins/toolchain`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, TARGET};

/// A compiler that has the standard library for [`TARGET`].
#[derive(Debug, Clone)]
pub struct Compiler {
    pub(crate) rustc: PathBuf,
}

impl Compiler {
    /// Looks at the active compiler (`RUSTC`, else `rustc`) and then in `private`, a directory that `plugins/toolchain`
    /// has filled (`target/wasm-toolchain` of a checkout).
    ///
    /// # Errors
    /// [`Error::NoWasmTarget`] when neither has the target.
    pub fn find(private: Option<&Path>) -> Result<Self, Error> {
        // A build script is told the compiler's path by RUSTC, and may run where `rustc` isn't in the search path.
        let active = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
        let candidates = [Some(PathBuf::from(active)), private.map(|directory| directory.join("rustc"))];
        let rustc = candidates.into_iter().flatten().find(|rustc| has_target(rustc)).ok_or(Error::NoWasmTarget)?;
        Ok(Self { rustc })
    }

    /// The same without a checkout: the private directory is what `WICKETGATE_WASM_TOOLCHAIN` names, or else the one that
    /// `plugins/toolchain` of any checkout has kept for further ones.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub fn find_installed() -> Result<Self, Error> {
        let named = std::env::var_os("WICKETGATE_WASM_TOOLCHAIN").map(PathBuf::from);
        Self::find(named.or_else(kept).as_deref())
    }
}

fn kept() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    Some(cache.join("wicketgate").join(format!("wasm-toolchain-{}", std::env::consts::ARCH)))
}

/// `rustc` knows the target's name in any case; what may be missing is its standard library.
fn has_target(rustc: &Path) -> bool {
    let Ok(answer) = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output() else {
        return false;
    };
    let libraries = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    answer.status.success()
        && std::fs::read_dir(libraries).is_ok_and(|files| {
            files.flatten().any(|file| {
                let name = file.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libstd-") && name.ends_with(".rlib")
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_that_is_not_a_compiler_has_no_target() {
        assert!(!has_target(Path::new("/nonexistent/rustc")));
        assert!(!has_target(Path::new("true")));
    }
}
