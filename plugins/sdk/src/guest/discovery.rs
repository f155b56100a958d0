//! Conversions of discovery filters.

use super::{Slot, bindings::discovery_filter::exports::wicketgate::plugin::discovery as wit};
use crate::discovery::{Candidate, DiscoveryFilter, Keeping, UpstreamPath, Verdict};
use crate::{Attributes, Error};

pub fn configure<P: DiscoveryFilter>(slot: &Slot<P>, config: &str) -> Result<wit::Declaration, Error> {
    super::configure(slot, config, P::configure)
}

pub fn filter<P: DiscoveryFilter>(slot: &Slot<P>, candidate: wit::Candidate) -> Result<wit::Verdict, Error> {
    let candidate = Candidate { attributes: Attributes::from(candidate.attributes), now: candidate.now };
    match slot.plugin()?.filter(&candidate)? {
        Verdict::Keep(keeping) => Ok(wit::Verdict::Keep(keeping.into())),
        Verdict::Drop(reason) => Ok(wit::Verdict::Drop(reason)),
    }
}

impl From<Keeping> for wit::Keeping {
    fn from(it: Keeping) -> Self {
        Self {
            reason: it.reason,
            name: it.name,
            access: it.access,
            upstream_path: it.upstream_path.map(|path| match path {
                UpstreamPath::Strip => wit::UpstreamPath::Strip,
                UpstreamPath::Keep => wit::UpstreamPath::Keep,
            }),
            labels: it.labels.into(),
        }
    }
}
