//! Several accounts in one program: servers and people, each an [`Approver`] of its own with its own keys, folder and
//! stream, behind one inbox. Nothing is shared between them but this front: it joins what is on show, and takes each
//! call to the account that it is about.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use countersign_api::ipc::{
    Account, Card, Choice, Connection, Device, Pin, Problem, ProblemCode, Row, ServerInfo, SignIn,
    VerifyReport,
};
use countersign_history::Archive;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;

use crate::absence::AbsencePage;
use crate::approver::{Approver, Deps, EVENTS, Options, StartError};
use crate::archived;
use crate::brief::Brief;
use crate::filling::HistoryHome;
use crate::keys::{KeyStore, KeyStoreError};
use crate::probe::Probe;
use crate::problem::{problem, signed_out, under_way};
use crate::session::lock;
use crate::state::{Event, State};

/// The most accounts.
const MAX_ACCOUNTS: usize = 16;
/// The beginning of the folders' names, save for the first account's, which is the program's own.
const FOLDER: &str = "account-";

/// All accounts of one program. Clones are the same.
#[derive(Clone)]
pub struct Accounts {
    shared: Arc<Shared>,
    _end: Arc<End>,
}

struct Shared {
    deps: Deps,
    options: Options,
    slots: Mutex<Vec<Slot>>,
    /// Where a sign-in is under way, or failed last.
    signing_in: Mutex<Option<usize>>,
    one_sign_in: tokio::sync::Mutex<()>,
    state: watch::Sender<Arc<State>>,
    events: broadcast::Sender<Event>,
    /// What tells that the history changed.
    telling: Mutex<Option<AbortHandle>>,
}

/// A place for one account; it may be empty.
struct Slot {
    number: usize,
    approver: Approver,
    watching: AbortHandle,
}

struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        for slot in lock(&self.0.slots).drain(..) {
            slot.watching.abort();
        }
        if let Some(telling) = lock(&self.0.telling).take() {
            telling.abort();
        }
    }
}

impl Accounts {
    /// Starts, inside a tokio runtime. Sessions of an earlier run go on.
    ///
    /// # Errors
    /// When a folder cannot be used.
    pub fn start(deps: Deps, mut options: Options) -> Result<Self, StartError> {
        if options.history.is_none() {
            let folder = deps.data_dir.clone();
            options.history = archived::start().map(|archive| HistoryHome { archive, folder });
        }
        let numbers = numbers(&deps.data_dir);
        let shared = Arc::new(Shared {
            deps,
            options,
            slots: Mutex::default(),
            signing_in: Mutex::default(),
            one_sign_in: tokio::sync::Mutex::default(),
            state: watch::Sender::new(Arc::default()),
            events: broadcast::Sender::new(EVENTS),
            telling: Mutex::default(),
        });
        if let Some(home) = &shared.options.history {
            let telling = archived::tell(home.archive.changed(), shared.events.clone());
            *lock(&shared.telling) = Some(tokio::spawn(telling).abort_handle());
        }
        for number in numbers {
            shared.open(number)?;
        }
        shared.join();
        Ok(Self {
            _end: Arc::new(End(Arc::clone(&shared))),
            shared,
        })
    }

    pub(crate) fn archive(&self) -> Result<&Archive, Problem> {
        let home = self.shared.options.history.as_ref();
        home.map(|home| &home.archive).ok_or_else(|| {
            problem(
                ProblemCode::Other,
                "There is no history on this device. Start the program again.",
            )
        })
    }

    /// One signed-in account.
    pub(crate) fn account(&self, account: &str) -> Result<Approver, Problem> {
        Ok(self.shared.of(Some(account))?.1)
    }

