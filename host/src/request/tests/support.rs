use std::{
    convert::Infallible,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderName;
use http_body_util::{Full, combinators::UnsyncBoxBody};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::LocalSet,
};

use crate::{
    config::Config,
    domain::{
        Attributes, Endpoint, EndpointId, EndpointName, Principal, Protocol, SessionId, SourceKind, Timestamp, Transport,
        UpstreamPath,
        decision::{Allowance, Authentication, Forwarding, Reason, Routing},
    },
    listener::{self, Drain, Slots},
    plugin::{Authenticated, CredentialInputs, Fault, FaultKind, NamePattern, PluginName, Routed, Subject},
    request::{DecisionSet, Decisions, Gateway, Metrics, OwnPages, Settings, Worker, pages::NoPages},
    route::RouteTable,
    upstream,
};

/// Decisions that are the same for every request, with a note of what was asked.
#[derive(Clone)]
pub struct Fixed(pub Arc<Fixture>);

pub struct Fixture {
    pub routes: RouteTable,
    pub credentials: CredentialInputs,
    pub authentication: Result<Arc<Authentication>, ()>,
    pub authorization_is_ours: bool,
    pub routing: Arc<Routing>,
    /// Path and upgrade of each subject that came before the authenticators.
    pub asked: Mutex<Vec<(String, Option<String>, std::net::IpAddr)>>,
}

impl Decisions for Fixed {
    type Set = Self;

    fn current(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        tokio::sync::watch::channel(0).1
    }
}

impl DecisionSet for Fixed {
    fn routes(&self) -> &RouteTable {
        &self.0.routes
    }

    fn generation(&self) -> u64 {
        7
    }

    fn credentials(&self) -> &CredentialInputs {
        &self.0.credentials
    }

    async fn authenticate(&self, subject: &Subject<'_>, _: Option<&Endpoint>) -> Result<Authenticated, Fault> {
        let Subject::Http(http) = subject else { panic!("not HTTP") };
        let seen = (http.path.to_owned(), http.upgrade.map(str::to_owned), http.connection.client);
        self.0.asked.lock().unwrap().push(seen);
        let decision = self.0.authentication.clone().map_err(|()| {
            Fault::new(&Arc::new(PluginName { name: "p".into(), digest: "0".into() }), FaultKind::Trap, "secret detail")
        })?;
        let authorization_is_ours = self.0.authorization_is_ours;
        Ok(Authenticated {
            decision,
            authorization_is_ours,
            plugin: None,
            cached: true,
            holds_until: Timestamp(u64::MAX),
            record: None,
            evidence: Default::default(),
        })
    }

    async fn route(&self, _: &Subject<'_>, _: &Endpoint, _: &Authenticated) -> Result<Routed, Fault> {
        Ok(Routed { decision: self.0.routing.clone(), plugin: None, cached: true, holds_until: Timestamp(u64::MAX), record: None })
    }
}

pub fn reason() -> Reason {
    Reason { code: "test".into(), detail: None }
}

pub fn allow() -> Authentication {
    let principal = Principal {
        id: "u1".into(),
        name: Some("Ada".into()),
        company: None,
        role: None,
        groups: vec!["a".into(), "b".into()],
        claims: Attributes::default(),
    };
    Authentication::Allow(Allowance { principal: Arc::new(principal), reason: reason(), valid_until: None, token: None })
}

pub fn anonymous() -> Authentication {
    Authentication::Anonymous { reason: reason(), challenge: None }
}

pub fn forwarding() -> Forwarding {
    Forwarding { reason: reason(), endpoint: None, request_headers: vec![], response_headers: vec![], limits: Default::default() }
}

/// A gateway to be built: session `t1` and its endpoint `api` lead to `upstream`, `keep` keeps its path.
pub struct Setup {
    pub config: Config,
    pub upstream: SocketAddr,
    pub authentication: Result<Authentication, ()>,
    pub authorization_is_ours: bool,
    pub routing: Routing,
    pub pages: Arc<dyn OwnPages>,
    /// Of `t1` and `keep`.
    pub transport: Transport,
    /// Of `api` alone.
    pub api_transport: Transport,
    pub upstream_name: &'static str,
    /// Whom the gateway trusts besides the system's.
    pub authorities: Vec<CertificateDer<'static>>,
}

pub struct Running {
    pub address: SocketAddr,
    pub fixture: Arc<Fixture>,
    pub worker: Rc<Worker<Fixed>>,
    pub drain: watch::Sender<Drain>,
    pub serving: tokio::task::JoinHandle<()>,
}

impl Setup {
    pub fn new(upstream: SocketAddr) -> Self {
        Self {
            config: Config::default(),
            upstream,
            authentication: Ok(allow()),
            authorization_is_ours: false,
            routing: Routing::Forward(Arc::new(forwarding())),
            pages: Arc::new(NoPages),
            transport: Transport::default(),
            api_transport: Transport::default(),
            upstream_name: "127.0.0.1",
            authorities: Vec::new(),
        }
    }

