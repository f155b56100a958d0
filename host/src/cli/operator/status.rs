//! What a gateway shows at `/plugins`, in words. What this program knows is put well; everything else is shown all the same.

use serde_json::{Map, Value};

use super::{
    generic::{lines, scalar, short},
    time::instant,
};
use crate::{
    cli::output::{Colour, Paint, counted, grouped, plain, size, table},
    domain::Timestamp,
};

const SHOWN: usize = 400;
/// Of a digest.
const DIGEST: usize = 12;

/// `place` is which gateway it is.
pub(super) fn in_words(place: &str, readiness: &Result<(), Vec<String>>, plugins: &Value, paint: Paint) -> String {
    let mut text = match readiness {
        Ok(()) => format!("{}: {place}\n", paint.paint(Colour::Good, "ready")),
        Err(missing) => {
            let missing: String = missing.iter().map(|what| format!("  {}\n", plain(what, SHOWN))).collect();
            format!("{}: {place}\n{missing}", paint.paint(Colour::Bad, "not ready"))
        }
    };
    let Some(all) = plugins.as_object() else { return text + &short("", plugins).unwrap_or_default() + "\n" };
    let mut rest = all.clone();
    text += &set_in_words(&mut rest);
    if let Some(refused) = rest.remove("refused").filter(|refused| !refused.is_null()) {
        text += &format!("{}: {}\n", paint.paint(Colour::Bad, "refused"), refusal(&refused));
    }
    let (each, history) = (rest.remove("plugins"), rest.remove("history"));
    text += &lines(&noteworthy(rest), 0);
    if let Some(Value::Array(history)) = history.filter(|history| history.as_array().is_some_and(|events| !events.is_empty())) {
        text += &format!("\n{}\n{}", paint.paint(Colour::Strong, "What happened to sets"), events(&history));
    }
    for plugin in each.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
        text.push('\n');
        text += &plugin_in_words(plugin.clone(), paint);
    }
    text
}

/// What there is. Nothing, no and none aren't worth a line.
fn noteworthy(map: Map<String, Value>) -> Map<String, Value> {
    let is_something = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    };
    map.into_iter().filter(|(_, value)| is_something(value)).collect()
}

/// One on a line, in the order in which they came.
fn events(history: &[Value]) -> String {
    let row = |event: &Value| {
        let part = |key: &str| event.get(key).filter(|value| !value.is_null()).map(|value| scalar(key, value)).unwrap_or_default();
        let generation = event.get("generation").map(|number| format!("generation {}", scalar("", number))).unwrap_or_default();
        let digest = plain(event.get("digest").and_then(Value::as_str).unwrap_or_default(), DIGEST);
        vec![format!("  {}", part("at_ms")), part("what"), generation, digest, part("why")]
    };
    let rows: Vec<Vec<String>> = history.iter().map(row).collect();
    table(&rows, |_, cell| cell.to_owned())
}

/// A histogram in a line: `1 within 25 µs, 2 within 50 µs; 31 µs in the mean`.
fn durations(durations: &Value) -> Option<String> {
    let buckets = durations.get("buckets")?.as_array()?;
    let mut calls = 0;
    let mut parts = Vec::new();
    for bucket in buckets {
        let count = bucket.get("calls")?.as_u64()?;
        calls += count;
        if count > 0 {
            let end = bucket.get("up_to_us").and_then(Value::as_u64);
            let end = end.map_or_else(|| "longer".to_owned(), |us| format!("within {} µs", grouped(us)));
            parts.push(format!("{} {end}", grouped(count)));
        }
    }
    let mean = durations.get("sum_us").and_then(Value::as_u64).and_then(|sum| sum.checked_div(calls));
    mean.map(|mean| format!("{}; {} µs in the mean", parts.join(", "), grouped(mean)))
}

/// `generation 3 decides since …, from /plugins, with digest …`.
fn set_in_words(rest: &mut Map<String, Value>) -> String {
    let mut take = |key: &str| rest.remove(key).filter(|value| !value.is_null());
    let source = take("source").map(|source| format!(", from {}", scalar("", &source)));
    let since = take("active_since_ms").and_then(|at| at.as_u64()).map(|at| format!(" since {}", instant(Timestamp(at))));
    let digest = take("digest").map(|digest| format!(" ({})", plain(digest.as_str().unwrap_or_default(), DIGEST)));
    let Some(generation) = take("generation") else {
        return format!("no plugin set decides{}\n", source.unwrap_or_default());
    };
    let parts = [digest, since.map(|since| format!(" decides{since}")), source];
    format!("generation {}{}\n", scalar("", &generation), parts.into_iter().flatten().collect::<String>())
}

fn refusal(refused: &Value) -> String {
    let why = refused.get("why").and_then(Value::as_str).map(|why| plain(why, SHOWN));
    let at = refused.get("at_ms").and_then(Value::as_u64).map(|at| format!(" ({})", instant(Timestamp(at))));
    why.map_or_else(|| short("", refused).unwrap_or_else(|| refused.to_string()), |why| why + &at.unwrap_or_default())
}

