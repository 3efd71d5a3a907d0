//! A message through NATS core: the peer of a frame. It is not durable, so it shows what the hops alone cost.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use countersign_tests::owned::Processes;
use futures_util::FutureExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// About what a request's frame and its record weigh.
const MESSAGE: [u8; 2048] = [b'x'; 2048];

/// A server with one publisher and one subscriber.
pub(crate) struct Nats {
    publisher: BufReader<TcpStream>,
    subscriber: BufReader<TcpStream>,
}

impl Nats {
    pub(crate) async fn start(processes: &mut Processes) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("nats-server");
        command
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null());
        processes.spawn("nats", &mut command)?;
        let publisher = connected(port, "").await?;
        let subscriber = connected(port, "SUB hint 1\r\n").await?;
        Ok(Self {
            publisher,
            subscriber,
        })
    }

    /// How long one message takes.
    pub(crate) async fn pass(&mut self) -> Result<Duration> {
        // The server asks now and then whether we live, and hangs up on who does not say.
        while let Some(said) = line(&mut self.publisher).now_or_never() {
            ensure!(said? == "PING", "NATS says something to the publisher");
            pong(&mut self.publisher).await?;
        }
        let begun = Instant::now();
        let mut sent = format!("PUB hint {}\r\n", MESSAGE.len()).into_bytes();
        sent.extend_from_slice(&MESSAGE);
        sent.extend_from_slice(b"\r\n");
        self.publisher.get_mut().write_all(&sent).await?;
        let mut said = line(&mut self.subscriber).await?;
        while said == "PING" {
            pong(&mut self.subscriber).await?;
            said = line(&mut self.subscriber).await?;
        }
        ensure!(said.starts_with("MSG hint 1 "), "NATS says {said}");
        let mut message = [0; MESSAGE.len() + 2];
        self.subscriber.read_exact(&mut message).await?;
        Ok(begun.elapsed())
    }
}

async fn connected(port: u16, more: &str) -> Result<BufReader<TcpStream>> {
    let mut tries = 0;
    let stream = loop {
        tries += 1;
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(stream) => break stream,
            Err(_) if tries < 100 => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => return Err(error).context("reach nats-server"),
        }
    };
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let hello = format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\n{more}PING\r\n");
    stream.get_mut().write_all(hello.as_bytes()).await?;
    while line(&mut stream).await? != "PONG" {}
    Ok(stream)
}

async fn pong(stream: &mut BufReader<TcpStream>) -> Result<()> {
    Ok(stream.get_mut().write_all(b"PONG\r\n").await?)
}

async fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_line(&mut line))
        .await
        .context("NATS is silent")??;
    ensure!(read > 0, "NATS closed the connection");
    Ok(line.trim_end().to_owned())
}
