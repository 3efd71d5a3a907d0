//! Being away: what the window asks and shows. It informs and routes, and changes nobody's right to vote.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Line;

/// The person is away, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Away {
    /// Unix seconds.
    #[ts(type = "number")]
    pub from: i64,
    /// It ends by itself then. Unix seconds.
    #[ts(type = "number")]
    pub until: i64,
}

/// The absence of one account's person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct AbsenceView {
    /// Unix seconds.
    #[ts(type = "number")]
    pub from: i64,
    /// Unix seconds.
    #[ts(type = "number")]
    pub until: i64,
    /// Whom they named.
    pub stand_in: Option<Colleague>,
    /// The policy lets that person vote today still: else nobody is told of them, and another should be named.
    pub stand_in_eligible: bool,
}

/// Somebody who may stand in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Colleague {
    /// Names them in [`super::Call::SetAbsence`].
    pub id: String,
    /// As their provider states it.
    pub name: Line,
    /// Their provider.
    pub issuer: Line,
    /// Two letters for the face.
    pub initials: String,
    /// What they may vote on, of [`super::Reply::Absence`]'s `resources`.
    pub resources: Vec<Line>,
}

/// On a card: somebody who may vote on it and is away. The words are the window's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct AwayLine {
    /// As their provider states it.
    pub name: Line,
    /// Until when. Unix seconds.
    #[ts(type = "number")]
    pub until: i64,
    /// Whom they named, where that person may vote on this very request.
    pub stand_in: Option<Line>,
    /// That is the person at this window: "Elin Varga is away until … and named you".
    pub names_you: bool,
}
