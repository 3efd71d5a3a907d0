//! `countersign wait`: watches a request that this requester asked for, live, until it is decided.

use std::path::Path;
use std::time::Duration;

use countersign_api::http::{Problem, Progress, Task, TaskStatus};
use countersign_model::{Clock as _, ServerId, Txn};
use jiff::tz::TimeZone;

use crate::away;
use crate::clock::SystemClock;
use crate::exit::{Exit, Stop};
use crate::http::{self, TOKEN_VARIABLE};
use crate::live_line::LiveLine;
use crate::requester::{Requester, RequesterArgs};
use crate::terminal::{duration, safe};

/// How long the server may hold an answer, in seconds.
const WAIT_SECS: u64 = 20;
/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Answers that may fail in a row before this gives up.
const MAX_FAILURES: u32 = 8;

/// Watches until it is decided; the exit code says how.
pub(crate) async fn run(
    id: &str,
    server: Option<&str>,
    token_file: Option<&Path>,
    args: &RequesterArgs,
) -> anyhow::Result<Exit> {
    let txn = Txn::parse(id).map_err(|error| Stop::with(Exit::Usage, error.to_string()))?;
    let requester = Requester::read(args)?;
    let server = self::server(server, &requester)?;
    let token = token(&server, token_file, requester).await?;
    let http = http::client(server.as_str())?;
    let mut line = LiveLine::new();
    let mut failures = 0;
    let mut wait = 0;
    loop {
        let task = match task(&http, &server, &txn, &token, wait).await {
            Ok(task) => task,
            Err(Missed::Stop(error)) => return Err(error),
            Err(Missed::Transient(why)) => {
                failures += 1;
                if failures >= MAX_FAILURES {
                    return Err(Stop::with(
                        Exit::Unreachable,
                        format!("the server at {server} does not answer ({why})"),
                    ));
                }
                line.say(&format!(
                    "The server does not answer ({why}); trying again."
                ));
                tokio::time::sleep(Duration::from_secs(u64::from(failures).min(5))).await;
                wait = 0;
                continue;
            }
        };
        failures = 0;
        wait = WAIT_SECS;
        let Task {
            id: _,
            status,
            expires_at,
            links: _,
            result: _,
            progress,
        } = task;
        match status {
            TaskStatus::Pending => {
                let now = SystemClock.now();
                let Progress {
                    away, others_can, ..
                } = &progress;
                line.note(&away::told(away, *others_can, now, &TimeZone::system()));
                line.say(&pending(&progress, expires_at - now.0));
            }
            over @ (TaskStatus::Approved
            | TaskStatus::Denied
            | TaskStatus::Expired
            | TaskStatus::Cancelled
            | TaskStatus::Failed) => {
                let (exit, text) = ended(over, &progress);
                line.end(&text);
                return Ok(exit);
            }
        }
    }
}

fn pending(progress: &Progress, left_secs: i64) -> String {
    let Progress {
        words,
        approvals,
        needed,
        who_may_vote,
        stage,
        approved_by,
        denied_by: _,
        reason: _,
        away: _, // On a line of its own.
        others_can: _,
    } = progress;
    let [first, second] = words;
    let by = if approved_by.is_empty() {
        String::new()
    } else {
        format!(" (by {})", names(approved_by))
    };
    let stage = stage
        .as_deref()
        .map(|stage| format!(" (stage {})", safe(stage)))
        .unwrap_or_default();
    format!(
        "{} {} · {approvals} of {needed}{by} · waiting for {}{stage} · {} left",
        safe(first),
        safe(second),
        safe(who_may_vote),
        duration(left_secs)
    )
}

fn ended(status: TaskStatus, progress: &Progress) -> (Exit, String) {
    let reason = progress
        .reason
        .as_deref()
        .map(|text| format!(" The reason: {}", safe(text)))
        .unwrap_or_default();
    match status {
        TaskStatus::Approved | TaskStatus::Pending => (
            Exit::Done,
            format!("Approved by {}.{reason}", names(&progress.approved_by)),
        ),
        TaskStatus::Denied => {
            let by = progress
                .denied_by
                .as_deref()
                .map_or_else(|| "an approver".to_owned(), safe);
            (Exit::Denied, format!("Denied by {by}.{reason}"))
        }
        TaskStatus::Expired => (
            Exit::Over,
            format!(
                "Ran out of time: {} of {} approved. Ask again.",
                progress.approvals, progress.needed
            ),
        ),
        TaskStatus::Cancelled => (
            Exit::Over,
            "Withdrawn. Ask again if it is still wanted.".to_owned(),
        ),
        TaskStatus::Failed => (
            Exit::Over,
            "Void: a vote was revoked before the approval was used. Ask again.".to_owned(),
        ),
    }
}

