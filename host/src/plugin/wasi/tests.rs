//! Plugins with WASI on their threads, with a real component: `tests/fixtures/wasi` does what a header says.

use std::{
    cell::Cell,
    future::poll_fn,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, LazyLock, atomic::Ordering},
    task::Poll,
};

use futures_util::future::join_all;
use wicketgate_plugin_build::{Compiler as GuestCompiler, Guest, LockFile, build};

use super::{INSTANCES, Instances, judge};
use crate::{
    config,
    domain::Timestamp,
    plugin::{
        Compiler, Engine, Fault, FaultKind, Grants, Kind, LoadError, OnFault, Plugin, PluginSpec, Worker,
        bindings::v0_1::{routing, types},
        host_calls::CallState,
        instance::Budget,
        key_set::KeySets,
        loaded::Pre,
        question::Answer,
    },
};

const NOW: Timestamp = Timestamp(1_750_000_000_123);
/// Enough for whatever isn't an endless loop, on a slow machine.
const BUDGET_MS: u64 = 500;

static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| component(&[]));

fn component(features: &[&str]) -> Vec<u8> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout.join("target"), PathBuf::from);
    let guest = Guest {
        manifest: &checkout.join("tests/fixtures/wasi/Cargo.toml"),
        // In a place of its own for each set of features: the file's name is the same.
        target_dir: &features.iter().fold(target.join("wasm"), |place, feature| place.join(feature)),
        features,
        lock_file: LockFile::Keep,
    };
    build(&GuestCompiler::find(Some(&checkout.join("target/wasm-toolchain"))).unwrap(), &guest).unwrap()
}

struct Bench {
    engine: Arc<Engine>,
    worker: Worker,
    plugin: Arc<Plugin>,
}

fn spec(config: &str) -> PluginSpec {
    PluginSpec {
        name: "wasi".into(),
        kind: Kind::RoutingPolicy,
        config: config.into(),
        grants: Grants::default(),
        call_budget_ms: BUDGET_MS,
        memory_bytes: 8 << 20,
        on_fault: OnFault::Closed,
    }
}

async fn load(engine: &Arc<Engine>, component: &[u8], spec: PluginSpec) -> Result<Plugin, LoadError> {
    let compiler = Compiler::in_process(&config::Plugins::default());
    Plugin::load(engine, &compiler, component, spec, &Arc::<KeySets>::default()).await
}

async fn bench_with(spec: PluginSpec) -> Bench {
    bench_on(Arc::new(Engine::new(&config::Plugins::default(), 1).unwrap()), spec).await
}

async fn bench_on(engine: Arc<Engine>, spec: PluginSpec) -> Bench {
    let plugin = Arc::new(load(&engine, &COMPONENT, spec).await.unwrap());
    Bench { worker: Worker::new(Arc::clone(&engine)), plugin, engine }
}

async fn bench() -> Bench {
    bench_with(spec("{}")).await
}

fn request(wish: &str) -> routing::Request {
    let header = types::Field { name: "x-do".into(), value: wish.into() };
    let http = types::HttpRequest {
        method: None,
        authority: None,
        path: None,
        upgrade: None,
        tls_name: None,
        client_address: None,
        client_certificate: None,
        listener_port: None,
        cookies: Vec::new(),
        headers: vec![header],
        query: Vec::new(),
    };
    let subject = types::Subject::Http(http);
    routing::Request { subject, session: Vec::new(), identity: None, may_read_session: None, now: NOW.0 }
}

/// What the policy said of itself.
fn said(decision: routing::Decision) -> String {
    let routing::Decision::Forward(forwarding) = decision else { panic!("not forwarded") };
    let Some(routing::HeaderEdit::Set(field)) = forwarding.response_headers.into_iter().next() else { panic!("no header") };
    String::from_utf8(field.value).unwrap()
}

