//! curl in each way that it can come.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};
use wicketgate_tests::{
    PATIENCE,
    programs::{need, output},
};

use super::{DOMAIN, Peers};

const MIB: usize = 1 << 20;

/// Nothing of the person's own configuration, and no proxy.
fn curl(arguments: &[&str]) -> Command {
    let mut curl = Command::new(need("curl", "curl"));
    curl.args(["--disable", "--silent", "--show-error", "--noproxy", "*"]);
    curl.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    curl
}

/// The version that was spoken, the status and the body.
async fn fetched(arguments: &[&str]) -> (String, String, String) {
    let mut curl = curl(&["--write-out", "\n%{http_version} %{http_code}"]);
    curl.args(arguments);
    let said = output(curl, PATIENCE).await;
    let (body, about) = said.rsplit_once('\n').unwrap();
    let (version, status) = about.split_once(' ').unwrap();
    (version.to_owned(), status.to_owned(), body.to_owned())
}

/// What the session's echo got; `header` is None where there was none.
fn header<'a>(got: &'a Value, name: &str) -> Option<&'a str> {
    got["headers"].as_array()?.iter().find(|pair| pair[0] == name)?[1].as_str()
}

#[tokio::test]
async fn each_way_to_come_has_its_own_version_and_the_same_answer() {
    let peers = Peers::open_to_all().await;
    let plain = peers.gateway.at("/service/s1/echo");
    let encrypted = format!("https://127.0.0.1:{}/service/s1/echo", peers.tls_port);
    let certificate = peers.certificate.certificate.to_str().unwrap();
    for (version, arguments) in [
        ("2", vec!["--http2-prior-knowledge", plain.as_str()]),
        ("1.1", vec!["--http1.1", &plain]),
        ("2", vec!["--http2", "--insecure", &encrypted]),
        ("2", vec!["--http2", "--cacert", certificate, &encrypted]),
        ("1.1", vec!["--http1.1", "--insecure", &encrypted]),
    ] {
        let (spoken, status, body) = fetched(&arguments).await;
        assert_eq!((spoken.as_str(), status.as_str()), (version, "200"), "{arguments:?}: {body}");
        let got: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&got["method"], &got["target"]), (&"GET".into(), &"/echo".into()), "{arguments:?}");
        let scheme = if arguments.contains(&encrypted.as_str()) { "https" } else { "http" };
        assert_eq!(header(&got, "x-forwarded-proto"), Some(scheme), "{arguments:?}: {got}");
        assert!(got["headers"].as_array().unwrap().iter().all(|pair| !pair[0].as_str().unwrap().starts_with(':')), "{got}");
    }
}

#[tokio::test]
async fn an_offer_to_upgrade_to_http2_is_passed_over_and_not_on() {
    let peers = Peers::open_to_all().await;
    let (version, status, body) = fetched(&["--http2", &peers.gateway.at("/service/s1/echo")]).await;
    assert_eq!((version.as_str(), status.as_str()), ("1.1", "200"));
    let got: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((header(&got, "upgrade"), header(&got, "http2-settings")), (None, None), "{got}");
}

#[tokio::test]
async fn a_session_with_a_host_of_its_own_is_reached_by_it() {
    let peers = Peers::open_to_all().await;
    let port = peers.tls_port;
    let (resolve, url) = (format!("s1.{DOMAIN}:{port}:127.0.0.1"), format!("https://{}/echo?a=1", Peers::authority(port)));
    let certificate = peers.certificate.certificate.to_str().unwrap();
    let (version, status, body) = fetched(&["--http2", "--cacert", certificate, "--resolve", &resolve, &url]).await;
    assert_eq!((version.as_str(), status.as_str()), ("2", "200"), "{body}");
    let got: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(got["target"], "/echo?a=1");
}

#[tokio::test]
async fn bodies_of_any_size_pass_in_either_direction() {
    let peers = Peers::open_to_all().await;
    let files = tempfile::tempdir().unwrap();
    let sent = files.path().join("sent");
    let at = |path: &str| peers.gateway.at(&format!("/service/s1/{path}"));
    // More than any window, and not a multiple of one.
    let text: String = (0..MIB).map(|number| char::from(b'a' + u8::try_from(number % 23).unwrap())).collect();
    std::fs::write(&sent, &text).unwrap();
    let upload = format!("@{}", sent.display());
    let (_, status, body) = fetched(&["--http2-prior-knowledge", "--data-binary", &upload, &at("echo")]).await;
    assert_eq!(status, "200");
    let got: Value = serde_json::from_str(&body).unwrap();
    assert!(got["body"] == text, "what arrived is what was sent");

    let large = curl(&["--http2-prior-knowledge", &at(&format!("bytes/{}", 32 * MIB + 1))]).output().await.unwrap();
    assert_eq!(large.stdout.len(), 32 * MIB + 1);
}

#[tokio::test]
async fn fifty_downloads_share_a_connection() {
    let peers = Peers::open_to_all().await;
    let files = tempfile::tempdir().unwrap();
    // Over TLS: without it curl 7.88 breaks off when it asks for several things on one connection.
    let mut many = curl(&["--http2", "--insecure", "--parallel", "--parallel-max", "50", "--write-out", "%{num_connects}\n"]);
    for number in 0..50 {
        let url = format!("https://127.0.0.1:{}/service/s1/bytes/{}", peers.tls_port, 100_000 + number);
        many.arg("--output").arg(files.path().join(number.to_string())).arg(url);
    }
    let connected: u32 = output(many, PATIENCE).await.lines().map(|line| line.parse::<u32>().unwrap()).sum();
    assert_eq!(connected, 1, "connections");
    for number in 0..50 {
        assert_eq!(files.path().join(number.to_string()).metadata().unwrap().len(), 100_000 + number);
    }
}

#[tokio::test]
async fn a_stream_of_events_comes_as_it_is_made() {
    let peers = Peers::open_to_all().await;
    let mut curl = curl(&["--http2-prior-knowledge", "--no-buffer", &peers.gateway.at("/service/s1/events")]);
    let mut events = curl.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    for number in 0..5 {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("an event").unwrap().expect("the stream is open");
        assert_eq!(line, format!("data: {number}"));
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(""));
    }
    events.kill().await.unwrap();
    assert_eq!(peers.site.upstream.seen().len(), 1, "it was asked for once");
}
