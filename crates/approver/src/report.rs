//! The report of verifying evidence on this device, step by step.

use countersign_api::ipc::{Conclusion, Step, StepOutcome, VerifyReport};
use countersign_evidence::Evidence;
use countersign_evidence::verify::{self, Outcome, Refusal, StepId, Trust, Verified};
use countersign_model::UnixSecs;

/// Steps that a history can speak of. Single use and execution are the gate's alone.
const STEPS: [StepId; 8] = [
    StepId::Operation,
    StepId::Sameness,
    StepId::Requirement,
    StepId::Votes,
    StepId::Bindings,
    StepId::StepUp,
    StepId::People,
    StepId::Log,
];

/// Verifies, and tells about each step.
pub(crate) fn report(
    evidence: &Evidence,
    trust: &Trust<'_>,
    now: UnixSecs,
    millis: impl FnOnce() -> u32,
) -> VerifyReport {
    match verify::verify(evidence, trust, None, now) {
        Ok(verified) => good(&verified, millis()),
        Err(refusal) => bad(&refusal, millis()),
    }
}

fn good(verified: &Verified, millis: u32) -> VerifyReport {
    let (conclusion, sentence) = if verified.complete() {
        (
            Conclusion::Proven,
            "Everything holds, by keys that this device got itself.",
        )
    } else {
        (
            Conclusion::Consistent,
            "Nothing contradicts, but not all of it can be proven on this device. An auditor with the policy and everybody's sign-ins can prove it.",
        )
    };
    VerifyReport {
        conclusion,
        sentence: sentence.to_owned(),
        steps: verified.steps().iter().map(step).collect(),
        millis,
    }
}

fn bad(refusal: &Refusal, millis: u32) -> VerifyReport {
    let mut steps: Vec<Step> = refusal.passed.iter().map(step).collect();
    steps.push(Step {
        title: refusal.step.title().to_owned(),
        outcome: StepOutcome::Failed,
        detail: refusal.sentence.clone(),
    });
    steps.extend(
        STEPS
            .iter()
            .filter(|id| **id > refusal.step)
            .map(|id| Step {
                title: id.title().to_owned(),
                outcome: StepOutcome::NotReached,
                detail: String::new(),
            }),
    );
    VerifyReport {
        conclusion: Conclusion::Failed,
        sentence: format!("The evidence does not hold. {}", refusal.sentence),
        steps,
        millis,
    }
}

fn step(step: &verify::Step) -> Step {
    let verify::Step {
        id: _,
        title,
        outcome,
        detail,
    } = step;
    let (outcome, detail) = match outcome {
        Outcome::Passed => (StepOutcome::Passed, detail),
        Outcome::NotApplicable(why) => (StepOutcome::NotApplicable, why),
        Outcome::NotProven(what) => (StepOutcome::NotProven, what),
    };
    Step {
        title: (*title).to_owned(),
        outcome,
        detail: detail.clone(),
    }
}

/// For a request that nobody's approval ended: there is no grant to prove, only that the request is genuine.
pub(crate) fn without_grant(how: &str, millis: u32) -> VerifyReport {
    let step = |id: StepId, outcome, detail: &str| Step {
        title: id.title().to_owned(),
        outcome,
        detail: detail.to_owned(),
    };
    let steps = STEPS
        .iter()
        .map(|id| match id {
            StepId::Operation => step(*id, StepOutcome::Passed, ""),
            StepId::Sameness => step(
                *id,
                StepOutcome::Passed,
                "Ask and request; there is no grant.",
            ),
            StepId::Requirement
            | StepId::Votes
            | StepId::Bindings
            | StepId::StepUp
            | StepId::People
            | StepId::Log
            | StepId::SingleUse
            | StepId::Execution => step(
                *id,
                StepOutcome::NotApplicable,
                "There is no grant to prove.",
            ),
        })
        .collect();
    VerifyReport {
        conclusion: Conclusion::Consistent,
        sentence: format!("{how} So there is no grant to prove; the request itself is genuine."),
        steps,
        millis,
    }
}
