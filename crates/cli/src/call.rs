//! `countersign call`: one HTTP call through a gate, by a person or a script.
//!
//! What the requester would do by hand: it shows the matching words at once, waits and comes back with
//! `Approval-Id`, follows the challenge of a call that needs another token, and says by its exit code how it
//! ended. It knows nothing of approvals but what the gate says.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use countersign_api::http::AwayView;
use countersign_model::Clock as _;
use jiff::tz::TimeZone;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::away;
use crate::challenge::Challenge;
use crate::clock::SystemClock;
use crate::exit::{Exit, Stop};
use crate::http;
use crate::live_line::LiveLine;
use crate::requester::{Requester, RequesterArgs};
use crate::terminal::{duration, safe};

/// How long the gate may hold one answer, in seconds.
const WAIT_SECS: u64 = 15;
/// RFC 9457.
const PROBLEM: &str = "application/problem+json";
/// The longest answer that is read to find out where a call stands, in bytes.
const MAX_PROBLEM_BYTES: usize = 256 * 1024;
/// Tokens that are got for one call: the first, and two that challenges ask for.
const MAX_TOKENS: u32 = 3;
/// Answers in a row that say "not now".
const MAX_FAILURES: u32 = 8;

/// The call.
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// Where to: the API's address, as behind the gate.
    url: String,
    /// The method [default: GET, or POST with a body].
    #[arg(short = 'X', long, value_name = "METHOD")]
    request: Option<String>,
    /// A header field; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The body: as it stands, or a file's with @FILE.
    #[arg(short, long, value_name = "TEXT|@FILE")]
    data: Option<String>,
    /// Why, for those who approve.
    #[arg(long, value_name = "TEXT")]
    justification: Option<String>,
    /// A ticket, for those who approve.
    #[arg(long, value_name = "ID")]
    ticket: Option<String>,
    /// A file that holds an access token for the API [or: COUNTERSIGN_TOKEN].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// What is sent, again and again until it is decided.
struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Makes the call; the exit code says how it ended.
pub(crate) async fn run(args: CallArgs, requester: &RequesterArgs) -> anyhow::Result<Exit> {
    let call = Call::of(&args)?;
    let mut requester = Requester::read(requester)?;
    let mut token = match http::given_token(args.token_file.as_deref())? {
        Some(token) => token,
        None => requester.token().await?,
    };
    let mut tokens = 1;
    let http = http::client(call.url.as_str())?;
    let mut line = LiveLine::new();
    let mut approval: Option<String> = None;
    let mut failures = 0;
    loop {
        let answer = match call.send(&http, &token, approval.as_deref()).await {
            Ok(answer) => answer,
            // Whether a call that was not held reached the API is not known: it is not made twice.
            Err(error) if approval.is_none() || failures >= MAX_FAILURES => {
                let why = if error.is_timeout() {
                    "no answer in time"
                } else {
                    "no connection"
                };
                return Err(Stop::with(
                    Exit::Unreachable,
                    format!(
                        "the gate at {} does not answer ({why})",
                        call.url.origin().ascii_serialization()
                    ),
                ));
            }
            Err(_) => {
                failures += 1;
                line.say("The gate does not answer; trying again.");
                tokio::time::sleep(Duration::from_secs(u64::from(failures).min(5))).await;
                continue;
            }
        };
        let status = answer.status().as_u16();
        let said = |name: &str| {
            let value = answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        let (challenge, kept) = (said("www-authenticate"), said("approval-id"));
        let is_problem = said("content-type").is_some_and(|kind| kind == PROBLEM);
        // The gate's own answers are short problems; everything else is the API's.
        let problem = match is_problem && status >= 400 {
            true => problem(answer).await?,
            false => {
                line.clear();
                return passed_on(answer, status).await;
            }
        };
        let code = problem["code"].as_str().unwrap_or_default();
        let can_sign_in = tokens < MAX_TOKENS && requester.can_sign_in();
        // One that cannot be read is answered like any other refusal: by what the gate says.
        let wanted = challenge
            .as_deref()
            .and_then(|challenge| Challenge::read(challenge).ok())
            .flatten();
        match (status, code) {
            (403, "approval_pending") => {
                failures = 0;
                approval = kept;
                line.note(&away(&problem));
                line.say(&pending(&problem));
                if approval.is_none() {
                    return Err(Stop::with(
                        Exit::Failed,
                        "the gate gave no id to come back with",
                    ));
                }
            }
            (401 | 403, _) if can_sign_in && wanted.is_some() => {
                if let Some(wanted) = wanted {
                    line.end(&format!("This call needs {}.", safe(&wanted.told())));
                    requester.follow(&wanted);
                }
                // Another sign-in is another operation: what waits is only come back for where the gate says so.
                approval = kept;
                tokens += 1;
                token = requester.token().await?;
            }
            // The token ended while the call was held.
            (401, _) if can_sign_in && kept.is_some() => {
                line.end("The token has ended; the approval waits for a new one.");
                approval = kept;
                tokens += 1;
                token = requester.token().await?;
            }
            (429 | 503, _) if kept.is_some() && failures < MAX_FAILURES => {
                failures += 1;
                approval = kept;
                line.say(&format!("{} Trying again.", detail(&problem)));
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            _ => return refused(&problem, &mut line),
        }
    }
}

impl Call {
    fn of(args: &CallArgs) -> anyhow::Result<Self> {
        let CallArgs {
            url,
            request,
            headers,
            data,
            justification,
            ticket,
            token_file: _,
        } = args;
        let usage = |why: String| Stop::with(Exit::Usage, why);
        let url = Url::parse(url).map_err(|_| usage(format!("`{url}` is no address")))?;
        let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        match url.scheme() {
            "https" => {}
            "http" if here => {}
            _ => {
                return Err(usage(
                    "a token travels by https only (or to this computer)".to_owned(),
                ));
            }
        }
        let body = match data.as_deref().map(|data| (data, data.strip_prefix('@'))) {
            None => Vec::new(),
            Some((_, Some(path))) => {
                std::fs::read(path).with_context(|| format!("cannot read `{path}`"))?
            }
            Some((text, None)) => text.as_bytes().to_vec(),
        };
        let method = match request {
            Some(name) => Method::from_bytes(name.as_bytes())
                .map_err(|_| usage(format!("`{name}` is no method")))?,
            None if data.is_some() => Method::POST,
            None => Method::GET,
        };
        let mut fields = HeaderMap::new();
        let own = [
            justification
                .as_ref()
                .map(|text| format!("countersign-justification: {text}")),
            ticket
                .as_ref()
                .map(|text| format!("countersign-ticket: {text}")),
        ];
        for line in headers.iter().chain(own.iter().flatten()) {
            let field = line.split_once(':').and_then(|(name, value)| {
                let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
                Some((name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?))
            });
            let (name, value) =
                field.ok_or_else(|| usage(format!("`{line}` is no header field")))?;
            if ["authorization", "prefer", "approval-id"].contains(&name.as_str()) {
                return Err(usage(format!("`{name}` is set by this command itself")));
            }
            fields.append(name, value);
        }
        Ok(Self {
            method,
            url,
            headers: fields,
            body,
        })
    }

    async fn send(
        &self,
        http: &reqwest::Client,
        token: &str,
        approval: Option<&str>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut request = http
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .bearer_auth(token);
        if !self.body.is_empty() {
            request = request.body(self.body.clone());
        }
        request = match approval {
            // The words at once; from then on held in turns, so that the line stays live.
            None => request.header("prefer", "respond-async"),
            Some(id) => request
                .header("approval-id", id)
                .header("prefer", format!("wait={WAIT_SECS}")),
        };
        request.send().await
    }
}

/// The API's own answer: its body to stdout, and what it says of itself as the exit code.
async fn passed_on(mut answer: reqwest::Response, status: u16) -> anyhow::Result<Exit> {
    while let Some(piece) = answer.chunk().await.context("the answer broke off")? {
        std::io::stdout().write_all(&piece)?;
    }
    std::io::stdout().flush()?;
    if status < 400 {
        return Ok(Exit::Done);
    }
    Err(Stop::with(
        Exit::Failed,
        format!("the API answered with status {status}"),
    ))
}

async fn problem(answer: reqwest::Response) -> anyhow::Result<Value> {
    let body = http::body(answer, MAX_PROBLEM_BYTES).await;
    let body = body
        .context("the answer broke off")?
        .ok_or_else(|| Stop::with(Exit::Failed, "the gate's answer is too long"))?;
    serde_json::from_slice(&body)
        .map_err(|_| Stop::with(Exit::Failed, "the gate's answer cannot be read"))
}

fn refused(problem: &Value, line: &mut LiveLine) -> anyhow::Result<Exit> {
    line.clear();
    let code = problem["code"].as_str().unwrap_or_default();
    let exit = match (problem["status"].as_u64(), code) {
        (_, "approval_denied") => Exit::Denied,
        (_, "approval_expired" | "approval_withdrawn" | "approval_void") => Exit::Over,
        (Some(401), _) => Exit::SignIn,
        (Some(429 | 502 | 503 | 504), _) => Exit::Unreachable,
        _ => Exit::Failed,
    };
    Err(Stop::with(
        exit,
        format!("{} ({})", detail(problem), safe(code)),
    ))
}

fn detail(problem: &Value) -> String {
    let text = ["detail", "title"]
        .iter()
        .find_map(|name| problem[*name].as_str());
    safe(text.unwrap_or("The gate refuses the call."))
}

/// Who could vote and is away, where the gate says so.
fn away(problem: &Value) -> String {
    let away: Vec<AwayView> = serde_json::from_value(problem["away"].clone()).unwrap_or_default();
    let others_can = problem["others_can"].as_u64();
    let others_can = others_can.and_then(|count| u32::try_from(count).ok());
    away::told(&away, others_can, SystemClock.now(), &TimeZone::system())
}

/// Words, count, people, time.
fn pending(problem: &Value) -> String {
    let text = |name: &str| safe(problem[name].as_str().unwrap_or_default());
    let words: Vec<String> = problem["words"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(safe)
        .collect();
    let number = |name: &str| problem[name].as_i64().unwrap_or_default();
    let who = match problem["by"].as_str() {
        Some("requester") => "confirm it yourself in your Countersign app".to_owned(),
        Some(_) | None => {
            let stage = match problem["stage"].as_str() {
                Some(stage) => format!(" (stage {})", safe(stage)),
                None => String::new(),
            };
            format!(
                "{} of {} · waiting for {}{stage}",
                number("approvals"),
                number("needed"),
                text("who_may_vote")
            )
        }
    };
    let left = number("expires_at") - SystemClock.now().0;
    format!("{} · {who} · {} left", words.join(" "), duration(left))
}