    /// The state of all of them together, now and whenever it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Arc<State>> {
        self.shared.state.subscribe()
    }

    /// What happens from now on, in any of them.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// The network or the computer came back.
    pub fn wake(&self) {
        for approver in self.shared.all() {
            approver.wake();
        }
    }

    /// The person wants what did not work tried again, were it with a dialog.
    pub fn try_again(&self) {
        for approver in self.shared.all() {
            approver.try_again();
        }
    }

    /// The way to servers and providers is another one now ([`Options::route`]).
    pub fn rerouted(&self) {
        for approver in self.shared.all() {
            approver.rerouted();
        }
    }

    /// Tries out each signed-in account.
    pub async fn probe(&self) -> Vec<Probe> {
        let mut all = Vec::new();
        for approver in self.shared.all() {
            all.extend(approver.probe().await);
        }
        all
    }

    /// Waits for what must not be cut off: call it before the program ends.
    pub async fn settle(&self) {
        for approver in self.shared.all() {
            approver.settle().await;
        }
    }

    /// Reads a server's self-description, from an address as a person types it.
    ///
    /// # Errors
    /// When there is no such server.
    pub async fn look_up_server(&self, address: &str) -> Result<ServerInfo, Problem> {
        let first = self.shared.all().into_iter().next();
        first.ok_or_else(signed_out)?.look_up_server(address).await
    }

    /// Signs in one account more, or the same one anew. One at a time.
    ///
    /// # Errors
    /// As the state's `sign_in` says too.
    pub async fn sign_in(&self, server: &str, issuer: &str) -> Result<(), Problem> {
        let _turn = self.shared.turn()?;
        let (number, approver) = self.shared.place_for(server, issuer)?;
        *lock(&self.shared.signing_in) = Some(number);
        self.shared.join();
        approver.sign_in(server, issuer).await?;
        self.shared.end_older(number).await;
        self.shared.join();
        Ok(())
    }

    /// Enrolls the person's security key, and binds it with a full sign-in.
    ///
    /// # Errors
    /// As [`Approver::add_security_key`].
    pub async fn add_security_key(&self, account: Option<&str>) -> Result<(), Problem> {
        let _turn = self.shared.turn()?;
        let (number, approver) = self.shared.of(account)?;
        *lock(&self.shared.signing_in) = Some(number);
        self.shared.join();
        approver.add_security_key().await
    }

    /// Takes a security key out of those that may confirm votes, with a full sign-in.
    ///
    /// # Errors
    /// As [`Approver::remove_security_key`].
    pub async fn remove_security_key(
        &self,
        account: Option<&str>,
        id: &str,
    ) -> Result<(), Problem> {
        let _turn = self.shared.turn()?;
        let (number, approver) = self.shared.of(account)?;
        *lock(&self.shared.signing_in) = Some(number);
        self.shared.join();
        approver.remove_security_key(id).await
    }

    /// Hands a PIN to the security key that waits for it.
    ///
    /// # Errors
    /// As [`Approver::give_pin`].
    pub fn give_pin(&self, txn: Option<&str>, pin: Pin) -> Result<(), Problem> {
        let approver = match txn {
            Some(txn) => Some(self.shared.about(txn)?),
            None => {
                let number = *lock(&self.shared.signing_in);
                number.and_then(|number| self.shared.at(number))
            }
        };
        approver.ok_or_else(signed_out)?.give_pin(txn, pin)
    }

    /// Gives up a sign-in that is under way.
    pub fn cancel_sign_in(&self) {
        let number = lock(&self.shared.signing_in).take();
        if let Some(approver) = number.and_then(|number| self.shared.at(number)) {
            approver.cancel_sign_in();
        }
        self.shared.join();
    }

    /// Signs out of one account: the binding is revoked at the server, the keys are deleted here.
    ///
    /// # Errors
    /// When the server could not be told, or the keys may still be there. The account is signed out all the same.
    pub async fn sign_out(&self, account: Option<&str>) -> Result<(), Problem> {
        let (number, approver) = self.shared.of(account)?;
        let done = approver.sign_out().await;
        self.shared.close(number);
        self.shared.join();
        done
    }

    /// The card of a request.
    ///
    /// # Errors
    /// As [`Approver::card`].
    pub async fn card(&self, txn: &str) -> Result<Card, Problem> {
        let mut missing = None;
        for approver in self.shared.candidates(txn) {
            match approver.card(txn).await {
                Err(error) if error.code == ProblemCode::NotFound => missing = Some(error),
                done => return done,
            }
        }
        Err(missing.unwrap_or_else(signed_out))
    }

    /// An open request in brief, as [`Approver::brief`].
    #[must_use]
    pub fn brief(&self, txn: &str) -> Option<Brief> {
        let candidates = self.shared.candidates(txn);
        candidates.iter().find_map(|approver| approver.brief(txn))
    }

    /// Votes.
    ///
    /// # Errors
    /// As [`Approver::vote`].
    pub async fn vote(
        &self,
        txn: &str,
        choice: Choice,
        reason: Option<String>,
        words: Option<Vec<String>>,
        display_digest: String,
    ) -> Result<Card, Problem> {
        let approver = self.shared.about(txn)?;
        approver
            .vote(txn, choice, reason, words, display_digest)
            .await
    }

    /// Gives up a confirmation.
    ///
    /// # Errors
    /// As [`Approver::cancel_step_up`].
    pub fn cancel_step_up(&self, txn: &str) -> Result<(), Problem> {
        self.shared.about(txn)?.cancel_step_up(txn)
    }

    /// Takes up a confirmation that failed.
    ///
    /// # Errors
    /// As [`Approver::retry_step_up`].
    pub async fn retry_step_up(&self, txn: &str) -> Result<(), Problem> {
        self.shared.about(txn)?.retry_step_up(txn).await
    }

    /// Fetches the evidence of a request and verifies it here.
    ///
    /// # Errors
    /// As [`Approver::verify`].
    pub async fn verify(&self, txn: &str) -> Result<VerifyReport, Problem> {
        let mut missing = None;
        for approver in self.shared.candidates(txn) {
            match approver.verify(txn).await {
                Err(error) if error.code == ProblemCode::NotFound => missing = Some(error),
                done => return done,
            }
        }
        Err(missing.unwrap_or_else(signed_out))
    }

    /// Writes the evidence of a request to a file in this folder.
    ///
    /// # Errors
    /// As [`Approver::export_evidence`].
    pub async fn export_evidence(&self, txn: &str, folder: &Path) -> Result<PathBuf, Problem> {
        let mut missing = None;
        for approver in self.shared.candidates(txn) {
            match approver.export_evidence(txn, folder).await {
                Err(error) if error.code == ProblemCode::NotFound => missing = Some(error),
                done => return done,
            }
        }
        Err(missing.unwrap_or_else(signed_out))
    }

    /// Whether one account's person is away.
    ///
    /// # Errors
    /// As [`Approver::absence`].
    pub async fn absence(&self, account: Option<&str>) -> Result<AbsencePage, Problem> {
        self.shared.of(account)?.1.absence().await
    }

    /// One account's person is away.
    ///
    /// # Errors
    /// As [`Approver::set_absence`].
    pub async fn set_absence(
        &self,
        account: Option<&str>,
        from: i64,
        until: i64,
        stand_in: Option<&str>,
    ) -> Result<AbsencePage, Problem> {
        let (_, approver) = self.shared.of(account)?;
        approver.set_absence(from, until, stand_in).await
    }

    /// One account's person is back.
    ///
    /// # Errors
    /// As [`Approver::end_absence`].
    pub async fn end_absence(&self, account: Option<&str>) -> Result<AbsencePage, Problem> {
        self.shared.of(account)?.1.end_absence().await
    }

    /// The devices of one account's person.
    ///
    /// # Errors
    /// As [`Approver::devices`].
    pub async fn devices(&self, account: Option<&str>) -> Result<Vec<Device>, Problem> {
        self.shared.of(account)?.1.devices().await
    }

    /// Revokes one of them.
    ///
    /// # Errors
    /// As [`Approver::revoke_device`].
    pub async fn revoke_device(
        &self,
        account: Option<&str>,
        binding_id: &str,
    ) -> Result<Vec<Device>, Problem> {
        self.shared.of(account)?.1.revoke_device(binding_id).await
    }
}

