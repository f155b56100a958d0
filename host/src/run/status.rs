//! What the admin listener shows, gathered from the rooms that know.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    admin::Status,
    admission::AdmissionStatus,
    discovery::Board,
    shutdown::{Phase, Shutdown},
    snapshot::Snapshots,
};

pub struct GatewayStatus {
    pub board: Arc<Board>,
    pub admission: AdmissionStatus,
    pub snapshots: Arc<Snapshots>,
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
        serde_json::to_value(self.board.status()).unwrap_or_else(|error| json!({"error": error.to_string()}))
    }

    fn plugins(&self) -> Value {
        self.admission.to_json()
    }
}
