//! Stages, where the requirement has them: each vote says which it is for, and on which votes of the stage before
//! it is built. Part of step 4. Specification: `docs/spec/vote.md`, "Stages".

use countersign_model::{Digest, Requirement};

use super::vote::ReadVote;
use super::{Before, Refusal};
use crate::check::Check;
use crate::documents::{Choice, Vote};

/// A vote on which another may be built.
pub(super) struct Earlier<'v> {
    digest: Digest,
    stage: Option<&'v str>,
}

impl<'v> Earlier<'v> {
    pub(super) fn of_before(before: &'v Before) -> Self {
        Self {
            digest: before.digest,
            stage: before.stage.as_deref(),
        }
    }

    pub(super) fn of_read(read: &'v ReadVote) -> Self {
        Self {
            digest: read.digest,
            stage: read.vote.stage.as_deref(),
        }
    }
}

/// A deny closes the request, on whatever votes; an approve of a stage needs the stage before to be complete in
/// what it names.
pub(super) fn check(
    vote: &Vote,
    requirement: &Requirement,
    others: &[Earlier<'_>],
) -> Result<(), Refusal> {
    let stages = &requirement.stages;
    let place = stages
        .iter()
        .position(|stage| vote.stage.as_ref() == Some(&stage.name));
    let named = if stages.is_empty() {
        vote.stage.is_none() && vote.prior.is_empty()
    } else {
        place.is_some()
    };
    Check::StageNamed.that(
        named,
        "A vote names no stage of the requirement, or one where there are none.",
    )?;
    if vote.vote == Choice::Deny {
        return Ok(());
    }
    let Some(place) = place else {
        return Ok(());
    };
    let before = place.checked_sub(1).and_then(|before| stages.get(before));
    let is_of_before = |digest: &&Digest| {
        others.iter().any(|other| {
            other.digest == **digest
                && before.is_some_and(|stage| other.stage == Some(&*stage.name))
        })
    };
    let found = vote.prior.iter().filter(is_of_before).count();
    Check::PriorKnown.that(
        found == vote.prior.len(),
        "A vote is built on votes that are not of the stage before its own.",
    )?;
    let needed = before.map_or(0, |stage| stage.approvals as usize);
    Check::PriorComplete.that_or(found >= needed, || {
        format!("A vote is built on {found} votes of the stage before; {needed} complete it.")
    })
}
