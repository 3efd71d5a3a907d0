//! A call that needs no approval, through the gate: beside nginx as a proxy, nginx that asks a bare 204 first
//! (`auth_request`), and nobody between. Upstream is an nginx that answers at once. `wrk` calls over kept connections: one, for the time of a call; sixteen, for throughput.
//! wrk has one core, everything else the other.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use countersign_tests::owned::Processes;
use countersign_tests::paths;
use countersign_tests::setup::{Places, Providers, Rules, Setup};
use countersign_tests::world::World;

use crate::measure::{Report, Series};

const ROUNDS: usize = 10;
const SECONDS: &str = "2s";

pub(crate) async fn run() -> Result<()> {
    let world = World::start().await?;
    let token = world.token("mara").await?;
    let folder = world.folder().join("gate-bench");
    fs::create_dir_all(&folder)?;
    let mut processes = Processes::new(&folder)?;
    let (upstream, proxy, gate) = (free_port()?, free_port()?, free_port()?);
    let (asking, decider) = (free_port()?, free_port()?);
    let ports = Ports {
        upstream,
        proxy,
        asking,
        decider,
    };
    nginx(&mut processes, &folder, &ports)?;

    let places = Places {
        server: world.server_url.clone(),
        server_listens: "127.0.0.1:0".to_owned(),
        gate_listens: format!("127.0.0.1:{gate}"),
        upstream: format!("http://127.0.0.1:{upstream}"),
    };
    let setup = Setup::write(
        &folder.join("config"),
        Providers {
            first: &world.op,
            second: None,
        },
        Rules::Orders,
        &places,
        60,
    )?;
    let mut serve = pinned("1", paths::program("countersign")?);
    serve
        .args(["gate", "http", "--config"])
        .arg(setup.path("gate.toml"));
    processes.spawn("gate", &mut serve)?;

    let ways = [
        ("nobody between", upstream),
        ("nginx as a proxy", proxy),
        ("nginx with auth_request", asking),
        ("the gate", gate),
    ];
    for (name, port) in ways {
        answers(port, &token)
            .await
            .with_context(|| name.to_owned())?;
    }
    let mut times =
        ways.map(|(name, _)| Series::new(format!("{name}: time of a call, 1 connection"), "ms"));
    let mut rates =
        ways.map(|(name, _)| Series::new(format!("{name}: calls a second, 16 connections"), "/s"));
    for round in 0..=ROUNDS {
        for (index, (_, port)) in ways.iter().enumerate() {
            let time = wrk(*port, &token, 1)?.p50_millis;
            let rate = wrk(*port, &token, 16)?.per_second;
            if round > 0 {
                times[index].round();
                times[index].push(time);
                rates[index].round();
                rates[index].push(rate);
            }
        }
    }
    let mut report = Report::new(
        "gate",
        "time <= 1.05 x nginx as a proxy, throughput >= 0.97 x",
    );
    let [_, proxied, asked, gated] = &times;
    report.ratio("time, gate / nginx as a proxy", gated, proxied);
    report.ratio("time, gate / nginx with auth_request", gated, asked);
    let [_, proxied, asked, gated] = &rates;
    report.ratio("throughput, gate / nginx as a proxy", gated, proxied);
    report.ratio("throughput, gate / nginx with auth_request", gated, asked);
    times
        .into_iter()
        .chain(rates)
        .for_each(|series| report.add(series));
    report.finish()
}

/// Where the nginx of this run listens.
struct Ports {
    upstream: u16,
    proxy: u16,
    asking: u16,
    decider: u16,
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn pinned(core: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program).stdin(Stdio::null());
    command
}

fn nginx(processes: &mut Processes, folder: &Path, ports: &Ports) -> Result<()> {
    let Ports {
        upstream,
        proxy,
        asking,
        decider,
    } = ports;
    let config = folder.join("nginx.conf");
    let text = format!(
        "daemon off; worker_processes 1; pid {pid}; error_log {log} error;\n\
         events {{ worker_connections 512; }}\n\
         http {{ access_log off; keepalive_requests 100000000;\n\
         client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;\n\
         uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;\n\
         upstream orders {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}\n\
         server {{ listen 127.0.0.1:{upstream}; default_type application/json;\n\
         location / {{ return 200 '{{\"id\":\"42\",\"name\":\"A customer of the orders API\"}}'; }} }}\n\
         upstream decider {{ server 127.0.0.1:{decider}; keepalive 64; keepalive_requests 100000000; }}\n\
         server {{ listen 127.0.0.1:{decider}; location / {{ return 204; }} }}\n\
         server {{ listen 127.0.0.1:{proxy};\n\
         location / {{ proxy_pass http://orders; proxy_http_version 1.1; proxy_set_header Connection ''; }} }}\n\
         server {{ listen 127.0.0.1:{asking};\n\
         location = /decide {{ internal; proxy_pass http://decider; proxy_http_version 1.1;\n\
         proxy_set_header Connection ''; proxy_pass_request_body off; proxy_set_header Content-Length ''; }}\n\
         location / {{ auth_request /decide; proxy_pass http://orders; proxy_http_version 1.1;\n\
         proxy_set_header Connection ''; }} }} }}\n",
        pid = folder.join("nginx.pid").display(),
        log = folder.join("nginx.log").display(),
        folder = folder.display(),
    );
    fs::write(&config, text)?;
    let mut command = pinned("1", "nginx");
    command.arg("-p").arg(folder).arg("-c").arg(&config);
    processes.spawn("nginx", &mut command)?;
    Ok(())
}

/// Waits until it answers this call as it should.
async fn answers(port: u16, token: &str) -> Result<()> {
    let client = countersign_tests::person::client()?;
    let mut tries = 0;
    loop {
        tries += 1;
        let answer = client
            .get(format!("http://127.0.0.1:{port}/customers/42"))
            .bearer_auth(token)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let status = answer.status();
                ensure!(
                    status == 200,
                    "it answers {status}: {}",
                    answer.text().await?
                );
                return Ok(());
            }
            Err(error) if error.is_connect() && tries < 100 => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error).context("call it"),
        }
    }
}

struct Load {
    p50_millis: f64,
    per_second: f64,
}

fn wrk(port: u16, token: &str, connections: u32) -> Result<Load> {
    let output = pinned("0", "wrk")
        .args([
            "-t1",
            "-d",
            SECONDS,
            "--latency",
            "-c",
            &connections.to_string(),
        ])
        .args(["-H", &format!("Authorization: Bearer {token}")])
        .arg(format!("http://127.0.0.1:{port}/customers/42"))
        .output()
        .context("start wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "wrk met errors:\n{text}"
    );
    let field = |name: &str| {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1))
            .map(str::to_owned)
            .with_context(|| format!("wrk says no {name}:\n{text}"))
    };
    Ok(Load {
        p50_millis: millis(&field("50%")?)?,
        per_second: field("Requests/sec:")?.parse().context("read a rate")?,
    })
}

fn millis(text: &str) -> Result<f64> {
    let (number, factor) = match text {
        _ if text.ends_with("us") => (text.trim_end_matches("us"), 1e-3),
        _ if text.ends_with("ms") => (text.trim_end_matches("ms"), 1.0),
        _ => (text.trim_end_matches('s'), 1e3),
    };
    Ok(number
        .parse::<f64>()
        .with_context(|| format!("read `{text}`"))?
        * factor)
}
