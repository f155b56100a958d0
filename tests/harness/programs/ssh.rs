//! OpenSSH: a server with keys of its own on a port of loopback, where whoever runs the tests can log in with a key that
//! nobody else has, and clients that know this one server and no configuration of that person.

use std::path::Path;

use tokio::process::Command;

use super::{Program, need, output};
use crate::{PATIENCE, free_port};

/// A running `sshd`.
pub struct OpenSsh {
    pub port: u16,
    user: String,
    program: Program,
}

impl OpenSsh {
    pub async fn start() -> Self {
        let (sshd, port) = (need("sshd", "openssh-server"), free_port());
        let home = tempfile::tempdir().unwrap();
        for key in ["host", "person"] {
            let mut keygen = Command::new(need("ssh-keygen", "openssh-client"));
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"]).arg(home.path().join(key));
            output(keygen, PATIENCE).await;
        }
        let host_key = std::fs::read_to_string(home.path().join("host.pub")).unwrap();
        std::fs::write(home.path().join("known_hosts"), format!("session {host_key}")).unwrap();
        let config = home.path().join("sshd_config");
        std::fs::write(&config, server_config(home.path(), port)).unwrap();
        let mut whoami = Command::new("id");
        whoami.arg("-un");
        let user = output(whoami, PATIENCE).await.trim().to_owned();
        if user == "root" {
            // Where it puts the part of itself that has no rights; the system makes it only when it starts the service.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let program = Program::start(&sshd, &["-D", "-e", "-f", config.to_str().unwrap()], home);
        let mut server = Self { port, user, program };
        server.program.listens(port).await;
        server
    }

    /// A client that logs in through a port of loopback, wherever that leads: the server must show the host key of this one.
    /// What comes after the options is still to be added, beginning with `destination`.
    pub fn ssh(&self, port: u16) -> Command {
        let mut ssh = self.client("ssh");
        ssh.args(["-p", &port.to_string()]);
        ssh
    }

    /// The same for copies; a remote file is `<destination>:<path>`.
    pub fn scp(&self, port: u16) -> Command {
        let mut scp = self.client("scp");
        scp.args(["-q", "-P", &port.to_string()]);
        scp
    }

    pub fn destination(&self) -> String {
        format!("{}@127.0.0.1", self.user)
    }

    fn client(&self, program: &str) -> Command {
        let mut client = Command::new(need(program, "openssh-client"));
        let home = self.program.home();
        client.args(["-F", "none", "-i"]).arg(home.join("person"));
        let known_hosts = format!("UserKnownHostsFile={}", home.join("known_hosts").display());
        for option in [
            &known_hosts,
            "GlobalKnownHostsFile=none",
            "HostKeyAlias=session",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "LogLevel=ERROR",
        ] {
            client.args(["-o", option]);
        }
        client.env("HOME", home).kill_on_drop(true);
        client
    }
}

fn server_config(home: &Path, port: u16) -> String {
    let home = home.display();
    format!(
        "Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host
AuthorizedKeysFile {home}/person.pub
PidFile none
# The keys lie in a directory that everybody may write to.
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 400
MaxSessions 400
Subsystem sftp internal-sftp
# What the person's own shell does when it starts is no business of the tests.
SetEnv HOME={home}
PermitUserRC no
"
    )
}
