//! Which certificate is served, while the files change.

use std::process::Command;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use wicketgate_tests::{Authority, ConfigMap, Pair, eventually, gateway::binary};

use super::{Secured, files, section};

#[tokio::test]
async fn each_name_gets_its_certificate() {
    let secured = Secured::start().await;
    let (a, one, two) = (secured.shown("a.test").await, secured.shown("one.b.test").await, secured.shown("two.b.test").await);
    assert_eq!(one, two);
    assert_ne!(a, one);
    assert!(secured.authority.client(None).connect(secured.port, "a.one.b.test").await.is_err(), "a star is for one label");
    for name in ["a.test", "*.b.test"] {
        let end = secured.metric(&format!("wicketgate_tls_certificate_end_timestamp_seconds{{name=\"{name}\"}}")).await;
        assert!(end.is_some_and(|end| end > 1.7e9), "{name}: {end:?}");
    }
}

#[tokio::test]
async fn a_changed_secret_is_served_and_ends_nothing() {
    let mut secured = Secured::start().await;
    let before = secured.shown("a.test").await;
    // A stream of events, which goes on.
    let stream = secured.authority.client(None).connect(secured.port, "a.test").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("/service/s1/events").header("host", "a.test").body(Empty::<bytes::Bytes>::new()).unwrap();
    let mut events = sender.send_request(request).await.unwrap().into_body();
    assert!(events.frame().await.unwrap().is_ok());

    let [a, b] = ["a.test", "*.b.test"].map(|name| secured.authority.issue(&[name]));
    secured.mount.replace(&with_ca(&secured.authority, &a, &b));
    eventually("the new certificate", async || (secured.shown("a.test").await == a.der().to_vec()).then_some(())).await;
    assert_ne!(before, a.der().to_vec());
    assert_eq!(secured.shown("x.b.test").await, b.der().to_vec());
    for _ in 0..3 {
        assert!(events.frame().await.unwrap().is_ok());
    }
    assert_eq!(secured.metric("wicketgate_tls_loads_total{result=\"ok\"}").await, Some(1.0));
}

#[tokio::test]
async fn what_cannot_be_served_changes_nothing_and_is_said() {
    let mut secured = Secured::start().await;
    let before = secured.shown("a.test").await;
    let [a, b] = ["a.test", "*.b.test"].map(|name| secured.authority.issue(&[name]));
    let garbage = Pair { certificate: "-----BEGIN CERTIFICATE-----\nnonsense\n".into(), key: a.key.clone() };
    // Half of a change, garbage, and nothing at all.
    let swapped = Pair { certificate: a.certificate.clone(), key: b.key.clone() };
    for (wrong, said) in [(&swapped, "found the key of another certificate"), (&garbage, "found PEM that can't be read")] {
        secured.mount.replace(&with_ca(&secured.authority, wrong, &b));
        secured.gateway.logs(said).await;
        assert_eq!(secured.metric("wicketgate_tls_refused").await, Some(1.0));
        assert_eq!(secured.shown("a.test").await, before);
    }
    secured.mount.replace(&[("other", "")]);
    secured.gateway.logs("a.crt: it can't be read").await;
    assert_eq!(secured.shown("a.test").await, before);
    secured.mount.replace(&with_ca(&secured.authority, &a, &b));
    eventually("the good one", async || (secured.shown("a.test").await == a.der().to_vec()).then_some(())).await;
    assert_eq!(secured.metric("wicketgate_tls_refused").await, Some(0.0));
}

#[tokio::test]
async fn a_bad_file_is_an_error_at_the_start_and_an_expired_certificate_a_warning() {
    let (authority, other) = (Authority::default(), Authority::default());
    let [a, b] = ["a.test", "*.b.test"].map(|name| authority.issue(&[name]));
    let expired = authority.issue_with(&["a.test"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let stranger = Pair { key: other.issue(&["a.test"]).key, ..a.clone() };
    for (pair, status, said) in
        [(&a, 0, ""), (&expired, 0, "found a certificate that expired"), (&stranger, 64, "tls.certificates[0].key: ")]
    {
        let mount = ConfigMap::new(&files(pair, &b));
        let config = mount.file("wicketgate.yaml");
        std::fs::write(&config, section(&mount, 1, "")).unwrap();
        let check = Command::new(binary()).args(["config", "check", "--config"]).arg(&config).output().unwrap();
        let stderr = String::from_utf8_lossy(&check.stderr);
        assert_eq!(check.status.code(), Some(status), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}

fn with_ca(authority: &Authority, a: &Pair, b: &Pair) -> Vec<(&'static str, String)> {
    let mut all = files(a, b).to_vec();
    all.push(("ca.crt", authority.pem()));
    all
}
