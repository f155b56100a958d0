//! TLS by the gateway itself: certificates that change under it, and clients with certificates of their own.

mod certificates;
mod clients;

use wicketgate_tests::{Authority, Client, ConfigMap, Gateway, Pair, eventually, free_port};

use crate::site::{SESSION, Site, defaults, only};

/// A gateway before one session that everybody may enter, with its certificates in a mounted directory: `a` for `a.test` and
/// `b` for `*.b.test`.
struct Secured {
    authority: Authority,
    mount: ConfigMap,
    port: u16,
    gateway: Gateway,
    _site: Site,
}

fn files(a: &Pair, b: &Pair) -> [(&'static str, String); 4] {
    [("a.crt", a.certificate.clone()), ("a.key", a.key.clone()), ("b.crt", b.certificate.clone()), ("b.key", b.key.clone())]
}

impl Secured {
    async fn start() -> Self {
        Self::with(&defaults(), "access: public", |_| String::new()).await
    }

    /// With this manifest and session, and with further keys of `tls`.
    async fn with(manifest: &str, access: &str, keys: impl FnOnce(&ConfigMap) -> String) -> Self {
        let (site, authority, port) = (Site::new(&only(manifest.to_owned())), Authority::default(), free_port());
        let endpoint = format!("{{address: 127.0.0.1, port: {}}}", site.upstream.port());
        site.write_sessions(&format!("sessions: [{{id: s1, owner: alice, {access}, endpoints: [{endpoint}]}}]\n"));
        let (a, b) = (authority.issue(&["a.test"]), authority.issue(&["*.b.test"]));
        let mut all = files(&a, &b).to_vec();
        all.push(("ca.crt", authority.pem()));
        let mount = ConfigMap::new(&all);
        let gateway = Gateway::start(&(site.config() + &section(&mount, port, &keys(&mount)))).await;
        eventually("the session is known", async || {
            gateway.status("/sessions").await["sessions"].to_string().contains("\"routed\"").then_some(())
        })
        .await;
        Self { authority, mount, port, gateway, _site: site }
    }

    /// The certificate that a client gets for a name.
    async fn shown(&self, name: &str) -> Vec<u8> {
        let told = self.authority.client(None).get(self.port, name, SESSION).await.unwrap();
        assert_eq!(told.status, 200, "{}", told.body);
        told.shown
    }

    async fn metric(&self, name: &str) -> Option<f64> {
        let text = Client::default().get(&format!("{}/metrics", self.gateway.admin)).await;
        let text = String::from_utf8(text.body.to_vec()).unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}

/// The section `tls` for these files.
fn section(mount: &ConfigMap, port: u16, keys: &str) -> String {
    let pair = |name: &str| {
        let file = |kind: &str| mount.file(&format!("{name}.{kind}")).display().to_string();
        format!("{{certificate: '{}', key: '{}'}}", file("crt"), file("key"))
    };
    // Changes must be noticed, not stumbled upon.
    format!("tls: {{listen: '127.0.0.1:{port}', poll_s: 3600, certificates: [{}, {}]{keys}}}\n", pair("a"), pair("b"))
}
