//! The chains with the real default plugins: compiled, instantiated and called as in the gateway.

use std::{sync::atomic::AtomicU64, time::Duration};

use http::{HeaderMap, HeaderValue, Method};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;

mod judged;
mod replayed;
use crate::{
    admission::{Artifacts, Keys, Loader, Manifest},
    config::SecretEncoding,
    domain::{
        Attributes, Credential, EndpointId, EndpointName, Protocol, SessionId, SourceKind, UpstreamPath,
        facts::{Asked, FactSource, Introspection},
    },
    plugin::{
        Compiler, Connection, Engine, FaultKind, HttpSubject,
        key_set::{KeySet, KeySets},
    },
};

const SECRET: &[u8] = b"a secret of the API server";

/// A server that knows one token.
struct OneToken;

impl FactSource for OneToken {
    fn introspect(&self, token: Credential) -> Asked<Introspection> {
        Box::pin(async move {
            if token.reveal().ends_with(".known") {
                Ok(Introspection::Accepted(json!({"identity": {"user": "u1", "company": "c1", "role": "user"}})))
            } else if token.reveal().ends_with(".down") {
                Err("the server is down".into())
            } else {
                Ok(Introspection::Refused("invalid token".into()))
            }
        })
    }

    fn may_read_session(&self, _: Credential, _: SessionId) -> Asked<bool> {
        Box::pin(async { Ok(true) })
    }
}

struct Bench {
    set: Arc<PluginSet>,
    worker: Worker,
    loader: Loader,
}

async fn bench(key_sets: KeySets) -> Bench {
    let limits = config::Plugins::default();
    let engine = Arc::new(Engine::new(&limits, 1).unwrap());
    let facts = Facts::new(Some(Arc::new(OneToken)), tokio::runtime::Handle::current());
    let context = DecisionContext {
        facts,
        hosts: KnownHosts::default(),
        cache: limits.cache.clone(),
        recorder: Recorder::new(&limits.records).unwrap(),
    };
    let loader = Loader {
        engine: Arc::clone(&engine),
        compiler: Compiler::in_process(&limits),
        key_sets: Arc::new(key_sets),
        context: Arc::new(context),
        artifacts: Artifacts::new(std::path::PathBuf::new(), &limits, &[], None),
        signatures: Keys::default(),
        limits,
        next_generation: AtomicU64::new(1),
        last: Default::default(),
    };
    let set = loader.load_builtin(&[]).await.unwrap();
    let worker = Worker::new(engine);
    worker.prepare(&set, &[Kind::Authenticator, Kind::RoutingPolicy, Kind::DiscoveryFilter]).unwrap();
    Bench { set, worker, loader }
}

fn secret_set() -> KeySets {
    let mut sets = KeySets::default();
    sets.insert(KeySet::secret("gateway", std::str::from_utf8(SECRET).unwrap(), SecretEncoding::Raw).unwrap());
    sets
}

fn endpoint(owner: &str) -> Endpoint {
    let mut attributes = Attributes::default();
    for (name, value) in [("owner", owner), ("company", "c1"), ("session.id", "s1"), ("endpoint.protocol", "http")] {
        attributes.set(name, [value]);
    }
    Endpoint {
        id: EndpointId { session: SessionId::parse("s1").unwrap(), name: EndpointName::default() },
        source: SourceKind::File,
        protocol: Protocol::Http,
        upstream: ([127, 0, 0, 1], 80).into(),
        upstream_path: UpstreamPath::Strip,
        upstream_name: "127.0.0.1".into(),
        transport: Default::default(),
        listener_port: None,
        display_name: "s1".into(),
        host_label: None,
        attributes,
    }
}

