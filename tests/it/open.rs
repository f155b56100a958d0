//! What tests of open connections begin with: a session of alice's whose three servers are in the test's hands, and one open
//! connection to each of them.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use wicketgate_tests::{
    Client, ConfigMap, Gateway, Listener, PATIENCE, PortRange, WebSocket,
    tcp::{self, Ended, head, rest},
    websocket::{self, ClientSocket},
};

use crate::{
    site::{DEFAULTS, SECRET, manifest, only},
    tcp::leased,
};

/// A gateway with a plugin directory, and a session `s1` with a WebSocket server, a server of streams and one of plain TCP.
pub struct Place {
    pub gateway: Gateway,
    pub plugins: ConfigMap,
    /// Of the TCP server at the gateway.
    pub port: u16,
    pub sockets: Listener,
    pub streams: Listener,
    pub raw: Listener,
    files: TempDir,
}

/// One connection of each kind, both of its ends.
pub struct Open {
    pub socket: Socket,
    pub stream: Events,
    pub raw: Raw,
}

pub struct Socket {
    pub client: ClientSocket,
    pub session: WebSocket<TcpStream>,
}

/// A response that doesn't end by itself.
pub struct Events {
    body: Incoming,
    session: TcpStream,
    count: usize,
}

pub struct Raw {
    client: TcpStream,
    session: TcpStream,
}

