//! The soak, called by `tests/bench/soak`: prints Markdown. Exits 1 when something was lost or memory grew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

use std::{process::ExitCode, time::Duration};

use wicketgate_tests::soak::{Scale, Sort, run};

/// Resident memory at the end against after warm-up.
const MOST_GROWTH: f64 = 1.05;

fn main() -> ExitCode {
    let mut scale =
        Scale { swaps: 10_000, warm_up: 500, seed: 1, sockets: 200, streams: 50, clients: 50, pause: Duration::from_millis(100) };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        let number = pair.get(1).and_then(|text| text.parse::<usize>().ok());
        match (pair[0].as_str(), number) {
            ("--swaps", Some(swaps)) => scale.swaps = swaps,
            ("--warm-up", Some(swaps)) => scale.warm_up = swaps,
            ("--seed", Some(seed)) => scale.seed = seed as u64,
            _ => {
                eprintln!("found {}, expected --swaps N, --warm-up N, --seed N", pair.join(" "));
                return ExitCode::from(2);
            }
        }
    }
    scale.swaps = scale.swaps.next_multiple_of(Sort::ALL.len());
    if scale.warm_up < 10 || scale.swaps < 2 * scale.warm_up {
        eprintln!("--warm-up: found {} of {} swaps, expected 10 to half of them", scale.warm_up, scale.swaps);
        return ExitCode::from(2);
    }
    let steps = (scale.swaps / 50).next_multiple_of(5).max(5);
    let told = |swaps: usize, memory| {
        if swaps.is_multiple_of(steps) {
            eprintln!("{swaps} of {} swaps; {memory}", scale.swaps);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(run(scale, told));
    let Scale { swaps, warm_up, seed, sockets, streams, clients, .. } = scale;
    println!(
        "{swaps} swaps, of them {warm_up} to warm up; seed {seed}; {sockets} WebSockets, {streams} streams, {clients} clients\n"
    );
    println!("{report}");
    let within = report.growth() <= MOST_GROWTH;
    println!("- goal: nothing lost: {}; at most {MOST_GROWTH} times the memory: {}", said(report.fault_count == 0), said(within));
    if report.fault_count == 0 && within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn said(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}
