//! Redis through the range: small answers, long waits, and what comes unasked.

use std::{fmt::Write as _, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};
use wicketgate_tests::{
    PATIENCE, Redis, eventually,
    programs::{
        output,
        redis::{ask, client},
    },
};

use super::Site;

const PIPELINED: usize = 10_000;

/// A command as clients send it.
fn encoded(words: &[&str]) -> String {
    words.iter().fold(format!("*{}\r\n", words.len()), |mut text, word| {
        let _ = write!(text, "${}\r\n{word}\r\n", word.len());
        text
    })
}

#[tokio::test]
async fn a_value_is_stored_and_found() {
    let redis = Redis::start().await;
    let site = Site::before(redis.port).await;
    assert_eq!(ask(site.port, &["SET", "greeting", "good morning"]).await, "OK");
    assert_eq!(ask(site.port, &["GET", "greeting"]).await, "good morning");
    assert_eq!(ask(redis.port, &["GET", "greeting"]).await, "good morning", "it's in the session's own server");
    let large = "x".repeat(100_000);
    assert_eq!(ask(site.port, &["SET", "large", &large]).await, "OK");
    assert_eq!(ask(site.port, &["GET", "large"]).await, large);
}

#[tokio::test]
async fn ten_thousand_pipelined_commands_are_all_answered() {
    let redis = Redis::start().await;
    let site = Site::before(redis.port).await;
    let commands: String = (0..PIPELINED).map(|number| encoded(&["RPUSH", "numbers", &number.to_string()])).collect();
    let mut pipe = client(site.port, &["--pipe"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = pipe.stdin.take().unwrap();
    input.write_all(commands.as_bytes()).await.unwrap();
    drop(input);
    let run = timeout(PATIENCE, pipe.wait_with_output()).await.expect("the pipeline ends").unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains(&format!("errors: 0, replies: {PIPELINED}")), "{said}");

    let numbers = output(client(site.port, &["LRANGE", "numbers", "0", "-1"]), PATIENCE).await;
    assert!(numbers.lines().eq((0..PIPELINED).map(|number| number.to_string())), "they were run in their order");
}

#[tokio::test]
async fn a_client_that_waits_for_an_element_gets_it_when_it_comes() {
    let redis = Redis::start().await;
    let site = Site::before(redis.port).await;
    let waiting = client(site.port, &["BLPOP", "queue", "0"]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    eventually("the client waits", async || {
        ask(redis.port, &["CLIENT", "LIST"]).await.lines().any(|line| line.contains("cmd=blpop")).then_some(())
    })
    .await;
    assert_eq!(ask(site.port, &["RPUSH", "queue", "work"]).await, "1");
    let run = timeout(PATIENCE, waiting.wait_with_output()).await.expect("the wait ends").unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stdout), "queue\nwork\n");
}

#[tokio::test]
async fn a_subscriber_hears_what_is_published() {
    let redis = Redis::start().await;
    let site = Site::before(redis.port).await;
    let mut subscriber = client(site.port, &["SUBSCRIBE", "news"]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(subscriber.stdout.take().unwrap()).lines();
    let mut hears = async || timeout(PATIENCE, lines.next_line()).await.expect("a line").unwrap().expect("the subscription");
    assert_eq!([hears().await, hears().await, hears().await], ["subscribe", "news", "1"]);
    for news in ["one", "two"] {
        assert_eq!(ask(site.port, &["PUBLISH", "news", news]).await, "1", "there's one subscriber");
        assert_eq!([hears().await, hears().await, hears().await], ["message", "news", news]);
    }
    subscriber.kill().await.unwrap();
}