impl Bench {
    async fn ask(&self, wish: &str) -> Result<String, Fault> {
        self.worker.ask(&self.plugin, &request(wish), || CallState::at(NOW), |answer, _| answer.map(said)).await
    }

    async fn fault(&self, wish: &str) -> Fault {
        self.ask(wish).await.unwrap_err()
    }

    async fn ask_fresh(&self, wish: &str) -> String {
        let Pre::Wasi(blueprint) = &self.plugin.pre else { panic!("no WASI in it") };
        let (question, budget) = (request(wish).into(), Budget::new(BUDGET_MS));
        let asked = self.engine.wasi_threads.ask(blueprint, question, CallState::at(NOW), budget, Instances::Fresh);
        let (Ok(Answer::Routing(decision)), _) = asked.await else { panic!("no decision") };
        said(decision)
    }
}

#[tokio::test]
async fn wasi_shows_the_calls_instant_and_nothing_else_and_the_same_each_time() {
    let bench = bench().await;
    let first = bench.ask("look").await.unwrap();
    let ms = NOW.0;
    assert!(first.starts_with(&format!("now={ms} wall={ms} monotonic={ms} random=")), "{first}");
    assert!(first.ends_with(" environment=0 arguments=0 directory=None preopens=0 stdin=true"), "{first}");
    for _ in 0..3 {
        assert_eq!(bench.ask("look").await.unwrap(), first, "on an instance that is kept");
        assert_eq!(bench.ask_fresh("look").await, first, "on a fresh one");
    }
    bench.fault("exit").await;
    assert_eq!(bench.ask("look").await.unwrap(), first, "after a fault");
}

#[tokio::test]
async fn a_wait_takes_the_guests_time_and_ends_in_the_order_of_the_guests_clock() {
    let bench = bench().await;
    assert_eq!(bench.ask("nap").await.unwrap(), "1500000 1500000");
    assert_eq!(bench.ask("race").await.unwrap(), "[2] [false, false, true]");
}

#[tokio::test]
async fn what_no_plugin_may_do_ends_its_call_and_no_other() {
    let bench = bench().await;
    for (wish, kind, words) in [
        ("sleep", FaultKind::Deadline, "the budget of 500ms is used up"),
        ("spin", FaultKind::Deadline, "the budget of 500ms is used up"),
        ("exit", FaultKind::Trap, "called exit with 1"),
        ("trap", FaultKind::Trap, "unreachable"),
        ("grow", FaultKind::Memory, "bytes of memory, at most 8388608"),
        (
            "socket",
            FaultKind::Trap,
            "called wasi:sockets/instance-network@0.2.0.instance-network, which isn't granted to any plugin",
        ),
        ("leak", FaultKind::Trap, "resource table"),
        ("random", FaultKind::Trap, "asked for 1099511627776 random bytes, at most 65536"),
    ] {
        for _ in 0..3 {
            let fault = bench.fault(wish).await;
            assert!(fault.kind == kind && fault.message.contains(words), "{wish}: {fault}");
        }
        assert_eq!(bench.ask("print").await.unwrap(), "done", "after {wish}");
    }
    let faults: Vec<_> = bench.plugin.counts.faults().filter(|(_, count)| *count > 0).collect();
    assert_eq!(faults, [(FaultKind::Trap, 15), (FaultKind::Deadline, 6), (FaultKind::Memory, 3)]);
}

#[tokio::test]
async fn whoever_is_busy_holds_up_neither_the_worker_nor_the_others() {
    let bench = bench_with(PluginSpec { call_budget_ms: 1_000, ..spec("{}") }).await;
    let mut busy = pin!(bench.ask("spin"));
    let mut poll_busy = async || poll_fn(|context| Poll::Ready(busy.as_mut().poll(context))).await;
    for number in 0..20 {
        assert!(poll_busy().await.is_pending(), "it was waited for");
        assert_eq!(bench.ask(&format!("look {number}")).await.map(|_| ()).map_err(|fault| fault.to_string()), Ok(()));
    }
    assert_eq!(busy.await.unwrap_err().kind, FaultKind::Deadline);
}

