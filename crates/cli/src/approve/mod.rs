//! `countersign approve`: an approver's terminal. The same library as the app's, the same lines, the same rules:
//! what is signed is what was shown.

mod away;
mod card;
mod store;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use countersign_api::ipc::{
    Away, Ballot, Card, Choice, Connection, Outcome, Problem, ProblemCode, ReasonRule, Row, SignIn,
    StepUpPhase,
};
use countersign_approver::away::moment;
use countersign_approver::{Approver, Deps, KeyStore};
use countersign_model::Clock as _;
use jiff::tz::TimeZone;
use tokio::sync::broadcast::error::RecvError;

use crate::browser::Browser;
use crate::clock::SystemClock;
use crate::exit::{Exit, Stop};
use crate::terminal::{duration, line, safe};

/// How long a session of an earlier run may take to be back.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Where keys and the rest are kept.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Keep the keys in this file instead of the desktop's keyring: anyone who can read it can vote as you.
    #[arg(long, value_name = "FILE", global = true)]
    key_file: Option<PathBuf>,
    /// What this device calls itself; only you see it.
    #[arg(long, value_name = "NAME", global = true)]
    device_name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApproveCommand {
    /// Signs in by the system browser, and binds a new device key to you.
    SignIn {
        /// The approval server's address.
        server: String,
        /// The identity provider, where the server names several.
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        /// Print the address instead of opening a browser.
        #[arg(long)]
        no_browser: bool,
    },
    /// Lists what waits for your vote.
    List,
    /// Shows a request, whole.
    Show {
        /// The request.
        id: String,
    },
    /// Shows a request and approves it.
    Approve {
        /// The request.
        id: String,
        /// Why; the requester gets it.
        #[arg(long)]
        reason: Option<String>,
        /// The two words that the requester's terminal shows, where the policy wants them typed.
        #[arg(long, value_name = "WORDS")]
        words: Option<String>,
        /// Do not ask again. The request is shown all the same.
        #[arg(long)]
        yes: bool,
    },
    /// Shows a request and denies it.
    Deny {
        /// The request.
        id: String,
        /// Why; the requester gets it.
        #[arg(long)]
        reason: Option<String>,
        /// Do not ask again. The request is shown all the same.
        #[arg(long)]
        yes: bool,
    },
    /// Writes the evidence of a request as countersign-ID.json.
    Evidence {
        /// The request.
        id: String,
        /// The folder to write to.
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        into: PathBuf,
    },
    /// Says that you are away: requesters and other approvers are told. You may vote all the same.
    Away {
        /// Until when, such as "2026-11-27 18:00". It ends by itself then.
        #[arg(long, value_name = "WHEN")]
        until: String,
        /// From when on [default: now].
        #[arg(long, value_name = "WHEN")]
        from: Option<String>,
        /// Somebody who may vote anyway, by name: they are told, and named to others.
        #[arg(long, value_name = "NAME")]
        stand_in: Option<String>,
    },
    /// Says that you are back.
    Back,
    /// Revokes this device and deletes its keys.
    SignOut,
}

/// Runs one command of an approver.
pub(crate) async fn run(place: Place, command: ApproveCommand) -> anyhow::Result<Exit> {
    let print_only = matches!(
        command,
        ApproveCommand::SignIn {
            no_browser: true,
            ..
        }
    );
    let browser = if print_only {
        Browser::PrintOnly
    } else {
        Browser::Open
    };
    let approver = start(place, browser)?;
    let ended = act(&approver, command).await;
    // A refresh under way has used up the old refresh token: the new one must be stored before this ends.
    approver.settle().await;
    ended
}

