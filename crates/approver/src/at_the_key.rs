//! A person at their security key: what the key waits for goes to the window, the PIN comes from there, and giving up
//! reaches the thread that talks to the key. One at a time for an account.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use countersign_api::ipc::{KeyWaits, MAX_PIN_BYTES, Pin, Problem, ProblemCode};

use crate::problem::problem;
use crate::security_key::Holder;
use crate::session::lock;

/// The shortest PIN that a key takes, in characters (CTAP 2.1, section 6.5.1).
const MIN_PIN_CHARS: usize = 4;

/// Where a PIN goes, while a key waits for one.
#[derive(Default)]
pub(crate) struct PinSlot(Mutex<Option<Wanted>>);

struct Wanted {
    /// The request whose vote is confirmed; none where a key is added.
    txn: Option<String>,
    pin: Sender<Pin>,
}

impl PinSlot {
    /// Hands a PIN to the key that waits for it.
    ///
    /// # Errors
    /// When none does, or it cannot be one.
    pub(crate) fn give(&self, txn: Option<&str>, pin: Pin) -> Result<(), Problem> {
        let text = pin.reveal();
        if text.chars().count() < MIN_PIN_CHARS || text.len() > MAX_PIN_BYTES {
            return Err(problem(
                ProblemCode::Other,
                "A security key's PIN has at least four characters and at most 63 bytes. Type it again.",
            ));
        }
        let mut wanted = lock(&self.0);
        let waits = wanted.take_if(|wanted| wanted.txn.as_deref() == txn);
        // A thread that went away meanwhile does not take it either.
        let taken = waits.is_some_and(|wanted| wanted.pin.send(pin).is_ok());
        if taken {
            Ok(())
        } else {
            Err(problem(
                ProblemCode::Other,
                "No security key waits for its PIN now.",
            ))
        }
    }

    /// `None` where they gave up: another wait may stand here by then.
    fn ask(&self, txn: Option<String>, gave_up: &AtomicBool) -> Option<Receiver<Pin>> {
        let (sender, receiver) = channel();
        let mut wanted = lock(&self.0);
        if gave_up.load(Ordering::SeqCst) {
            return None;
        }
        *wanted = Some(Wanted { txn, pin: sender });
        Some(receiver)
    }

    /// Nobody waits any more: the sender goes, and with it the wait.
    fn close(&self, txn: Option<&str>) {
        lock(&self.0).take_if(|wanted| wanted.txn.as_deref() == txn);
    }
}

/// The person, for the thread that talks to the key.
#[derive(Clone)]
pub(crate) struct HeldKey {
    pub(crate) txn: Option<String>,
    pub(crate) slot: Arc<PinSlot>,
    pub(crate) shows: Arc<dyn Fn(KeyWaits) + Send + Sync>,
    pub(crate) gave_up: Arc<AtomicBool>,
}

impl HeldKey {
    /// Ends the wait when it is dropped.
    pub(crate) fn turn(&self) -> Turn {
        Turn(self.clone())
    }
}

/// Somebody waits for what comes of it.
pub(crate) struct Turn(HeldKey);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.gave_up.store(true, Ordering::SeqCst);
        self.0.slot.close(self.0.txn.as_deref());
    }
}

impl Holder for HeldKey {
    fn shows(&self, waits: KeyWaits) {
        if !self.gave_up() {
            (self.shows)(waits);
        }
    }

    fn pin(&self, wrong: bool, tries_left: Option<u8>) -> Option<Pin> {
        let typed = self.slot.ask(self.txn.clone(), &self.gave_up)?;
        // Asked only now, so that whoever sees the question finds somebody who takes the answer.
        self.shows(KeyWaits::Pin { wrong, tries_left });
        typed.recv().ok()
    }

    fn gave_up(&self) -> bool {
        self.gave_up.load(Ordering::SeqCst)
    }
}
