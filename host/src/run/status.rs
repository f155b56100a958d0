//! What the admin listener shows, gathered from the rooms that know.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, de::IntoDeserializer};
use serde_json::{Value, json};

use crate::{
    admin::Status,
    admission::AdmissionStatus,
    discovery::Board,
    domain::{Activities, activity::Used},
    kubernetes::election::Leader,
    plugin::Kind,
    shutdown::{Phase, Shutdown},
    snapshot::Snapshots,
};

pub struct GatewayStatus {
    pub board: Arc<Board>,
    pub admission: AdmissionStatus,
    pub state_directory: Value,
    pub snapshots: Arc<Snapshots>,
    pub activities: Arc<Activities>,
    pub leader: Leader,
    pub shutdown: Shutdown,
}

impl Status for GatewayStatus {
    fn readiness(&self) -> Result<(), Vec<String>> {
        let mut missing = Vec::new();
        if self.shutdown.phase() > Phase::Serving {
            missing.push("the gateway was asked to stop".into());
        }
        if self.admission.active().is_none() {
            let why = self.admission.refusal().unwrap_or_else(|| "they're being loaded".into());
            missing.push(format!("no plugins decide yet: {why}"));
        }
        for (source, state) in &self.board.status().sources {
            if state.last_success_ms.is_none() {
                let why = state.last_error.clone().unwrap_or_else(|| "it's being asked".into());
                missing.push(format!("source {source:?} was never read: {why}"));
            }
        }
        if missing.is_empty() && self.snapshots.current().is_none() {
            missing.push("routes are being made".into());
        }
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    fn sessions(&self) -> Value {
        let mut status = serde_json::to_value(self.board.status()).unwrap_or_else(|error| json!({"error": error.to_string()}));
        let used: HashMap<String, Used> =
            self.activities.used().into_iter().map(|(session, used)| (session.to_string(), used)).collect();
        for session in status["sessions"].as_array_mut().into_iter().flatten() {
            let used = session["id"].as_str().and_then(|id| used.get(id));
            session["activity"] = json!(used.copied().unwrap_or_default());
        }
        if let Some(leadership) = self.leader.leadership() {
            status["replica"] = json!({"leads": leadership.since.is_some(), "holder": leadership.holder});
        }
        status
    }

    fn plugins(&self) -> Value {
        let mut status = self.admission.to_json();
        status["state_directory"] = self.state_directory.clone();
        status
    }

    fn decision(&self, id: &str) -> Option<Value> {
        let record = self.admission.active()?.recorder().find(id.parse().ok()?)?;
        serde_json::to_value(&*record).ok()
    }

    fn decisions(&self, kind: Option<&str>, last: usize) -> Result<String, String> {
        let all = [Kind::DiscoveryFilter, Kind::Authenticator, Kind::RoutingPolicy];
        let kinds = match kind {
            None => all.to_vec(),
            Some(kind) => vec![
                Kind::deserialize(kind.into_deserializer()).map_err(|error: serde::de::value::Error| format!("kind: {error}"))?,
            ],
        };
        let active = self.admission.active();
        let records = active.iter().flat_map(|set| kinds.iter().flat_map(|kind| set.recorder().last(*kind, last)));
        Ok(records.filter_map(|record| serde_json::to_string(&*record).ok()).map(|line| line + "\n").collect())
    }
}
