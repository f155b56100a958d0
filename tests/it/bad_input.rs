//! Whatever clients, tokens, sessions and upstreams get wrong, through the real gateway: each has a clear answer, nothing
//! enters, and the next good request is served.

mod requests;
mod sessions;
mod tokens;
mod upstreams;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use wicketgate_tests::{Gateway, PATIENCE};

/// Sends these bytes on a connection of their own and answers everything that comes back. The gateway must end the connection.
async fn ask(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    // It may refuse before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    // Reset in place of ended: it didn't read the rest.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap_or_else(|_| panic!("{:?}: the connection stays open", String::from_utf8_lossy(bytes)));
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of an answer, empty where there's none.
fn status(answer: &str) -> &str {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or_default()
}

/// For what would be a fault if it came late.
const A_MOMENT: Duration = Duration::from_millis(200);
