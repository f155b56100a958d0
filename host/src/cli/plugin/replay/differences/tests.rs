use super::*;

fn record(outcome: Value) -> Record {
    serde_json::from_value(json!({
        "id": "00000000000000ab", "generation": 1, "set": "0", "asked": ["policy@0123"], "took_us": 5,
        "inputs": {
            "kind": "routing-policy", "now_ms": 1, "known": ["method"],
            "http": {"method": "GET", "authority": "gate.example", "path": "/lab\u{1b}[2J"},
            "identity": {"principal": {"id": "ada"}},
            "session": {"session.id": "s1", "owner": "bob"},
        },
        "outcome": outcome,
    }))
    .unwrap()
}

fn decided(decision: Value, reason: &str) -> Value {
    json!({"decided": {"by": "policy", "decision": decision, "reason": reason}})
}

fn difference(before: Value, after: Value) -> Found {
    Found::Difference(Box::new((record(before), serde_json::from_value(after).unwrap())))
}

#[test]
fn a_difference_says_about_whom_and_what_changes() {
    let mut report = Report::new(10);
    report.add(difference(decided(json!({"reject": {}}), "not-admitted"), decided(json!({"forward": {}}), "owner")));
    report
        .add(difference(decided(json!({"forward": {}}), "owner"), json!({"failed": {"by": "p", "fault": "trap", "message": "x"}})));
    report.add(difference(decided(json!({"forward": {}}), "owner"), decided(json!({"forward": {"endpoint": "api"}}), "owner")));
    let text = report.in_words(&report.judge(0, 90), Paint::none());
    let lines: Vec<&str> = text.lines().collect();
    let subject = "ada GET /lab?[2J of s1";
    assert!(lines[0].starts_with(&format!("00000000000000ab  {subject}  reject (not-admitted)")), "{text}");
    assert!(lines[0].contains("-> forward (owner)") && lines[0].ends_with("lets in"), "{text}");
    assert!(lines[1].contains("-> fails (trap: x)") && lines[1].ends_with("turns away"), "{text}");
    assert!(lines[2].contains(r#"{"forward":{}}"#) && lines[2].ends_with(r#"-> {"forward":{"endpoint":"api"}}"#), "{text}");
    assert_eq!(lines[3], "3 records run again: 0 the same, 3 differences (1 let in that weren't, 1 turned away that weren't)");
    assert_eq!(lines[4], "FAILED 3 differences, at most 0 may be (--most-differences)");
    assert_eq!(report.judge(3, 90), [""; 0]);
}

#[test]
fn what_could_not_be_run_is_said_and_counts() {
    let mut report = Report::new(10);
    assert_eq!(report.judge(0, 0), ["no record could be run again: this says nothing"]);
    (0..8).for_each(|_| report.add(Found::Same));
    report.add(Found::NotRecorded("the input 'header accept'".into()));
    report.add(Found::OtherKind);
    report.add(Found::NotAsked);
    (1..6).for_each(|number| report.add(Found::Unreadable(format!("line {number}: bad"))));
    assert_eq!(report.judge(0, 90), ["only 57 % of the records could be run again, at least 90 % must (--least-replayed-percent)"]);
    assert_eq!(report.judge(0, 57), [""; 0]);
    let text = report.in_words(&[], Paint::none());
    for part in [
        "8 records run again: 8 the same, 0 differences",
        "1 record not run: the input 'header accept' isn't recorded",
        "1 record left out: of other kinds",
        "1 record left out: in which it wasn't asked",
        "5 lines no record:\n  line 1: bad\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("line 4"));
}

#[test]
fn more_differences_than_are_shown_are_counted() {
    let mut report = Report::new(1);
    (0..3).for_each(|_| report.add(difference(decided(json!("unauthenticated"), "a"), decided(json!({"reject": {}}), "b"))));
    assert!(report.in_words(&[], Paint::none()).contains("and 2 more\n"));
    assert_eq!(report.to_json(&["x".into()])["differences"], 3);
}
