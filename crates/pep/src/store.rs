//! The nonce store: what this enforcement point asked for, and what is spent.
//!
//! Single use rests on it alone (protocol, section 6, step 9): an operation is released only while its nonce
//! stands here, unspent, and spending comes before execution. A call that is held lives in memory only, so a
//! restart voids it; one whose caller was given an id to come back with lives on disk.
//!
//! It does not talk to the server and does not verify evidence: [`crate::Pep`] does.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_model::{Members, Nonce, Operation, Txn, UnixSecs, b64u, b64u_decode};
use serde_json::{Value, json};

use crate::crash;
use crate::journal::{Journal, JournalError};

/// The journal is rewritten when it is larger than this, and twice what was not over when it was rewritten last, in
/// bytes.
const COMPACT_BYTES: u64 = 4 * 1024 * 1024;

/// Bounds of the store.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Operations that may be open at once.
    pub open: usize,
    /// Of one caller.
    pub open_per_caller: usize,
}

/// Where an operation is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// In memory: the caller is held, and a restart voids the approval.
    WhileHeld,
    /// On disk: the caller comes back with an id.
    OnDisk,
}

/// Why the store refuses.
#[derive(Debug, thiserror::Error)]
pub enum StoreRefusal {
    /// This gate never drew that nonce, or has forgotten it.
    #[error("this gate does not know that approval; make the call again without `Approval-Id`")]
    Unknown,
    /// It was used.
    #[error("that approval was used; each opens one call, once")]
    Spent,
    /// A nonce twice.
    #[error("that nonce is in the store already")]
    Replayed,
    /// Too many at once.
    #[error("too many calls wait for an approval at this gate; try again later")]
    TooMany,
    /// Too many of this caller.
    #[error("too many of your calls wait for an approval; wait for one of them")]
    TooManyOfCaller,
    /// The disk said no.
    #[error("the gate cannot write its state, so it releases nothing")]
    Disk(#[source] std::io::Error),
}

impl StoreRefusal {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "approval_unknown",
            Self::Spent => "approval_used",
            Self::Replayed => "nonce_replayed",
            Self::TooMany => "gate_full",
            Self::TooManyOfCaller => "caller_full",
            Self::Disk(_) => "gate_state",
        }
    }
}

/// An operation in the store.
#[derive(Debug, Clone)]
pub struct Stored {
    /// T0: when its nonce was made.
    pub asked_at: UnixSecs,
    /// After this nothing can release it.
    pub until: UnixSecs,
    /// The operation. Its subject is the caller.
    pub operation: Arc<Operation>,
}

#[derive(Debug)]
struct Entry {
    stored: Stored,
    txn: Option<Txn>,
    keep: Keep,
    spent: bool,
}

/// The store. Methods that touch the disk block: call them where that is allowed.
#[derive(Debug)]
pub struct NonceStore {
    bounds: Bounds,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    journal: Journal,
    /// Its length when it was rewritten last.
    rewritten: u64,
    entries: HashMap<Nonce, Entry>,
    by_txn: HashMap<Txn, Nonce>,
}

impl NonceStore {
    /// Opens the store in its folder. What is over is forgotten; what is damaged is an error.
    pub fn open(dir: &Path, bounds: Bounds, now: UnixSecs) -> Result<Self, JournalError> {
        let (journal, lines) = Journal::open(dir)?;
        let mut entries = HashMap::new();
        for (index, line) in lines.iter().enumerate() {
            apply(&mut entries, line).ok_or_else(|| JournalError::Damaged {
                line: index + 1,
                path: dir.to_owned(),
            })?;
        }
        let mut inner = Inner {
            journal,
            rewritten: 0,
            entries,
            by_txn: HashMap::new(),
        };
        inner.prune(now);
        inner.by_txn = inner
            .entries
            .iter()
            .filter_map(|(nonce, entry)| entry.txn.clone().map(|txn| (txn, nonce.clone())))
            .collect();
        inner.compact().map_err(|error| JournalError::Io {
            path: dir.to_owned(),
            error,
        })?;
        Ok(Self {
            bounds,
            inner: Mutex::new(inner),
        })
    }

