//! WebSockets and whatever else HTTP/1.1 is upgraded to, up to where the bytes go their own way (`relay`), and how many there are.

use std::future::Future;

use http::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;

/// Counts the connections of a worker whose bytes go their own way, so that a drain can wait for them.
#[derive(Clone, Debug, Default)]
pub struct Open(watch::Sender<usize>);

/// One of them.
pub struct Guard {
    open: Open,
    gauge: Gauge,
}

// === impl Open ===

impl Open {
    /// Counted here, and in the metric of its kind.
    pub fn enter(&self, gauge: &Gauge) -> Guard {
        self.0.send_modify(|count| *count += 1);
        gauge.inc();
        Guard { open: self.clone(), gauge: gauge.clone() }
    }

    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Ends when none is open.
    pub async fn none_left(&self) {
        // The sender lives in self, so waiting can't fail.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.open.0.send_modify(|count| *count = count.saturating_sub(1));
        self.gauge.dec();
    }
}

/// Both ends once they have switched. Spawned by the pipeline before it passes the 101 on; not a byte moves before hyper has
/// written that.
pub fn switched<B>(client: OnUpgrade, upstream: &mut Response<B>) -> impl Future<Output = Option<(Upgraded, Upgraded)>> + use<B> {
    let upstream = hyper::upgrade::on(upstream);
    async move {
        match (client.await, upstream.await) {
            (Ok(client), Ok(upstream)) => Some((client, upstream)),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%error, "the upgrade did not happen");
                None
            }
        }
    }
}