#[tokio::test]
async fn waiting_for_a_turn_has_an_end_and_so_has_the_queue() {
    let bench = bench_with(PluginSpec { call_budget_ms: 5, ..spec("{}") }).await;
    let faults = join_all((0..100).map(|_| bench.fault("spin"))).await;
    assert!(faults.iter().all(|fault| fault.kind == FaultKind::Deadline));
    let refused = faults.iter().filter(|fault| fault.message == "64 calls wait already");
    assert_eq!(refused.count(), 36);
    // On a slow machine the last of them are still being cleared away.
    while bench.ask("print").await.is_err() {}
}

#[tokio::test]
async fn a_call_that_is_refused_costs_no_instance() {
    let bench = bench().await;
    assert_eq!(bench.ask("count").await.unwrap(), "1");
    let Pre::Wasi(blueprint) = &bench.plugin.pre else { panic!("no WASI in it") };
    blueprint.calls.store(64, Ordering::Relaxed);
    assert_eq!(bench.fault("count").await.message, "64 calls wait already");
    blueprint.calls.store(0, Ordering::Relaxed);
    assert_eq!(bench.ask("count").await.unwrap(), "2");
}

#[tokio::test]
async fn a_thread_without_a_runtime_can_wait_for_an_answer_too() {
    let Bench { engine, plugin, .. } = bench().await;
    let ask = move || {
        let worker = Worker::for_replay(engine);
        ["look", "sleep", "nap"].map(|wish| {
            worker
                .ask_blocking(&plugin, &request(wish), || CallState::at(NOW), |answer, _| answer.map(said))
                .map_err(|fault| fault.kind)
        })
    };
    let again = ask.clone();
    let inside = ask();
    assert!(inside[0].as_ref().is_ok_and(|said| said.starts_with(&format!("now={}", NOW.0))), "{inside:?}");
    assert_eq!(inside[1..], [Err(FaultKind::Deadline), Ok("1500000 1500000".to_owned())]);
    assert_eq!(std::thread::spawn(again).join().unwrap(), inside);
}

#[tokio::test]
async fn an_answer_that_is_none_costs_the_instances_and_not_the_next_call() {
    let bench = bench().await;
    let wrong = |_, _: &mut CallState| Err::<(), _>(Fault::new(&bench.plugin.name, FaultKind::Output, "wrong"));
    let question = request("count");
    let asked = bench.worker.ask(&bench.plugin, &question, || CallState::at(NOW), wrong);
    assert_eq!(asked.await.unwrap_err().kind, FaultKind::Output);
    assert_eq!(bench.ask("count").await.unwrap(), "1", "an instance that was asked before");
}

#[tokio::test]
async fn whoever_forgets_instances_gets_fresh_ones() {
    let bench = bench().await;
    let worker = Worker::for_replay(Arc::clone(&bench.engine));
    let ask =
        || worker.ask_blocking(&bench.plugin, &request("count"), || CallState::at(NOW), |answer, _| answer.map(said)).unwrap();
    assert_eq!([ask(), ask()], ["1", "2"]);
    worker.forget_instances();
    assert_eq!([ask(), ask()], ["1", "2"]);
}

#[tokio::test]
async fn state_between_calls_is_found_and_ends() {
    let limits = config::Plugins { recheck_one_in: 3, ..config::Plugins::default() };
    let bench = bench_on(Arc::new(Engine::new(&limits, 1).unwrap()), spec("{}")).await;
    let mut counts = Vec::new();
    for _ in 0..6 {
        counts.push(bench.ask("count").await.unwrap());
    }
    assert_eq!(counts, ["1", "2", "1", "1", "1", "1"]);
    assert!(bench.plugin.is_isolated());
}

