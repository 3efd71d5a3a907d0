//! What comes out of a stream, and how frames become it.

use countersign_api::http::RequestState;
use countersign_api::stream::{ServerBody, ServerFrame};

use crate::error::ApiError;

/// What the stream tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is live. With `resumed: None` nothing was asked for yet: read the list, then [`Stream::resume`] from
    /// its number.
    Connected {
        /// The newest number of this approver.
        seq: u64,
        /// Where it goes on.
        resumed: Option<u64>,
    },
    /// It is not live.
    Disconnected {
        /// Why.
        cause: Cause,
    },
    /// Something about a request.
    Request {
        /// To acknowledge when dealt with.
        seq: u64,
        /// The request.
        txn: String,
        /// What.
        change: Change,
    },
    /// A device of this person came or went.
    Binding {
        /// To acknowledge when dealt with.
        seq: u64,
        /// The binding.
        binding_id: String,
        /// Whether it is new; else it is gone.
        added: bool,
    },
    /// This person is away, or no longer: read it.
    Absence {
        /// To acknowledge when dealt with.
        seq: u64,
    },
    /// The access token ends soon: renew, then [`Stream::renewed`].
    SessionExpiring {
        /// Unix seconds.
        at: i64,
    },
    /// What was missed is not kept any more: read the list, then [`Stream::resume`] from its number.
    Reset {
        /// The newest number.
        seq: u64,
    },
    /// Something that this version does not know.
    Unknown {
        /// To acknowledge.
        seq: u64,
    },
}

/// What happened to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// New.
    Created,
    /// A vote was cast on it, or who can vote changed.
    Updated,
    /// It is over.
    Closed {
        /// How.
        state: RequestState,
        /// Who ended it, where a person did.
        by: Option<String>,
    },
}

/// Why the stream is not live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The network, or the server's restart: it is being tried again.
    Lost(String),
    /// The access token ended or was refused: renew, then wake.
    Unauthorized,
    /// Another program with the same session key took over.
    Superseded,
    /// The binding was revoked: sign in again.
    Revoked,
    /// The clocks differ: nothing would be accepted.
    ClockOff(i64),
}

impl Cause {
    /// Whether trying again by itself would be pointless: the stream waits for [`Stream::wake`].
    #[must_use]
    pub fn needs_caller(&self) -> bool {
        match self {
            Self::Unauthorized | Self::Revoked => true,
            Self::Lost(_) | Self::Superseded | Self::ClockOff(_) => false,
        }
    }
}

pub(super) fn cause_of(error: &ApiError) -> Cause {
    match error {
        ApiError::Unauthorized { problem }
            if problem.code.as_deref() == Some("binding_revoked") =>
        {
            Cause::Revoked
        }
        ApiError::Unauthorized { .. } => Cause::Unauthorized,
        ApiError::ClockOff { ahead_secs } => Cause::ClockOff(*ahead_secs),
        ApiError::Unreachable { why, .. } => Cause::Lost(why.clone()),
        ApiError::Setup { .. }
        | ApiError::Forbidden { .. }
        | ApiError::NotFound { .. }
        | ApiError::Conflict { .. }
        | ApiError::Gone { .. }
        | ApiError::Busy { .. }
        | ApiError::Refused { .. }
        | ApiError::TokenRefused { .. }
        | ApiError::Fault { .. }
        | ApiError::BadAnswer { .. } => Cause::Lost(error.to_string()),
    }
}

/// A frame as it is dealt with.
pub(super) enum Read {
    Hello { seq: u64 },
    Alive,
    Event(Event),
}

/// Reads a frame. A type that this version does not know is not an error: a newer server may send it.
pub(super) fn read(text: &str) -> Option<Read> {
    let Ok(ServerFrame { v: _, seq, body }) = serde_json::from_str::<ServerFrame>(text) else {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        return match (
            value["v"].as_u64(),
            value["seq"].as_u64(),
            value["type"].as_str(),
        ) {
            (Some(1), Some(0), Some(_)) => Some(Read::Alive),
            (Some(1), Some(seq), Some(_)) => Some(Read::Event(Event::Unknown { seq })),
            _ => None,
        };
    };
    let request = |txn, change| Read::Event(Event::Request { seq, txn, change });
    Some(match body {
        ServerBody::Hello { seq, time: _ } => Read::Hello { seq },
        ServerBody::Ping {} => Read::Alive,
        ServerBody::RequestCreated { txn } => request(txn, Change::Created),
        ServerBody::RequestUpdated { txn } => request(txn, Change::Updated),
        ServerBody::RequestClosed { txn, state, by } => request(txn, Change::Closed { state, by }),
        ServerBody::BindingAdded { binding_id } => Read::Event(Event::Binding {
            seq,
            binding_id,
            added: true,
        }),
        ServerBody::BindingRevoked { binding_id } => Read::Event(Event::Binding {
            seq,
            binding_id,
            added: false,
        }),
        ServerBody::AbsenceChanged {} => Read::Event(Event::Absence { seq }),
        ServerBody::SessionExpiring { at } => Read::Event(Event::SessionExpiring { at }),
        ServerBody::Reset { seq } => Read::Event(Event::Reset { seq }),
    })
}
