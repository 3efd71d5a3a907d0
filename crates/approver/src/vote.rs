//! A vote: what is signed is what was shown, once (protocol, section 5).

use countersign_api::http::{Locked, RequestState};
use countersign_api::ipc::{Choice, Problem, ProblemCode};
use countersign_client::ApiError;
use countersign_display::RENDERER;
use countersign_evidence::documents::{DisplayDigest, Vote, vote};
use countersign_model::{Digest, MatchWords, ReasonRule, UnixSecs, b64u};
use serde::{Deserialize, Serialize};

use crate::item::{Genuine, Item, Stage, ended};
use crate::kept::{Account, Secrets};
use crate::problem::{is_of_step_up, of_api, problem, sentence};

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub(crate) choice: Choice,
    pub(crate) reason: Option<String>,
    pub(crate) words: Option<Vec<String>>,
    /// Of the card that was on screen.
    pub(crate) display_digest: String,
}

/// Checks a wish against the request as it stands now, and gives what goes into the vote beside the request.
///
/// # Errors
/// [`ProblemCode::NotGenuine`] when what would be signed is not what was shown; otherwise what is lacking.
pub(crate) fn check<'a>(
    wish: &Wish,
    shown: Option<&Item>,
    now: &'a Item,
    me: &Account,
) -> Result<(&'a Genuine, Said), Problem> {
    let genuine = now.genuine()?;
    let supersedes = match (now.state, now.locked) {
        (RequestState::Pending, None) => None,
        (RequestState::Pending | RequestState::Approved, Some(_))
            if wish.choice == Choice::Deny && now.can_be_taken_back(&me.subject) =>
        {
            genuine.approved_by(&me.subject)
        }
        (RequestState::Pending, Some(Locked::OwnRequest)) => {
            return Err(problem(
                ProblemCode::Forbidden,
                "You asked for this yourself: somebody else decides.",
            ));
        }
        (RequestState::Pending, Some(Locked::NotEligible)) => {
            return Err(problem(
                ProblemCode::Forbidden,
                "The policy does not let you vote on this.",
            ));
        }
        (RequestState::Pending, Some(Locked::Voted)) => {
            return Err(problem(ProblemCode::Forbidden, "You have voted."));
        }
        (RequestState::Pending, Some(Locked::NotYet)) => {
            return Err(problem(
                ProblemCode::Forbidden,
                "Others vote first. You are told when it is your turn.",
            ));
        }
        (state, _) => return Err(problem(ProblemCode::Closed, ended(state))),
    };
    let shown = shown.and_then(|shown| shown.genuine().ok());
    let same_request =
        shown.is_none_or(|shown| shown.open.request_jws() == genuine.open.request_jws());
    if !same_request || genuine.display_digest.to_string() != wish.display_digest {
        return Err(problem(
            ProblemCode::NotGenuine,
            "What the server sends now is not what was shown. Nothing was signed. Read the card again.",
        ));
    }
    let requirement = &genuine.open.request().requirement;
    let reason = wish
        .reason
        .as_deref()
        .map(str::trim)
        .filter(|reason| !reason.is_empty());
    if reason.is_some_and(|reason| reason.len() > vote::MAX_REASON_BYTES) {
        return Err(problem(
            ProblemCode::Other,
            "The reason is too long. Shorten it.",
        ));
    }
    let reason_needed = match requirement.reason {
        ReasonRule::Optional => false,
        ReasonRule::OnDeny => wish.choice == Choice::Deny,
        ReasonRule::Always => true,
    };
    if reason_needed && reason.is_none() {
        return Err(problem(
            ProblemCode::Other,
            "The policy wants a reason with this vote. Give one.",
        ));
    }
    let match_words = match (requirement.match_words, wish.choice) {
        (MatchWords::Words, Choice::Approve) => {
            let words = genuine.open.words();
            let typed: Vec<String> = wish
                .words
                .iter()
                .flatten()
                .map(|word| word.trim().to_lowercase())
                .filter(|word| !word.is_empty())
                .collect();
            if typed != words {
                return Err(problem(
                    ProblemCode::WrongWords,
                    "These are not the two words in the requester's terminal. Ask the requester, and type them again.",
                ));
            }
            Some(words.join(" "))
        }
        (MatchWords::Words, Choice::Deny) | (MatchWords::None, _) => None,
    };
    Ok((
        genuine,
        Said {
            reason: reason.map(str::to_owned),
            match_words,
            supersedes,
            stage: now.stage.clone(),
        },
    ))
}

/// What a vote says beside its choice.
#[derive(Debug)]
pub(crate) struct Said {
    reason: Option<String>,
    match_words: Option<String>,
    supersedes: Option<Digest>,
    stage: Option<Stage>,
}

/// Signs. Every member comes from the verified request, the account, or the person.
pub(crate) fn sign(
    genuine: &Genuine,
    challenge: &str,
    choice: Choice,
    said: Said,
    (account, secrets): (&Account, &Secrets),
    consent_jkt: Option<Digest>,
    now: UnixSecs,
) -> Result<String, Problem> {
    let Said {
        reason,
        match_words,
        supersedes,
        stage,
    } = said;
    let (stage, prior) = match stage {
        Some(Stage { name, prior }) => (Some(name), prior),
        None => (None, Vec::new()),
    };
    let request = genuine.open.request();
    let damaged = |_| {
        problem(
            ProblemCode::Keyring,
            "The key of this device is damaged. Sign in again.",
        )
    };
    let vote = Vote {
        key_thumbprint: Digest::parse(&secrets.device.public().thumbprint()).map_err(damaged)?,
        sub_id: account.subject.clone(),
        server: account.server.clone(),
        pep: request.pep.clone(),
        jti: b64u(&rand::random::<[u8; 16]>()),
        iat: now,
        exp: request.exp,
        txn: request.txn.clone(),
        vote: match choice {
            Choice::Approve => vote::Choice::Approve,
            Choice::Deny => vote::Choice::Deny,
        },
        operation_digest: genuine.open.operation().digest(),
        request_jws_digest: genuine.open.request_jws_digest(),
        nonce: challenge.to_owned(),
        binding_id: account.binding,
        policy_digest: request.policy_digest,
        stage,
        prior,
        consent_jkt,
        display: DisplayDigest {
            renderer: RENDERER.to_owned(),
            sha256: genuine.display_digest,
        },
        reason,
        match_words,
        supersedes,
    };
    Ok(vote.sign(&secrets.device))
}

/// What a refused vote means to the person.
pub(crate) fn refused(error: &ApiError) -> Problem {
    if matches!(error, ApiError::Conflict { .. }) && error.code() == "already_voted" {
        let sentence = "You have voted on this already, perhaps on another device.";
        return problem(ProblemCode::Forbidden, sentence);
    }
    if is_of_step_up(error) {
        return problem(ProblemCode::Other, sentence(&error.to_string()));
    }
    of_api(error)
}
