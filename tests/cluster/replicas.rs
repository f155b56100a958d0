//! Three replicas, each on a host of its own, and one Lease. One of them dies again and again while people work on the others.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, LocalSet, spawn_local},
    time::{Interval, interval},
};
use wicketgate_tests::{Client, Gateway, PATIENCE, Relay, Way, eventually};

use crate::stage::{Stage, annotated, annotation, answers, at};

const ROUNDS: usize = 20;
const REPLICAS: usize = 3;

/// People at work on one replica: each does the next thing when the last one is done.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    people: Vec<JoinHandle<()>>,
}

/// Sends back what it gets, at an address of its own.
async fn echo(stage: &Stage) -> SocketAddr {
    let listener = TcpListener::bind((stage.network.server(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn tcp_pod(stage: &Stage, name: &str) -> wicketgate_tests::cluster::Pod {
    let address = echo(stage).await;
    let annotations = [("endpoints", "[{name: echo, protocol: tcp, port: {port}}]")];
    stage.namespace.running_pod(name, &annotated(&annotations, address.port()), address.ip()).await
}

/// Which of them publishes; None while none does, or two say so.
async fn leader(replicas: &[Gateway]) -> Option<usize> {
    let mut leaders = Vec::new();
    for (at, replica) in replicas.iter().enumerate() {
        if replica.metric("wicketgate_leader").await == 1 {
            leaders.push(at);
        }
    }
    (leaders.len() == 1).then(|| leaders[0])
}

#[tokio::test]
async fn a_leader_that_dies_takes_no_address_with_it_and_nobody_elsewhere_notices() {
    LocalSet::new().run_until(die_again_and_again()).await;
}

async fn die_again_and_again() {
    let stage = Stage::new("replicas").await;
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(stage.replica(&stage.network.host()).await);
    }
    let web = stage.public("web").await;
    let shell = tcp_pod(&stage, "shell").await;
    let url = annotation(&web.pod, "endpoint").await;
    let published = annotation(&shell, "external-address.echo").await;
    let mut loads = Vec::new();
    for replica in &replicas {
        loads.push(Load::start(replica, at(replica, &published)).await);
    }
    for round in 0..ROUNDS {
        let dying = eventually("one leader", async || leader(&replicas).await).await;
        loads.remove(dying).end().await;
        replicas[dying].kill();
        let others: Vec<usize> = (0..REPLICAS).filter(|at| *at != dying).collect();
        eventually("another leader", async || {
            for at in &others {
                if replicas[*at].metric("wicketgate_leader").await == 1 {
                    return Some(());
                }
            }
            None
        })
        .await;
        // What comes now gets its address by the new leader, and the others know it.
        let name = format!("late-{round}");
        let late = tcp_pod(&stage, &name).await;
        let address = annotation(&late, "external-address.echo").await;
        assert_ne!(address, published);
        for at_replica in &others {
            says(at(&replicas[*at_replica], &address)).await;
        }
        late.vanishes().await;
        replicas[dying].start_again().await;
        loads.insert(dying, Load::start(&replicas[dying], at(&replicas[dying], &published)).await);
        assert_eq!(annotation(&web.pod, "endpoint").await, url);
        assert_eq!(annotation(&shell, "external-address.echo").await, published);
        for load in &loads {
            load.goes_on().await;
        }
    }
    for load in loads {
        load.end().await;
    }
}

/// A leader that the API server doesn't hear any more goes on serving, and gives its place up before another one takes it.
#[tokio::test]
async fn a_leader_that_is_cut_off_from_the_server_is_replaced_and_serves_on() {
    LocalSet::new().run_until(cut_off()).await;
}

async fn cut_off() {
    let stage = Stage::new("cut").await;
    let mut ways = Vec::new();
    let mut replicas = Vec::new();
    for number in 0..2 {
        let way = Relay::start(stage.network.here(), stage.namespace.cluster.address());
        let kubeconfig = stage.kubeconfig(&format!("kubeconfig-{number}"), way.address).await;
        replicas.push(Gateway::start_on(&stage.network.host(), &stage.config_by(&kubeconfig, "")).await);
        ways.push(way);
    }
    let _web = stage.public("web").await;
    let shell = tcp_pod(&stage, "shell").await;
    let published = annotation(&shell, "external-address.echo").await;
    for replica in &replicas {
        says(at(replica, &published)).await;
    }
    for how in [Way::Stuck, Way::Cut] {
        let led = eventually("one leader", async || leader(&replicas).await).await;
        let load = Load::start(&replicas[led], at(&replicas[led], &published)).await;
        ways[led].set(how);
        eventually("the other leads", async || {
            let [one, two] = [replicas[led].metric("wicketgate_leader").await, replicas[1 - led].metric("wicketgate_leader").await];
            (one == 0 && two == 1).then_some(())
        })
        .await;
        load.goes_on().await;
        // What the other does is known here as soon as the way is open again.
        let late = tcp_pod(&stage, &format!("late-{how:?}").to_lowercase()).await;
        let address = annotation(&late, "external-address.echo").await;
        ways[led].set(Way::Open);
        says(at(&replicas[led], &address)).await;
        assert_eq!(annotation(&shell, "external-address.echo").await, published);
        load.end().await;
    }
}

/// A leader that's told to stop gives its place up at once: nobody waits for the Lease's end.
#[tokio::test]
async fn a_leader_that_is_stopped_gives_the_lease_back() {
    let stage = Stage::new("stop").await;
    let mut gateway = stage.gateway().await;
    let holder = stage.lease().await["spec"]["holderIdentity"].clone();
    assert_eq!(gateway.status("/sessions").await["replica"], json!({"leads": true, "holder": holder}));
    gateway.signal("TERM");
    assert!(gateway.exit().await.success());
    assert_eq!(stage.lease().await["spec"]["holderIdentity"].as_str().unwrap_or_default(), "");
}

/// Waits until what is sent there comes back.
async fn says(address: SocketAddr) {
    eventually(&format!("an echo from {address}"), async || {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"hello").await.ok()?;
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.ok()?;
        (back == *b"hello").then_some(())
    })
    .await;
}

// === impl Load ===

impl Load {
    /// Requests, a connection that stays, and connections that come and go. Whatever fails for one of them fails the test.
    async fn start(replica: &Gateway, tcp: SocketAddr) -> Self {
        answers(replica, &Client::default(), "web", 200).await;
        says(tcp).await;
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let stays = {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let mut stream = TcpStream::connect(tcp).await.unwrap();
            async move {
                let (mut sent, mut pace) = (0_u64, pace());
                while !stop.load(Ordering::Relaxed) {
                    exchange(&mut stream, sent).await;
                    (sent, _) = (sent + 1, done.fetch_add(1, Ordering::Relaxed));
                    pace.tick().await;
                }
            }
        };
        let comes = {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            async move {
                let mut pace = pace();
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = TcpStream::connect(tcp).await.unwrap();
                    exchange(&mut stream, 1).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    pace.tick().await;
                }
            }
        };
        let reads = {
            let (stop, done, url) = (Arc::clone(&stop), Arc::clone(&done), replica.at("/service/web/echo"));
            async move {
                let mut pace = pace();
                while !stop.load(Ordering::Relaxed) {
                    let reply = Client::default().get(&url).await;
                    assert_eq!(reply.status, 200, "{url}: {}", reply.text());
                    done.fetch_add(1, Ordering::Relaxed);
                    pace.tick().await;
                }
            }
        };
        let people = vec![spawn_local(stays), spawn_local(comes), spawn_local(reads)];
        Self { stop, done, people }
    }

    /// Waits until more was done than when this was called.
    async fn goes_on(&self) {
        let before = self.done.load(Ordering::Relaxed);
        eventually("the load goes on", async || {
            assert!(!self.people.iter().any(JoinHandle::is_finished), "somebody noticed");
            (self.done.load(Ordering::Relaxed) > before + 10).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for person in self.people {
            tokio::time::timeout(PATIENCE, person).await.expect("somebody waits for ever").expect("somebody noticed");
        }
    }
}

async fn exchange(stream: &mut TcpStream, number: u64) {
    stream.write_all(&number.to_be_bytes()).await.unwrap();
    let mut back = [0; 8];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(u64::from_be_bytes(back), number);
}

/// How fast people are, so that two processors have time for three gateways as well.
fn pace() -> Interval {
    interval(std::time::Duration::from_millis(10))
}

/// One that can't decide anything would keep the others from publishing.
#[tokio::test]
async fn a_replica_that_is_not_ready_does_not_lead() {
    let stage = Stage::new("unready").await;
    let plugins = stage.plugins.path().display().to_string();
    let broken = stage.config("").replace(&plugins, "/nowhere/plugins");
    let broken = Gateway::start_unready_on(&stage.network.host(), &broken).await;
    let good = stage.gateway().await;
    assert_eq!((good.metric("wicketgate_leader").await, broken.metric("wicketgate_leader").await), (1, 0));
    let session = stage.public("session").await;
    annotation(&session.pod, "endpoint").await;
}
