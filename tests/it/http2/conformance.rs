//! What RFC 9113 and RFC 7541 ask of a server, as h2spec tries it.

use wicketgate_tests::programs::h2spec;

use super::Peers;

/// Cases that h2spec counts as failed and that are as they should be, each with the reason.
const EXPECTED: [&str; 1] = [
    // The port speaks HTTP/1.1 as well: what doesn't begin as HTTP/2 is a bad request of the other kind, and answered as one.
    "http2/3.5: Sends invalid connection preface",
];

/// All of its cases but those of `EXPECTED`; a tool that tried less has proved less.
const CASES: usize = 140;

#[tokio::test]
async fn the_protocol_is_kept_whatever_a_client_sends() {
    let peers = Peers::open_to_all().await;
    let cases = h2spec::run(peers.gateway.port, "/service/s1/bytes/1000").await;
    assert!(cases.len() >= CASES, "only {} cases were tried", cases.len());
    let failed: Vec<String> = cases
        .iter()
        .filter(|case| !EXPECTED.contains(&case.name.as_str()))
        .filter_map(|case| Some(format!("{}\n    {}", case.name, case.fault.as_ref()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    // Whoever asks next is served.
    let reply = wicketgate_tests::Client::default().get(&peers.gateway.at("/service/s1/echo")).await;
    assert_eq!(reply.status, 200);
}
