//! The path of a request: one for all of them, from its head to its last byte. Called by the listeners; calls plugins
//! through `Decisions` and sessions through `upstream`. It doesn't know which listener a request came by, nor how a plugin
//! comes to its answer.
//!
//! ```text
//! one snapshot → well-formed? → own pages │ route → authenticate → route policy → permit → headers → upstream → headers → body
//! ```

pub mod access;
pub mod body;
pub mod client;
mod consulted;
pub mod cookies;
pub mod decisions;
pub mod forward;
pub mod http2;
pub mod identity;
pub mod live;
pub mod metrics;
pub mod origin;
pub mod pages;
pub mod pipeline;
pub mod request_headers;
pub mod respond;
pub mod response_headers;
pub mod settings;
pub mod slots;
pub mod tcp;
pub mod wellformed;

use std::{rc::Rc, sync::Arc};

pub use self::{
    body::Body,
    client::Downstream,
    decisions::{DecisionSet, Decisions},
    metrics::Metrics,
    pages::{OwnPages, PageRequest, Visitor},
    pipeline::answer,
    settings::Settings,
    slots::Slots,
};
use crate::{
    config,
    upstream::{self, Upstream, upgrade},
};

/// What all workers share.
pub struct Gateway {
    pub settings: Settings,
    pub pages: Arc<dyn OwnPages>,
    pub metrics: Metrics,
    pub upstream_metrics: upstream::Metrics,
    pub tcp: tcp::Tcp,
    pub live: config::Live,
    pub upstream_tls: Arc<upstream::Tls>,
}

/// What one worker thread has of its own.
pub struct Worker<D> {
    pub gateway: Arc<Gateway>,
    pub decisions: D,
    pub upstream: Upstream,
    /// Open upgraded and TCP connections, for which a drain waits.
    pub upgraded: upgrade::Open,
    pub live: live::Live,
    identities: identity::Known,
}

// === impl Worker ===

impl<D: Decisions> Worker<D> {
    pub fn new(gateway: Arc<Gateway>, decisions: D) -> Rc<Self> {
        let settings = &gateway.settings;
        let metrics = gateway.upstream_metrics.clone();
        let upgraded = upgrade::Open::default();
        let tls = gateway.upstream_tls.clone();
        let upstream = Upstream::new(settings.bounds, settings.http2.clone(), tls, metrics, settings.head_bytes, settings.headers);
        let live = live::Live::new(&gateway.live);
        Rc::new(Self { decisions, upstream, upgraded, live, identities: identity::Known::default(), gateway })
    }
}

#[cfg(test)]
mod tests;