impl Shared {
    fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Problem> {
        self.one_sign_in.try_lock().map_err(|_| under_way())
    }

    fn all(&self) -> Vec<Approver> {
        lock(&self.slots)
            .iter()
            .map(|slot| slot.approver.clone())
            .collect()
    }

    fn at(&self, number: usize) -> Option<Approver> {
        let slots = lock(&self.slots);
        let slot = slots.iter().find(|slot| slot.number == number)?;
        Some(slot.approver.clone())
    }

    /// The account of this name; the first one that is signed in where none is named.
    fn of(&self, account: Option<&str>) -> Result<(usize, Approver), Problem> {
        let slots = lock(&self.slots);
        let is_it = |slot: &&Slot| {
            let state = slot.approver.state();
            let state = state.borrow();
            state
                .account
                .as_ref()
                .is_some_and(|it| account.is_none_or(|account| it.id == account))
        };
        let slot = slots.iter().find(is_it).ok_or_else(signed_out)?;
        Ok((slot.number, slot.approver.clone()))
    }

    /// Those who may know this request, the one that has it open first.
    fn candidates(&self, txn: &str) -> Vec<Approver> {
        let mut all = self.all();
        all.retain(|approver| approver.state().borrow().account.is_some());
        all.sort_by_key(|approver| !approver.has_open(txn));
        all
    }

