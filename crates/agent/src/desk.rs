//! What the window asks, and who answers: almost all of it the approver's program, a little the desktop.

use std::path::PathBuf;
use std::sync::Arc;

use countersign_api::ipc::{
    Answer, Call, Check, MAX_MUTE_SECS, MAX_PAUSE_SECS, Prefs, Problem, ProblemCode, Reply, State,
};
use countersign_approver::Accounts;
use countersign_model::{Clock, UnixSecs};
use tokio::sync::watch;

use crate::absence;
use crate::autostart::{Autostart, AutostartError};
use crate::checks;
use crate::diagnostics;
use crate::folders;
use crate::log::Log;
use crate::mutes::{Mutes, mute};
use crate::notify::Notifier;
use crate::prefs;
use crate::text::catalogue::{Tongue, Words};
use crate::window::Window;
use crate::window_socket;
use crate::zone;

/// Answers the window.
pub struct Desk<N> {
    /// The approver's program.
    pub approver: Accounts,
    /// For the test.
    pub notifier: Arc<N>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the person asked for quiet about.
    pub mutes: Arc<Mutes>,
    /// Whose presence the window tells.
    pub window: Window,
    /// Starting with the desktop, where there is a place to say so.
    pub autostart: Result<Autostart, AutostartError>,
    /// The log.
    pub log: Log,
    /// The preferences' file.
    pub prefs_file: PathBuf,
    /// What the person prefers.
    pub prefer: watch::Sender<Prefs>,
    /// The whole state.
    pub state: watch::Receiver<Arc<State>>,
}

impl<N: Notifier + Send + Sync + 'static> window_socket::Desk for Desk<N> {
    async fn answer(&self, call: Call) -> Answer {
        match self.reply(call).await {
            Ok(reply) => Answer::Done { reply },
            Err(problem) => Answer::Refused { problem },
        }
    }

    fn state(&self) -> watch::Receiver<Arc<State>> {
        self.state.clone()
    }
}