async fn act(approver: &Approver, command: ApproveCommand) -> anyhow::Result<Exit> {
    match command {
        ApproveCommand::SignIn {
            server,
            issuer,
            no_browser: _,
        } => sign_in(approver, &server, issuer.as_deref()).await,
        ApproveCommand::List => list(approver).await,
        ApproveCommand::Show { id } => {
            signed_in(approver).await?;
            card::print(&approver.card(&id).await.map_err(stop)?, SystemClock.now());
            Ok(Exit::Done)
        }
        ApproveCommand::Approve {
            id,
            reason,
            words,
            yes,
        } => vote(approver, &id, Choice::Approve, reason, words, yes).await,
        ApproveCommand::Deny { id, reason, yes } => {
            vote(approver, &id, Choice::Deny, reason, None, yes).await
        }
        ApproveCommand::Evidence { id, into } => {
            signed_in(approver).await?;
            let path = approver.export_evidence(&id, &into).await.map_err(stop)?;
            println!("{}", path.display());
            Ok(Exit::Done)
        }
        ApproveCommand::Away {
            until,
            from,
            stand_in,
        } => {
            signed_in(approver).await?;
            away::set(approver, from.as_deref(), &until, stand_in.as_deref()).await
        }
        ApproveCommand::Back => {
            signed_in(approver).await?;
            away::end(approver).await
        }
        ApproveCommand::SignOut => {
            signed_in(approver).await?;
            approver.sign_out().await.map_err(stop)?;
            eprintln!("Signed out; this device's keys are deleted.");
            Ok(Exit::Done)
        }
    }
}

fn start(place: Place, browser: Browser) -> anyhow::Result<Approver> {
    let Place {
        key_file,
        device_name,
    } = place;
    let (keys, data_dir): (Arc<dyn KeyStore>, PathBuf) = match key_file {
        Some(path) => {
            eprintln!(
                "Note: your device key is kept in {}, not in a keyring. Whoever can read that file can vote as you.",
                path.display()
            );
            let data = beside(&path);
            (Arc::new(store::FileStore::new(path)), data)
        }
        None => {
            let data = crate::folders::data().ok_or_else(|| {
                Stop::with(
                    Exit::Usage,
                    "set HOME or XDG_DATA_HOME, so that there is a place for your files",
                )
            })?;
            (Arc::new(store::Keyring::default()), data.join("terminal"))
        }
    };
    let deps = Deps {
        keys,
        opener: Arc::new(browser),
        clock: SystemClock::shared(),
        data_dir,
        device_name: device_name.unwrap_or_else(|| "countersign approve (terminal)".to_owned()),
    };
    Ok(Approver::start(deps)?)
}

/// `keys.json` → `keys.json.data`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".data");
    PathBuf::from(name)
}

