//! Evidence: to the gate in full, to auditors in full, to other approvers without others' tokens.

use countersign_evidence::verify::StepUpEvidence;
use countersign_evidence::{Evidence, EvidenceVote};
use countersign_lifecycle::State;
use countersign_model::{Txn, b64u, json};
use countersign_store::{RequestRow, VoteRow};

use super::App;
use super::about::{Viewer, may_see};
use crate::refused::Refused;

/// Everything that proves the grant, where there is one.
pub(crate) fn evidence_of(row: &RequestRow) -> Option<Evidence> {
    let votes = match &row.state {
        State::Approved(it) => &it.votes,
        State::Redeemed(it) => &it.votes,
        State::Pending(_)
        | State::Denied(_)
        | State::Expired(_)
        | State::Withdrawn(_)
        | State::Voided(_) => {
            return None;
        }
    };
    // In the order in which the grant names them.
    let votes = votes
        .iter()
        .map(|counted| {
            row.votes
                .iter()
                .find(|vote| vote.digest == counted.digest)
                .map(evidence_vote)
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Evidence {
        operation_b64: b64u(&row.operation),
        ask_jws: row.ask_jws.clone(),
        request_jws: row.request_jws.clone(),
        grant: row.grant_jws.clone()?,
        votes,
    })
}

fn evidence_vote(vote: &VoteRow) -> EvidenceVote {
    EvidenceVote {
        jws: vote.jws.clone(),
        cic: b64u(&vote.cic),
        id_token: Some(vote.id_token.clone()),
        claims_token: vote.claims_token.clone(),
        step_up: vote.step_up.as_deref().and_then(read_step_up),
    }
}

/// What a vote was confirmed by, as it was kept.
pub(crate) fn read_step_up(text: &str) -> Option<StepUpEvidence> {
    let value = json::parse(text.as_bytes(), json::DOCUMENT).ok()?;
    StepUpEvidence::from_value(&value).ok()
}

impl App {
    /// The evidence of a request, as this person may have it.
    pub(crate) async fn evidence(&self, viewer: &Viewer, txn: &Txn) -> Result<Evidence, Refused> {
        let loaded = self.load(txn, self.now()).await?;
        let auditor = !viewer.voter.groups.is_disjoint(&self.config.auditors);
        if !auditor && !may_see(&*self.policy(), viewer, &loaded.about) {
            return Err(Refused::not_found());
        }
        let mut evidence = evidence_of(&loaded.row).ok_or_else(|| {
            Refused::conflict(
                "no_evidence",
                "There is no grant on this request, so nothing that proves one.",
            )
        })?;
        if !auditor {
            // Each vote's person, by the rows that the evidence was made of.
            for vote in &mut evidence.votes {
                let own = loaded
                    .row
                    .votes
                    .iter()
                    .any(|row| row.jws == vote.jws && row.person == viewer.voter.subject);
                if !own {
                    vote.id_token = None;
                    vote.claims_token = None;
                    vote.step_up = None;
                }
            }
        }
        Ok(evidence)
    }
}