impl<N: Notifier> Desk<N> {
    fn words(&self) -> &'static Words {
        Tongue::here(self.prefer.borrow().language).words()
    }

    async fn reply(&self, call: Call) -> Result<Reply, Problem> {
        let approver = &self.approver;
        match call {
            Call::State => Ok(Reply::State {
                state: Box::new(State::clone(&self.state.borrow())),
            }),
            Call::LookUpServer { url } => Ok(Reply::Server {
                server: approver.look_up_server(&url).await?,
            }),
            Call::SignIn { server, issuer } => {
                let approver = approver.clone();
                // It takes as long as the person does in the browser. How it goes, and how it fails, is in the state.
                tokio::spawn(async move { approver.sign_in(&server, &issuer).await });
                Ok(Reply::Nothing)
            }
            Call::AddSecurityKey { account } => {
                let approver = approver.clone();
                // As with a sign-in, which it is: how it goes is in the state.
                tokio::spawn(async move {
                    if let Err(trouble) = approver.add_security_key(account.as_deref()).await {
                        tracing::warn!("no security key was bound: {}", trouble.sentence);
                    }
                });
                Ok(Reply::Nothing)
            }
            Call::RemoveSecurityKey { account, key } => {
                let approver = approver.clone();
                tokio::spawn(async move {
                    let removed = approver.remove_security_key(account.as_deref(), &key);
                    if let Err(trouble) = removed.await {
                        tracing::warn!("no security key was removed: {}", trouble.sentence);
                    }
                });
                Ok(Reply::Nothing)
            }
            Call::SecurityKeyPin { txn, pin } => approver
                .give_pin(txn.as_deref(), pin)
                .map(|()| Reply::Nothing),
            Call::CancelSignIn => {
                approver.cancel_sign_in();
                Ok(Reply::Nothing)
            }
            Call::SignOut { account } => {
                let signed_out = approver.sign_out(account.as_deref()).await;
                signed_out.map(|()| Reply::Nothing)
            }
            Call::Card { txn } => Ok(Reply::Card {
                card: Box::new(approver.card(&txn).await?),
            }),
            Call::Vote {
                txn,
                choice,
                reason,
                words,
                display_digest,
            } => {
                let card = approver
                    .vote(&txn, choice, reason, words, display_digest)
                    .await?;
                Ok(Reply::Card {
                    card: Box::new(card),
                })
            }
            Call::CancelStepUp { txn } => approver.cancel_step_up(&txn).map(|()| Reply::Nothing),
            Call::RetryStepUp { txn } => {
                approver.retry_step_up(&txn).await.map(|()| Reply::Nothing)
            }
            Call::History { query, at, limit } => Ok(Reply::History {
                page: approver.history(&query, at, limit).await?,
            }),
            Call::HistoryPeople { text, account } => Ok(Reply::People {
                people: approver.history_people(&text, account.as_deref()).await?,
            }),
            Call::Figures { query } => Ok(Reply::Figures {
                figures: approver.figures(&query).await?,
            }),
            Call::ExportHistory { query, what } => {
                let folder = folders::downloads().map_err(|error| other(&error))?;
                let path = approver.export_history(&query, what, &folder).await?;
                Ok(Reply::Exported {
                    path: path.display().to_string(),
                })
            }
            Call::Verify { txn } => Ok(Reply::Verification {
                report: approver.verify(&txn).await?,
            }),
            Call::ExportEvidence { txn } => {
                let folder = folders::downloads().map_err(|error| other(&error))?;
                let path = approver.export_evidence(&txn, &folder).await?;
                Ok(Reply::Exported {
                    path: path.display().to_string(),
                })
            }
            Call::TestNotification => match self.notifier.test().await {
                Ok(()) => Ok(Reply::Nothing),
                Err(why) => Err(sentence(why.sentence(self.words()))),
            },
            Call::TestSeen { seen } => {
                self.notifier.test_seen(seen);
                Ok(Reply::Nothing)
            }
            Call::Mute { txn, secs } => {
                let secs = at_most(secs, MAX_MUTE_SECS);
                let secs = secs.ok_or_else(|| sentence(&self.words().mute_too_long))?;
                let muted = mute(&self.mutes, approver, &txn, secs, self.clock.now());
                muted.map(|()| Reply::Nothing).ok_or_else(|| Problem {
                    code: ProblemCode::NotFound,
                    sentence: self.words().not_waiting.clone(),
                })
            }
            Call::Unmute { id } => match self.mutes.unmute(&id) {
                true => Ok(Reply::Nothing),
                false => Err(Problem {
                    code: ProblemCode::NotFound,
                    sentence: self.words().no_such_mute.clone(),
                }),
            },
            Call::Pause { secs } => {
                let until = match secs {
                    None => None,
                    Some(secs) => {
                        let secs = at_most(secs, MAX_PAUSE_SECS);
                        let secs = secs.ok_or_else(|| sentence(&self.words().pause_too_long))?;
                        Some(UnixSecs(self.clock.now().0 + i64::from(secs)))
                    }
                };
                self.mutes.pause(until);
                Ok(Reply::Nothing)
            }
            Call::Resume => {
                self.mutes.resume();
                Ok(Reply::Nothing)
            }
            Call::TryAgain => {
                self.approver.try_again();
                Ok(Reply::Nothing)
            }
            Call::Devices { account } => Ok(Reply::Devices {
                devices: approver.devices(account.as_deref()).await?,
            }),
            Call::RevokeDevice {
                binding_id,
                account,
            } => Ok(Reply::Devices {
                devices: approver
                    .revoke_device(account.as_deref(), &binding_id)
                    .await?,
            }),
            Call::SetPrefs { prefs } => {
                self.start_with_desktop(&prefs)?;
                prefs::write(&self.prefs_file, &prefs).map_err(|error| other(&error))?;
                self.prefer.send_replace(prefs);
                Ok(Reply::Nothing)
            }
            Call::Checks => Ok(Reply::Checks {
                checks: self.checks().await,
            }),
            Call::Diagnostics => Ok(Reply::Diagnostics {
                text: diagnostics::text(
                    &self.known(),
                    &self.checks().await,
                    &self.log.last(),
                    |name| std::env::var(name).ok(),
                ),
            }),
            Call::Absence { account } => {
                let page = approver.absence(account.as_deref()).await?;
                Ok(absence::reply(page, &zone::here()))
            }
            Call::SetAbsence {
                account,
                from,
                until,
                stand_in,
            } => {
                let page = approver
                    .set_absence(account.as_deref(), from, until, stand_in.as_deref())
                    .await?;
                Ok(absence::reply(page, &zone::here()))
            }
            Call::EndAbsence { account } => {
                let page = approver.end_absence(account.as_deref()).await?;
                Ok(absence::reply(page, &zone::here()))
            }
            Call::WindowState { visible, showing } => {
                if !visible {
                    approver.history_rests();
                }
                self.window.seen(visible, showing);
                Ok(Reply::Nothing)
            }
        }
    }
}

fn at_most(secs: u32, most: u32) -> Option<u32> {
    Some(secs).filter(|secs| (1..=most).contains(secs))
}

fn sentence(sentence: &str) -> Problem {
    Problem {
        code: ProblemCode::Other,
        sentence: sentence.to_owned(),
    }
}

impl<N> Desk<N> {
    fn known(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    async fn checks(&self) -> Vec<Check> {
        let state = self.known();
        let words = Tongue::here(state.prefs.language).words();
        checks::all(
            &self.approver,
            self.autostart.as_ref(),
            &state,
            &words.checks,
        )
        .await
    }

    /// Where that is what changed. What cannot be done is not preferred either.
    fn start_with_desktop(&self, prefs: &Prefs) -> Result<(), Problem> {
        if self.prefer.borrow().autostart == prefs.autostart {
            return Ok(());
        }
        match &self.autostart {
            Ok(autostart) => autostart
                .set(prefs.autostart)
                .map_err(|error| other(&error)),
            Err(error) => Err(other(error)),
        }
    }
}

fn other(error: &dyn std::error::Error) -> Problem {
    Problem {
        code: ProblemCode::Other,
        sentence: format!("{error}."),
    }
}
