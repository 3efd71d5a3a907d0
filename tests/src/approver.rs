//! An approver without a desktop: the same library as the app's, with keys in memory and hands at the provider's pages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use countersign_api::ipc::{Ballot, Card, Choice, Problem, Row, SignIn, StepUpPhase};
use countersign_approver::{Approver, Deps, KeyStore, KeyStoreError, Options, State};
use countersign_evidence::SecretKey;
use countersign_model::Clock;
use countersign_oidc::Opener;
use tempfile::TempDir;
use tokio::sync::{broadcast, watch};
use url::Url;

use crate::person::Person;

/// How long anything that an approver waits for may take, on a machine that does much else.
pub const SOON: Duration = Duration::from_secs(60);

/// Keys that last as long as the value. Clones share them.
#[derive(Debug, Default, Clone)]
pub struct Keys(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl KeyStore for Keys {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, KeyStoreError> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned())
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), secret.to_vec());
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        Ok(())
    }

    fn describe(&self) -> String {
        "In the memory of a test.".to_owned()
    }
}

/// Opens no browser: the person's own hands walk the pages. Clones are the same hands.
#[derive(Debug, Clone)]
pub struct Hands(Arc<Doing>);

#[derive(Debug)]
struct Doing {
    person: Mutex<Person>,
    way_back: watch::Sender<WayBack>,
    /// How often they have been through all pages.
    through: watch::Sender<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WayBack {
    Open,
    Closed,
}

impl Hands {
    fn of(person: Person) -> Self {
        Self(Arc::new(Doing {
            person: Mutex::new(person),
            way_back: watch::Sender::new(WayBack::Open),
            through: watch::Sender::new(0),
        }))
    }

