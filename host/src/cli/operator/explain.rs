//! One recorded decision in sentences: what it came to and by whom, what it was made from, what the key sets said.

use super::{
    generic::{lines, short},
    time::instant,
};
use crate::{
    cli::{
        output::{self, Colour, Paint, grouped, plain},
        plugin::KindWord,
    },
    domain::{
        Attributes, Identity, Timestamp,
        decision::Kind,
        record::{Bytes, Decided, Http, Known, MayRead, Outcome, Record, Tcp, TokenAnswer},
    },
};

/// Of one value.
const SHOWN: usize = 200;

pub(super) fn in_words(record: &Record, paint: Paint) -> String {
    let heading = |text: &str| format!("\n{}\n", paint.paint(Colour::Strong, text));
    let (verdict, colour) = verdict(record.inputs.kind, &record.outcome);
    let mut text = format!("{}\n", paint.paint(colour, &verdict));
    text += &format!(
        "Decision {} of kind {}, made {} in {} µs by generation {} of the plugins (set {}).\n",
        record.id,
        KindWord::of(record.inputs.kind),
        instant(record.inputs.now_ms),
        grouped(record.took_us),
        record.generation,
        plain(&record.set, 12)
    );
    let asked: Vec<String> = record.asked.iter().map(|name| plain(name, SHOWN)).collect();
    text += &format!("Asked, in this order: {}.\n", asked.join(", "));
    let inputs = &record.inputs;
    if let Some(http) = &inputs.http {
        text += &(heading("The request") + &rows(http_rows(http)));
    }
    if let Some(tcp) = &inputs.tcp {
        text += &(heading("The connection") + &rows(tcp_rows(tcp)));
    }
    if let Some(identity) = &inputs.identity {
        text += &(heading("Who it came from") + &identity_in_words(identity));
    }
    text += &match &inputs.session {
        Some(session) => heading("The session") + &rows(attribute_rows(session)),
        None => heading("The session") + "  there is none\n",
    };
    if let Some(may_read) = &inputs.may_read_session {
        text += &(heading("Whether the server lets them read it") + &may_read_in_words(may_read));
    }
    if !inputs.tokens.is_empty() {
        text += &heading("What the key sets said of tokens");
        for token in &inputs.tokens {
            let (key_set, shown) = (plain(&token.key_set, SHOWN), plain(&token.token, SHOWN));
            text += &format!("  {shown}\n    by key set '{key_set}': {}\n", token_in_words(&token.answer));
        }
    }
    if let Known::These(words) = &inputs.known {
        let words: Vec<String> = words.iter().map(|word| plain(word, SHOWN)).collect();
        text += &heading("Recorded");
        text += &format!("  {}; what isn't shown of these was absent\n", words.join(", "));
    }
    text + &outcome_in_words(&record.outcome, &heading("What it came to"))
}

fn verdict(kind: Kind, outcome: &Outcome) -> (String, Colour) {
    match outcome {
        Outcome::Decided(Decided { by, decision, reason, .. }) => {
            let by =
                by.as_ref().map_or("because every plugin abstained".to_owned(), |by| format!("by plugin '{}'", plain(by, SHOWN)));
            let colour = if decision.admits() { Colour::Good } else { Colour::Warning };
            (format!("{} ({}), {by}", decision.word(), plain(reason, SHOWN)), colour)
        }
        Outcome::Failed(failed) => {
            let (by, message) = (plain(&failed.by, SHOWN), plain(&failed.message, 2 * SHOWN));
            let so = if kind == Kind::DiscoveryFilter { "what it said before stands" } else { "nobody got in" };
            (format!("plugin '{by}' couldn't decide, so {so}: {}: {message}", plain(&failed.fault, SHOWN)), Colour::Bad)
        }
    }
}

fn outcome_in_words(outcome: &Outcome, heading: &str) -> String {
    let Outcome::Decided(decided) = outcome else { return String::new() };
    let mut known: Vec<(String, String)> = vec![("reason".into(), plain(&decided.reason, SHOWN))];
    known.extend(decided.detail.as_ref().map(|detail| ("detail".into(), plain(detail, 2 * SHOWN))));
    known.extend(decided.holds_until_ms.map(|until| ("holds until".into(), instant(until))));
    let decision = serde_json::to_value(&decided.decision).ok();
    let parts = decision.as_ref().and_then(|decision| decision.as_object()?.values().next()?.as_object());
    format!("{heading}{}{}", rows(known), parts.map_or_else(String::new, |parts| lines(parts, 2)))
}

fn rows(rows: Vec<(String, String)>) -> String {
    if rows.is_empty() {
        return "  nothing of it was recorded\n".into();
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect();
    output::table(&rows, |_, cell| cell.to_owned())
}

fn http_rows(http: &Http) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (name, value) in [
        ("method", &http.method),
        ("authority", &http.authority),
        ("path", &http.path),
        ("upgrade", &http.upgrade),
        ("TLS name", &http.tls_name),
    ] {
        rows.extend(value.as_ref().map(|value| (name.to_owned(), plain(value, SHOWN))));
    }
    rows.extend(connection_rows(http.client_address, http.listener_port, http.client_certificate.as_ref()));
    for (what, fields) in [("header", &http.headers), ("cookie", &http.cookies), ("query", &http.query)] {
        rows.extend(fields.iter().map(|(name, value)| (format!("{what} {}", plain(name, SHOWN)), bytes(value))));
    }
    rows
}

fn tcp_rows(tcp: &Tcp) -> Vec<(String, String)> {
    let name = tcp.tls_name.as_ref().map(|name| ("TLS name".to_owned(), plain(name, SHOWN)));
    name.into_iter().chain(connection_rows(tcp.client_address, tcp.listener_port, tcp.client_certificate.as_ref())).collect()
}

