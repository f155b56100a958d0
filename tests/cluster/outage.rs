//! The API server is away: what was known is served, and what changed meanwhile is seen afterwards.

use wicketgate_tests::{Cluster, Way};

use crate::stage::{Stage, annotation, answers, leads, person};

#[tokio::test]
async fn a_killed_server_takes_no_session_with_it() {
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.clone(), "outage", &[]).await;
    let gateway = stage.gateway().await;
    let anybody = person("anybody");
    let stays = stage.public("stays").await;
    let _goes = stage.public("goes").await;
    for name in ["stays", "goes"] {
        answers(&gateway, &anybody, name, 200).await;
    }
    let url = annotation(&stays.pod, "endpoint").await;

    cluster.kill_server();
    gateway.logs("the source failed").await;
    for name in ["stays", "goes"] {
        assert_eq!(anybody.get(&gateway.at(&format!("/service/{name}/echo"))).await.status, 200);
    }

    // Nobody tells the gateway what happens while it has no way to the server, and the server that comes remembers no changes.
    stage.relay.set(Way::Cut);
    cluster.start_server().await;
    stage.namespace.api.delete(&stage.namespace.core("pods/goes?gracePeriodSeconds=0")).await;
    let _comes = stage.public("comes").await;
    cluster.kill_server();
    cluster.start_server().await;
    stage.relay.set(Way::Open);
    answers(&gateway, &anybody, "goes", 404).await;
    answers(&gateway, &anybody, "comes", 200).await;
    answers(&gateway, &anybody, "stays", 200).await;
    leads(&gateway).await;
    assert_eq!(annotation(&stays.pod, "endpoint").await, url);
}