    /// From now on they do it so.
    pub fn now(&self, change: impl FnOnce(&mut Person)) {
        change(&mut self.0.person.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Through all pages, they wait with the answer instead of taking it to the program.
    pub fn close_the_way_back(&self) {
        self.0.through.send_replace(0);
        self.0.way_back.send_replace(WayBack::Closed);
    }

    /// They wait no longer.
    pub fn open_the_way_back(&self) {
        self.0.way_back.send_replace(WayBack::Open);
    }

    /// Waits until they have been through all pages.
    pub async fn are_on_the_way_back(&self) {
        let mut through = self.0.through.subscribe();
        // The sender is in `self`, so this ends only when they are.
        let _ = through.wait_for(|times| *times > 0).await;
    }

    async fn walk(&self, url: String) -> Result<()> {
        let person = self
            .0
            .person
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let back = person.sign_in(&url).await?;
        self.0.through.send_modify(|times| *times += 1);
        let mut way_back = self.0.way_back.subscribe();
        way_back
            .wait_for(|way| *way == WayBack::Open)
            .await
            .context("wait for the way back")?;
        Person::return_to(back).await
    }
}

impl Opener for Hands {
    fn open(&self, url: &Url) -> Result<(), String> {
        let (hands, url) = (self.clone(), url.to_string());
        tokio::spawn(async move {
            if let Err(error) = hands.walk(url).await {
                tracing::warn!("the sign-in stops: {error:#}");
            }
        });
        Ok(())
    }
}

/// A signed-in approver.
pub struct AtWork {
    /// Who.
    pub person: Person,
    /// What they do at the provider's pages.
    pub hands: Hands,
    /// Their program.
    pub app: Approver,
    /// Their keys.
    pub keys: Keys,
    folder: TempDir,
}

impl AtWork {
    /// Signs a person in at a server.
    ///
    /// # Errors
    /// When the sign-in does not work; the error is what the person would read.
    pub async fn sign_in(
        sub: &str,
        server: &str,
        issuer: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Self::sign_in_with(sub, server, issuer, clock, Options::default()).await
    }

    /// The same with a program that was given choices.
    ///
    /// # Errors
    /// As [`AtWork::sign_in`].
    pub async fn sign_in_with(
        sub: &str,
        server: &str,
        issuer: &str,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self> {
        let person = Person::named(sub);
        let hands = Hands::of(person.clone());
        let keys = Keys::default();
        let folder = tempfile::tempdir().context("make the approver's folder")?;
        let deps = Deps {
            keys: Arc::new(keys.clone()),
            opener: Arc::new(hands.clone()),
            clock,
            data_dir: folder.path().to_path_buf(),
            device_name: format!("{sub}'s test"),
        };
        let app = Approver::start_with(deps, options).context("start the approver")?;
        let signed_in = tokio::time::timeout(SOON, app.sign_in(server, issuer)).await;
        let approver = Self {
            person,
            hands,
            app,
            keys,
            folder,
        };
        signed_in
            .context("the sign-in does not end")?
            .map_err(|problem| told(&problem))
            .with_context(|| format!("sign {sub} in"))?;
        let state = approver.app.state().borrow().clone();
        match &state.sign_in {
            SignIn::Failed { problem } => bail!("{sub} cannot sign in: {}", problem.sentence),
            SignIn::Idle
            | SignIn::WaitingForBrowser { .. }
            | SignIn::WaitingForKey { .. }
            | SignIn::Binding => {}
        }
        anyhow::ensure!(state.account.is_some(), "{sub} is not signed in");
        Ok(approver)
    }

    /// Their folder.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Their device key, for tests of what one who has stolen it could do.
    ///
    /// # Errors
    /// When it is not where the approver's library keeps it.
    pub fn device_key(&self) -> Result<SecretKey> {
        let kept = self
            .keys
            .get("account")
            .ok()
            .flatten()
            .context("find the account's secrets")?;
        let kept: serde_json::Value =
            serde_json::from_slice(&kept).context("read the account's secrets")?;
        SecretKey::from_jwk(&kept["device"]).context("read the device key")
    }

    /// Waits until what the person sees is as wanted.
    ///
    /// # Errors
    /// When it never is.
    pub async fn until<T>(&self, what: &str, wanted: impl Fn(&State) -> Option<T>) -> Result<T> {
        let mut states = self.app.state();
        let found = async {
            loop {
                let now = wanted(&states.borrow_and_update());
                if let Some(found) = now {
                    return Ok(found);
                }
                states.changed().await.context("the approver has ended")?;
            }
        };
        match tokio::time::timeout(SOON, found).await {
            Ok(found) => found,
            Err(_) => bail!(
                "{} never sees {what}; sees: {:#?}",
                self.person.sub,
                self.app.state().borrow()
            ),
        }
    }

    /// Waits for the only request in the inbox.
    ///
    /// # Errors
    /// When none comes.
    pub async fn request(&self) -> Result<Row> {
        self.until("a request", |state| state.inbox.first().cloned())
            .await
    }

    /// Waits for a request, reads its card, votes.
    ///
    /// # Errors
    /// When no request comes or the vote is not counted.
    pub async fn vote(
        &self,
        choice: Choice,
        reason: Option<&str>,
        words: Option<[String; 2]>,
    ) -> Result<Card> {
        let row = self.request().await?;
        self.vote_on(&row.txn, choice, reason, words).await
    }

    /// Votes on a request.
    ///
    /// # Errors
    /// When the vote is not counted; the error is what the person would read.
    pub async fn vote_on(
        &self,
        txn: &str,
        choice: Choice,
        reason: Option<&str>,
        words: Option<[String; 2]>,
    ) -> Result<Card> {
        let card = self.app.card(txn).await.map_err(|problem| told(&problem))?;
        self.app
            .vote(
                txn,
                choice,
                reason.map(str::to_owned),
                words.map(Vec::from),
                card.display_digest,
            )
            .await
            .map_err(|problem| told(&problem))
    }

    /// Waits until a card is as wanted.
    ///
    /// # Errors
    /// When it never is.
    pub async fn until_card<T>(
        &self,
        txn: &str,
        what: &str,
        wanted: impl Fn(&Card) -> Option<T>,
    ) -> Result<T> {
        // Listened to before the first look, so that no change falls between the two.
        let mut events = self.app.events();
        let found = async {
            loop {
                let card = self.app.card(txn).await.map_err(|problem| told(&problem))?;
                if let Some(found) = wanted(&card) {
                    return Ok(found);
                }
                match events.recv().await {
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => bail!("the approver has ended"),
                }
            }
        };
        match tokio::time::timeout(SOON, found).await {
            Ok(found) => found,
            Err(_) => bail!("the card of {} never shows {what}", self.person.sub),
        }
    }

    /// Approves a request that has to be confirmed, and waits for what comes of it: counted, or failed, as the card says.
    ///
    /// # Errors
    /// When the vote is refused before anybody is asked to confirm it, or nothing comes of it.
    pub async fn confirm(&self, txn: &str) -> Result<Card> {
        self.vote_on(txn, Choice::Approve, None, None).await?;
        self.confirmation(txn).await
    }

    /// Tries a failed confirmation again.
    ///
    /// # Errors
    /// As [`AtWork::confirm`].
    pub async fn confirm_again(&self, txn: &str) -> Result<Card> {
        let again = self.app.retry_step_up(txn).await;
        again.map_err(|problem| told(&problem))?;
        self.confirmation(txn).await
    }

    /// Waits until a confirmation has ended.
    ///
    /// # Errors
    /// When it never does.
    pub async fn confirmation(&self, txn: &str) -> Result<Card> {
        self.until_card(txn, "the end of the confirmation", |card| {
            let ended = match &card.ballot {
                Ballot::StepUp { phase, .. } => !phase_is_under_way(phase),
                Ballot::Open { .. } | Ballot::Locked { .. } => true,
            };
            ended.then(|| card.clone())
        })
        .await
    }

    /// Waits until the browser is open at the provider for this request.
    ///
    /// # Errors
    /// When it never is.
    pub async fn browser_is_open(&self, txn: &str) -> Result<()> {
        self.until_card(txn, "an open browser", |card| match &card.ballot {
            Ballot::StepUp {
                phase: StepUpPhase::WaitingForBrowser { .. },
                ..
            } => Some(()),
            Ballot::StepUp { .. } | Ballot::Open { .. } | Ballot::Locked { .. } => None,
        })
        .await
    }
}

fn phase_is_under_way(phase: &StepUpPhase) -> bool {
    match phase {
        StepUpPhase::Preparing
        | StepUpPhase::WaitingForBrowser { .. }
        | StepUpPhase::WaitingForKey { .. }
        | StepUpPhase::Sending => true,
        StepUpPhase::Failed { .. } => false,
    }
}

/// How the confirmation on a card failed, and whether trying again may help.
#[must_use]
pub fn failure(card: &Card) -> Option<(&Problem, bool)> {
    match &card.ballot {
        Ballot::StepUp {
            phase: StepUpPhase::Failed { problem, retry },
            ..
        } => Some((problem, *retry)),
        Ballot::StepUp { .. } | Ballot::Open { .. } | Ballot::Locked { .. } => None,
    }
}

/// A problem as an error that keeps its code.
fn told(problem: &Problem) -> anyhow::Error {
    anyhow::anyhow!("{:?}: {}", problem.code, problem.sentence)
}
