//! TCP endpoints of ClearML tasks: a port is leased, written to the task in place of its own address, and leads to its own server.

mod records;
mod sdk;
mod session;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use wicketgate_tests::{Clearml, Gateway, PATIENCE, PortRange, eventually};

/// Where tasks run: another address than the gateway's, which publishes 127.0.0.1.
const TASKS_ADDRESS: &str = "127.0.0.2";

/// A gateway that leases ports to tasks.
async fn gateway(clearml: &Clearml) -> (Gateway, PortRange) {
    let ports = PortRange::free(4);
    (Gateway::start(&(clearml.config() + &ports.config())).await, ports)
}

/// One endpoint's keys as a client reads them: address and port, and the task's own port.
#[derive(Debug, PartialEq)]
struct Published {
    address: String,
    port: u16,
    own_port: u16,
}

/// Waits until a task's endpoint has a port of the range; `suffix` is `__<name>` of a named one.
async fn published(clearml: &Clearml, ports: PortRange, task: &str, suffix: &str) -> Published {
    eventually(&format!("a port for {task}{suffix}"), async || {
        let read = |key: &str| clearml.runtime(task, &format!("{key}{suffix}"));
        let port = number(&read("external_tcp_port")?).filter(|port| ports.contains(*port))?;
        Some(Published {
            address: read("external_address")?.as_str()?.to_owned(),
            port,
            own_port: number(&read("upstream_task_port")?)?,
        })
    })
    .await
}

/// A port as clients take it: a number, or its digits.
fn number(value: &Value) -> Option<u16> {
    value.as_str().map_or_else(|| value.as_u64().and_then(|port| u16::try_from(port).ok()), |digits| digits.parse().ok())
}

/// What the server behind `<address>:<port>` answers to a line.
async fn answer(endpoint: &str, line: &str) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(endpoint).await.unwrap();
        stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await.unwrap();
        answer.trim_end().to_owned()
    };
    timeout(PATIENCE, talk).await.unwrap_or_else(|_| panic!("{endpoint} doesn't answer"))
}
