//! CTAPHID (CTAP 2.1, section 11.2): messages in reports of 64 bytes, on a channel of one's own.
//!
//! It knows no device: a [`Wire`] carries reports, and a software key can stand at its other end. It deliberately reads
//! no clock: how long nothing came is counted in slices of waiting.

use std::io;
use std::time::Duration;

/// A report's size in bytes.
pub const REPORT_BYTES: usize = 64;

/// What goes over the wire at once.
pub type Report = [u8; REPORT_BYTES];

/// A way to one key.
pub trait Wire: Send {
    /// Sends a report.
    ///
    /// # Errors
    /// When the key is gone.
    fn send(&mut self, report: &Report) -> io::Result<()>;

    /// The next report; none when none came in that time.
    ///
    /// # Errors
    /// When the key is gone.
    fn receive(&mut self, within: Duration) -> io::Result<Option<Report>>;
}

/// What the key is doing, while it has no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    /// It computes.
    Working,
    /// It waits for a touch, or a finger.
    ForPerson,
}

/// Whether to go on waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Yes.
    On,
    /// The person gave up, or touched another key: the key is told so.
    NoMore,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HidError {
    /// It was taken out.
    #[error("the key is gone")]
    Gone(#[from] io::Error),
    /// It says nothing.
    #[error("the key does not answer")]
    Silent,
    /// What it says is no message.
    #[error("the key does not speak CTAPHID: {0}")]
    Broken(&'static str),
    /// Another program has it.
    #[error("another program uses the key")]
    Taken,
    /// It refuses the message.
    #[error("the key refuses the message ({0:#04x})")]
    Refused(u8),
    /// It speaks U2F only.
    #[error("the key does not speak CTAP 2")]
    TooOld,
    /// Nobody wants the answer any more.
    #[error("nobody waits for the key any more")]
    GaveUp,
}

const BROADCAST: [u8; 4] = [0xff; 4];
const INIT: u8 = 0x06;
const CBOR: u8 = 0x10;
const CANCEL: u8 = 0x11;
const KEEPALIVE: u8 = 0x3b;
const ERROR: u8 = 0x3f;
/// The first packet of a message, not one that goes on.
const FIRST: u8 = 0x80;
/// `CTAPHID_INIT`: the key takes `CTAPHID_CBOR`.
const TAKES_CBOR: u8 = 0x04;
/// `CTAPHID_KEEPALIVE`: it waits for the person.
const UP_NEEDED: u8 = 2;
const ERR_CHANNEL_BUSY: u8 = 0x06;
/// The longest message in either direction, in bytes.
const MAX_MESSAGE_BYTES: usize = REPORT_BYTES - 7 + 128 * (REPORT_BYTES - 5);

/// How long one look for a report takes.
const SLICE: Duration = Duration::from_millis(100);
/// A key says at least every 100 ms that it is still busy; so many slices without a word are silence.
const SILENT_SLICES: u32 = 30;
/// How often a key that another program has is asked again.
const TRIES: u32 = 10;
/// How often a key that was told to stop may say that it is busy before it is left alone.
const DEAF: u32 = 30;
/// Reports of other channels, or of other messages, that are passed over in a row.
const MAX_STRAY: u32 = 1000;

/// A channel to one key.
pub(super) struct Channel {
    wire: Box<dyn Wire>,
    id: [u8; 4],
}

impl Channel {
    /// Opens one, with 64 random bits that tell our answer from somebody else's.
    ///
    /// # Errors
    /// When what is at the other end is no key for CTAP 2.
    pub(super) fn open(mut wire: Box<dyn Wire>, nonce: [u8; 8]) -> Result<Self, HidError> {
        send(wire.as_mut(), BROADCAST, INIT, &nonce)?;
        let mut stray = 0;
        loop {
            let (command, answer) = receive(wire.as_mut(), BROADCAST)?;
            let [theirs @ .., c0, c1, c2, c3, _, _, _, _, capabilities] = answer.as_slice() else {
                return Err(HidError::Broken("its answer to INIT is too short"));
            };
            // Another program may open a channel at this moment: its answer goes to everybody.
            if command == INIT && theirs == nonce {
                if capabilities & TAKES_CBOR == 0 {
                    return Err(HidError::TooOld);
                }
                let id = [*c0, *c1, *c2, *c3];
                return Ok(Self { wire, id });
            }
            stray += 1;
            if stray > MAX_STRAY {
                return Err(HidError::Broken("it answers others only"));
            }
        }
    }

    /// Asks the key something, and waits as long as `watch` says.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub(super) fn call(
        &mut self,
        request: &[u8],
        watch: &mut dyn FnMut(Busy) -> Wait,
    ) -> Result<Vec<u8>, HidError> {
        let mut tries = 0;
        loop {
            match self.once(request, watch) {
                Err(HidError::Refused(ERR_CHANNEL_BUSY)) if tries < TRIES => {
                    tries += 1;
                    // Another program talks to it: its answers pass by here, and are no answers to us.
                    let _ = self.wire.receive(SLICE)?;
                    if watch(Busy::Working) == Wait::NoMore {
                        return Err(HidError::GaveUp);
                    }
                }
                Err(HidError::Refused(ERR_CHANNEL_BUSY)) => return Err(HidError::Taken),
                done => return done,
            }
        }
    }

    fn once(
        &mut self,
        request: &[u8],
        watch: &mut dyn FnMut(Busy) -> Wait,
    ) -> Result<Vec<u8>, HidError> {
        send(self.wire.as_mut(), self.id, CBOR, request)?;
        let mut given_up = false;
        let mut after = 0;
        loop {
            let (command, answer) = receive(self.wire.as_mut(), self.id)?;
            match (command, answer.as_slice()) {
                // Whatever it says after it was told to stop: nobody wants it any more.
                (CBOR | ERROR, _) if given_up => return Err(HidError::GaveUp),
                (CBOR, _) => return Ok(answer),
                (KEEPALIVE, [status]) => {
                    let busy = match *status {
                        UP_NEEDED => Busy::ForPerson,
                        _ => Busy::Working,
                    };
                    if given_up {
                        after += 1;
                        if after > DEAF {
                            return Err(HidError::GaveUp);
                        }
                    } else if watch(busy) == Wait::NoMore {
                        given_up = true;
                        send(self.wire.as_mut(), self.id, CANCEL, &[])?;
                    }
                }
                (ERROR, [code]) => return Err(HidError::Refused(*code)),
                (_, _) => return Err(HidError::Broken("an answer to another question")),
            }
        }
    }
}

fn send(
    wire: &mut dyn Wire,
    channel: [u8; 4],
    command: u8,
    message: &[u8],
) -> Result<(), HidError> {
    let length = u16::try_from(message.len())
        .ok()
        .filter(|_| message.len() <= MAX_MESSAGE_BYTES)
        .ok_or(HidError::Broken("the message is too long for it"))?;
    let head = [&channel[..], &[FIRST | command], &length.to_be_bytes()].concat();
    let (first, mut rest) = message.split_at(message.len().min(REPORT_BYTES - head.len()));
    wire.send(&report(&head, first))?;
    let mut sequence = 0;
    while !rest.is_empty() {
        let (part, more) = rest.split_at(rest.len().min(REPORT_BYTES - 5));
        wire.send(&report(&[&channel[..], &[sequence]].concat(), part))?;
        (rest, sequence) = (more, sequence + 1);
    }
    Ok(())
}

fn report(head: &[u8], part: &[u8]) -> Report {
    let mut report = [0; REPORT_BYTES];
    report[..head.len()].copy_from_slice(head);
    report[head.len()..head.len() + part.len()].copy_from_slice(part);
    report
}

/// One message of this channel.
fn receive(wire: &mut dyn Wire, channel: [u8; 4]) -> Result<(u8, Vec<u8>), HidError> {
    let first = next(wire, channel)?;
    let [_, _, _, _, command, high, low, part @ ..] = &first;
    if command & FIRST == 0 {
        return Err(HidError::Broken("a message without a beginning"));
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > MAX_MESSAGE_BYTES {
        return Err(HidError::Broken("a message that is too long"));
    }
    let mut message = part.to_vec();
    let mut sequence: u8 = 0;
    while message.len() < length {
        let [_, _, _, _, number, part @ ..] = &next(wire, channel)?;
        if *number != sequence {
            return Err(HidError::Broken("a message out of order"));
        }
        message.extend(part);
        sequence += 1;
    }
    message.truncate(length);
    Ok((command & !FIRST, message))
}

/// The next report of this channel.
fn next(wire: &mut dyn Wire, channel: [u8; 4]) -> Result<Report, HidError> {
    let (mut silent, mut stray) = (0, 0);
    loop {
        match wire.receive(SLICE)? {
            Some(report) if report.starts_with(&channel) => return Ok(report),
            Some(_) => stray += 1,
            None => silent += 1,
        }
        if silent >= SILENT_SLICES {
            return Err(HidError::Silent);
        }
        if stray > MAX_STRAY {
            return Err(HidError::Broken("it answers others only"));
        }
    }
}