fn token(user: &str, expires_in: Duration) -> String {
    let exp = Timestamp::now().plus(expires_in).0 / 1000;
    let claims = json!({"exp": exp, "identity": {"user": user, "company": "c1", "role": "user"}});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

impl Bench {
    async fn enter(&self, headers: &HeaderMap, endpoint: &Endpoint) -> Result<(Authenticated, Option<Routed>), Fault> {
        self.enter_by(&self.set, headers, endpoint).await
    }

    async fn enter_by(
        &self,
        set: &PluginSet,
        headers: &HeaderMap,
        endpoint: &Endpoint,
    ) -> Result<(Authenticated, Option<Routed>), Fault> {
        let connection = Connection { client: [127, 0, 0, 1].into(), listener_port: 80, tls_name: None, client_certificate: None };
        let subject = Subject::Http(HttpSubject {
            method: &Method::GET,
            authority: "gate",
            path: "/",
            query: None,
            headers,
            upgrade: None,
            connection: &connection,
        });
        let authenticated = set.authenticate(&self.worker, &subject, Some(endpoint)).await?;
        let routed = set.route(&self.worker, &subject, endpoint, &authenticated).await?;
        Ok((authenticated, Some(routed)))
    }

    async fn routing(&self, headers: &HeaderMap, endpoint: &Endpoint) -> Arc<Routing> {
        self.enter(headers, endpoint).await.unwrap().1.unwrap().decision
    }
}

fn with(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
}

#[tokio::test]
async fn the_owner_enters_and_the_second_time_without_wasm() {
    let bench = bench(secret_set()).await;
    let headers = with("cookie", &format!("a=1; wicketgate_session={}", token("u1", Duration::from_secs(60))));
    let mine = endpoint("u1");
    for cached in [false, true, true] {
        let (authenticated, routed) = bench.enter(&headers, &mine).await.unwrap();
        let routed = routed.unwrap();
        assert!(matches!(*authenticated.decision, Authentication::Allow(_)), "{:?}", authenticated.decision);
        assert!(matches!(*routed.decision, Routing::Forward(_)), "{:?}", routed.decision);
        assert_eq!((authenticated.cached, routed.cached), (cached, cached));
    }
}

#[tokio::test]
async fn strangers_and_others_do_not_enter() {
    let bench = bench(secret_set()).await;
    let others = endpoint("u2");
    let mine = with("authorization", &format!("Bearer {}", token("u1", Duration::from_secs(60))));
    assert!(matches!(*bench.routing(&mine, &others).await, Routing::Reject { .. }));
    assert!(matches!(*bench.routing(&HeaderMap::new(), &others).await, Routing::Unauthenticated(_)));
    let forged = with("cookie", &format!("wicketgate_session={}x", token("u2", Duration::from_secs(60))));
    assert!(matches!(*bench.routing(&forged, &others).await, Routing::Unauthenticated(_)));
}

#[tokio::test]
async fn a_decision_never_outlives_its_token() {
    let bench = bench(secret_set()).await;
    let headers = with("cookie", &format!("wicketgate_session={}", token("u1", Duration::from_secs(2))));
    let (authenticated, routed) = bench.enter(&headers, &endpoint("u1")).await.unwrap();
    let latest = Timestamp::now().plus(Duration::from_secs(2));
    assert!(authenticated.holds_until <= latest);
    assert!(routed.unwrap().holds_until <= latest);
}

#[tokio::test]
async fn a_token_of_ours_in_authorization_is_recognised_whichever_credential_identified() {
    let bench = bench(secret_set()).await;
    let mut headers = with("cookie", &format!("wicketgate_session={}", token("u1", Duration::from_secs(60))));
    let ours = async |headers: HeaderMap| {
        let (authenticated, _) = bench.enter(&headers, &endpoint("u1")).await.unwrap();
        authenticated.authorization_is_ours
    };
    assert!(!ours(headers.clone()).await);
    headers.insert("authorization", HeaderValue::from_static("token of-the-application"));
    assert!(!ours(headers.clone()).await);
    let bearer = format!("Bearer {}", token("u2", Duration::from_secs(60)));
    headers.insert("authorization", HeaderValue::from_str(&bearer).unwrap());
    assert!(ours(headers).await);
}

#[tokio::test]
async fn without_a_key_the_server_is_asked() {
    let mut sets = KeySets::default();
    sets.insert(KeySet::introspect("clearml", Duration::from_secs(10)));
    let bench = bench(sets).await;
    let bearer = |token: &str| with("authorization", &format!("Bearer {token}"));
    assert!(matches!(*bench.routing(&bearer("a.b.known"), &endpoint("u1")).await, Routing::Forward(_)));
    assert!(matches!(*bench.routing(&bearer("a.b.strange"), &endpoint("u1")).await, Routing::Unauthenticated(_)));
    let fault = bench.enter(&bearer("a.b.down"), &endpoint("u1")).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
}

#[tokio::test]
async fn a_token_of_the_servers_that_does_not_hold_here_is_kept_from_the_workload_all_the_same() {
    let mut sets = KeySets::default();
    sets.insert(KeySet::introspect("clearml", Duration::from_secs(10)));
    let bench = bench(sets).await;
    let enter = async |claims: serde_json::Value| {
        let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap();
        let (message, _) = token.rsplit_once('.').unwrap();
        let headers = with("authorization", &format!("Bearer {message}.known"));
        bench.enter(&headers, &endpoint("u1")).await.unwrap().0
    };
    let seconds = Timestamp::now().0 / 1000;
    let later = enter(json!({"nbf": seconds + 3600})).await;
    assert!(matches!(*later.decision, Authentication::Anonymous { .. }) && later.authorization_is_ours);
    // Nothing is asked about one that has ended.
    let over = enter(json!({"exp": seconds - 3600})).await;
    assert!(matches!(*over.decision, Authentication::Anonymous { .. }) && !over.authorization_is_ours);
    let good = enter(json!({"exp": seconds + 2})).await;
    assert!(matches!(*good.decision, Authentication::Allow(_)) && good.authorization_is_ours);
    assert!(good.holds_until <= Timestamp((seconds + 2) * 1000), "the server's word lasts longer than the token");
}

#[test]
fn the_builtin_manifest_has_every_kind() {
    let manifest = Manifest::builtin(&["gateway".into()], &[]);
    assert_eq!(manifest.entries.len(), 3);
}
