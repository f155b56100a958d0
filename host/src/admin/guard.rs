//! Who may look. On loopback everybody on the machine, but no page in a browser that had its own name resolved to 127.0.0.1;
//! elsewhere probes and Prometheus, and operators by token.

use std::net::IpAddr;

use http::{Request, header};

use super::Page;
use crate::{auth::same_secret, config, domain::Credential};

pub(super) struct Guard {
    on_loopback: bool,
    token: Option<Credential>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The name asked for isn't this machine's: DNS rebinding.
    Host,
    /// No token was sent, or not the right one.
    Token,
    /// There's no token that could be sent.
    NoToken,
}

// === impl Guard ===

impl Guard {
    pub fn new(config: &config::Admin) -> Self {
        let token = config.token.as_ref().map(|token| token.credential().clone());
        Self { on_loopback: config.listen.ip().to_canonical().is_loopback(), token }
    }

    pub fn admit<B>(&self, page: Page, request: &Request<B>) -> Result<(), Refusal> {
        if self.on_loopback && !is_addressed_here(request) {
            return Err(Refusal::Host);
        }
        if page.is_for_everybody() {
            return Ok(());
        }
        match &self.token {
            // Other people's programs are on this machine as well: who configures a token wants it asked for.
            Some(token) if bearer(request).is_some_and(|sent| same_secret(sent, token.reveal().as_bytes())) => Ok(()),
            Some(_) => Err(Refusal::Token),
            None if self.on_loopback => Ok(()),
            None => Err(Refusal::NoToken),
        }
    }
}

/// Whether the one `Host` is `localhost` or an IP address, which no foreign name can be.
fn is_addressed_here<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(authority) = http::uri::Authority::try_from(host.as_bytes()) else { return false };
    let name = authority.host();
    name.eq_ignore_ascii_case("localhost") || name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

fn bearer<B>(request: &Request<B>) -> Option<&[u8]> {
    let mut sent = request.headers().get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}
