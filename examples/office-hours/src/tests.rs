use wicketgate_plugin::testing;

use super::*;

/// Friday 2027-01-15, 08:00 UTC.
const FRIDAY_EIGHT: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;

const CONFIG: &str = r#"{"utc_offset_minutes": 60, "rules": [
    {"groups": ["students"], "projects": ["course-*"], "days": ["mon", "fri"], "from": "08:00", "to": "18:00"},
    {"groups": ["night"], "days": ["fri", "sat"], "from": "22:00", "to": "24:00"}]}"#;

fn decide(group: &str, project: &str, now: u64) -> Decision {
    let policy = testing::routing_policy::<OfficeHours>(CONFIG).unwrap();
    let person = Principal { id: "eve".into(), groups: vec![group.into()], ..Principal::default() };
    let request = testing::get("/").by(person).session(&[("project", project)]).now(now);
    policy.route(&request.route()).unwrap()
}

#[test]
fn an_answer_ends_when_the_hour_does() {
    // Nine o'clock there; open until 18:00, which is 17:00 UTC.
    let Decision::Forward(open) = decide("students", "course-1", FRIDAY_EIGHT) else { panic!("closed") };
    assert_eq!(open.lifetime.valid_until, Some(FRIDAY_EIGHT + 9 * HOUR));
    let last = decide("students", "course-1", FRIDAY_EIGHT + 9 * HOUR - 1);
    assert!(matches!(last, Decision::Forward(_)));
    // Closed until Monday, 08:00 there.
    let Decision::Reject(closed) = decide("students", "course-1", FRIDAY_EIGHT + 9 * HOUR) else { panic!("open") };
    assert_eq!(closed.lifetime.valid_until, Some(FRIDAY_EIGHT + (3 * 24 - 1) * HOUR));
    // Whoever comes a moment before is let in then.
    let Decision::Reject(early) = decide("night", "x", FRIDAY_EIGHT + 13 * HOUR - 1) else { panic!("open") };
    assert_eq!(early.lifetime.valid_until, Some(FRIDAY_EIGHT + 13 * HOUR));
    assert!(matches!(decide("night", "x", FRIDAY_EIGHT + 13 * HOUR), Decision::Forward(_)));
}

#[test]
fn who_is_not_named_is_left_to_the_next_policy_at_any_hour() {
    for now in [FRIDAY_EIGHT, FRIDAY_EIGHT + 12 * HOUR] {
        assert_eq!(decide("staff", "course-1", now), Decision::Abstain(Reason::new("no-rule")));
        assert_eq!(decide("students", "lab", now), Decision::Abstain(Reason::new("no-rule")));
    }
}

#[test]
fn hours_that_are_none_are_refused_by_their_key() {
    for (from, to, key) in
        [("8:00", "18:00", "from"), ("24:00", "24:00", "from"), ("08:00", "08:00", "to"), ("08:00", "24:01", "to")]
    {
        let config = CONFIG.replace("08:00", from).replace("18:00", to);
        let config = if (from, to) == ("08:00", "08:00") { CONFIG.replace("18:00", "08:00") } else { config };
        let error = testing::routing_policy::<OfficeHours>(&config).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("rules.0.{key}: found")), "{error}");
    }
}
