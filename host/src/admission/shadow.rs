//! A set in the shadow of the one that decides: each new decision of that one is run through it, and what would come out
//! otherwise is counted. A shadow decides nothing: it sees records, never requests.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    activation::Activation,
    replay::{Comparison, Replayer},
    status::AdmissionStatus,
};
use crate::{
    domain::record::Record,
    plugin::{Engine, Following, PluginSet},
};

/// Decisions that wait to be compared; more are left out and counted.
const ROOM: usize = 4096;
/// Decisions compared at a time.
const BATCH: usize = 256;

/// What became of a shadow.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Promote(Comparison),
    /// A bound was broken, and which.
    Drop(String, Comparison),
}

/// Compares until the time or the count is reached, or a bound is broken. Dropped, it leaves no trace.
pub async fn follow(
    engine: Arc<Engine>,
    new: Arc<PluginSet>,
    active: Arc<PluginSet>,
    activation: Activation,
    status: AdmissionStatus,
) -> Verdict {
    let mut following = active.follow_for(&new, ROOM);
    let mut replayer = Replayer::new(&engine, new, active);
    let mut comparison = Comparison::default();
    let mut ends = Instant::now() + activation.shadow();
    loop {
        let records = batch(&mut following, ends).await;
        if !records.is_empty() {
            let Some((next, compared)) = replayer.compare(records, comparison).await else {
                return Verdict::Drop("the comparison was stopped".into(), Comparison::default());
            };
            (replayer, comparison) = (next, compared);
            status.compared(&comparison, following.lost());
        }
        if comparison.differences > activation.most_differences as u64
            && let Some(why) = comparison.breaks(activation.most_differences, 0)
        {
            return Verdict::Drop(why, comparison);
        }
        // Strangers can send as many requests as they like: what counts is what lets people in.
        let is_over = comparison.admissions >= activation.shadow_decisions || Instant::now() >= ends;
        if is_over && comparison.admissions > 0 {
            return match comparison.breaks(activation.most_differences, activation.least_replayed_percent) {
                Some(why) => Verdict::Drop(why, comparison),
                None => Verdict::Promote(comparison),
            };
        }
        if is_over {
            // Nobody was let in: nothing is known of it.
            ends = Instant::now() + activation.shadow();
        }
    }
}

/// The decisions that are there, or the first that comes.
pub async fn batch(following: &mut Following, until: Instant) -> Vec<Arc<Record>> {
    let mut records = Vec::new();
    let Ok(Some(first)) = timeout_at(until, following.next()).await else {
        if following.is_over() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        return records;
    };
    records.push(first);
    while records.len() < BATCH
        && let Some(next) = following.try_next()
    {
        records.push(next);
    }
    records
}
