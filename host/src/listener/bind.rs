//! Binding ports. With `SO_REUSEPORT` a second gateway on the same port would take half of the connections without a word, so
//! the port is first bound without it.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// A port that can't be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct BindError {
    pub address: SocketAddr,
    #[source]
    pub cause: io::Error,
}

/// Connections that wait to be accepted, per socket; the kernel cuts it to its own limit.
const BACKLOG: i32 = 4096;

/// Whether an address is free, and which port it is where any was asked for. Called once before the workers bind theirs.
pub fn probe(address: SocketAddr) -> Result<SocketAddr, BindError> {
    let claim = || {
        let socket = open(address)?;
        socket.bind(&address.into())?;
        // Bound isn't enough: only listening collides with a listener that set SO_REUSEADDR.
        socket.listen(1)?;
        socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    };
    claim().map_err(|cause| BindError { address, cause })
}

/// One socket of several on the same address: one for each worker.
pub fn share(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let bind = || {
        let socket = open(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    bind().map_err(|cause| BindError { address, cause })
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_an_error_that_names_it() {
        let address = probe("127.0.0.1:0".parse().unwrap()).unwrap();
        let first = share(address).unwrap();
        let _second = share(address).unwrap();
        let error = probe(address).unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        drop(first);
    }
}
