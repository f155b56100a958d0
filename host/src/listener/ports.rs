//! The gateway's leased TCP ports: opened and closed by discovery on the control thread, listened on by every worker.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use super::{Drain, bind, http::pause_after, tcp};
use crate::{
    discovery::Ports,
    request::{Decisions, Worker},
};

/// Opens ports for all workers at once.
pub struct LeasedPorts {
    address: IpAddr,
    workers: usize,
    open: watch::Sender<OpenPorts>,
}

/// What is open, by port. A port that was closed and opened again is another value.
pub type OpenPorts = BTreeMap<u16, Arc<OpenPort>>;

/// A socket for each worker, which takes its own.
pub struct OpenPort(Mutex<Vec<Option<std::net::TcpListener>>>);

// === impl LeasedPorts ===

impl LeasedPorts {
    pub fn new(address: IpAddr, workers: usize) -> (Self, watch::Receiver<OpenPorts>) {
        let (open, ports) = watch::channel(OpenPorts::new());
        (Self { address, workers, open }, ports)
    }
}

impl Ports for LeasedPorts {
    fn open(&self, port: u16) -> io::Result<()> {
        let address = SocketAddr::new(self.address, port);
        bind::probe(address).map_err(|error| error.cause)?;
        let sockets = (0..self.workers).map(|_| bind::share(address).map(Some)).collect::<Result<Vec<_>, _>>();
        let sockets = sockets.map_err(|error| error.cause)?;
        self.open.send_modify(|open| drop(open.insert(port, Arc::new(OpenPort(Mutex::new(sockets))))));
        Ok(())
    }

    fn close(&self, port: u16) {
        self.open.send_modify(|open| drop(open.remove(&port)));
    }
}

// === impl OpenPort ===

impl OpenPort {
    fn take(&self, worker: usize) -> Option<std::net::TcpListener> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(worker)?.take()
    }
}

/// Listens on whatever is open, as the worker of this number, until the drain; then the ports are closed, and connections go on.
pub async fn serve_ports<D: Decisions>(
    worker: Rc<Worker<D>>,
    number: usize,
    mut open: watch::Receiver<OpenPorts>,
    doors: Rc<tcp::Doors>,
    mut drain: watch::Receiver<Drain>,
) {
    let mut listening: HashMap<u16, (Arc<OpenPort>, AbortHandle)> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        {
            let open = open.borrow_and_update();
            listening.retain(|port, (opened, task)| {
                let stays = open.get(port).is_some_and(|now| Arc::ptr_eq(now, opened));
                if !stays {
                    task.abort();
                }
                stays
            });
            for (port, opened) in open.iter().filter(|(port, _)| !listening.contains_key(*port)).collect::<Vec<_>>() {
                let Some(listener) = opened.take(number) else { continue };
                let accepting = accept(Rc::clone(&worker), listener, *port, Rc::clone(&doors));
                listening.insert(*port, (Arc::clone(opened), tasks.spawn_local(accepting)));
            }
        }
        tokio::select! {
            // Dropping the tasks closes their sockets.
            _ = drain.changed() => return,
            changed = open.changed() => if changed.is_err() { return },
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn accept<D: Decisions>(worker: Rc<Worker<D>>, listener: std::net::TcpListener, port: u16, doors: Rc<tcp::Doors>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(port, %error, "a worker's listener can't be used");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => tcp::enter(&worker, &doors, stream, peer, port),
            Err(error) => pause_after(&error).await,
        }
    }
}
