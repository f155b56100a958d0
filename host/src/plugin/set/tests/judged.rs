//! Records by which another set decides.

use std::path::{Path, PathBuf};

use wicketgate_plugin_build::{Compiler as GuestCompiler, Guest, LockFile, build};

use super::*;
use crate::{admission::Component, domain::record::Record};

/// A set whose authenticator fails before it looks at anything.
async fn failing_set(bench: &Bench) -> Arc<PluginSet> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout.join("target"), PathBuf::from);
    let guest = Guest {
        manifest: &checkout.join("tests/fixtures/hostile/Cargo.toml"),
        target_dir: &target.join("wasm"),
        features: &["authenticator"],
        lock_file: LockFile::Keep,
    };
    let component = build(&GuestCompiler::find(Some(&checkout.join("target/wasm-toolchain"))).unwrap(), &guest).unwrap();
    let mut manifest = Manifest::builtin(&["gateway".into()], &[]);
    manifest.entries[1].component = Component::File("hostile.wasm".into());
    manifest.entries[1].config = json!({"behaviour": "error"});
    let members = [("hostile.wasm".to_owned(), component)].into();
    bench.loader.load(&manifest, &members, "failing".into()).await.unwrap()
}

fn admits(bench: &Bench, set: &PluginSet, record: &Record) -> Option<String> {
    set.admits(&Worker::for_replay(Arc::clone(&bench.loader.engine)), &record.inputs)
}

#[tokio::test]
async fn whom_a_failing_authenticator_turns_away_is_known_to_the_set_before() {
    let bench = bench(secret_set()).await;
    let failing = failing_set(&bench).await;
    let somebody = with("cookie", &format!("wicketgate_session={}", token("u1", Duration::from_secs(60))));
    let forged = with("cookie", &format!("wicketgate_session={}x", token("u1", Duration::from_secs(60))));
    let mut following = failing.follow_for(&bench.set, 8);
    for (headers, person) in [(&somebody, Some("u1")), (&forged, None), (&HeaderMap::new(), None)] {
        let fault = bench.enter_by(&failing, headers, &endpoint("u1")).await.err().unwrap();
        assert_eq!(fault.kind, FaultKind::Error, "{fault}");
        let record = following.try_next().unwrap();
        assert_eq!(Some(record.id), fault.record);
        assert_eq!(admits(&bench, &bench.set, &record).as_deref(), person, "{record:?}");
    }
    assert!(following.try_next().is_none());
    drop(following);
    let fault = bench.enter_by(&failing, &somebody, &endpoint("u1")).await.err().unwrap();
    let record = bench.set.recorder().find(fault.record.unwrap()).unwrap();
    assert!(record.inputs.tokens.is_empty(), "nobody judges any more: {record:?}");
}

#[tokio::test]
async fn whom_other_plugins_do_not_see_is_known_to_the_set_before() {
    let bench = bench(secret_set()).await;
    let manifest = Manifest::builtin(&["gateway".into()], &["other".into()]);
    let other = bench.loader.load(&manifest, &Default::default(), "other".into()).await.unwrap();
    let mut following = other.follow_for(&bench.set, 8);
    let headers = with("cookie", &format!("wicketgate_session={}", token("u1", Duration::from_secs(60))));
    bench.enter_by(&other, &headers, &endpoint("u1")).await.unwrap();
    while let Some(record) = following.try_next() {
        assert!(!record.outcome.admits(), "{record:?}");
        assert_eq!(admits(&bench, &bench.set, &record).as_deref(), Some("u1"), "{record:?}");
    }
    assert_eq!(bench.set.recorder().last(Kind::RoutingPolicy, 9).len(), 1);
}
