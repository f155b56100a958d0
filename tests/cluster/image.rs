//! The image, built by `buildah` as the Dockerfile says, and what it says of itself and holds. `container` runs it, `compose`
//! reads the example that starts it.
//!
//! No registry of images is reached: the base is made of Debian's packages, and the program is the one that the other tests
//! start, so the stage that compiles doesn't run.

mod build;
mod compose;
mod container;

use serde_json::json;

use build::Entry;
pub use build::Image;

/// Compressed, as it's fetched: twice what it is now would be a mistake.
const LARGEST_BYTES: u64 = 32 * 1024 * 1024;

#[tokio::test]
async fn the_image_runs_the_gateway_as_a_user_without_rights() {
    let image = Image::built().await;
    let config = image.config().await;
    assert_eq!(config["User"], "65532:65532", "a name would be refused by runAsNonRoot: {config}");
    assert_eq!(config["Entrypoint"], json!(["/usr/bin/wicketgate"]), "{config}");
    assert_eq!(config["Cmd"], json!(["run"]), "{config}");
    assert_eq!(config["StopSignal"], "SIGTERM", "{config}");
    assert_eq!(config["WorkingDir"], "/", "{config}");
    assert_eq!(config["ExposedPorts"], json!({"8080/tcp": {}, "9090/tcp": {}}), "{config}");
}

#[tokio::test]
async fn the_labels_name_what_was_built() {
    let image = Image::built().await;
    let config = image.config().await;
    let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].as_str().unwrap_or_default().to_owned();
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"), "VERSION in the Dockerfile isn't that of Cargo.toml");
    assert_eq!(label("title"), "Wicketgate");
    assert_eq!(label("licenses"), "Apache-2.0");
    assert_eq!(label("revision"), build::REVISION);
    assert_eq!(label("base.name"), build::BASE);
    assert!(label("description").starts_with("An access gateway"), "{config}");
}

#[tokio::test]
async fn no_layer_holds_a_shell_or_gives_rights() {
    let image = Image::built().await;
    let layers = image.layers().await;
    assert!(layers.len() >= 2, "the base's and ours: {}", layers.len());
    let entries: Vec<&Entry> = layers.iter().flat_map(|layer| &layer.entries).collect();
    let gives_rights: Vec<_> = entries.iter().filter(|entry| entry.is_file() && entry.gives_rights()).collect();
    assert!(gives_rights.is_empty(), "{gives_rights:?}");
    // Libraries are loaded, not run; but the dynamic linker has to be.
    let programs: Vec<_> = entries.iter().filter(|entry| entry.is_file() && entry.is_executable() && !entry.is_library()).collect();
    let names: Vec<&str> = programs.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(names, ["usr/bin/wicketgate"]);
    assert_eq!(programs[0].mode, "-rwxr-xr-x");
    assert_eq!(programs[0].owner, "0/0", "who runs it could change it");
    let certificates = entries.iter().find(|entry| entry.path == "etc/ssl/certs/ca-certificates.crt");
    assert!(certificates.is_some_and(|entry| entry.bytes > 100_000), "the certificates of authorities: {certificates:?}");
    let bytes: u64 = layers.iter().map(|layer| layer.compressed_bytes).sum();
    println!("{bytes} bytes compressed, {} unpacked", entries.iter().map(|entry| entry.bytes).sum::<u64>());
    assert!(bytes < LARGEST_BYTES, "{bytes} bytes compressed");
}