fn names(names: &[String]) -> String {
    names
        .iter()
        .map(|name| safe(name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The server that is meant: the flag, else the file's.
pub(crate) fn server(flag: Option<&str>, requester: &Requester) -> anyhow::Result<ServerId> {
    let server = flag
        .map(str::to_owned)
        .or_else(|| requester.server.clone())
        .ok_or_else(|| {
            Stop::with(
                Exit::Usage,
                "name the approval server: with `--server`, or as `server` in requester.toml",
            )
        })?;
    ServerId::parse(&server).map_err(|error| Stop::with(Exit::Usage, error.to_string()))
}

/// A token for the server: from a file, the environment, or by signing in.
pub(crate) async fn token(
    server: &ServerId,
    file: Option<&Path>,
    requester: Requester,
) -> anyhow::Result<String> {
    if let Some(token) = http::given_token(file)? {
        return Ok(token);
    }
    if !requester.can_sign_in() {
        return Err(Stop::with(
            Exit::Usage,
            format!(
                "give a token for the server (`--token-file`, {TOKEN_VARIABLE}), or name provider and client in requester.toml"
            ),
        ));
    }
    requester.for_resource(server.as_str()).token().await
}

enum Missed {
    Transient(String),
    Stop(anyhow::Error),
}

async fn task(
    http: &reqwest::Client,
    server: &ServerId,
    txn: &Txn,
    token: &str,
    wait_secs: u64,
) -> Result<Task, Missed> {
    let transient = |error: reqwest::Error| {
        Missed::Transient(
            if error.is_timeout() {
                "no answer in time"
            } else {
                "no connection"
            }
            .to_owned(),
        )
    };
    let mut request = http
        .get(format!("{server}/access/v1/requests/{txn}"))
        .bearer_auth(token)
        .header("accept", "application/json")
        .timeout(Duration::from_secs(wait_secs + 15));
    if wait_secs > 0 {
        request = request.header("prefer", format!("wait={wait_secs}"));
    }
    let response = request.send().await.map_err(transient)?;
    let status = response.status().as_u16();
    let body = http::body(response, MAX_ANSWER_BYTES)
        .await
        .map_err(transient)?;
    let body = body
        .ok_or_else(|| Missed::Stop(Stop::with(Exit::Failed, "the server's answer is too long")))?;
    let said = || {
        let problem = serde_json::from_slice::<Problem>(&body).ok();
        safe(
            &problem
                .and_then(|problem| problem.detail)
                .unwrap_or_else(|| format!("it answered with status {status}")),
        )
    };
    match status {
        200..=299 => serde_json::from_slice(&body).map_err(|_| {
            Missed::Stop(Stop::with(
                Exit::Failed,
                "the server's answer cannot be read; is it a Countersign server?",
            ))
        }),
        401 | 403 => Err(Missed::Stop(Stop::with(
            Exit::SignIn,
            format!("the server refuses the token: {}", said()),
        ))),
        404 => Err(Missed::Stop(Stop::with(
            Exit::Failed,
            "there is no such request of yours",
        ))),
        429 | 500..=599 => Err(Missed::Transient(said())),
        _ => Err(Missed::Stop(Stop::with(Exit::Failed, said()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress {
            words: ["amber".into(), "falcon".into()],
            approvals: 1,
            needed: 2,
            who_may_vote: "database approvers".into(),
            stage: None,
            approved_by: vec!["Elin".into()],
            denied_by: None,
            reason: None,
            away: Vec::new(),
            others_can: None,
        }
    }

    #[test]
    fn the_line_says_words_count_people_and_time() {
        assert_eq!(
            pending(&progress(), 540),
            "amber falcon · 1 of 2 (by Elin) · waiting for database approvers · 9 min left"
        );
        let mut staged = progress();
        staged.stage = Some("security".into());
        assert!(pending(&staged, 540).contains("database approvers (stage security) · "));
    }

    #[test]
    fn each_end_has_its_exit_code_and_no_name_steers_the_terminal() {
        let mut progress = progress();
        assert_eq!(ended(TaskStatus::Approved, &progress).0, Exit::Done);
        progress.denied_by = Some("Jo\u{1b}[2J".into());
        progress.reason = Some("wrong customer".into());
        let (exit, text) = ended(TaskStatus::Denied, &progress);
        assert_eq!(exit, Exit::Denied);
        assert!(
            text.contains("wrong customer") && !text.contains('\u{1b}'),
            "{text}"
        );
        for over in [
            TaskStatus::Expired,
            TaskStatus::Cancelled,
            TaskStatus::Failed,
        ] {
            assert_eq!(ended(over, &progress).0, Exit::Over);
        }
    }
}
