//! The ports of the workers: bound before anything runs, opened on each worker's own runtime.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use prometheus_client::registry::Registry;

use crate::{
    config,
    listener::{self, BindError, Sockets, Tls, tls::Unusable},
};

/// The sockets of one worker, bound before it runs.
pub(super) struct Bound {
    plain: TcpListener,
    secure: Option<(TcpListener, Tls)>,
}

// === impl Bound ===

impl Bound {
    pub fn new(plain: SocketAddr, secure: Option<SocketAddr>, tls: Option<&Tls>) -> Result<Self, BindError> {
        let bind = |(address, tls): (SocketAddr, &Tls)| Ok((listener::share(address)?, tls.clone()));
        Ok(Self { plain: listener::share(plain)?, secure: secure.zip(tls).map(bind).transpose()? })
    }

    /// On the worker's own runtime.
    pub fn open(self) -> io::Result<Sockets> {
        let open = tokio::net::TcpListener::from_std;
        let secure = self.secure.map(|(socket, tls)| Ok::<_, io::Error>((open(socket)?, tls))).transpose()?;
        Ok(Sockets::new(open(self.plain)?, secure))
    }
}

/// The certificates, if there are any; they're followed from here on.
pub(super) fn tls(config: &config::Tls, registry: &mut Registry) -> Result<Option<Tls>, Unusable> {
    let made = Tls::new(config, registry)?;
    Ok(made.map(|(tls, follower)| {
        tokio::task::spawn_local(follower.run());
        tls
    }))
}