    /// Whose request this is.
    fn about(&self, txn: &str) -> Result<Approver, Problem> {
        let all = self.candidates(txn);
        all.into_iter().next().ok_or_else(signed_out)
    }

    /// Where a sign-in goes: back to where the same was signed in before and is no more, else an empty place, else a
    /// new one.
    fn place_for(
        self: &Arc<Self>,
        server: &str,
        issuer: &str,
    ) -> Result<(usize, Approver), Problem> {
        let free = {
            let slots = lock(&self.slots);
            let empty = |slot: &&Slot| slot.approver.state().borrow().account.is_none();
            let same = |slot: &&Slot| {
                let state = slot.approver.state();
                let state = state.borrow();
                let last = state.last.as_ref();
                last.is_none_or(|last| last.server == server && last.issuer == issuer)
            };
            let found = slots
                .iter()
                .filter(empty)
                .find(same)
                .or_else(|| slots.iter().find(empty));
            match found {
                Some(slot) => return Ok((slot.number, slot.approver.clone())),
                None => {
                    (0..MAX_ACCOUNTS).find(|number| slots.iter().all(|slot| slot.number != *number))
                }
            }
        };
        let number = free.ok_or_else(|| {
            problem(
                ProblemCode::Other,
                format!("{MAX_ACCOUNTS} accounts are signed in. Sign out of one first."),
            )
        })?;
        let approver = self
            .open(number)
            .map_err(|error| problem(ProblemCode::Other, format!("{error}.")))?;
        // It may be the same person again: then their security keys are listed again.
        let before = self.all().into_iter().find(|approver| {
            let state = approver.state();
            let state = state.borrow();
            let account = state.account.as_ref();
            account.is_some_and(|it| it.server == server && it.issuer == issuer)
        });
        if let Some(before) = before {
            approver.take_key_ring_of(&before);
        }
        Ok((number, approver))
    }

    fn open(self: &Arc<Self>, number: usize) -> Result<Approver, StartError> {
        let Deps {
            keys,
            opener,
            clock,
            data_dir,
            device_name,
        } = &self.deps;
        let deps = Deps {
            keys: named(Arc::clone(keys), number),
            opener: Arc::clone(opener),
            clock: Arc::clone(clock),
            data_dir: folder(data_dir, number),
            device_name: device_name.clone(),
        };
        let approver = Approver::start_with(deps, self.options.clone())?;
        let (mut states, mut events) = (approver.state(), approver.events());
        let shared = Arc::downgrade(self);
        let watching = tokio::spawn(async move {
            let mut was_in = false;
            loop {
                let event = tokio::select! {
                    // How a request ended is told before it is gone from the state.
                    biased;
                    event = events.recv() => match event {
                        Ok(event) => Some(event),
                        // Those who missed some read the state.
                        Err(broadcast::error::RecvError::Lagged(_)) => None,
                        Err(broadcast::error::RecvError::Closed) => return,
                    },
                    changed = states.changed() => match changed {
                        Ok(()) => None,
                        Err(_) => return,
                    },
                };
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                shared.join();
                let is_in = states.borrow().account.is_some();
                if is_in && !was_in {
                    for other in shared.all() {
                        other.keyring_opened();
                    }
                }
                was_in = is_in;
                if let Some(event) = event {
                    // Nobody listening is fine.
                    let _ = shared.events.send(event);
                }
            }
        });
        let mut slots = lock(&self.slots);
        slots.push(Slot {
            number,
            approver: approver.clone(),
            watching: watching.abort_handle(),
        });
        slots.sort_by_key(|slot| slot.number);
        Ok(approver)
    }

    /// Takes a place away, but for the first: something has to take the next sign-in.
    fn close(&self, number: usize) {
        let mut slots = lock(&self.slots);
        if slots.len() < 2 {
            return;
        }
        if let Some(index) = slots
            .iter()
            .position(|slot| slot.number == number && number > 0)
        {
            let slot = slots.remove(index);
            slot.watching.abort();
            let folder = folder(&self.deps.data_dir, number);
            if let Err(error) = std::fs::remove_dir_all(&folder) {
                tracing::warn!("the folder of an account that is signed out is left: {error}");
            }
        }
    }

