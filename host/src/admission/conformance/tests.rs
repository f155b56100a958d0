use super::*;

const MIB: usize = 1 << 20;

fn growth_of(before_bytes: usize, halfway_bytes: usize, after_bytes: usize) -> Growth {
    Growth { calls: 1_000, before_bytes, halfway_bytes, after_bytes }
}

#[test]
fn growth_that_stops_is_none() {
    assert_eq!(growth_of(MIB, MIB, MIB).calls_until(16 * MIB), None);
    assert_eq!(growth_of(MIB, 2 * MIB, 2 * MIB).calls_until(16 * MIB), None, "it took what it needed");
    let leak = growth_of(MIB, 2 * MIB, 3 * MIB);
    assert!(leak.goes_on());
    assert_eq!(leak.calls_until(16 * MIB), Some(6_500));
    assert_eq!(growth_of(MIB, 2 * MIB, 16 * MIB).calls_until(16 * MIB), Some(0));
}

#[test]
fn a_plugin_that_says_it_cannot_decide_is_not_broken() {
    let failed = |fault: &str| {
        Outcome::Failed(crate::domain::record::Failed { by: "p".into(), fault: fault.into(), message: String::new() })
    };
    for (fault, broken) in [("error", false), ("unavailable", false), ("trap", true), ("deadline", true), ("output", true)] {
        assert_eq!(is_broken(&failed(fault)), broken, "{fault}");
    }
}