#[tokio::test]
async fn a_call_that_fails_when_it_is_made_again_proves_no_state() {
    let limits = config::Plugins { recheck_one_in: 1, ..config::Plugins::default() };
    let bench = bench_on(Arc::new(Engine::new(&limits, 1).unwrap()), spec("{}")).await;
    let asked = Cell::new(0);
    let fails_later = |answer: Result<routing::Decision, Fault>, _: &mut CallState| {
        asked.set(asked.get() + 1);
        if asked.get() == 1 { answer.map(said) } else { Err(Fault::new(&bench.plugin.name, FaultKind::Unavailable, "no keys")) }
    };
    let answer = bench.worker.ask(&bench.plugin, &request("count"), || CallState::at(NOW), fails_later).await;
    assert_eq!(answer.unwrap(), "1");
    assert!(!bench.plugin.is_isolated());
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_not_run() {
    let bench = bench().await;
    let mut busy = pin!(join_all((0..INSTANCES).map(|_| bench.ask("spin"))));
    assert!(poll_fn(|context| Poll::Ready(busy.as_mut().poll(context).is_pending())).await);
    for _ in 0..2 * INSTANCES {
        let waits = pin!(bench.ask("count"));
        let mut waits = Some(waits);
        let given_up = poll_fn(|context| Poll::Ready(waits.take().is_some_and(|waits| waits.poll(context).is_pending()))).await;
        assert!(given_up);
    }
    assert!(busy.await.iter().all(Result::is_err));
    assert_eq!(bench.ask("count").await.unwrap(), "1");
}

#[tokio::test]
async fn instances_end_with_their_plugin() {
    let bench = bench().await;
    let Pre::Wasi(blueprint) = &bench.plugin.pre else { panic!("no WASI in it") };
    let (name, kept) = (Arc::downgrade(&blueprint.name), 2 * INSTANCES);
    assert!(name.strong_count() > kept);
    let Bench { engine, worker, plugin } = bench;
    drop((worker, plugin));
    engine.wasi_threads.forget_gone();
    while name.strong_count() > 0 {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_configuration_that_sleeps_is_refused() {
    let engine = Arc::new(Engine::new(&config::Plugins::default(), 1).unwrap());
    let refused = load(&engine, &COMPONENT, spec("sleep")).await.err().unwrap().to_string();
    assert!(refused.contains("deadline: the budget of 100ms is used up"), "{refused}");
}

#[tokio::test]
async fn what_it_imports_of_wasi_is_known_and_the_rest_is_refused() {
    let bench = bench().await;
    let imports = bench.plugin.wasi_imports();
    assert!(imports.iter().any(|import| import == "wasi:clocks/monotonic-clock@0.2.0"), "{imports:?}");
    assert!(imports.iter().all(|import| import.starts_with("wasi:")), "{imports:?}");
    let refused = load(&bench.engine, &component(&["http"]), spec("{}")).await.err().unwrap().to_string();
    let expected = "imports wasi:http/outgoing-handler@0.2.0, which no plugin gets: \
                    of WASI there are cli, clocks, filesystem, io and random, with nothing granted";
    assert_eq!(refused, expected);
}

#[test]
fn only_the_named_interfaces_of_wasi_0_2_are_admitted() {
    let verdicts = |imports: &[&str]| imports.iter().map(|import| judge(import).map(|verdict| verdict.is_ok())).collect::<Vec<_>>();
    assert_eq!(verdicts(&["wasi:io/poll@0.2.0", "wasi:cli/exit@0.2.9", "wasi:sockets/tcp@0.2.3"]), [Some(true); 3]);
    let refused =
        ["wasi:io/poll@0.3.0", "wasi:io/poll", "wasi:clocks/timezone@0.2.0", "wasi:http/types@0.2.0", "wasi:nn/graph@0.2.0"];
    assert_eq!(verdicts(&refused), [Some(false); 5]);
    assert_eq!(verdicts(&["wicketgate:plugin/log@0.1.0", "env"]), [None; 2]);
}
