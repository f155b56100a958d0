//! WebSockets and whatever else HTTP/1.1 is upgraded to, up to where the bytes go their own way (`relay`), and how many there are.

use std::future::Future;

use http::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;

/// Counts open upgraded connections of a worker, so that a drain can wait for them.
#[derive(Clone, Debug)]
pub struct Open {
    count: watch::Sender<usize>,
    gauge: Gauge,
}

/// One open upgraded connection.
pub struct Guard(Open);

// === impl Open ===

impl Open {
    pub fn new(gauge: Gauge) -> Self {
        Self { count: watch::Sender::new(0), gauge }
    }

    pub fn enter(&self) -> Guard {
        self.count.send_modify(|count| *count += 1);
        self.gauge.inc();
        Guard(self.clone())
    }

    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Ends when none is open.
    pub async fn none_left(&self) {
        // The sender lives in self, so waiting can't fail.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.count.send_modify(|count| *count = count.saturating_sub(1));
        self.0.gauge.dec();
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
