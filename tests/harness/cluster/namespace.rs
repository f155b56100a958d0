//! A namespace of one test: its service accounts, and pods whose status the test writes as a kubelet would.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

use super::{Api, Cluster};

/// The machine on which pods are said to run. The server asks for no such object.
const MACHINE: &str = "machine";

/// Nothing removes it: it goes with the cluster.
#[derive(Clone)]
pub struct Namespace {
    pub cluster: Cluster,
    pub name: String,
    /// May do everything.
    pub api: Api,
}

/// A pod of a namespace.
#[derive(Clone)]
pub struct Pod {
    pub name: String,
    namespace: Namespace,
}

// === impl Namespace ===

impl Namespace {
    pub(super) async fn create(cluster: Cluster, name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let api = cluster.admin();
        api.create("/api/v1/namespaces", &json!({"metadata": {"name": name}})).await;
        let namespace = Self { cluster, name, api };
        // In a whole cluster a controller makes it; without it no pod is admitted.
        namespace.create_account("default").await;
        namespace
    }

    /// Where objects of a core kind are (`pods`).
    pub fn core(&self, kind: &str) -> String {
        format!("/api/v1/namespaces/{}/{kind}", self.name)
    }

    /// The same for a kind of a group (`coordination.k8s.io/v1`, `leases`).
    pub fn group(&self, group: &str, kind: &str) -> String {
        format!("/apis/{group}/namespaces/{}/{kind}", self.name)
    }

    pub async fn create_account(&self, name: &str) {
        self.api.create(&self.core("serviceaccounts"), &json!({"metadata": {"name": name}})).await;
    }

    /// A token for an account, as a pod of it gets one.
    pub async fn token(&self, account: &str) -> String {
        let path = self.core(&format!("serviceaccounts/{account}/token"));
        let request = json!({"spec": {"expirationSeconds": 3600}});
        self.api.create(&path, &request).await["status"]["token"].as_str().unwrap().to_owned()
    }

    /// A client that may do what a service account may.
    pub async fn account(&self, name: &str) -> Api {
        self.cluster.with_token(&self.token(name).await)
    }

    /// A kubeconfig for a service account that reaches the server at this address.
    pub async fn kubeconfig(&self, account: &str, address: SocketAddr) -> String {
        self.cluster.kubeconfig(address, &self.name, &json!({"token": self.token(account).await}))
    }

    /// Gives an account these rules in this namespace by a Role and a binding of this name.
    pub async fn allow(&self, account: &str, name: &str, rules: &Value) {
        let group = "rbac.authorization.k8s.io/v1";
        let role = json!({"metadata": {"name": name}, "rules": rules});
        self.api.create(&self.group(group, "roles"), &role).await;
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.name}],
        });
        self.api.create(&self.group(group, "rolebindings"), &binding).await;
    }

    /// Another set of rules in a Role that is there.
    pub async fn change_role(&self, name: &str, rules: &Value) {
        let path = self.group("rbac.authorization.k8s.io/v1", &format!("roles/{name}"));
        self.api.merge(&path, &json!({"rules": rules})).await;
    }

    pub async fn config_map(&self, name: &str, data: &Value) {
        self.api.create(&self.core("configmaps"), &json!({"metadata": {"name": name}, "data": data})).await;
    }

    /// A pod with this metadata besides its name (`{"annotations": …}`). It has a machine and no address yet.
    pub async fn pod(&self, name: &str, metadata: &Value) -> Pod {
        let containers = json!([{"name": "main", "image": "example.invalid/main"}]);
        let spec = json!({"nodeName": MACHINE, "restartPolicy": "Never", "containers": containers});
        self.pod_of(name, metadata, &spec).await
    }

    /// The same of what the caller wants to run.
    pub async fn pod_of(&self, name: &str, metadata: &Value, spec: &Value) -> Pod {
        let mut metadata = metadata.clone();
        metadata["name"] = name.into();
        self.api.create(&self.core("pods"), &json!({"metadata": metadata, "spec": spec})).await;
        Pod { name: name.into(), namespace: self.clone() }
    }

    /// The same, running at an address.
    pub async fn running_pod(&self, name: &str, metadata: &Value, address: IpAddr) -> Pod {
        let pod = self.pod(name, metadata).await;
        pod.runs_at(address).await;
        pod
    }

    /// All that was reported on an object, oldest first: the events' reasons and notes.
    pub async fn events(&self, name: &str) -> Vec<(String, String)> {
        let all = self.api.get(&self.group("events.k8s.io/v1", "events")).await;
        let mut events: Vec<Value> = all["items"].as_array().unwrap().clone();
        events.retain(|event| event["regarding"]["name"] == name);
        events.sort_by_key(|event| event["metadata"]["creationTimestamp"].to_string());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        events.iter().map(|event| (text(&event["reason"]), text(&event["note"]))).collect()
    }
}

// === impl Pod ===

impl Pod {
    pub fn path(&self) -> String {
        self.namespace.core(&format!("pods/{}", self.name))
    }

    pub async fn get(&self) -> Value {
        self.namespace.api.get(&self.path()).await
    }

    pub async fn annotation(&self, name: &str) -> Option<String> {
        self.get().await["metadata"]["annotations"][name].as_str().map(str::to_owned)
    }

    /// As people do with `kubectl annotate`; a null removes one.
    pub async fn annotate(&self, annotations: &Value) {
        self.namespace.api.merge(&self.path(), &json!({"metadata": {"annotations": annotations}})).await;
    }

    /// It has started.
    pub async fn runs_at(&self, address: IpAddr) {
        let address = address.to_string();
        let ready = json!([{"type": "Ready", "status": "True"}]);
        self.status(&json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready})).await;
    }

    /// Its container ended by itself.
    pub async fn succeeds(&self) {
        self.status(&json!({"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "False"}]})).await;
    }

    pub async fn status(&self, status: &Value) {
        self.namespace.api.merge(&format!("{}/status", self.path()), &json!({"status": status})).await;
    }

    /// Somebody asks for its end: it's marked, and there until its machine says that it has ended.
    pub async fn terminates(&self) {
        self.namespace.api.delete(&self.path()).await;
    }

    /// It's gone at once.
    pub async fn vanishes(&self) {
        self.namespace.api.delete(&format!("{}?gracePeriodSeconds=0", self.path())).await;
    }
}
