//! An approver without a desktop: the same library as the app's, with keys in memory and hands at the provider's pages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use countersign_api::ipc::{Card, Choice, Problem, Row, SignIn};
use countersign_approver::{Approver, Deps, KeyStore, KeyStoreError, State};
use countersign_evidence::SecretKey;
use countersign_model::Clock;
use countersign_oidc::Opener;
use tempfile::TempDir;
use url::Url;

use crate::person::Person;

/// How long anything that an approver waits for may take.
pub const SOON: Duration = Duration::from_secs(30);

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

/// Opens no browser: the person's own hands walk the pages.
#[derive(Debug)]
struct Hands(Person);

impl Opener for Hands {
    fn open(&self, url: &Url) -> Result<(), String> {
        let (person, url) = (self.0.clone(), url.to_string());
        tokio::spawn(async move {
            if let Err(error) = person.sign_in_and_return(&url).await {
                tracing::warn!("{}: {error:#}", person.sub);
            }
        });
        Ok(())
    }
}

/// A signed-in approver.
pub struct AtWork {
    /// Who.
    pub person: Person,
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
        let person = Person::named(sub);
        let keys = Keys::default();
        let folder = tempfile::tempdir().context("make the approver's folder")?;
        let app = Approver::start(Deps {
            keys: Arc::new(keys.clone()),
            opener: Arc::new(Hands(person.clone())),
            clock,
            data_dir: folder.path().to_path_buf(),
            device_name: format!("{sub}'s test"),
        })
        .context("start the approver")?;
        let signed_in = tokio::time::timeout(SOON, app.sign_in(server, issuer)).await;
        let approver = Self {
            person,
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
            SignIn::Idle | SignIn::WaitingForBrowser { .. } | SignIn::Binding => {}
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
}

/// A problem as an error that keeps its code.
fn told(problem: &Problem) -> anyhow::Error {
    anyhow::anyhow!("{:?}: {}", problem.code, problem.sentence)
}
