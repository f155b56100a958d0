//! Plugins from a registry: pulled by their digest with a pull secret, kept, and refused where the registry isn't what it should be.

use std::fs;

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;
use wicketgate_tests::{
    Authority, Client, Gateway, Registry, free_port,
    programs::registry::{PASSWORD, USER, digest, manifest},
    server::{Body, Server, whole},
};

use super::POLICY;
use crate::site::{SESSION, Site, defaults, defaults_with, generation, only, person, refused, settled, swapped};

const WASM: &str = "application/wasm";

/// The defaults with a policy from a registry; the mark tells sets apart.
fn pulled(reference: &str, mark: &str) -> String {
    defaults_with(
        "routing-policy",
        &format!(
            "{{name: policy, kind: routing-policy, oci: '{reference}', \
             config: {{response_headers: {{set: {{X-Mark: {mark}}}}}}}}}"
        ),
    )
}

async fn mark(gateway: &Gateway) -> Option<String> {
    let reply = person("alice").get(&gateway.at(SESSION)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-mark").map(str::to_owned)
}

/// Keys for a registry without TLS that needs no password.
fn plain(host: &str) -> String {
    format!(", registries: {{'{host}': {{plain_http: true}}}}")
}

fn is_in_one_line(why: &str) {
    assert!(!why.contains('\n') && why.len() < 1024, "{why}");
}

#[tokio::test]
async fn a_plugin_is_pulled_with_a_pull_secret_and_kept_over_restarts() {
    let registry = Registry::start().await;
    let reference = registry.push("team/policy", &[(WASM, POLICY)]).await;
    let site = Site::new(&only(pulled(&reference, "one")));
    let (secrets, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = secrets.path().join(".dockerconfigjson");
    fs::write(&secret, registry.pull_secret("a wrong one")).unwrap();
    let keys =
        format!("{}, pull_secrets: ['{}'], state_directory: '{}'", plain(&registry.host), secret.display(), state.path().display());
    // A wrong password first: the file is read at each pull, so that a repaired secret needs no restart.
    let mut gateway = Gateway::start_unready(&site.config_with(&keys)).await;
    let why = refused(&gateway, None).await;
    assert!(why.ends_with(&format!("{reference}: the registry lets '{USER}' not pull it")), "{why}");
    assert_eq!(Client::default().get(&gateway.at(SESSION)).await.status, 503);
    fs::write(&secret, registry.pull_secret(PASSWORD)).unwrap();
    let mut site = site;
    site.mount(&pulled(&reference, "two"));
    settled(&gateway).await;
    gateway.is_ready().await;
    assert_eq!(mark(&gateway).await.as_deref(), Some("two"));
    let plugin = gateway.status("/plugins").await["plugins"][2].clone();
    assert_eq!(format!("sha256:{}", plugin["sha256"].as_str().unwrap()), digest(POLICY));
    gateway.logs("a plugin was pulled").await;
    assert!(!gateway.log().contains(PASSWORD) && !gateway.log().contains("a wrong one"));

    // Without the registry: another configuration of the same plugin, then a restart.
    drop(registry);
    let before = generation(&gateway).await.unwrap();
    site.mount(&pulled(&reference, "three"));
    swapped(&gateway, before).await;
    assert_eq!(mark(&gateway).await.as_deref(), Some("three"));
    gateway.kill();
    gateway.start_again().await;
    assert_eq!(mark(&gateway).await.as_deref(), Some("three"));
    assert_eq!(gateway.log().matches("a plugin was pulled").count(), 1);
}

#[tokio::test]
async fn what_was_kept_counts_only_while_it_is_what_the_digest_names() {
    let registry = Registry::start().await;
    let reference = registry.push("policy", &[(WASM, POLICY)]).await;
    let site = Site::new(&only(pulled(&reference, "one")));
    let state = tempfile::tempdir().unwrap();
    let keys = format!(
        ", registries: {{'{}': {{plain_http: true, username: {USER}, password: '{PASSWORD}'}}}}, state_directory: '{}'",
        registry.host,
        state.path().display()
    );
    let mut gateway = Gateway::start(&site.config_with(&keys)).await;
    gateway.kill();
    let kept = state.path().join("plugins/artifacts").join(reference.rsplit_once(':').unwrap().1);
    let whole = fs::read(&kept).unwrap();
    // A byte of the component, of its manifest, and nothing at all: it's pulled again.
    for (number, change) in [whole.len() - 100, 20, 0].into_iter().enumerate() {
        let mut changed = whole.clone();
        match change {
            0 => changed.clear(),
            at => changed[at] ^= 1,
        }
        fs::write(&kept, &changed).unwrap();
        gateway.start_again().await;
        assert_eq!(mark(&gateway).await.as_deref(), Some("one"));
        assert_eq!(gateway.log().matches("a plugin was pulled").count(), number + 2);
        assert_eq!(fs::read(&kept).unwrap(), whole);
        gateway.kill();
    }
}

#[tokio::test]
async fn without_a_state_directory_it_is_kept_in_memory() {
    let registry = Registry::start().await;
    let reference = registry.push("policy", &[("text/markdown", b"# Read me"), (WASM, POLICY)]).await;
    let mut site = Site::new(&only(pulled(&reference, "one")));
    let keys = format!(", registries: {{'{}': {{plain_http: true, username: {USER}, password: '{PASSWORD}'}}}}", registry.host);
    let gateway = Gateway::start(&site.config_with(&keys)).await;
    drop(registry);
    site.mount(&pulled(&reference, "two"));
    swapped(&gateway, 1).await;
    assert_eq!(mark(&gateway).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_registry_with_a_certificate_of_an_own_authority() {
    let authority = Authority::default();
    let (plain, secure) = (Registry::start().await, Registry::start_secure(&authority.issue(&["localhost"])).await);
    let reference = plain.push("policy", &[("application/vnd.wasm.content.layer.v1+wasm", POLICY)]).await;
    secure.take_over(&plain);
    let reference = reference.replace(&plain.host, &secure.host);
    let files = tempfile::tempdir().unwrap();
    let (ca, secret) = (files.path().join("ca.pem"), files.path().join("config.json"));
    fs::write(&ca, authority.pem()).unwrap();
    fs::write(&secret, secure.pull_secret(PASSWORD)).unwrap();
    let site = Site::new(&only(pulled(&reference, "one")));
    let config = site.config_with(&format!(", pull_secrets: ['{}']", secret.display()));
    // The system's authorities don't know it.
    let stranger = Gateway::start_unready(&config).await;
    let why = refused(&stranger, None).await;
    assert!(why.contains(&reference) && why.contains("certificate"), "{why}");
    is_in_one_line(&why);

    let gateway = Gateway::start(&format!("{config}tls: {{extra_ca: ['{}']}}\n", ca.display())).await;
    assert_eq!(mark(&gateway).await.as_deref(), Some("one"));
}

/// A registry that answers everything with this, but says that it speaks the protocol.
fn answering(answer: impl Fn(&str) -> Option<Response<Body>> + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        let path = request.uri().path().to_owned();
        let answer = if path == "/v2/" { Some(Response::new(whole("{}"))) } else { answer(&path) };
        async move {
            match answer {
                Some(answer) => Ok(answer),
                None => std::future::pending().await,
            }
        }
    })
}

fn endless() -> Response<Body> {
    let part = Bytes::from(vec![b' '; 1 << 20]);
    let parts = stream::repeat_with(move || Ok::<_, std::io::Error>(Frame::data(part.clone())));
    Response::new(Body::new(StreamBody::new(parts)))
}

/// The gateway's memory, in KiB.
fn resident(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A registry that isn't as it should be, with the reference that's asked for there and a part of the reason.
fn bad_registries() -> Vec<(&'static str, Option<Server>, String, String)> {
    let good = manifest(&[(WASM, POLICY)]);
    let named = |server: &Server, manifest: &[u8]| format!("{}/policy@{}", server.address, digest(manifest));
    let serving = |manifest: Vec<u8>, blob: fn() -> Response<Body>| {
        let server =
            answering(move |path| Some(if path.contains("/manifests/") { Response::new(whole(manifest.clone())) } else { blob() }));
        (named(&server, b""), server)
    };
    let with = |what, manifest: Vec<u8>, blob: fn() -> Response<Body>, expected: &str| {
        let (_, server) = serving(manifest.clone(), blob);
        let reference = named(&server, &manifest);
        (what, Some(server), reference, expected.to_owned())
    };
    let policy = || Response::new(whole(POLICY));
    let mut all = vec![
        ("down", None, format!("127.0.0.1:{}/policy@{}", free_port(), digest(&good)), "Connection refused".to_owned()),
        with("that serves another component", good.clone(), || Response::new(whole("other")), "got sha256:"),
        with("that sends a component without end", good.clone(), endless, "expected at most 33554432 (plugins.component_mib)"),
        with(
            "with a component that's too large",
            serde_json::to_vec(&json!({"layers": [{"mediaType": WASM, "digest": digest(b""), "size": 33_554_433}]})).unwrap(),
            policy,
            "its component has 33554433 bytes, expected at most 33554432 (plugins.component_mib)",
        ),
        with("with something else", b"<html>".to_vec(), policy, "it's no OCI image manifest"),
        with(
            "with a layer of another type",
            manifest(&[("application/vnd.oci.image.layer.v1.tar", POLICY)]),
            policy,
            "found 0 layers of type application/wasm, expected one",
        ),
    ];
    let slow = answering(|_| None);
    let reference = named(&slow, &good);
    all.push(("that never answers", Some(slow), reference, "pulling it took longer than 5 s (plugins.pull_timeout_s)".into()));
    let other = answering(|_| Some(Response::new(whole("{\"layers\": []}"))));
    let reference = named(&other, &good);
    all.push(("that serves another manifest", Some(other), reference, digest(b"{\"layers\": []}")));
    let huge = answering(|_| Some(endless()));
    let reference = named(&huge, &good);
    all.push(("that sends a manifest without end", Some(huge), reference, "the process that pulls ended with ".into()));
    let closed = answering(|_| {
        let mut answer = Response::new(whole("{\"errors\": [{\"code\": \"DENIED\", \"message\": \"not\\nyou\"}]}"));
        *answer.status_mut() = StatusCode::FORBIDDEN;
        Some(answer)
    });
    let reference = named(&closed, &good);
    all.push(("that forbids it", Some(closed), reference, "the registry answered Denied not you".into()));
    all
}

#[tokio::test]
async fn whatever_is_wrong_with_a_registry_the_set_before_goes_on() {
    let registries = bad_registries();
    let hosts: Vec<_> = registries.iter().map(|(_, _, reference, _)| reference.split('/').next().unwrap()).collect();
    let plain: String = hosts.iter().map(|host| format!("'{host}': {{plain_http: true}}, ")).collect();
    let mut site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config_with(&format!(", registries: {{{plain}}}, pull_timeout_s: 5"))).await;
    let before = resident(&gateway);
    for (what, _server, reference, expected) in &registries {
        site.mount(&pulled(reference, "never"));
        // While it's asked, traffic goes on.
        assert_eq!(mark(&gateway).await, None, "{what}");
        let why = refused(&gateway, None).await;
        assert!(why.starts_with(&format!("plugin 'policy': {reference}: ")) && why.contains(expected.as_str()), "{what}: {why}");
        is_in_one_line(&why);
        assert_eq!((generation(&gateway).await, mark(&gateway).await), (Some(1), None), "{what}");
        site.mount(&defaults());
        settled(&gateway).await;
    }
    let grown = resident(&gateway).saturating_sub(before);
    assert!(grown < 64 << 10, "the gateway's memory grew by {grown} KiB");
}

#[tokio::test]
async fn a_tag_names_nothing() {
    let site = Site::new(&only(pulled("registry.example/team/policy:1.2", "never")));
    let gateway = Gateway::start_unready(&site.config()).await;
    assert_eq!(
        refused(&gateway, None).await,
        "plugins.yaml, plugins[2].oci: found 'registry.example/team/policy:1.2', expected a digest at its end, @sha256: and 64 \
         hexadecimal digits: what a tag names can change"
    );
}

/// As most public registries do it: a token from elsewhere, for the password.
#[tokio::test]
async fn a_registry_that_wants_a_token_gets_one() {
    let good = manifest(&[(WASM, POLICY)]);
    let reference = digest(&good);
    let server = Server::start(move |request| {
        let path = request.uri().path().to_owned();
        let authority = request.headers()["host"].to_str().unwrap().to_owned();
        let shown = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let answer = match (path.as_str(), shown.as_deref()) {
            ("/token", Some(basic)) if basic.starts_with("Basic ") => Response::new(whole("{\"token\": \"for-a-while\"}")),
            (path, Some("Bearer for-a-while")) if path.contains("/manifests/") => Response::new(whole(good.clone())),
            (path, Some("Bearer for-a-while")) if path.contains("/blobs/") => Response::new(whole(POLICY)),
            _ => Response::builder()
                .status(401)
                .header("www-authenticate", format!("Bearer realm=\"http://{authority}/token\",service=\"tests\""))
                .body(whole(""))
                .unwrap(),
        };
        async move { Ok(answer) }
    });
    let host = server.address;
    let site = Site::new(&only(pulled(&format!("{host}/policy@{reference}"), "one")));
    let keys = format!(", registries: {{'{host}': {{plain_http: true, username: {USER}, password: '{PASSWORD}'}}}}");
    let gateway = Gateway::start(&site.config_with(&keys)).await;
    assert_eq!(mark(&gateway).await.as_deref(), Some("one"));
}
