//! What an agent gets before it shows anything: the operation's bytes, the gate's ask, the server's request.
//! Steps 1 and 2, and of step 3 what needs no policy.

use countersign_model::{
    Digest, Operation, PepId, ServerId, UnixSecs, b64u_decode, matching_words,
};

use super::{Refusal, SKEW_SECS, StepId};
use crate::check::Check;
use crate::documents::{Ask, DocumentError, Request, jws_digest};
use crate::jose::PublicKey;

/// A request whose signatures, digests and parts were checked against each other. Only
/// [`verify_request_bundle`] and [`read_request_bundle`] make one for others to hold.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    operation: Operation,
    ask: Ask,
    request: Request,
    ask_jws: String,
    request_jws: String,
    request_jws_digest: Digest,
}

impl OpenRequest {
    /// The operation: render only from this.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The gate's ask.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }

    /// The server's request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// As signed.
    pub fn ask_jws(&self) -> &str {
        &self.ask_jws
    }

    /// As signed.
    pub fn request_jws(&self) -> &str {
        &self.request_jws
    }

    /// What every vote on it names.
    pub fn request_jws_digest(&self) -> Digest {
        self.request_jws_digest
    }

    /// The matching words.
    pub fn words(&self) -> [&'static str; 2] {
        matching_words(self.request_jws_digest)
    }
}

/// Checks a request that is to be shown or voted on now: everything of [`read_request_bundle`], and that
/// voting is still open.
pub fn verify_request_bundle(
    request_jws: &str,
    ask_jws: &str,
    operation_bytes: &[u8],
    server: &ServerId,
    server_keys: &[PublicKey],
    pep_keys: &[(PepId, PublicKey)],
    now: UnixSecs,
) -> Result<OpenRequest, Refusal> {
    let open = read_request_bundle(
        request_jws,
        ask_jws,
        operation_bytes,
        server,
        server_keys,
        pep_keys,
    )?;
    let Request { iat, exp, .. } = open.request;
    if iat > now + SKEW_SECS {
        return Err(same(
            "request_in_future",
            "The request's time lies in the future: check this device's clock.",
        ));
    }
    if now > exp {
        return Err(same("request_expired", "The request has expired."));
    }
    Ok(open)
}

/// Checks a request of any age: signatures by these keys, strictness, and that all parts speak of the same.
pub fn read_request_bundle(
    request_jws: &str,
    ask_jws: &str,
    operation_bytes: &[u8],
    server: &ServerId,
    server_keys: &[PublicKey],
    pep_keys: &[(PepId, PublicKey)],
) -> Result<OpenRequest, Refusal> {
    let operation = read_operation(operation_bytes)?;
    let keys = Keys {
        server,
        server_keys,
        pep_keys,
    };
    let open = open(operation, ask_jws, request_jws, Some(&keys))?;
    not_below_the_ask(&open)?;
    Ok(open)
}

/// Keys for the parts that server and gate sign.
pub(super) struct Keys<'a> {
    pub(super) server: &'a ServerId,
    pub(super) server_keys: &'a [PublicKey],
    pub(super) pep_keys: &'a [(PepId, PublicKey)],
}

/// Step 1, as far as the bytes go.
pub(super) fn read_operation(bytes: &[u8]) -> Result<Operation, Refusal> {
    Operation::parse(bytes).map_err(|error| {
        let sentence = format!(
            "The operation is refused by the rule `{}`: {error}.",
            error.rule()
        );
        Refusal::new(StepId::Operation, "operation_unreadable", sentence)
    })
}

pub(super) fn decode(text: &str, step: StepId, what: &str) -> Result<Vec<u8>, Refusal> {
    b64u_decode(text).map_err(|_| {
        Refusal::new(
            step,
            "not_base64url",
            format!("The {what} is not canonical base64url."),
        )
    })
}

/// Step 2 for ask and request. Without keys the signatures are not looked at: for
/// [`super::check_consistency`] only, which proves nothing and says so.
pub(super) fn open(
    operation: Operation,
    ask_jws: &str,
    request_jws: &str,
    keys: Option<&Keys<'_>>,
) -> Result<OpenRequest, Refusal> {
    let (ask, request) = match keys {
        Some(Keys {
            server_keys,
            pep_keys,
            ..
        }) => (
            by_one_of(ask_jws, pep_keys.iter().map(|(_, key)| key), &ASK)?,
            by_one_of(request_jws, server_keys.iter(), &REQUEST)?,
        ),
        None => (unsigned(ask_jws, &ASK)?, unsigned(request_jws, &REQUEST)?),
    };
    let request_jws_digest = jws_digest(request_jws);
    let (ask_jws, request_jws) = (ask_jws.to_owned(), request_jws.to_owned());
    let open = OpenRequest {
        operation,
        ask,
        request,
        ask_jws,
        request_jws,
        request_jws_digest,
    };
    if let Some(keys) = keys {
        let (ask_kid, _) = Ask::unverified(&open.ask_jws).map_err(|error| {
            let sentence = format!("The gate's ask is refused: {error}.");
            same(ASK.unreadable, sentence)
        })?;
        by_the_right_party(&open, &ask_kid, keys)?;
    }
    speak_of_the_same(&open)?;
    Ok(open)
}

