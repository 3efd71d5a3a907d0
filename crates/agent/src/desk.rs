//! What the window asks, and who answers: almost all of it the approver's program, a little the desktop.

use std::path::PathBuf;
use std::sync::Arc;

use countersign_api::ipc::{Answer, Call, Prefs, Problem, ProblemCode, Reply, State};
use countersign_approver::Accounts;
use tokio::sync::watch;

use crate::folders;
use crate::notify::Notifier;
use crate::prefs;
use crate::window::Window;
use crate::window_socket;

/// Answers the window.
pub struct Desk<N> {
    /// The approver's program.
    pub approver: Accounts,
    /// For the test.
    pub notifier: Arc<N>,
    /// Whose presence the window tells.
    pub window: Window,
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
            Call::History { query, account } => Ok(Reply::History {
                page: approver.history(account.as_deref(), query).await?,
            }),
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
            Call::TestNotification => self.notifier.test().await.map(|()| Reply::Nothing),
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
                prefs::write(&self.prefs_file, prefs).map_err(|error| other(&error))?;
                self.prefer.send_replace(prefs);
                Ok(Reply::Nothing)
            }
            Call::WindowState { visible, showing } => {
                self.window.seen(visible, showing);
                Ok(Reply::Nothing)
            }
        }
    }
}

fn other(error: &dyn std::error::Error) -> Problem {
    Problem {
        code: ProblemCode::Other,
        sentence: format!("{error}."),
    }
}
