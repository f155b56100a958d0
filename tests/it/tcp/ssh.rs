//! OpenSSH through the range.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use wicketgate_tests::{Client, OpenSsh, PATIENCE, Upstream, eventually, free_port, programs::output};

use super::Site;

const GIB: u64 = 1 << 30;

/// For what moves a gibibyte, encrypted twice over, on a machine that does other things too.
const LONG_PATIENCE: Duration = PATIENCE.saturating_mul(10);

/// A log-in that stays open and answers each line with the same line.
struct LoggedIn {
    process: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

#[tokio::test]
async fn a_person_logs_in_and_runs_a_command() {
    let server = OpenSsh::start().await;
    let site = Site::before(server.port).await;
    let mut ssh = server.ssh(site.port);
    ssh.args([&server.destination(), "echo $SSH_CONNECTION; exit 7"]).stdin(Stdio::null());
    let run = timeout(PATIENCE, ssh.output()).await.expect("the command ends").unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(7), "the command's own status comes back: {run:?}");
    assert!(said.trim_end().ends_with(&format!(" 127.0.0.1 {}", server.port)), "the command ran in the session: {said}");
}

#[tokio::test]
async fn a_gibibyte_is_the_same_after_a_copy_in_either_direction() {
    let server = OpenSsh::start().await;
    let site = Site::before(server.port).await;
    // Not where a small file system in memory may be.
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(base).unwrap();
    let files = tempfile::tempdir_in(base).unwrap();
    let [here, there, back] = ["here", "there", "back"].map(|name| files.path().join(name));
    write_mixture(&here, GIB);
    let wanted = checksum(&here).await;
    let remote = format!("{}:{}", server.destination(), there.display());

    let mut up = server.scp(site.port);
    up.arg(&here).arg(&remote);
    output(up, LONG_PATIENCE).await;
    assert_eq!(there.metadata().unwrap().len(), GIB);
    assert_eq!(checksum(&there).await, wanted, "what was sent is what arrived");

    let mut down = server.scp(site.port);
    down.arg(&remote).arg(&back);
    output(down, LONG_PATIENCE).await;
    assert_eq!(checksum(&back).await, wanted, "what was fetched is what was there");
}

#[tokio::test]
async fn a_forwarded_port_carries_http() {
    let (server, application) = (OpenSsh::start().await, Upstream::start());
    let site = Site::before(server.port).await;
    let local = free_port();
    let mut ssh = server.ssh(site.port);
    ssh.args(["-N", "-o", "ExitOnForwardFailure=yes", "-L", &format!("127.0.0.1:{local}:127.0.0.1:{}", application.port())]);
    let mut tunnel = ssh.arg(server.destination()).stdin(Stdio::null()).spawn().unwrap();
    let at = |path: &str| format!("http://127.0.0.1:{local}{path}");
    eventually("the tunnel is open", async || {
        let ended = tunnel.try_wait().unwrap();
        assert!(ended.is_none(), "ssh ended with {ended:?}");
        let reply = Client::default().try_send(http::Method::GET, &at("/status/200"), bytes::Bytes::new()).await;
        reply.ok().map(drop)
    })
    .await;

    let reply = Client::default().post(&at("/echo"), "through two tunnels").await.json();
    assert_eq!((&reply["method"], &reply["body"]), (&"POST".into(), &"through two tunnels".into()));
    // Channels of one connection: none waits for another's end.
    let client = Client::default();
    let open = client.open(http::Method::GET, &at("/events"), bytes::Bytes::new()).await.unwrap();
    assert_eq!(client.get(&at("/bytes/8388608")).await.body.len(), 8 << 20);
    drop(open);
    assert!(application.seen().iter().all(|seen| !seen.headers.contains_key("x-wicketgate-user")), "nobody reads what passes");
    tunnel.kill().await.unwrap();
}

#[tokio::test]
async fn a_hundred_people_are_logged_in_at_a_time() {
    let server = OpenSsh::start().await;
    let site = Site::before(server.port).await;
    let mut people: Vec<LoggedIn> = (0..100).map(|_| LoggedIn::start(&server, site.port)).collect();
    // Nobody is asked twice before all have answered once.
    for round in ["first", "second"] {
        for (number, person) in people.iter_mut().enumerate() {
            person.input.write_all(format!("{round} {number}\n").as_bytes()).await.unwrap();
        }
        for (number, person) in people.iter_mut().enumerate() {
            assert_eq!(person.hears().await, format!("{round} {number}"));
        }
    }
    let status = site.gateway.status("/sessions").await;
    assert_eq!(status["sessions"][0]["endpoints"][0]["state"], "routed", "{status}");
    for mut person in people {
        drop(person.input);
        let ended = timeout(PATIENCE, person.process.wait()).await.expect("it ends with its input").unwrap();
        assert!(ended.success(), "{ended}");
    }
}

// === impl LoggedIn ===

impl LoggedIn {
    fn start(server: &OpenSsh, port: u16) -> Self {
        let mut ssh = server.ssh(port);
        ssh.args([&server.destination(), "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = ssh.spawn().unwrap();
        let (input, lines) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, input, lines: BufReader::new(lines).lines() }
    }

    async fn hears(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("the session answers");
        line.unwrap().expect("the session is open; the client's error is above")
    }
}

/// A sparse file in which each mebibyte begins with 64 KiB of noise: what is lost, repeated or moved shows in the checksum, and
/// little of the disk is taken.
fn write_mixture(path: &Path, size: u64) {
    let (mut file, mut noise) = (File::create(path).unwrap(), File::open("/dev/urandom").unwrap());
    file.set_len(size).unwrap();
    let mut block = vec![0; 64 << 10];
    for start in (0..size).step_by(1 << 20) {
        noise.read_exact(&mut block).unwrap();
        file.seek(SeekFrom::Start(start)).unwrap();
        file.write_all(&block).unwrap();
    }
}

async fn checksum(path: &Path) -> String {
    let mut sum = Command::new("sha256sum");
    sum.arg(path);
    let said = output(sum, LONG_PATIENCE).await;
    said.split_whitespace().next().unwrap_or_default().to_owned()
}
