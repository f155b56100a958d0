//! The default plugins as components: how large they are, and what they import.

use std::path::{Path, PathBuf};

use wicketgate_plugin_build::{Compiler, Error, Guest, LockFile, build};

/// Each gateway carries all three, and whoever builds on one ships it in a ConfigMap, which holds 1 MiB.
const SIZE_MAX: usize = 60 * 1024;

fn component(name: &str) -> Result<Vec<u8>, Error> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout.join("target"), PathBuf::from);
    let guest = Guest {
        manifest: &checkout.join("plugins").join(name).join("Cargo.toml"),
        target_dir: &target.join("wasm"),
        features: &[],
        lock_file: LockFile::Keep,
    };
    let compiler = Compiler::find(Some(&checkout.join("target/wasm-toolchain")))?;
    build(&compiler, &guest)
}

fn holds(component: &[u8], text: &str) -> bool {
    component.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn default_plugins_are_small_and_import_their_world_only() -> Result<(), Error> {
    for (name, exported, imports_jwt) in [
        ("discovery-filter", "wicketgate:plugin/discovery@", false),
        ("cookie-auth", "wicketgate:plugin/authentication@", true),
        ("routing-policy", "wicketgate:plugin/routing@", false),
    ] {
        let component = component(name)?;
        #[expect(clippy::print_stderr, reason = "`--nocapture` shows the sizes")]
        {
            eprintln!("{name}: {} bytes", component.len());
        }
        assert!(component.len() <= SIZE_MAX, "{name} has {} bytes, more than {SIZE_MAX}", component.len());
        assert!(holds(&component, exported), "{name} exports its interface");
        assert_eq!(holds(&component, "wicketgate:plugin/jwt@"), imports_jwt, "{name} and jwt");
        // Without the import, no grant is needed.
        assert!(!holds(&component, "wicketgate:plugin/log@"), "{name} doesn't log");
        assert!(!holds(&component, "wasi:"), "{name} imports no WASI");
        // The same sources give the same bytes anywhere: nothing of this machine is in them.
        assert!(!holds(&component, env!("CARGO_MANIFEST_DIR")), "{name} names the checkout's directory");
    }
    Ok(())
}