/// A signature that verifies is not enough: this gate's key must not speak for another gate.
fn by_the_right_party(open: &OpenRequest, ask_kid: &str, keys: &Keys<'_>) -> Result<(), Refusal> {
    Check::RequestServer.that(
        open.request.iss == *keys.server,
        "The request is from another server.",
    )?;
    let mut keys = keys.pep_keys.iter();
    Check::AskGate.that(
        keys.any(|(pep, key)| *pep == open.ask.iss && key.thumbprint() == ask_kid),
        "The ask is signed by the key of another gate than it names.",
    )
}

fn speak_of_the_same(open: &OpenRequest) -> Result<(), Refusal> {
    let OpenRequest {
        operation,
        ask,
        request,
        ..
    } = open;
    Check::AskServer.that(ask.aud == request.iss, "The ask is for another server.")?;
    Check::RequestGate.that(
        ask.iss == request.pep,
        "Ask and request name different gates.",
    )?;
    Check::OperationGate.that(
        ask.iss == *operation.pep(),
        "Ask and operation name different gates.",
    )?;
    Check::AskOperation.that(
        ask.operation_digest == operation.digest(),
        "The ask is about another operation.",
    )?;
    Check::RequestOperation.that(
        request.operation_digest == operation.digest(),
        "The request is about another operation.",
    )?;
    Check::RequestAsk.that(
        request.ask_digest == jws_digest(&open.ask_jws),
        "The request is about another ask.",
    )?;
    Check::Requester.that(
        request.sub_id == *operation.subject(),
        "The request names another requester than the operation.",
    )?;
    Check::AskTimes.that(
        request.iat < request.exp && ask.iat < ask.exp,
        "Ask or request ends before it begins.",
    )?;
    Check::RequestInAsk.that(
        request.iat <= ask.exp + SKEW_SECS && request.iat >= ask.iat - SKEW_SECS,
        "The request was not made while the ask was good.",
    )
}

/// The part of step 3 that needs no policy: the server did not lower what the gate asked for.
pub(super) fn not_below_the_ask(open: &OpenRequest) -> Result<(), Refusal> {
    let laxer = open.ask.requirement.covers(&open.request.requirement).err();
    Check::Ask.that_or(laxer.is_none(), || {
        let laxer = laxer.map_or_else(String::new, |laxer| laxer.to_string());
        format!("The server's request demands less than the gate asked for: {laxer}.")
    })
}

/// How a kind of document is read, and how its refusals are called.
pub(super) struct Kind<T> {
    pub(super) what: &'static str,
    pub(super) unverified: fn(&str) -> Result<(String, T), DocumentError>,
    pub(super) verify: fn(&str, &PublicKey) -> Result<T, DocumentError>,
    pub(super) unreadable: &'static str,
    pub(super) key_unknown: &'static str,
    pub(super) signature: Check,
}

const ASK: Kind<Ask> = Kind {
    what: "gate's ask",
    unverified: Ask::unverified,
    verify: Ask::verify,
    unreadable: "ask_unreadable",
    key_unknown: "ask_key_unknown",
    signature: Check::AskSignature,
};

const REQUEST: Kind<Request> = Kind {
    what: "server's request",
    unverified: Request::unverified,
    verify: Request::verify,
    unreadable: "request_unreadable",
    key_unknown: "request_key_unknown",
    signature: Check::RequestSignature,
};

pub(super) fn unsigned<T>(compact: &str, kind: &Kind<T>) -> Result<T, Refusal> {
    let (_, document) = (kind.unverified)(compact).map_err(|error| {
        same(
            kind.unreadable,
            format!("The {} is refused: {error}.", kind.what),
        )
    })?;
    Ok(document)
}

pub(super) fn by_one_of<'k, T>(
    compact: &str,
    mut keys: impl Iterator<Item = &'k PublicKey>,
    kind: &Kind<T>,
) -> Result<T, Refusal> {
    let unreadable = |error: DocumentError| {
        same(
            kind.unreadable,
            format!("The {} is refused: {error}.", kind.what),
        )
    };
    let (kid, _) = (kind.unverified)(compact).map_err(unreadable)?;
    let key = keys.find(|key| key.thumbprint() == kid).ok_or_else(|| {
        same(
            kind.key_unknown,
            format!(
                "The {} is signed by a key that is not configured here.",
                kind.what
            ),
        )
    })?;
    match (kind.verify)(compact, key) {
        Err(error) if error.is_signature() => {
            kind.signature.that_or(false, || {
                format!("The signature of the {} is wrong.", kind.what)
            })?;
            unsigned(compact, kind)
        }
        read => read.map_err(unreadable),
    }
}

pub(super) fn same(code: &'static str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(StepId::Sameness, code, sentence)
}