    /// Remembers an operation before it is asked for.
    pub fn put(&self, stored: Stored, keep: Keep, now: UnixSecs) -> Result<(), StoreRefusal> {
        let mut inner = self.lock();
        inner.prune(now);
        if inner.journal.bytes() > COMPACT_BYTES.max(2 * inner.rewritten) {
            inner.compact().map_err(StoreRefusal::Disk)?;
        }
        let nonce = stored.operation.nonce().clone();
        if inner.entries.contains_key(&nonce) {
            return Err(StoreRefusal::Replayed);
        }
        let open = |entry: &&Entry| !entry.spent;
        let caller = stored.operation.subject();
        if inner.entries.values().filter(open).count() >= self.bounds.open {
            return Err(StoreRefusal::TooMany);
        }
        let of_caller = |entry: &&Entry| !entry.spent && entry.stored.operation.subject() == caller;
        if inner.entries.values().filter(of_caller).count() >= self.bounds.open_per_caller {
            return Err(StoreRefusal::TooManyOfCaller);
        }
        if keep == Keep::OnDisk {
            inner
                .journal
                .append(&[asked(&stored, None)])
                .map_err(StoreRefusal::Disk)?;
        }
        // CRASH P1: remembered, not yet asked. The nonce is never used; it is pruned when its time is over.
        crash::point("P1");
        inner.entries.insert(
            nonce,
            Entry {
                stored,
                txn: None,
                keep,
                spent: false,
            },
        );
        Ok(())
    }

    /// Notes the id under which the server knows it.
    pub fn name(&self, nonce: &Nonce, txn: &Txn) -> Result<(), StoreRefusal> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if inner.by_txn.get(txn).is_some_and(|other| other != nonce) {
            // A server that gives one id to two operations would let a retry join the wrong one.
            return Err(StoreRefusal::Replayed);
        }
        // CRASH P2: asked, and the id not on disk. Nobody can join it; it runs out at the server by itself.
        crash::point("P2");
        let entry = inner.entries.get_mut(nonce).ok_or(StoreRefusal::Unknown)?;
        if entry.keep == Keep::OnDisk {
            let line = json!({ "kind": "named", "nonce": nonce.as_str(), "txn": txn.as_str() });
            inner.journal.append(&[line]).map_err(StoreRefusal::Disk)?;
        }
        entry.txn = Some(txn.clone());
        inner.by_txn.insert(txn.clone(), nonce.clone());
        Ok(())
    }

    /// Moves a held operation to disk, so that its caller may come back.
    pub fn keep(&self, nonce: &Nonce) -> Result<(), StoreRefusal> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let entry = inner.entries.get_mut(nonce).ok_or(StoreRefusal::Unknown)?;
        if entry.spent {
            return Err(StoreRefusal::Spent);
        }
        if entry.keep == Keep::WhileHeld {
            inner
                .journal
                .append(&[asked(&entry.stored, entry.txn.as_ref())])
                .map_err(StoreRefusal::Disk)?;
            // CRASH P3: on disk, and the caller never got the id. It runs out at the server by itself.
            crash::point("P3");
            entry.keep = Keep::OnDisk;
        }
        Ok(())
    }

    /// The operation that the server knows by this id, if it is unspent and on disk.
    pub fn find(&self, txn: &Txn, now: UnixSecs) -> Result<Stored, StoreRefusal> {
        let inner = self.lock();
        let entry = inner
            .by_txn
            .get(txn)
            .and_then(|nonce| inner.entries.get(nonce))
            .filter(|entry| entry.keep == Keep::OnDisk && now <= entry.stored.until)
            .ok_or(StoreRefusal::Unknown)?;
        if entry.spent {
            Err(StoreRefusal::Spent)
        } else {
            Ok(entry.stored.clone())
        }
    }

    /// The operation of this nonce, if it is unspent.
    pub fn unspent(&self, nonce: &Nonce) -> Result<Stored, StoreRefusal> {
        let inner = self.lock();
        match inner.entries.get(nonce) {
            None => Err(StoreRefusal::Unknown),
            Some(entry) if entry.spent => Err(StoreRefusal::Spent),
            Some(entry) => Ok(entry.stored.clone()),
        }
    }

    /// Spends a nonce: once, for ever. Durable when it returns, and before anything is executed.
    pub fn spend(&self, nonce: &Nonce) -> Result<Stored, StoreRefusal> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let entry = inner.entries.get_mut(nonce).ok_or(StoreRefusal::Unknown)?;
        if entry.spent {
            return Err(StoreRefusal::Spent);
        }
        // INVARIANT: spent in memory first. Should the disk fail now, it stays spent.
        entry.spent = true;
        let stored = entry.stored.clone();
        match entry.keep {
            // After a restart its nonce is unknown, which refuses just as well: no write is needed.
            Keep::WhileHeld => {}
            Keep::OnDisk => {
                let line = json!({ "kind": "spent", "nonce": nonce.as_str() });
                inner.journal.append(&[line]).map_err(StoreRefusal::Disk)?;
            }
        }
        // CRASH P4: spent, nothing executed. The caller needs a new approval.
        crash::point("P4");
        Ok(stored)
    }

    /// Forgets an operation that is over without having been released.
    pub fn close(&self, nonce: &Nonce) -> Result<(), StoreRefusal> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(entry) = inner.entries.get(nonce) else {
            return Ok(());
        };
        if entry.spent {
            return Ok(());
        }
        if entry.keep == Keep::OnDisk {
            let line = json!({ "kind": "closed", "nonce": nonce.as_str() });
            // CRASH P5: closed at the server and still open here: the next retry asks the server and learns it.
            crash::point("P5");
            inner.journal.append(&[line]).map_err(StoreRefusal::Disk)?;
        }
        inner.forget(nonce);
        Ok(())
    }

    /// How many are open.
    pub fn open_count(&self) -> usize {
        self.lock()
            .entries
            .values()
            .filter(|entry| !entry.spent)
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change is complete before the lock is given back, and a half-done one has erred towards spent.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn prune(&mut self, now: UnixSecs) {
        let over: Vec<Nonce> = self
            .entries
            .iter()
            .filter(|(_, entry)| now > entry.stored.until)
            .map(|(nonce, _)| nonce.clone())
            .collect();
        for nonce in over {
            self.forget(&nonce);
        }
    }

    fn forget(&mut self, nonce: &Nonce) {
        if let Some(entry) = self.entries.remove(nonce)
            && let Some(txn) = entry.txn
        {
            self.by_txn.remove(&txn);
        }
    }

    fn compact(&mut self) -> std::io::Result<()> {
        let mut lines = Vec::new();
        for (nonce, entry) in self
            .entries
            .iter()
            .filter(|(_, entry)| entry.keep == Keep::OnDisk)
        {
            lines.push(asked(&entry.stored, entry.txn.as_ref()));
            if entry.spent {
                lines.push(json!({ "kind": "spent", "nonce": nonce.as_str() }));
            }
        }
        self.journal.replace(&lines)?;
        self.rewritten = self.journal.bytes();
        Ok(())
    }
}

