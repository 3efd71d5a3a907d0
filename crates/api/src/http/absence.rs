//! Being away: the approver's calls about it, and what others are told.

use serde::{Deserialize, Serialize};

/// The longest absence, and how far ahead it may begin, in seconds: 90 days.
pub const MAX_ABSENCE_SECS: i64 = 90 * 24 * 3600;
/// People who are named as away on one request.
pub const MAX_AWAY: usize = 10;

/// `GET`, and the answer to `PUT`: the signed-in person's own absence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsenceAnswer {
    /// Absent where they are not away, and will not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absence: Option<Absence>,
}

/// When somebody is away. It informs and routes: whoever is away may vote all the same, and whoever stands in votes
/// as themselves, where the policy lets them anyway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Unix seconds.
    pub from: i64,
    /// It ends by itself then. Unix seconds.
    pub until: i64,
    /// Whom they named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<StandIn>,
}

/// Whom somebody named for the time that they are away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandIn {
    /// Their issuer.
    pub iss: String,
    /// Their subject there.
    pub sub: String,
    /// Their name, as their provider states it.
    pub name: String,
    /// The policy lets them vote on something that this person may vote on, today still. Else nobody is told of them.
    pub eligible: bool,
}

/// `PUT` of an absence: replaces the one that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbsenceRequest {
    /// Unix seconds; what has passed counts as now.
    pub from: i64,
    /// Unix seconds.
    pub until: i64,
    /// One of [`ColleagueList`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<ColleagueRef>,
}

/// Names a colleague.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColleagueRef {
    /// Their issuer.
    pub iss: String,
    /// Their subject there.
    pub sub: String,
}

/// `GET`: others with a live device whom today's policy would let vote on what this person was asked about lately and
/// may vote on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColleagueList {
    /// By name, at most 200.
    pub colleagues: Vec<ColleagueView>,
    /// Everything that was looked at: what of it is not among a colleague's, that colleague may not vote on.
    pub resources: Vec<String>,
}

/// Somebody who may stand in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColleagueView {
    /// Their issuer.
    pub iss: String,
    /// Their subject there.
    pub sub: String,
    /// Their name, as their provider states it.
    pub name: String,
    /// What they may vote on, of [`ColleagueList::resources`].
    pub resources: Vec<String>,
}

/// Somebody who may vote on a request, and is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwayView {
    /// Their name, as their provider states it.
    pub name: String,
    /// Until when. Unix seconds.
    pub until: i64,
    /// Whom they named, where the policy lets that person vote on this request and they are not away themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<String>,
    /// That person is the one who reads this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub names_you: bool,
}
