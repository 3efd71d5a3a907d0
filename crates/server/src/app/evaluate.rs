//! AuthZEN evaluation: what the policy says, and how to ask where asking is possible.

use countersign_api::http::{AccessRequest, EvaluationAnswer, EvaluationContext};
use countersign_evidence::op_token::{OpRole, OpStepUp};
use countersign_model::{Digest, Nonce, Operation, PepId, PolicyAnswer, Requirement, StepUp, json};
use serde_json::{Value, json};

use super::App;
use crate::config::ProviderConfig;
use crate::refused::Refused;
use crate::secrets::EVALUATION_SECS;

/// The members of AuthZEN's tuple.
#[derive(Debug, Clone)]
pub(crate) struct Tuple {
    pub(crate) subject: Value,
    pub(crate) action: Value,
    pub(crate) resource: Value,
    pub(crate) context: Value,
}

impl Tuple {
    /// The operation, where the tuple is whole.
    pub(crate) fn operation(&self) -> Result<Operation, Refused> {
        let Tuple {
            subject,
            action,
            resource,
            context,
        } = self;
        let value = json!({ "subject": subject, "action": action, "resource": resource, "context": context });
        Operation::build(value).map_err(|error| Refused::malformed(error.rule(), error.to_string()))
    }

    /// A stock AuthZEN PEP sends no nonce, and context of its own: policy is asked about the rest.
    fn evaluated(&self, pep: &PepId) -> Result<Operation, Refused> {
        if self.context.get("nonce").is_some() {
            return self.operation();
        }
        let nonce = Nonce::from_bytes(rand::random());
        let mut context = json!({ "pep": pep.as_str(), "nonce": nonce.as_str() });
        for known in ["justification", "ticket"] {
            if let Some(value) = self.context.get(known) {
                context[known] = value.clone();
            }
        }
        Tuple {
            context,
            ..self.clone()
        }
        .operation()
    }

    /// What a denial is named for: the context may gain a justification until it is submitted.
    pub(crate) fn asked(&self, pep: &PepId) -> Digest {
        let Tuple {
            subject,
            action,
            resource,
            context: _,
        } = self;
        Digest::tagged(
            pep.as_str(),
            &json::canonical(&json!([subject, action, resource])),
        )
    }
}

/// Says no, with a reason for programs.
pub(crate) fn no(reason: &str, next_action: &str) -> EvaluationAnswer {
    EvaluationAnswer {
        decision: false,
        context: Some(EvaluationContext {
            reason: Some(reason.to_owned()),
            next_action: Some(next_action.to_owned()),
            ..EvaluationContext::default()
        }),
    }
}

impl App {
    /// What the policy says about a tuple that this PEP evaluates.
    pub(crate) fn evaluate(&self, pep: &PepId, tuple: &Tuple) -> Result<EvaluationAnswer, Refused> {
        let operation = tuple.evaluated(pep)?;
        if operation.pep() != pep {
            return Err(Refused::forbidden(
                "other_pep",
                "The operation names another gate.",
            ));
        }
        if !self
            .pep(pep)?
            .may_ask(operation.action(), operation.resource_type())
        {
            return Ok(no("policy_denied", "none"));
        }
        Ok(match self.policy().answer(&operation) {
            PolicyAnswer::Allow => EvaluationAnswer {
                decision: true,
                context: None,
            },
            PolicyAnswer::Deny { .. } => no("policy_denied", "none"),
            PolicyAnswer::Approve(requirement) => match self.unsupported(&requirement) {
                Some(_) => no("policy_denied", "none"),
                None => self.requestable(pep, tuple, None),
            },
        })
    }

    /// A requestable denial.
    pub(crate) fn requestable(
        &self,
        pep: &PepId,
        tuple: &Tuple,
        reason: Option<&str>,
    ) -> EvaluationAnswer {
        let until = self.now() + i64::from(EVALUATION_SECS);
        EvaluationAnswer {
            decision: false,
            context: Some(EvaluationContext {
                access_request: Some(AccessRequest {
                    endpoint: self.url("/access/v1/requests"),
                    evaluation_id: self.secrets.evaluation_id(tuple.asked(pep), until),
                    expires_at: until.0,
                }),
                reason: reason.map(str::to_owned),
                next_action: Some("request".to_owned()),
                ..EvaluationContext::default()
            }),
        }
    }

    /// What nobody here can do is not asked of anybody: a request that can never be approved is a denial.
    pub(crate) fn unsupported(&self, requirement: &Requirement) -> Option<&'static str> {
        let steps_up = |it: &ProviderConfig| {
            it.op.roles.contains(&OpRole::Approver) && it.op.step_up == OpStepUp::Oidc
        };
        match requirement.step_up {
            StepUp::Oidc if !self.config.providers.iter().any(steps_up) => {
                Some("a fresh sign-in for each vote, which no provider here can do")
            }
            StepUp::Oidc | StepUp::Webauthn | StepUp::None => None,
        }
    }
}
