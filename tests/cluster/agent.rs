//! Tasks of a ClearML server whose agent runs them in pods: which address is a task's own, and when it has ended, pods say.

use serde_json::json;
use wicketgate_tests::{Clearml, Gateway, Relay, Upstream, cluster::Pod, eventually};

use crate::stage::{Stage, answers, person};

/// A gateway that asks both servers, and a server for each of two tasks.
struct Site {
    stage: Stage,
    clearml: Clearml,
    gateway: Gateway,
    servers: [Upstream; 2],
    _way: Relay,
}

impl Site {
    async fn start(name: &str) -> Self {
        let (stage, clearml) = (Stage::new(name).await, Clearml::start());
        let way = Relay::start(stage.network.here(), clearml.address());
        let section = format!(
            "clearml: {{api_url: 'http://{}', access_key: root-key, secret_key: root-secret, poll_ms: 200}}\n",
            way.address
        );
        let gateway = Gateway::start_on(&stage.network.host(), &(stage.config("") + &section)).await;
        let servers = [(); 2].map(|()| Upstream::start_at(stage.network.server()));
        Self { stage, clearml, gateway, servers, _way: way }
    }

    /// A task of alice's that says it's at the address of a server.
    fn task(&self, id: &str, server: usize) {
        let address = self.servers[server].address();
        let runtime = json!({"_SERVICE": "EXTERNAL", "_ADDRESS": address.ip(), "_PORT": address.port()});
        self.clearml.add_session(id, "alice", runtime);
    }

    /// The agent's pod of a task, at the address of a server.
    async fn pod(&self, task: &str, server: usize) -> Pod {
        let labels = json!({"labels": {"CLEARML": "agent-1", "clearml-agent-queue": "q1"}});
        self.stage.namespace.running_pod(&format!("clearml-id-{task}"), &labels, self.servers[server].address().ip()).await
    }

    /// Waits until a task's endpoint is refused, with this in the reason.
    async fn refuses(&self, task: &str, why: &str) {
        eventually(&format!("{task} is refused: {why}"), async || {
            let status = self.gateway.status("/sessions").await;
            let session = status["sessions"].as_array()?.iter().find(|session| session["id"] == task)?.clone();
            let endpoint = &session["endpoints"][0];
            (endpoint["state"] == "refused" && endpoint["reason"].as_str()?.contains(why)).then_some(())
        })
        .await;
        assert_eq!(person("alice").get(&self.gateway.at(&format!("/service/{task}/echo"))).await.status, 404);
    }
}

#[tokio::test]
async fn a_tasks_address_is_its_pods_or_nobodys() {
    let site = Site::start("agent").await;
    site.task("t1", 0);
    site.refuses("t1", "in no network").await;
    let pod = site.pod("t1", 0).await;
    answers(&site.gateway, &person("alice"), "t1", 200).await;

    // Another task claims the pod's address, and a third one has a pod that is somewhere else.
    site.task("t2", 0);
    site.refuses("t2", "the address of pod clearml-id-t1").await;
    site.task("t3", 0);
    let _elsewhere = site.pod("t3", 1).await;
    site.refuses("t3", "isn't the address of the session's pod").await;

    // The server still calls the task running.
    pod.terminates().await;
    site.refuses("t1", "pod has ended").await;
    assert_eq!(site.clearml.task("t1").unwrap()["status"], "in_progress");
}

#[tokio::test]
async fn a_task_is_followed_to_the_pod_that_replaces_its_own() {
    let site = Site::start("replaced").await;
    site.task("t1", 0);
    let pod = site.pod("t1", 0).await;
    answers(&site.gateway, &person("alice"), "t1", 200).await;
    // Both servers of the test listen on other ports: the second one isn't there where the task's port is, and only its address counts.
    pod.runs_at(site.servers[1].address().ip()).await;
    eventually("the other address", async || {
        let status = site.gateway.status("/sessions").await;
        let upstream = status["sessions"][0]["endpoints"][0]["upstream"].as_str()?.to_owned();
        upstream.starts_with(&site.servers[1].address().ip().to_string()).then_some(())
    })
    .await;
}
