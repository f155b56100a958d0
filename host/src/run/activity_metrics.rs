//! How each session is used, as metrics: read when somebody scrapes. There are as many as there are sessions.

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::domain::Activities;

#[derive(Debug)]
pub struct ActivityMetrics(pub Arc<Activities>);

impl Collector for ActivityMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let used = self.0.used();
        let mut bytes = encoder.encode_descriptor("session_bytes", "User data of a session", None, MetricType::Counter)?;
        for (session, used) in &used {
            for (direction, count) in [("in", used.received_bytes), ("out", used.sent_bytes)] {
                let labels = [("session", session.as_str()), ("direction", direction)];
                ConstCounter::new(count).encode(bytes.encode_family(&labels)?)?;
            }
        }
        let mut last = encoder.encode_descriptor(
            "session_last_activity_timestamp_seconds",
            "When user data of a session last moved, since 1970",
            None,
            MetricType::Gauge,
        )?;
        for (session, used) in &used {
            let Some(last_ms) = used.last_ms else { continue };
            let labels = [("session", session.as_str())];
            ConstGauge::new(last_ms / 1000).encode(last.encode_family(&labels)?)?;
        }
        let mut open = encoder.encode_descriptor(
            "session_connections",
            "Open TCP connections and WebSockets of a session",
            None,
            MetricType::Gauge,
        )?;
        for (session, used) in &used {
            ConstGauge::new(used.open_connections).encode(open.encode_family(&[("session", session.as_str())])?)?;
        }
        Ok(())
    }
}
