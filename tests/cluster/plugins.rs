//! Plugins from ConfigMaps: by the mount, as the kubelet brings it, and by the API.

use serde_json::json;
use wicketgate_tests::{
    Client, Gateway,
    cluster::{Volume, volume::Presence},
    eventually,
};

use crate::stage::{MANIFEST, Stage, answers, leads, person};

const NAME: &str = "team-a";
const VALUES: [&str; 4] = ["--set", "plugins.watch=true", "--set", "plugins.existingConfigMaps={team-a}"];

/// Pods aren't believed that say they're public.
fn closed() -> String {
    MANIFEST.replace("trusted_sources: [file, kubernetes, clearml]", "trusted_sources: []")
}

/// A gateway with this directory, which may watch ConfigMaps as well.
async fn gateway(stage: &Stage, volume: &Volume, watched: &[&str]) -> Gateway {
    let mount = stage.plugins.path().display().to_string();
    let config = stage.config("").replace(&mount, &volume.path().display().to_string());
    let config = config.replace("poll_s: 1}", &format!("poll_s: 1, config_maps: [{}]}}", watched.join(", ")));
    let gateway = Gateway::start_on(&stage.network.host(), &config).await;
    leads(&gateway).await;
    gateway
}

async fn write(stage: &Stage, manifest: &str) {
    let path = stage.namespace.core(&format!("configmaps/{NAME}"));
    stage.namespace.api.merge(&path, &json!({"data": {"plugins.yaml": manifest}})).await;
}

async fn generation(gateway: &Gateway) -> u64 {
    gateway.status("/plugins").await["generation"].as_u64().unwrap()
}

#[tokio::test]
async fn a_mounted_config_map_changes_what_decides_when_the_kubelet_brings_it() {
    let stage = Stage::new("mounted").await;
    stage.namespace.config_map(NAME, &json!({"plugins.yaml": MANIFEST})).await;
    let volume = Volume::mount(&stage.namespace, &[(NAME, Presence::Required)]).await;
    let gateway = gateway(&stage, &volume, &[]).await;
    let _web = stage.public("web").await;
    answers(&gateway, &Client::default(), "web", 200).await;

    write(&stage, &closed()).await;
    assert_eq!(Client::default().get(&gateway.at("/service/web/echo")).await.status, 200);
    volume.sync().await.unwrap();
    answers(&gateway, &Client::default(), "web", 401).await;
}

#[tokio::test]
async fn a_watched_config_map_counts_before_its_mount_and_is_not_undone_by_it() {
    let stage = Stage::with("watched", &VALUES).await;
    stage.namespace.config_map(NAME, &json!({"plugins.yaml": MANIFEST})).await;
    let volume = Volume::mount(&stage.namespace, &[(NAME, Presence::Required)]).await;
    let gateway = gateway(&stage, &volume, &[NAME]).await;
    let _web = stage.public("web").await;
    answers(&gateway, &Client::default(), "web", 200).await;
    let first = generation(&gateway).await;

    write(&stage, &closed()).await;
    answers(&gateway, &Client::default(), "web", 401).await;
    let second = generation(&gateway).await;
    assert!(second > first);

    // The kubelet is behind: it brings something that is older than what counts.
    let path = stage.namespace.core(&format!("configmaps/{NAME}"));
    stage.namespace.api.merge(&path, &json!({"data": {"plugins.yaml": format!("{MANIFEST}# older\n")}})).await;
    let third = eventually("the next one", async || Some(generation(&gateway).await).filter(|now| *now > second)).await;
    volume.sync().await.unwrap();
    stage.namespace.api.merge(&path, &json!({"data": {"plugins.yaml": closed()}})).await;
    answers(&gateway, &Client::default(), "web", 401).await;
    volume.sync().await.unwrap();
    // Had the mount counted, there'd be more.
    assert_eq!(generation(&gateway).await, third + 1);
}

/// Nobody's policy is replaced by a laxer one because a ConfigMap is missing.
#[tokio::test]
async fn a_config_map_that_is_gone_leaves_what_decides() {
    let stage = Stage::with("gone", &VALUES).await;
    stage.namespace.config_map(NAME, &json!({"plugins.yaml": closed()})).await;
    let volume = Volume::mount(&stage.namespace, &[(NAME, Presence::Optional)]).await;
    let gateway = gateway(&stage, &volume, &[NAME]).await;
    let web = stage.pod("web", &[("port", "{port}"), ("owner", "alice")]).await;
    answers(&gateway, &person("alice"), "web", 200).await;
    let before = generation(&gateway).await;
    stage.namespace.api.delete(&stage.namespace.core(&format!("configmaps/{NAME}"))).await;
    volume.sync().await.unwrap();
    // Something else is seen after that.
    web.pod.vanishes().await;
    answers(&gateway, &person("alice"), "web", 404).await;
    assert_eq!(generation(&gateway).await, before);
}