fn asked(stored: &Stored, txn: Option<&Txn>) -> Value {
    let mut line = json!({
        "kind": "asked",
        "asked_at": stored.asked_at.0,
        "until": stored.until.0,
        "operation_b64": b64u(stored.operation.bytes()),
    });
    if let Some(txn) = txn {
        line["txn"] = Value::from(txn.as_str());
    }
    line
}

/// Reads one line into the map; `None` when it is not one that this program wrote.
fn apply(entries: &mut HashMap<Nonce, Entry>, line: &Value) -> Option<()> {
    let mut members = Members::of(line).ok()?;
    let kind = members.str("kind").ok()?;
    if kind == "asked" {
        let asked_at = UnixSecs(members.i64("asked_at").ok()?);
        let until = UnixSecs(members.i64("until").ok()?);
        let bytes = b64u_decode(&members.str("operation_b64").ok()?).ok()?;
        let txn = members
            .opt_str("txn")
            .ok()?
            .map(|txn| Txn::parse(&txn))
            .transpose()
            .ok()?;
        members.finish().ok()?;
        let operation = Arc::new(Operation::parse(&bytes).ok()?);
        let nonce = operation.nonce().clone();
        let stored = Stored {
            asked_at,
            until,
            operation,
        };
        entries.insert(
            nonce,
            Entry {
                stored,
                txn,
                keep: Keep::OnDisk,
                spent: false,
            },
        );
        return Some(());
    }
    let nonce = Nonce::parse(&members.str("nonce").ok()?).ok()?;
    let txn = members.opt_str("txn").ok()?;
    members.finish().ok()?;
    match (kind.as_str(), txn) {
        ("named", Some(txn)) => entries.get_mut(&nonce)?.txn = Some(Txn::parse(&txn).ok()?),
        ("spent", None) => entries.get_mut(&nonce)?.spent = true,
        ("closed", None) => {
            entries.remove(&nonce)?;
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        open: 4,
        open_per_caller: 3,
    };
    const T: UnixSecs = UnixSecs(1_800_000_000);

    fn stored(seed: u8, sub: &str) -> Stored {
        let operation = Operation::build(json!({
            "subject": { "type": "user", "id": format!("https://op.example|{sub}") },
            "action": { "name": "orders.customers.delete" },
            "resource": { "type": "orders.customer", "id": "42" },
            "context": { "pep": "orders-gate", "nonce": Nonce::from_bytes([seed; 16]).as_str() },
        }))
        .unwrap();
        Stored {
            asked_at: T,
            until: T + 900,
            operation: Arc::new(operation),
        }
    }

    fn nonce(seed: u8) -> Nonce {
        Nonce::from_bytes([seed; 16])
    }

    fn txn(name: &str) -> Txn {
        Txn::parse(name).unwrap()
    }

    fn open(dir: &Path) -> NonceStore {
        NonceStore::open(dir, BOUNDS, T).unwrap()
    }

    #[test]
    fn a_nonce_is_spent_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.put(stored(1, "mara"), Keep::WhileHeld, T).unwrap();
        assert_eq!(
            store
                .put(stored(1, "mara"), Keep::OnDisk, T)
                .unwrap_err()
                .code(),
            "nonce_replayed"
        );
        assert_eq!(store.spend(&nonce(1)).unwrap().asked_at, T);
        assert_eq!(store.spend(&nonce(1)).unwrap_err().code(), "approval_used");
        assert_eq!(
            store.spend(&nonce(2)).unwrap_err().code(),
            "approval_unknown"
        );
    }

    #[test]
    fn a_thousand_at_once_spend_it_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.put(stored(1, "mara"), Keep::OnDisk, T).unwrap();
        let wins: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..1000)
                .map(|_| scope.spawn(|| usize::from(store.spend(&nonce(1)).is_ok())))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(wins, 1);
    }

    #[test]
    fn a_restart_voids_what_was_held_and_keeps_what_has_an_id() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for (seed, keep) in [
            (1, Keep::WhileHeld),
            (2, Keep::OnDisk),
            (3, Keep::WhileHeld),
        ] {
            store.put(stored(seed, "mara"), keep, T).unwrap();
            store.name(&nonce(seed), &txn(&format!("t{seed}"))).unwrap();
        }
        assert_eq!(
            store.find(&txn("t1"), T).unwrap_err().code(),
            "approval_unknown",
            "held calls cannot be joined"
        );
        store.keep(&nonce(3)).unwrap();
        drop(store);
        let store = open(dir.path());
        assert_eq!(
            store.unspent(&nonce(1)).unwrap_err().code(),
            "approval_unknown"
        );
        assert_eq!(
            store.find(&txn("t2"), T).unwrap().operation,
            stored(2, "mara").operation
        );
        assert_eq!(store.find(&txn("t3"), T).unwrap().asked_at, T);
        store.spend(&nonce(2)).unwrap();
        store.close(&nonce(3)).unwrap();
        drop(store);
        let store = open(dir.path());
        assert_eq!(
            store.find(&txn("t2"), T).unwrap_err().code(),
            "approval_used"
        );
        assert_eq!(
            store.find(&txn("t3"), T).unwrap_err().code(),
            "approval_unknown"
        );
    }

    #[test]
    fn what_is_spent_stays_spent_whatever_comes_after() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.put(stored(1, "mara"), Keep::WhileHeld, T).unwrap();
        store.spend(&nonce(1)).unwrap();
        assert_eq!(store.keep(&nonce(1)).unwrap_err().code(), "approval_used");
        store.put(stored(2, "mara"), Keep::OnDisk, T).unwrap();
        store.name(&nonce(2), &txn("t2")).unwrap();
        store.spend(&nonce(2)).unwrap();
        store.close(&nonce(2)).unwrap();
        assert_eq!(
            store
                .put(stored(2, "mara"), Keep::OnDisk, T)
                .unwrap_err()
                .code(),
            "nonce_replayed"
        );
        let used = |store: &NonceStore| store.find(&txn("t2"), T).unwrap_err().code();
        assert_eq!(used(&store), "approval_used");
        drop(store);
        // The first start writes the journal anew, and the second reads that.
        for _ in 0..2 {
            let store = open(dir.path());
            assert_eq!(
                store.unspent(&nonce(1)).unwrap_err().code(),
                "approval_unknown"
            );
            assert_eq!(used(&store), "approval_used");
            assert_eq!(store.spend(&nonce(2)).unwrap_err().code(), "approval_used");
        }
    }

    #[test]
    fn what_is_over_is_forgotten_and_still_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.put(stored(1, "mara"), Keep::OnDisk, T).unwrap();
        store.name(&nonce(1), &txn("t1")).unwrap();
        assert_eq!(
            store.find(&txn("t1"), T + 901).unwrap_err().code(),
            "approval_unknown"
        );
        drop(store);
        let store = NonceStore::open(dir.path(), BOUNDS, T + 901).unwrap();
        assert_eq!(
            store.unspent(&nonce(1)).unwrap_err().code(),
            "approval_unknown"
        );
        assert_eq!(store.open_count(), 0);
    }

    #[test]
    fn what_is_over_does_not_fill_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let long = |seed: u8, asked_at: UnixSecs| {
            let mut value = stored(seed, "mara").operation.value().clone();
            value["action"]["properties"] = json!({ "note": "x".repeat(40_000) });
            Stored {
                asked_at,
                until: asked_at + 900,
                operation: Arc::new(Operation::build(value).unwrap()),
            }
        };
        // Each is used, and nothing is ever closed.
        for seed in 1..=120 {
            let now = T + 1000 * i64::from(seed);
            store.put(long(seed, now), Keep::OnDisk, now).unwrap();
            store.spend(&nonce(seed)).unwrap();
        }
        assert!(store.lock().journal.bytes() < COMPACT_BYTES + 128 * 1024);
        assert_eq!(
            store.spend(&nonce(120)).unwrap_err().code(),
            "approval_used"
        );
    }

    #[test]
    fn the_store_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for seed in 1..=3 {
            store.put(stored(seed, "mara"), Keep::WhileHeld, T).unwrap();
        }
        assert_eq!(
            store
                .put(stored(4, "mara"), Keep::WhileHeld, T)
                .unwrap_err()
                .code(),
            "caller_full"
        );
        store.put(stored(4, "otto"), Keep::WhileHeld, T).unwrap();
        assert_eq!(
            store
                .put(stored(5, "jonas"), Keep::WhileHeld, T)
                .unwrap_err()
                .code(),
            "gate_full"
        );
        store.spend(&nonce(1)).unwrap();
        store.put(stored(5, "jonas"), Keep::WhileHeld, T).unwrap();
    }

    #[test]
    fn a_server_that_gives_one_id_twice_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.put(stored(1, "mara"), Keep::OnDisk, T).unwrap();
        store.put(stored(2, "mara"), Keep::OnDisk, T).unwrap();
        store.name(&nonce(1), &txn("t")).unwrap();
        store.name(&nonce(1), &txn("t")).unwrap();
        assert_eq!(
            store.name(&nonce(2), &txn("t")).unwrap_err().code(),
            "nonce_replayed"
        );
    }

    /// Cut the journal after each byte: what the store had confirmed as spent or closed never opens again.
    #[test]
    fn killed_anywhere_nothing_confirmed_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operations.journal");
        let store = open(dir.path());
        let mut confirmed: Vec<(u64, &str)> = Vec::new();
        let size = || std::fs::metadata(&path).unwrap().len();
        store.put(stored(1, "mara"), Keep::OnDisk, T).unwrap();
        confirmed.push((size(), "asked"));
        store.name(&nonce(1), &txn("t1")).unwrap();
        confirmed.push((size(), "named"));
        store.spend(&nonce(1)).unwrap();
        confirmed.push((size(), "spent"));
        drop(store);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let last = confirmed
                .iter()
                .rev()
                .find(|(bytes, _)| *bytes <= cut as u64)
                .map(|(_, what)| *what);
            let store = open(dir.path());
            let found = store
                .find(&txn("t1"), T)
                .map(|_| ())
                .map_err(|refusal| refusal.code());
            let wanted = match last {
                None | Some("asked") => Err("approval_unknown"),
                Some("named") => Ok(()),
                Some(_) => Err("approval_used"),
            };
            assert_eq!(found, wanted, "cut at {cut} of {}", whole.len());
        }
    }
}
