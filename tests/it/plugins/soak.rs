//! The soak of `tests/bench/soak`, in short: what is lost shows in a few hundred swaps, what leaks doesn't.

use std::time::Duration;

use wicketgate_tests::soak::{Scale, Sort, run};

#[tokio::test]
async fn no_sort_of_plugin_set_loses_a_connection_or_a_decision() {
    let scale =
        Scale { swaps: 240, warm_up: 100, seed: 1, sockets: 40, streams: 10, clients: 10, pause: Duration::from_millis(20) };
    let report = run(scale, |_, _| {}).await;
    println!("{report}");
    assert_eq!(report.faults, [""; 0]);
    assert_eq!(report.sorts.keys().copied().collect::<Vec<_>>(), Sort::ALL);
    assert!(report.sorts.values().all(|times| times.len() == scale.swaps / Sort::ALL.len()));
    assert!(report.answers.keys().eq(&[200, 401, 404]), "{:?}", report.answers);
    assert!(report.echoes > 0 && report.events > 0);
}