fn connection_rows(
    client: Option<std::net::IpAddr>,
    port: Option<u16>,
    certificate: Option<&Bytes>,
) -> impl Iterator<Item = (String, String)> {
    let client = client.map(|client| ("from".to_owned(), client.to_string()));
    let port = port.map(|port| ("to port".to_owned(), port.to_string()));
    let certificate = certificate.map(|der| ("certificate".to_owned(), format!("{} bytes", der.0.len())));
    client.into_iter().chain(port).chain(certificate)
}

fn attribute_rows(session: &Attributes) -> Vec<(String, String)> {
    let values = |values: &[std::sync::Arc<str>]| values.iter().map(|value| bytes(value.as_bytes())).collect::<Vec<_>>().join(", ");
    session.iter().map(|(name, all)| (plain(name, SHOWN), values(all))).collect()
}

fn identity_in_words(identity: &Identity) -> String {
    match identity {
        Identity::Anonymous => "  nobody who is known: every authenticator abstained\n".into(),
        Identity::Principal(principal) => match serde_json::to_value(principal.as_ref()) {
            Ok(serde_json::Value::Object(parts)) => lines(&parts, 2),
            _ => format!("  {}\n", plain(&principal.id, SHOWN)),
        },
    }
}

fn may_read_in_words(answer: &MayRead) -> String {
    match answer {
        MayRead::Yes => "  yes\n".into(),
        MayRead::No => "  no\n".into(),
        MayRead::Unavailable(why) => format!("  nobody could find out: {}\n", plain(why, SHOWN)),
    }
}

fn token_in_words(answer: &TokenAnswer) -> String {
    match answer {
        TokenAnswer::Refused(refused) => {
            let code = serde_json::to_value(refused).ok();
            format!("refused, {}", code.as_ref().and_then(|code| code.as_str()).unwrap_or("for a reason of its own"))
        }
        TokenAnswer::Unavailable(why) => format!("nobody could tell: {}", plain(why, SHOWN)),
        TokenAnswer::Claims(claims) => {
            let end = claims.get("exp").and_then(serde_json::Value::as_u64).map(|end| Timestamp(end.saturating_mul(1000)));
            let end = end.map_or_else(String::new, |end| format!(" until {}", instant(end)));
            let claims = short("", claims).unwrap_or_else(|| plain(&claims.to_string(), 3 * SHOWN));
            format!("genuine{end}, with the claims {claims}")
        }
    }
}

fn bytes(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok("") => "(empty)".into(),
        Ok(text) => plain(text, SHOWN),
        Err(_) => format!("{} bytes that aren't text", value.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(outcome: serde_json::Value) -> Record {
        serde_json::from_value(json!({
            "id": "00000000000000ab", "generation": 3, "set": "0123456789abcdef", "asked": ["policy@0123456789ab"], "took_us": 1234,
            "inputs": {
                "kind": "routing-policy", "now_ms": 1_800_000_000_000_u64, "known": ["method", "header accept"],
                "http": {
                    "method": "GET", "path": "/lab\u{1b}[2J", "client_address": "192.0.2.1",
                    "headers": [["accept", "*/*"], ["x", {"base64": "/w=="}]],
                },
                "identity": {"principal": {"id": "ada", "groups": ["research"]}},
                "session": {"owner": ["bob"], "tag": ["a", "b"]},
                "may_read_session": {"unavailable": "down"},
                "tokens": [
                    {"token": "redacted.x.redacted", "key_set": "clearml", "claims": {"sub": "ada", "exp": 1_800_000_060}},
                    {"token": "redacted.y.redacted", "key_set": "sso", "refused": "unknown-key"},
                ],
            },
            "outcome": outcome,
        }))
        .unwrap()
    }

    #[test]
    fn a_decision_is_explained_from_what_it_was_made_of() {
        let decided = json!({"decided": {
            "by": "policy", "decision": {"forward": {"endpoint": "api"}}, "reason": "owner", "holds_until_ms": 1_800_000_060_000_u64,
        }});
        let text = in_words(&record(decided), Paint::none());
        for line in [
            "forward (owner), by plugin 'policy'",
            "Decision 00000000000000ab of kind routing-policy, made 2027-01-15 08:00:00 UTC in 1,234 µs by generation 3 of the \
             plugins (set 0123456789ab…).",
            "Asked, in this order: policy@0123456789ab.",
            r"  path           /lab\u{1b}[2J",
            "  from           192.0.2.1",
            "  header accept  */*",
            "  header x       1 bytes that aren't text",
            "  groups  research",
            "  tag    a, b",
            "  nobody could find out: down",
            "    by key set 'clearml': genuine until 2027-01-15 08:01:00 UTC, with the claims exp 1,800,000,060, sub ada",
            "    by key set 'sso': refused, unknown-key",
            "  method, header accept; what isn't shown of these was absent",
            "  holds until  2027-01-15 08:01:00 UTC",
            "  endpoint  api",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_failure_says_that_nobody_got_in() {
        let failed = json!({"failed": {"by": "policy", "fault": "trap", "message": "unreachable\n"}});
        let text = in_words(&record(failed), Paint::none());
        assert!(text.starts_with("plugin 'policy' couldn't decide, so nobody got in: trap: unreachable\\u{a}\n"), "{text}");
        let abstained = json!({"decided": {"by": null, "decision": {"reject": {}}, "reason": "no-policy-decided"}});
        let text = in_words(&record(abstained), Paint::none());
        assert!(text.starts_with("reject (no-policy-decided), because every plugin abstained\n"), "{text}");
    }
}
