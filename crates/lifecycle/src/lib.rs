//! The approval as a state machine (protocol, sections 5.4, 6.9 and 8). Pure and total.
//!
//! [`step`] takes a state and an [`Input`] to the next state, with the [`Event`]s that become log entries and
//! the [`Effect`]s that become outbox rows, all in one transaction. Time is a parameter; [`advance`] is what
//! the passing of time alone does.
//!
//! It deliberately knows nothing of policy, keys or tokens: whether a vote is genuine and whether its person
//! may vote was settled before it comes here. It counts people, keeps order, and never changes a final state.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod input;
mod state;
mod step;

pub use input::{Choice, Effect, Event, Input, Refused};
pub use state::{
    Approved, CountedVote, Denied, Expired, Kind, Pending, Redeemed, State, Terms, Voided,
    Withdrawn, WithdrawnBy,
};
pub use step::{Step, advance, step};