    pub fn start(self) -> Running {
        let endpoint = |session: &str, name: &str, upstream_path| Endpoint {
            id: EndpointId { session: SessionId::parse(session).unwrap(), name: EndpointName::parse(name).unwrap() },
            source: SourceKind::File,
            protocol: Protocol::Http,
            upstream: self.upstream,
            upstream_path,
            upstream_name: self.upstream_name.into(),
            transport: if name == "api" { self.api_transport } else { self.transport },
            listener_port: None,
            display_name: session.into(),
            host_label: None,
            attributes: Attributes::default(),
        };
        let routes = RouteTable::from_iter(vec![
            endpoint("t1", "", UpstreamPath::Strip),
            endpoint("t1", "api", UpstreamPath::Strip),
            endpoint("keep", "", UpstreamPath::Keep),
        ]);
        let fixture = Arc::new(Fixture {
            routes,
            credentials: CredentialInputs {
                cookies: vec![NamePattern::Exact("gate".into()), NamePattern::Prefix("gate_".into())],
                headers: vec![HeaderName::from_static("x-api-key"), http::header::AUTHORIZATION],
                query: vec!["token".into()],
            },
            authentication: self.authentication.map(Arc::new),
            authorization_is_ours: self.authorization_is_ours,
            routing: Arc::new(self.routing),
            asked: Mutex::default(),
        });
        let gateway = Arc::new(Gateway {
            settings: Settings::new(&self.config),
            pages: self.pages,
            metrics: Metrics::default(),
            upstream_metrics: upstream::Metrics::default(),
            tcp: crate::request::tcp::Tcp::new(&self.config.tcp, Default::default()),
            live: self.config.live.clone(),
            upstream_tls: Arc::new(upstream::Tls::new(self.authorities).unwrap()),
        });
        let worker = Worker::new(gateway, Fixed(fixture.clone()));
        let listener = listener::share("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (drain, drained) = watch::channel(Drain::Not);
        let slots = Slots::new(self.config.http.limits.connections);
        let listener = TcpListener::from_std(listener).unwrap();
        let serving = tokio::task::spawn_local(listener::serve_worker(
            worker.clone(),
            listener::Sockets::new(listener, None),
            slots,
            drained,
        ));
        Running { address, fixture, worker, drain, serving }
    }
}

impl Running {
    pub async fn client(&self) -> Wire {
        Wire::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own; the answer to its end.
    pub async fn ask(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.send(request).await;
        client.message().await
    }

    /// A GET with these lines besides, each with its line end.
    pub async fn get(&self, path: &str, lines: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\n{lines}\r\n")).await
    }
}

/// Bodies of requests.
pub type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

/// A body that is known whole.
pub fn body(text: &'static str) -> AnyBody {
    UnsyncBoxBody::new(Full::from(text))
}

/// Spawns what hyper asks for on this thread.
#[derive(Clone)]
pub struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A client of HTTP/2 by prior knowledge. The handle ends with the connection.
pub async fn http2(address: SocketAddr) -> (SendRequest<AnyBody>, tokio::task::JoinHandle<hyper::Result<()>>) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = http2::Builder::new(Local).handshake(stream).await.unwrap();
    (sender, tokio::task::spawn_local(connection))
}

/// A test on one thread with a limit: nothing here may hang.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test hangs");
    });
}

/// An upstream that accepts connections one after another and hands each to a script.
pub async fn upstream<F: Future<Output = ()> + 'static>(script: impl Fn(Wire) -> F + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::task::spawn_local(script(Wire::new(stream)));
        }
    });
    address
}

/// An upstream that answers every request with the head that it got.
pub async fn mirror() -> SocketAddr {
    mirror_with("").await
}

/// The same with these lines in its answer.
pub async fn mirror_with(lines: &'static str) -> SocketAddr {
    upstream(move |mut wire| async move {
        while let Some(head) = wire.try_head().await {
            let length = head.len();
            wire.send(&format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {length}\r\n\r\n{head}")).await;
        }
    })
    .await
}

/// A connection, byte for byte.
pub struct Wire {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything up to and with this text.
    pub async fn until(&mut self, text: &str) -> String {
        self.try_until(text).await.unwrap_or_else(|| panic!("closed before {text:?}: {:?}", String::from_utf8_lossy(&self.buffer)))
    }

    pub async fn try_until(&mut self, text: &str) -> Option<String> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, text.as_bytes()) {
                let taken: Vec<u8> = self.buffer.drain(..at + text.len()).collect();
                return Some(String::from_utf8_lossy(&taken).into_owned());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    pub async fn try_head(&mut self) -> Option<String> {
        self.try_until("\r\n\r\n").await
    }

    pub async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill().await, "closed after {} of {count} bytes", self.buffer.len());
        }
        self.buffer.drain(..count).collect()
    }

    /// Takes what came beyond the last text, and says how much it was.
    pub fn buffered(&mut self) -> usize {
        std::mem::take(&mut self.buffer).len()
    }

    /// A message whose length is known by `Content-Length`, or that has no body.
    pub async fn message(&mut self) -> String {
        let head = self.head().await;
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.parse().unwrap());
        let body = self.exactly(length).await;
        head + &String::from_utf8_lossy(&body)
    }

    /// Everything to the end, and whether it was an orderly one.
    pub async fn rest(&mut self) -> String {
        while self.fill().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    /// Whether the peer is gone.
    pub async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill().await
    }

    async fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                true
            }
        }
    }
}