    /// The same person at the same server is one account: the older session ends here. Its binding is not revoked,
    /// because votes by it may wait for their release; it ends by itself.
    async fn end_older(&self, newest: usize) {
        let id_of = |approver: &Approver| {
            let state = approver.state();
            let state = state.borrow();
            state.account.as_ref().map(|account| account.id.clone())
        };
        let Some(id) = self.at(newest).and_then(|approver| id_of(&approver)) else {
            return;
        };
        let older: Vec<(usize, Approver)> = lock(&self.slots)
            .iter()
            .filter(|slot| slot.number != newest)
            .map(|slot| (slot.number, slot.approver.clone()))
            .collect();
        for (number, approver) in older {
            if id_of(&approver).as_ref() == Some(&id) {
                if let Err(trouble) = approver.leave().await {
                    tracing::warn!("the older session's keys are left: {}", trouble.sentence);
                }
                self.close(number);
            }
        }
    }

    /// Puts together what is on show.
    fn join(&self) {
        // Read under the lock of what is written: of two at once the later one has the newer state.
        self.state.send_if_modified(|now| {
            let parts: Vec<(usize, Arc<State>)> = lock(&self.slots)
                .iter()
                .map(|slot| (slot.number, Arc::clone(&slot.approver.state().borrow())))
                .collect();
            let joined = joined(&parts, *lock(&self.signing_in));
            let changed = **now != joined;
            if changed {
                *now = Arc::new(joined);
            }
            changed
        });
    }
}

fn joined(parts: &[(usize, Arc<State>)], signing_in: Option<usize>) -> State {
    let signed_in = || {
        parts
            .iter()
            .map(|(_, state)| state)
            .filter(|state| state.account.is_some())
    };
    let accounts: Vec<Account> = signed_in()
        .flat_map(|state| state.accounts.iter().cloned())
        .collect();
    let rows = |of: fn(&State) -> &Vec<Row>| {
        let mut rows: Vec<Row> = signed_in().flat_map(|state| of(state).clone()).collect();
        rows.sort_by(|a, b| (a.expires_at, &a.txn).cmp(&(b.expires_at, &b.txn)));
        rows
    };
    let last = signed_in()
        .chain(parts.iter().map(|(_, state)| state))
        .find_map(|state| state.last.clone());
    State {
        account: accounts.first().cloned(),
        sign_in: parts
            .iter()
            .find(|(number, _)| Some(*number) == signing_in)
            .map_or(SignIn::Idle, |(_, state)| state.sign_in.clone()),
        connection: accounts
            .iter()
            .map(|account| account.connection)
            .max_by_key(|connection| how_bad(*connection))
            .unwrap_or(Connection::SignedOut),
        inbox: rows(|state| &state.inbox),
        others: rows(|state| &state.others),
        listed: signed_in().all(|state| state.listed) && !accounts.is_empty(),
        troubles: parts
            .iter()
            .flat_map(|(_, state)| state.troubles.iter().cloned())
            .collect(),
        last,
        accounts,
    }
}

fn how_bad(connection: Connection) -> u8 {
    match connection {
        Connection::Connected => 0,
        Connection::Connecting => 1,
        Connection::Reconnecting => 2,
        Connection::SignedOut => 3,
    }
}

fn folder(data_dir: &Path, number: usize) -> PathBuf {
    match number {
        0 => data_dir.to_owned(),
        more => data_dir.join(format!("{FOLDER}{more}")),
    }
}

/// The places of an earlier run, the first one always.
fn numbers(data_dir: &Path) -> Vec<usize> {
    let more = std::fs::read_dir(data_dir).into_iter().flatten().flatten();
    let mut numbers: Vec<usize> = more
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix(FOLDER)?.parse().ok()
        })
        .filter(|number| (1..MAX_ACCOUNTS).contains(number))
        .collect();
    numbers.push(0);
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// A store in which this place's secrets have names of their own.
fn named(keys: Arc<dyn KeyStore>, number: usize) -> Arc<dyn KeyStore> {
    match number {
        0 => keys,
        more => Arc::new(Named {
            prefix: format!("{FOLDER}{more}."),
            keys,
        }),
    }
}

struct Named {
    prefix: String,
    keys: Arc<dyn KeyStore>,
}

impl KeyStore for Named {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, KeyStoreError> {
        self.keys.get(&format!("{}{name}", self.prefix))
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.keys.set(&format!("{}{name}", self.prefix), secret)
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        self.keys.delete(&format!("{}{name}", self.prefix))
    }

    fn describe(&self) -> String {
        self.keys.describe()
    }
}
