//! Frames of the approver's WebSocket (protocol, section 7). The stream is a hint; REST is the truth.

use serde::{Deserialize, Serialize};

use crate::http::RequestState;

/// `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "countersign.v1";
/// The largest frame from a client, in bytes.
pub const MAX_CLIENT_FRAME_BYTES: usize = 4096;
/// Between two pings of the server, in seconds.
pub const PING_SECS: u64 = 20;

/// Close codes.
pub mod close {
    /// The access token ended or was refused.
    pub const UNAUTHORIZED: u16 = 3000;
    /// A newer socket of the same session key.
    pub const SUPERSEDED: u16 = 4001;
    /// The binding was revoked.
    pub const REVOKED: u16 = 4002;
    /// The client read too slowly.
    pub const SLOW: u16 = 4008;
    /// The server restarts.
    pub const RESTART: u16 = 1012;
}

/// Server → agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFrame {
    /// 1.
    pub v: u32,
    /// Durable per approver; 0 for frames that are not kept (`hello`, `reset`, `ping`, `session.expiring`).
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub body: ServerBody,
}

/// What a server's frame says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ServerBody {
    /// First frame.
    #[serde(rename = "hello")]
    Hello {
        /// The newest `seq` of this approver.
        seq: u64,
        /// The server's clock. Unix seconds.
        time: i64,
    },
    /// A request that this person sees.
    #[serde(rename = "request.created")]
    RequestCreated {
        /// Its id.
        txn: String,
    },
    /// A vote was cast on it, or somebody who may vote on it is away now, or is back.
    #[serde(rename = "request.updated")]
    RequestUpdated {
        /// Its id.
        txn: String,
    },
    /// It left the inbox: decided, expired, withdrawn.
    #[serde(rename = "request.closed")]
    RequestClosed {
        /// Its id.
        txn: String,
        /// How.
        state: RequestState,
        /// Who ended it, where a person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A new device of this person.
    #[serde(rename = "binding.added")]
    BindingAdded {
        /// Its id.
        binding_id: String,
    },
    /// A device of this person is gone.
    #[serde(rename = "binding.revoked")]
    BindingRevoked {
        /// Its id.
        binding_id: String,
    },
    /// This person is away, or no longer: read it.
    #[serde(rename = "absence.changed")]
    AbsenceChanged {},
    /// The access token ends soon: send `auth`.
    #[serde(rename = "session.expiring")]
    SessionExpiring {
        /// Unix seconds.
        at: i64,
    },
    /// What was asked for by `resume` is no longer kept: read the list.
    #[serde(rename = "reset")]
    Reset {
        /// The newest `seq`.
        seq: u64,
    },
    /// Alive.
    #[serde(rename = "ping")]
    Ping {},
}

/// Agent → server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum ClientFrame {
    /// Send what came after this number.
    #[serde(rename = "resume")]
    Resume {
        /// The last one that was dealt with.
        seq: u64,
    },
    /// Everything up to this number was dealt with.
    #[serde(rename = "ack")]
    Ack {
        /// The number.
        seq: u64,
    },
    /// A new access token, with its DPoP proof for the stream's URL.
    #[serde(rename = "auth")]
    Auth {
        /// The token.
        access_token: String,
        /// The proof.
        dpop: String,
    },
}