/// The default plugins with this configuration of the policy.
pub fn policy(config: &str) -> [(&'static str, String); 1] {
    let policy = format!("{{name: policy, kind: routing-policy, builtin: routing-policy, config: {{{config}}}}}");
    let auth = "{name: auth, kind: authenticator, builtin: cookie-auth, grants: {log: true, key_sets: [people]}, \
                config: {key_sets: [people], leeway_s: 0}}";
    only(manifest(&[DEFAULTS[0], auth, policy.as_str()]))
}

// === impl Place ===

impl Place {
    /// `config` is added to the gateway's.
    pub async fn start(config: &str) -> Self {
        let (sockets, streams, raw) = (Listener::bind().await, Listener::bind().await, Listener::bind().await);
        let (plugins, files) = (ConfigMap::new(&policy("")), tempfile::tempdir().unwrap());
        let file = files.path().join("sessions.yaml");
        std::fs::write(&file, sessions("alice", [&sockets, &streams, &raw])).unwrap();
        let own = format!(
            "plugins: {{directory: '{}', poll_s: 1}}\n\
             key_sets: {{people: {{kind: secret, secret: '{SECRET}', encoding: raw}}}}\n\
             discovery: {{file: '{}', dial: {{networks: [127.0.0.0/8]}}}}\n",
            plugins.path().display(),
            file.display()
        );
        let gateway = Gateway::start(&(own + &PortRange::free(2).config_with("quarantine_s: 1") + config)).await;
        let port = leased(&gateway, "s1").await;
        Self { gateway, plugins, port, sockets, streams, raw, files }
    }

    /// Gives the session to somebody else.
    pub fn give_to(&self, owner: &str) {
        self.write(sessions(owner, [&self.sockets, &self.streams, &self.raw]));
    }

    /// Ends the session.
    pub fn end(&self) {
        self.write("sessions: []\n".into());
    }

    fn write(&self, text: String) {
        let whole = self.files.path().join("sessions.new");
        std::fs::write(&whole, text).unwrap();
        std::fs::rename(whole, self.files.path().join("sessions.yaml")).unwrap();
    }

    pub async fn open(&self, who: &Client) -> Open {
        Open { socket: self.socket(who).await, stream: self.stream(who).await, raw: self.raw().await }
    }

    pub async fn socket(&self, who: &Client) -> Socket {
        let (client, session) = websocket::open(who, &self.gateway.at("/service/s1/socket"), &self.sockets).await;
        Socket { client, session }
    }

    pub async fn stream(&self, who: &Client) -> Events {
        let who = who.clone().with("accept", "text/event-stream");
        self.answered(&who, "content-type: text/event-stream\r\ntransfer-encoding: chunked").await
    }

    /// A response of so many bytes, of which none has come.
    pub async fn download(&self, who: &Client, length: usize) -> Events {
        self.answered(who, &format!("content-length: {length}")).await
    }

    /// A response with these header lines, of which only they have come.
    async fn answered(&self, who: &Client, lines: &str) -> Events {
        let url = self.gateway.at("/service/s1.streams/events");
        let answer = async {
            let mut session = timeout(PATIENCE, self.streams.accept()).await.expect("nobody asks for the stream");
            head(&mut session).await;
            session.write_all(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n").as_bytes()).await.unwrap();
            session
        };
        let (asked, session) = tokio::join!(who.open(http::Method::GET, &url, bytes::Bytes::new()), answer);
        let response = asked.unwrap();
        assert_eq!(response.status(), 200);
        Events { body: response.into_body(), session, count: 0 }
    }

    pub async fn raw(&self) -> Raw {
        let (client, session) = self.raw.pair(self.port).await;
        Raw { client, session }
    }

    /// How often the policy was asked since it was loaded: by a call, or out of the cache.
    pub async fn decisions(&self) -> u64 {
        let status = self.gateway.status("/plugins").await;
        let policy = status["plugins"].as_array().unwrap().iter().find(|plugin| plugin["name"] == "policy").unwrap();
        policy["calls"].as_u64().unwrap() + policy["cache_hits"].as_u64().unwrap()
    }
}

fn sessions(owner: &str, [sockets, streams, raw]: [&Listener; 3]) -> String {
    format!(
        "sessions:\n  - {{id: s1, owner: {owner}, endpoints: [{{address: 127.0.0.1, port: {}}}, \
         {{name: streams, address: 127.0.0.1, port: {}}}, {{name: raw, protocol: tcp, address: 127.0.0.1, port: {}}}]}}\n",
        sockets.port(),
        streams.port(),
        raw.port()
    )
}

// === impl Open ===

impl Open {
    /// Each carries what it's there for.
    pub async fn goes_on(&mut self) {
        self.socket.goes_on().await;
        self.stream.goes_on().await;
        self.raw.goes_on().await;
    }
}

// === impl Socket ===

impl Socket {
    pub async fn goes_on(&mut self) {
        websocket::is_carried(&mut self.client, &mut self.session).await;
    }

    /// Both ends get a close frame with this code as the last thing, and the one to the session is masked.
    pub async fn closes_with(mut self, code: u16) {
        let (to_client, frame) = self.client.closes().await;
        assert_eq!((to_client, frame.is_masked), (code, false), "{frame:?}");
        let (to_session, frame) = self.session.closes().await;
        assert_eq!((to_session, frame.is_masked), (code, true), "{frame:?}");
    }
}

// === impl Events ===

impl Events {
    pub async fn goes_on(&mut self) {
        self.count += 1;
        let event = format!("data: {}\n\n", self.count);
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        self.session.write_all(chunk.as_bytes()).await.unwrap();
        let frame = timeout(PATIENCE, self.body.frame()).await.expect("no event comes").expect("the stream ended");
        assert_eq!(frame.unwrap().into_data().unwrap(), event);
    }

    /// The client sees that its response isn't whole, and the session that nobody listens any more.
    pub async fn breaks_off(mut self) {
        let frame = timeout(PATIENCE, self.body.frame()).await.expect("the download goes on");
        assert!(matches!(frame, Some(Err(_))), "it may pass for whole: {frame:?}");
        rest(self.session).await;
    }

    /// The client sees a whole response, and the session that nobody listens any more.
    pub async fn ends(mut self) {
        let frame = timeout(PATIENCE, self.body.frame()).await.expect("the stream goes on");
        assert!(frame.is_none(), "not an end in order: {frame:?}");
        rest(self.session).await;
    }
}

// === impl Raw ===

impl Raw {
    pub async fn goes_on(&mut self) {
        tcp::is_carried(&mut self.client, &mut self.session).await;
    }

    /// Both ends see an end in order.
    pub async fn ends(self) {
        assert_eq!(rest(self.client).await, (Vec::new(), Ended::InOrder), "for the client");
        assert_eq!(rest(self.session).await, (Vec::new(), Ended::InOrder), "for the session");
    }
}