async fn sign_in(approver: &Approver, server: &str, issuer: Option<&str>) -> anyhow::Result<Exit> {
    let known = approver.look_up_server(server).await.map_err(stop)?;
    let provider = match (issuer, known.providers.as_slice()) {
        (Some(issuer), providers) => providers.iter().find(|one| one.issuer == issuer),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some(provider) = provider else {
        let list: Vec<String> = known
            .providers
            .iter()
            .map(|one| format!("\n  --issuer {}", safe(&one.issuer)))
            .collect();
        return Err(Stop::with(
            Exit::Usage,
            format!("choose the identity provider:{}", list.concat()),
        ));
    };
    let mut state = approver.state();
    let watching = async {
        let mut told = false;
        while state.changed().await.is_ok() {
            let now = Arc::clone(&state.borrow_and_update());
            if let SignIn::WaitingForBrowser { provider_name, url } = &now.sign_in
                && !told
            {
                eprintln!(
                    "Sign in at {} with your browser. If none has opened, go to:\n  {}",
                    safe(provider_name),
                    safe(url)
                );
                told = true;
            }
        }
    };
    tokio::select! {
        done = approver.sign_in(&known.server, &provider.issuer) => done.map_err(stop)?,
        // It ends only with the approver itself.
        () = watching => {}
    }
    match &approver.state().borrow().account {
        Some(account) => {
            eprintln!(
                "Signed in as {} ({}).",
                line(&account.name),
                safe(&account.sub)
            );
            eprintln!("{}", account.key_storage);
            Ok(Exit::Done)
        }
        None => Err(Stop::with(
            Exit::SignIn,
            "the sign-in did not last; try again",
        )),
    }
}

/// Waits until the session of an earlier run is back.
async fn signed_in(approver: &Approver) -> anyhow::Result<()> {
    let mut state = approver.state();
    let ready = async {
        loop {
            {
                let now = state.borrow_and_update();
                if now.account.is_some() && now.connection == Connection::Connected {
                    return Ok(());
                }
                if let Some(trouble) = now.troubles.first() {
                    return Err(stop(trouble.clone()));
                }
                if now.account.is_none() && now.last.is_none() {
                    return Err(Stop::with(
                        Exit::SignIn,
                        "nobody is signed in here: run `countersign approve sign-in SERVER` first",
                    ));
                }
            }
            if state.changed().await.is_err() {
                return Err(Stop::with(Exit::Failed, "the session ended"));
            }
        }
    };
    tokio::time::timeout(CONNECT_LIMIT, ready)
        .await
        .unwrap_or_else(|_| {
            Err(Stop::with(
                Exit::Unreachable,
                "the approval server does not answer in time; try again",
            ))
        })
}

async fn list(approver: &Approver) -> anyhow::Result<Exit> {
    signed_in(approver).await?;
    let mut state = approver.state();
    let listed = tokio::time::timeout(CONNECT_LIMIT, state.wait_for(|now| now.listed)).await;
    if !listed.is_ok_and(|waited| waited.is_ok()) {
        return Err(Stop::with(
            Exit::Unreachable,
            "the list could not be read in time; try again",
        ));
    }
    let now = Arc::clone(&state.borrow());
    if let Some(trouble) = now.troubles.first() {
        eprintln!("{}", safe(&trouble.sentence));
    }
    let away = now.account.as_ref().and_then(|account| account.away);
    if let Some(Away { from, until }) = away {
        let (at, zone) = (SystemClock.now().0, TimeZone::system());
        let until = moment(until, at, &zone);
        if from <= at {
            eprintln!("You are away until {until}; your votes count all the same.");
        } else {
            eprintln!(
                "You are away from {} until {until}.",
                moment(from, at, &zone)
            );
        }
    }
    print_rows("Waiting for your vote", &now.inbox);
    print_rows("Waiting for others", &now.others);
    Ok(Exit::Done)
}

fn print_rows(title: &str, rows: &[Row]) {
    if rows.is_empty() {
        println!("{title}: nothing.");
        return;
    }
    println!("{title}:");
    for row in rows {
        let left = duration(row.expires_at - SystemClock.now().0);
        println!("  {}", safe(&row.txn));
        println!(
            "    {} asks: {} in {}",
            line(&row.requester),
            line(&row.summary),
            line(&row.resource)
        );
        println!(
            "    {} of {} approvals · {left} left",
            row.approvals, row.needed
        );
    }
}

async fn vote(
    approver: &Approver,
    id: &str,
    choice: Choice,
    reason: Option<String>,
    words: Option<String>,
    yes: bool,
) -> anyhow::Result<Exit> {
    signed_in(approver).await?;
    let shown = approver.card(id).await.map_err(stop)?;
    card::print(&shown, SystemClock.now());
    let (type_words, rule) = match &shown.ballot {
        Ballot::Open {
            type_words,
            // Typing the word is the friction of a terminal.
            hold: _,
            reason,
            step_up: _,
        } => (*type_words, *reason),
        Ballot::StepUp { asked: _, phase } => {
            // An earlier run signed it, and was cut off before it was confirmed.
            if choice == Choice::Approve && matches!(phase, StepUpPhase::Failed { retry: true, .. })
            {
                approver.retry_step_up(id).await.map_err(stop)?;
                return confirmed(approver, id).await;
            }
            approver.cancel_step_up(id).map_err(stop)?;
            return Err(Stop::with(
                Exit::Failed,
                "an approval that was not confirmed is given up; run the command again",
            ));
        }
        Ballot::Locked { why: _, sentence } => {
            return Err(Stop::with(Exit::Failed, safe(sentence)));
        }
    };
    let words = match (type_words && choice == Choice::Approve, words) {
        (false, _) => None,
        (true, Some(words)) => Some(words),
        (true, None) => Some(ask(
            "The two words that the requester's terminal shows: ",
            yes,
        )?),
    };
    let words: Option<Vec<String>> =
        words.map(|text| text.split_whitespace().map(str::to_owned).collect());
    let needs_reason = match rule {
        ReasonRule::Optional => false,
        ReasonRule::OnDeny => choice == Choice::Deny,
        ReasonRule::Always => true,
    };
    let reason = match reason {
        None if needs_reason => Some(ask("The reason (the requester gets it): ", yes)?),
        other => other,
    };
    if !yes {
        let (verb, word) = match choice {
            Choice::Approve => ("approve", "approve"),
            Choice::Deny => ("deny", "deny"),
        };
        if ask(&format!("Type `{word}` to {verb} it: "), yes)? != word {
            eprintln!("Nothing was done.");
            return Ok(Exit::Failed);
        }
    }
    let after = approver
        .vote(id, choice, reason, words, shown.display_digest)
        .await
        .map_err(stop)?;
    if matches!(after.ballot, Ballot::StepUp { .. }) {
        return confirmed(approver, id).await;
    }
    eprintln!("{}", said(choice, &after));
    Ok(Exit::Done)
}

/// Waits while the provider confirms the vote in the browser.
async fn confirmed(approver: &Approver, id: &str) -> anyhow::Result<Exit> {
    let mut events = approver.events();
    let mut told = None;
    loop {
        let card = approver.card(id).await.map_err(stop)?;
        match &card.ballot {
            Ballot::StepUp { asked, phase } => match phase {
                StepUpPhase::WaitingForBrowser { url, since: _ } => {
                    if told.as_ref() != Some(url) {
                        eprintln!(
                            "Confirm this approval at {} with your browser. If none has opened, go to:\n  {}",
                            safe(&asked.provider_name),
                            safe(url)
                        );
                        told = Some(url.clone());
                    }
                }
                StepUpPhase::WaitingForKey { since: _, waits: _ } => {
                    eprintln!("Touch your security key.");
                }
                StepUpPhase::Preparing | StepUpPhase::Sending => {}
                StepUpPhase::Failed { problem, retry: _ } => {
                    if problem.code != ProblemCode::ServerUnreachable {
                        eprintln!("Nothing was approved.");
                    }
                    return Err(stop(problem.clone()));
                }
            },
            Ballot::Open { .. } | Ballot::Locked { .. } if approved_by_me(&card) => {
                eprintln!("{}", said(Choice::Approve, &card));
                return Ok(Exit::Done);
            }
            Ballot::Open { .. } => {
                return Err(Stop::with(
                    Exit::Failed,
                    "the confirmation was given up: nothing was approved",
                ));
            }
            // It was decided, or ended, while the browser was open.
            Ballot::Locked { why: _, sentence } => {
                return Err(Stop::with(Exit::Failed, safe(sentence)));
            }
        }
        // The card is read again at each event: one that was missed costs nothing.
        if let Err(RecvError::Closed) = events.recv().await {
            return Err(Stop::with(Exit::Failed, "the session ended"));
        }
    }
}

fn approved_by_me(card: &Card) -> bool {
    card.votes
        .iter()
        .any(|vote| vote.mine && vote.choice == Choice::Approve)
}

fn said(choice: Choice, card: &Card) -> String {
    let row = &card.row;
    let state = match row.outcome {
        Outcome::Pending => format!("{} of {} approvals so far", row.approvals, row.needed),
        Outcome::Approved | Outcome::Redeemed => "it is approved".to_owned(),
        Outcome::Denied => "it is denied".to_owned(),
        Outcome::Expired | Outcome::Withdrawn | Outcome::Voided => "it is over".to_owned(),
    };
    match choice {
        Choice::Approve => format!("You approved; {state}."),
        Choice::Deny => format!("You denied; {state}."),
    }
}

/// Asks on the terminal. Without one, or when told not to ask, it says which flag to use instead.
fn ask(question: &str, quiet: bool) -> anyhow::Result<String> {
    if quiet || !std::io::stdin().is_terminal() {
        return Err(Stop::with(
            Exit::Usage,
            format!(
                "this needs an answer to \"{}\": give it as a flag (--reason, --words, --yes)",
                question.trim_end_matches([':', ' '])
            ),
        ));
    }
    eprint!("{question}");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

fn stop(problem: Problem) -> anyhow::Error {
    let exit = match problem.code {
        ProblemCode::ServerUnreachable | ProblemCode::ProviderUnreachable => Exit::Unreachable,
        ProblemCode::SignedOut => Exit::SignIn,
        ProblemCode::Keyring
        | ProblemCode::Closed
        | ProblemCode::Forbidden
        | ProblemCode::NotGenuine
        | ProblemCode::WrongWords
        | ProblemCode::NotFound
        | ProblemCode::Version
        | ProblemCode::Other => Exit::Failed,
    };
    Stop::with(exit, safe(&problem.sentence))
}
