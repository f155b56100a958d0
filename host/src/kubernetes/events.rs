//! Events: what `kubectl describe pod` and `kubectl get events` show of what the gateway did.

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff,
};
use kube::{Api, api::PostParams};

use super::{Cluster, Error, pods::Pod};

/// Who is told, and by what kind of Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Normal,
    Warning,
}

/// Of a note: the server takes 1,024 bytes.
const LONGEST_NOTE: usize = 1000;

impl Cluster {
    /// An Event about a pod. `reason` is one word in CamelCase.
    ///
    /// # Errors
    /// The server refuses or can't be asked. Nothing depends on an Event.
    pub async fn tell(&self, pod: &Pod, severity: Severity, reason: &str, note: &str) -> Result<(), Error> {
        let now = jiff::Timestamp::now();
        let event = Event {
            metadata: ObjectMeta {
                // As Kubernetes' own are called; two Events of one instant would be one.
                name: Some(format!("{}.{:x}{:04x}", pod.name, now.as_nanosecond(), fastrand::u16(..))),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some("Publish".into()),
            event_time: Some(MicroTime(now)),
            note: Some(note.chars().take(LONGEST_NOTE).collect()),
            reason: Some(reason.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                name: Some(pod.name.clone()),
                namespace: Some(self.namespace.clone()),
                uid: Some(pod.uid.clone()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(format!("wicketgate.io/{}", self.gateway)),
            reporting_instance: Some(self.identity.clone()),
            type_: Some(match severity {
                Severity::Normal => "Normal".into(),
                Severity::Warning => "Warning".into(),
            }),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        api.create(&PostParams::default(), &event).await?;
        Ok(())
    }
}
