//! The demonstration: a gateway on loopback with three small sessions and two people, on a configuration and a policy that are
//! written to a directory to be looked at and edited while it runs. Called by the command line alone.

mod workload;

use std::{
    fs::{DirBuilder, File},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use crate::config::{self, Loaded};

/// Where the demonstration is, on this machine alone: its passwords are no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub gateway: SocketAddr,
    pub admin: SocketAddr,
    /// For its files, which are written anew. Absolute, so that what is printed works from anywhere.
    pub directory: PathBuf,
}

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
    #[error("{0}: there is something else in it; choose an empty or new directory with --directory")]
    Foreign(PathBuf),
    #[error("{0}: another demonstration uses it; choose another directory with --directory")]
    InUse(PathBuf),
    #[error(transparent)]
    Config(#[from] config::ConfigError),
}

/// In each demonstration's directory.
const LOCK: &str = ".demonstration";

/// Where its files are unless somebody chooses.
pub fn usual_directory() -> PathBuf {
    std::env::temp_dir().join("wicketgate-demo")
}

/// Starts the sessions on the current runtime and answers the gateway's configuration. To be called when the ports are known
/// to be free: it overwrites the files of a demonstration that runs in the same directory.
/// What it answers besides must live as long as the demonstration: it keeps others out of the directory.
pub async fn prepare(place: &Place) -> Result<(Loaded, File), DemoError> {
    let plugins = place.directory.join("plugins");
    let write = |path: PathBuf, text: &str| std::fs::write(&path, text).map_err(|error| DemoError::Directory(path, error));
    let in_directory = |error| DemoError::Directory(place.directory.clone(), error);
    own_directory(&place.directory).map_err(in_directory)?;
    if !is_a_demonstrations(&place.directory).map_err(in_directory)? {
        return Err(DemoError::Foreign(place.directory.clone()));
    }
    let lock = File::create(place.directory.join(LOCK)).map_err(in_directory)?;
    lock.try_lock().map_err(|_| DemoError::InUse(place.directory.clone()))?;
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
    write(place.directory.join("sessions.yaml"), &sessions)?;
    let config = configuration(place);
    write(place.directory.join("wicketgate.yaml"), &config)?;
    Ok((config::parse(&config)?, lock))
}

/// Whether nothing is in it that isn't an earlier demonstration's.
fn is_a_demonstrations(directory: &Path) -> io::Result<bool> {
    Ok(directory.join(LOCK).exists() || std::fs::read_dir(directory)?.next().is_none())
}

/// Makes a directory for this user alone. The usual one is where anybody may make files: one that somebody else prepared is
/// refused, since whoever writes there decides who enters.
fn own_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = std::fs::symlink_metadata(path)?;
    let is_mine = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0;
    if is_mine { Ok(()) } else { Err(io::Error::other("not a directory that only you may write to; choose one with --directory")) }
}

/// What a person needs to know, on standard output.
pub fn introduce(place: &Place) -> io::Result<()> {
    let Place { gateway, admin, directory } = place;
    let policy = shell_word(&directory.join("plugins/plugins.yaml"));
    write!(
        io::stdout().lock(),
        "
Wicketgate is on http://{gateway}/   (health, metrics, status: http://{admin}/)

  Open   http://{gateway}/                              log in as alice / alice or bob / bob
  Alice  http://{gateway}/service/alice-notebook/       a page with a live WebSocket and an event stream
  Bob    http://{gateway}/service/bob-notebook/         not for Alice
  All    http://{gateway}/service/open-page/            public, no login

Change the policy while Alice's page is open. It is in
  {policy}
For example, lock Alice out:
  sed -i 's/deny_users: \\[\\]/deny_users: [alice]/' {policy}
Her WebSocket goes on counting; her next request is answered 404, as for a session that doesn't exist. Undo it:
  sed -i 's/deny_users: \\[alice\\]/deny_users: []/' {policy}
What decides, and what was refused:  curl -s http://{admin}/plugins

Everything runs on this machine only. Ctrl-C ends it.

"
    )
}

fn configuration(place: &Place) -> String {
    let Place { gateway, admin, directory } = place;
    let (plugins, sessions) = (yaml_text(&directory.join("plugins")), yaml_text(&directory.join("sessions.yaml")));
    format!(
        "# The demonstration's configuration. `wicketgate run --config` takes the same.
name: demo
public_url: http://{gateway}
http: {{listen: \"{gateway}\"}}
admin: {{listen: \"{admin}\"}}
log: {{level: warn, access: false}}
plugins: {{directory: {plugins}, poll_s: 2}}
discovery:
  file: {sessions}
  # Its sessions are on this machine. A real gateway never dials loopback.
  dial: {{networks: [127.0.0.0/8]}}
login:
  users:
    - {{id: alice, name: Alice, company: demo, password: alice}}
    - {{id: bob, name: Bob, company: demo, password: bob}}
"
    )
}

/// A path as YAML has it: within single quotes, only these are special.
fn yaml_text(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}

/// A path as it can be pasted into a shell.
fn shell_word(path: &Path) -> String {
    let path = path.display().to_string();
    if path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_directory_can_be_configured_and_pasted() {
        for name in ["/srv/demo", "/srv/it's: \"here\" #1", "/srv/a b\\c"] {
            let place =
                Place { gateway: ([127, 0, 0, 1], 8080).into(), admin: ([127, 0, 0, 1], 9090).into(), directory: name.into() };
            let config = config::parse(&configuration(&place)).unwrap().config;
            assert_eq!(config.plugins.directory, Some(Path::new(name).join("plugins")));
        }
        assert_eq!(shell_word(Path::new("/srv/wicketgate-demo")), "/srv/wicketgate-demo");
        assert_eq!(shell_word(Path::new("/it's")), r"'/it'\''s'");
    }

    #[test]
    fn a_directory_that_others_prepared_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        own_directory(&at("new/deep")).unwrap();
        own_directory(&at("new/deep")).unwrap();
        std::os::unix::fs::symlink(at("new"), at("link")).unwrap();
        std::fs::create_dir(at("open")).unwrap();
        std::fs::set_permissions(at("open"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        std::fs::write(at("file"), "").unwrap();
        for other in ["link", "open", "file"] {
            assert!(own_directory(&at(other)).is_err(), "{other}");
        }
    }
}