fn plugin_in_words(mut plugin: Map<String, Value>, paint: Paint) -> String {
    let mut take = |key: &str| plugin.remove(key).filter(|value| !value.is_null());
    let text_of = |value: Option<Value>| value.as_ref().and_then(Value::as_str).map(|text| plain(text, SHOWN)).unwrap_or_default();
    let number_of = |value: Option<Value>| value.as_ref().and_then(Value::as_u64);
    let name = text_of(take("name"));
    let mut heading = vec![paint.paint(Colour::Strong, &name), text_of(take("kind"))];
    heading.extend(number_of(take("bytes")).and_then(|bytes| usize::try_from(bytes).ok()).map(size));
    heading.extend(take("sha256").map(|digest| format!("sha256 {}", plain(digest.as_str().unwrap_or_default(), DIGEST))));
    let mut known = Map::new();
    let mut put = |key: &str, value: String| {
        known.insert(key.to_owned(), Value::String(value));
    };
    if let Some(grants) = take("grants") {
        put("grants", granted(&grants));
    }
    if let Some(Value::Array(reads)) = take("reads") {
        let reads: Vec<&str> = reads.iter().filter_map(Value::as_str).collect();
        put("reads", if reads.is_empty() { "nothing".into() } else { reads.join(", ") });
    }
    let limits = [
        number_of(take("call_budget_ms")).map(|ms| format!("{ms} ms a call")),
        number_of(take("memory_bytes"))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map(|bytes| format!("{} of memory", size(bytes))),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        put("limits", limits.join(", "));
    }
    let calls = [(take("calls"), "calls"), (take("cache_hits"), "from the cache")];
    let calls: Vec<String> =
        calls.into_iter().filter_map(|(count, what)| Some(format!("{} {what}", grouped(number_of(count)?)))).collect();
    if !calls.is_empty() {
        put("did", calls.join(", "));
    }
    if let Some(took) = plugin.remove("durations").as_ref().and_then(durations) {
        put("took", took);
    }
    if let Some(faults) = plugin.remove("faults") {
        put("faults", counts(&faults));
    }
    let mut text = heading.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ") + "\n";
    known.extend(noteworthy(plugin));
    text += &lines(&known, 2);
    text
}

/// Those that aren't zero.
fn counts(faults: &Value) -> String {
    let faults = faults.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
    let faults: Vec<String> = faults.map(|(kind, count)| format!("{} {kind}", scalar("", count))).collect();
    if faults.is_empty() { "none".into() } else { faults.join(", ") }
}

fn granted(grants: &Value) -> String {
    let mut parts = Vec::new();
    for (name, value) in grants.as_object().into_iter().flatten() {
        match value {
            Value::Bool(false) | Value::Null => {}
            Value::Bool(true) => parts.push(name.replace('_', " ")),
            Value::Array(items) if items.is_empty() => {}
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| scalar("", item)).collect();
                parts.push(format!(
                    "{} {}",
                    counted(items.len(), name.trim_end_matches('s').replace('_', " ").as_str()),
                    items.join(", ")
                ));
            }
            other => parts.push(format!("{name} {}", scalar("", other))),
        }
    }
    if parts.is_empty() { "nothing".into() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_put_in_words_and_nothing_of_it_is_lost() {
        let plugins = json!({
            "source": "/etc/wicketgate/plugins",
            "generation": 3,
            "digest": "0123456789abcdef0123",
            "active_since_ms": 1_800_000_000_000_u64,
            "refused": {"why": "plugin 'p': no\u{1b}[2J", "at_ms": 1_800_000_060_000_u64},
            "stage": "watching",
            "watch": null,
            "history": [{"at_ms": 1_800_000_000_000_u64, "what": "refused", "digest": "0123456789abcdef", "why": "no\u{7}"}],
            "plugins": [{
                "name": "auth", "kind": "authenticator", "sha256": "ab".repeat(32), "bytes": 36_864,
                "grants": {"log": true, "key_sets": ["gateway", "clearml"], "facts": []},
                "reads": ["cookie a (credential)"], "call_budget_ms": 5, "memory_bytes": 16_777_216,
                "calls": 1_234, "cache_hits": 5, "faults": {"trap": 2, "error": 0},
                "decisions": {"allow": 7}, "keeps_state": false, "last_fault": null,
                "durations": {
                    "buckets": [{"up_to_us": 2, "calls": 0}, {"up_to_us": 1_000, "calls": 3}, {"up_to_us": null, "calls": 1}],
                    "sum_us": 8_000,
                },
            }],
        });
        let text = in_words("http://here", &Ok(()), &plugins, Paint::none());
        for line in [
            "ready: http://here",
            "generation 3 (0123456789ab…) decides since 2027-01-15 08:00:00 UTC, from /etc/wicketgate/plugins",
            "refused: plugin 'p': no\\u{1b}[2J (2027-01-15 08:01:00 UTC)",
            "stage  watching",
            "auth  authenticator  36.0 KiB  sha256 abababababab…",
            "grants     2 key sets gateway, clearml; log",
            "limits     5 ms a call, 16.00 MiB of memory",
            "did        1,234 calls, 5 from the cache",
            "faults     2 trap",
            "decisions  allow 7",
            "took       3 within 1,000 µs, 1 longer; 2,000 µs in the mean",
            "2027-01-15 08:00:00 UTC  refused    0123456789ab…  no\\u{7}",
        ] {
            assert!(text.lines().any(|found| found.trim_start() == line), "{line}\n{text}");
        }
        assert!(!text.contains("watch ") && !text.contains("keeps state"), "{text}");
    }

    #[test]
    fn a_gateway_without_a_set_says_what_is_missing() {
        let missing = vec!["no plugin set is active".to_owned()];
        let text =
            in_words("http://here", &Err(missing), &json!({"source": "/p", "generation": null, "plugins": []}), Paint::none());
        assert_eq!(text, "not ready: http://here\n  no plugin set is active\nno plugin set decides, from /p\n");
    }
}
