//! ConfigMaps on their way into a directory, by the kubelet's own code.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use wicketgate_tests::{
    Cluster, ConfigMap,
    cluster::{Volume, volume::Presence},
};

/// Everything that is in a directory: what it is, what it says, what its permissions are. A version's name differs each time.
fn tree(directory: &Path) -> BTreeMap<String, String> {
    let version = fs::read_link(directory.join("..data")).unwrap().to_str().unwrap().to_owned();
    let shape: String = version.chars().map(|each| if each.is_ascii_alphanumeric() { '9' } else { each }).collect();
    assert!(shape.starts_with("..9999_99_99_99_99_99."), "{version}");
    let mut tree = BTreeMap::new();
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let is = path.symlink_metadata().unwrap();
            let what = if is.is_symlink() {
                format!("to {}", fs::read_link(&path).unwrap().display())
            } else if is.is_dir() {
                folders.push(path.clone());
                format!("folder {:o}", is.permissions().mode() & 0o7777)
            } else {
                format!("file {:o} {}", is.permissions().mode() & 0o7777, String::from_utf8_lossy(&fs::read(&path).unwrap()))
            };
            let name = path.strip_prefix(directory).unwrap().to_str().unwrap();
            tree.insert(name.replace(&version, "VERSION"), what.replace(&version, "VERSION"));
        }
    }
    tree
}

fn version(directory: &Path) -> std::path::PathBuf {
    fs::read_link(directory.join("..data")).unwrap()
}

/// The other tests use the directory that is made without a cluster: it's the same thing.
#[tokio::test]
async fn what_the_other_tests_take_for_a_mount_is_what_the_kubelet_makes() {
    let namespace = Cluster::shared().await.namespace("mount").await;
    namespace.config_map("files", &json!({"a": "1", "b.yaml": "2"})).await;
    let volume = Volume::mount(&namespace, &[("files", Presence::Required)]).await;
    let mut own = ConfigMap::new(&[("a", "1"), ("b.yaml", "2")]);
    assert_eq!(tree(volume.path()), tree(own.path()));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
    assert_eq!(mode(volume.path()), mode(own.path()));

    // Changed, added and removed.
    namespace.api.merge(&namespace.core("configmaps/files"), &json!({"data": {"a": "3", "b.yaml": null, "c": "4"}})).await;
    volume.sync().await.unwrap();
    own.replace(&[("a", "3"), ("c", "4")]);
    assert_eq!(tree(volume.path()), tree(own.path()));

    // Nothing changed: nothing is touched.
    let (theirs, ours) = (version(volume.path()), version(own.path()));
    volume.sync().await.unwrap();
    own.replace(&[("a", "3"), ("c", "4")]);
    assert_eq!((version(volume.path()), version(own.path())), (theirs, ours));

    // Only removed.
    namespace.api.merge(&namespace.core("configmaps/files"), &json!({"data": {"c": null}})).await;
    volume.sync().await.unwrap();
    own.replace(&[("a", "3")]);
    assert_eq!(tree(volume.path()), tree(own.path()));
    assert_eq!(fs::read_to_string(volume.path().join("a")).unwrap(), "3");
    assert!(!volume.path().join("c").exists());
}

#[tokio::test]
async fn several_maps_are_one_directory_and_bytes_are_bytes() {
    let namespace = Cluster::shared().await.namespace("mounts").await;
    let module = b"\0asm\x01\0\0\0\xff\xfe";
    let binary = json!({"metadata": {"name": "team-a"}, "binaryData": {"a.wasm": STANDARD.encode(module)}});
    namespace.api.create(&namespace.core("configmaps"), &binary).await;
    namespace.config_map("team-b", &json!({"plugins.yaml": "b"})).await;
    let maps = [("team-a", Presence::Required), ("team-b", Presence::Required), ("team-c", Presence::Optional)];
    let volume = Volume::mount(&namespace, &maps).await;
    assert_eq!(fs::read(volume.path().join("a.wasm")).unwrap(), module);
    assert_eq!(fs::read_to_string(volume.path().join("plugins.yaml")).unwrap(), "b");

    // An optional map that comes later is carried like a change.
    namespace.config_map("team-c", &json!({"c.yaml": "c"})).await;
    volume.sync().await.unwrap();
    assert_eq!(fs::read_to_string(volume.path().join("c.yaml")).unwrap(), "c");

    // A required one that is gone stops the rest: the directory stays as it was.
    namespace.api.delete(&namespace.core("configmaps/team-b")).await;
    namespace.api.merge(&namespace.core("configmaps/team-c"), &json!({"data": {"c.yaml": "d"}})).await;
    let before = tree(volume.path());
    let error = volume.sync().await.unwrap_err();
    assert!(error.contains("team-b"), "{error}");
    assert_eq!(tree(volume.path()), before);
}
