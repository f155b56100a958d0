use std::sync::Arc;

use super::*;
use crate::{
    admission::builtin,
    plugin::{
        Compiler, DecisionContext, Facts, FaultKind, Generation, Grants, Kind, KnownHosts, OnFault, Plugin, PluginSet, PluginSpec,
        Recorder, Worker, key_set::KeySets,
    },
};

fn spec(number: usize) -> PluginSpec {
    PluginSpec {
        name: format!("policy-{number}"),
        kind: Kind::RoutingPolicy,
        config: format!("{{\"allow\": [\"owner\"], \"message\": \"{number}\"}}"),
        grants: Grants::default(),
        call_budget_ms: 1000,
        memory_bytes: 16 << 20,
        on_fault: OnFault::Closed,
    }
}

/// Sets of as many plugins as there may be, no two of them the same.
struct Sets {
    engine: Arc<Engine>,
    one: Plugin,
    made: usize,
    context: Arc<DecisionContext>,
}

impl Sets {
    async fn new() -> Self {
        let limits = config::Plugins::default();
        let engine = Arc::new(Engine::new(&limits, 1).unwrap());
        let component = builtin("routing-policy").unwrap();
        let (compiler, key_sets) = (Compiler::in_process(&limits), Arc::<KeySets>::default());
        let one = Plugin::load(&engine, &compiler, component, spec(0), &key_sets).await.unwrap();
        let context = DecisionContext {
            facts: Facts::new(None, tokio::runtime::Handle::current()),
            hosts: KnownHosts::default(),
            cache: limits.cache.clone(),
            recorder: Recorder::new(&limits.records).unwrap(),
        };
        Self { one, engine, made: 0, context: Arc::new(context) }
    }

    async fn next(&mut self) -> PluginSet {
        let mut plugins = Vec::new();
        for _ in 0..MOST_PLUGINS {
            self.made += 1;
            let plugin = self.one.with_spec(&self.engine, spec(self.made), &KeySets::default());
            plugins.push(Arc::new(plugin.unwrap()));
        }
        PluginSet::new(Generation(self.made as u64), format!("{}", self.made), plugins, Arc::clone(&self.context))
    }
}

#[tokio::test]
async fn sets_that_requests_hold_on_to_take_no_instances_from_new_ones() {
    let mut sets = Sets::new().await;
    let worker = Worker::new(Arc::clone(&sets.engine));
    let mut held = Vec::new();
    for number in 0..40 {
        let set = sets.next().await;
        worker.prepare(&set, &[Kind::RoutingPolicy]).unwrap_or_else(|fault| panic!("set {number}: {fault}"));
        held.push(set);
    }
}

#[tokio::test]
async fn there_is_room_for_all_that_runs_at_a_time() {
    let mut sets = Sets::new().await;
    let mut held = Vec::new();
    // As if every set that a worker, the control thread, the background and the thread for plugins with WASI have were another one.
    for number in 0..2 * WORKER_SETS + BACKGROUND_SETS + wasi::INSTANCES * WASI_SETS {
        let worker = Worker::new(Arc::clone(&sets.engine));
        let set = sets.next().await;
        worker.prepare(&set, &[Kind::RoutingPolicy]).unwrap_or_else(|fault| panic!("set {number}: {fault}"));
        held.push((worker, set));
    }
}

#[tokio::test]
async fn where_there_is_no_room_the_fault_says_that_there_is_no_instance() {
    let mut sets = Sets::new().await;
    let set = sets.next().await;
    let mut held = Vec::new();
    let fault = loop {
        let worker = Worker::new(Arc::clone(&sets.engine));
        let prepared = worker.prepare(&set, &[Kind::RoutingPolicy]);
        held.push(worker);
        if let Err(fault) = prepared {
            break fault;
        }
    };
    assert_eq!(fault.kind, FaultKind::Instance, "{fault}");
}

#[test]
fn any_number_of_workers_has_an_engine() {
    for workers in [1, 100, 1000] {
        assert!(Engine::new(&config::Plugins::default(), workers).is_ok(), "{workers}");
    }
}
