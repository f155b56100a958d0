//! The demonstration: a gateway on loopback with three small sessions and two people, on a configuration and a policy that are
//! written to a directory to be looked at and edited while it runs. Called by the command line alone.

mod workload;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::config::{self, Loaded};

const GATEWAY: &str = "127.0.0.1:8080";
const ADMIN: &str = "127.0.0.1:9090";

/// Session ids with owner, greeting and who may enter besides its owner.
const SESSIONS: [(&str, &str, &str, Option<&str>); 3] = [
    ("alice-notebook", "alice", "Alice's notebook", None),
    ("bob-notebook", "bob", "Bob's notebook", None),
    ("open-page", "bob", "A page for everybody", Some("public")),
];

const PLUGINS: &str = include_str!("demo/plugins.yaml");

/// The demonstration can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{0}: {1}")]
    Directory(PathBuf, io::Error),
    #[error("a session of the demonstration can't listen on loopback: {0}")]
    Workload(io::Error),
    #[error(transparent)]
    Config(#[from] config::ConfigError),
}

/// Starts the sessions on the current runtime and answers the gateway's configuration.
pub async fn prepare() -> Result<(Loaded, PathBuf), DemoError> {
    let directory = std::env::temp_dir().join("wicketgate-demo");
    let plugins = directory.join("plugins");
    let write = |path: PathBuf, text: &str| std::fs::write(&path, text).map_err(|error| DemoError::Directory(path, error));
    std::fs::create_dir_all(&plugins).map_err(|error| DemoError::Directory(plugins.clone(), error))?;
    write(plugins.join("plugins.yaml"), PLUGINS)?;

    let mut sessions = String::from("sessions:\n");
    for (id, owner, greeting, access) in SESSIONS {
        let address = workload::start(greeting).await.map_err(DemoError::Workload)?;
        let access = access.map_or_else(String::new, |access| format!(", access: {access}"));
        sessions += &format!(
            "  - {{id: {id}, name: \"{greeting}\", owner: {owner}, company: demo{access}, \
             endpoints: [{{address: {}, port: {}}}]}}\n",
            address.ip(),
            address.port()
        );
    }
    write(directory.join("sessions.yaml"), &sessions)?;
    let config = configuration(&directory);
    write(directory.join("wicketgate.yaml"), &config)?;
    Ok((config::parse(&config)?, directory))
}

/// What a person needs to know, on standard output.
pub fn introduce(directory: &Path) -> io::Result<()> {
    let policy = directory.join("plugins/plugins.yaml");
    let policy = policy.display();
    write!(
        io::stdout().lock(),
        "
Wicketgate is on http://{GATEWAY}/   (health, metrics, status: http://{ADMIN}/)

  Open   http://{GATEWAY}/                              log in as alice / alice or bob / bob
  Alice  http://{GATEWAY}/service/alice-notebook/       a page with a live WebSocket and an event stream
  Bob    http://{GATEWAY}/service/bob-notebook/         not for Alice
  All    http://{GATEWAY}/service/open-page/            public, no login

Change the policy while Alice's page is open. It is in
  {policy}
For example, lock Alice out:
  sed -i 's/deny_users: \\[\\]/deny_users: [alice]/' {policy}
Her WebSocket goes on counting; her next request is refused. Undo it:
  sed -i 's/deny_users: \\[alice\\]/deny_users: []/' {policy}
What decides, and what was refused:  curl -s http://{ADMIN}/plugins

Everything runs on this machine only. Ctrl-C ends it.

"
    )
}

fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "# The demonstration's configuration. `wicketgate run --config` takes the same.
name: demo
public_url: http://{GATEWAY}
http: {{listen: \"{GATEWAY}\"}}
admin: {{listen: \"{ADMIN}\"}}
log: {{level: warn, access: false}}
plugins: {{directory: \"{directory}/plugins\", poll_s: 2}}
discovery:
  file: \"{directory}/sessions.yaml\"
  # Its sessions are on this machine. A real gateway never dials loopback.
  dial: {{networks: [127.0.0.0/8]}}
login:
  users:
    - {{id: alice, name: Alice, company: demo, password: alice}}
    - {{id: bob, name: Bob, company: demo, password: bob}}
"
    )
}

/// Where the demonstration's gateway is.
pub fn address() -> SocketAddr {
    GATEWAY.parse().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 8080)))
}
