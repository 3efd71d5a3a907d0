//! Cedar policies: which operations are allowed, denied, or allowed once approved, and who may vote.
//!
//! One file, one language, no second file to keep in step:
//!
//! ```cedar
//! @id("developers-delete-customers")
//! @approvals("2") @ttl("10m") @grant("2m") @reason("on_deny") @irreversible("Cannot be undone")
//! permit (principal, action == Action::"orders.customers.delete", resource)
//! when { principal.groups.contains("https://id.example.com#orders-dev") };
//!
//! @id("dba-vote") @people("database approvers")
//! permit (principal, action == Action::"vote", resource)
//! when { principal.groups.contains("https://id.example.com#dba") && resource.service == "orders-api" };
//! ```
//!
//! # Conventions, and why
//!
//! - **Actions are declared by being named in the scope of a permit**: `action == Action::"…"` or
//!   `action in [Action::"…"]`; there is no schema file to write. The price: a misspelt action in a permit declares
//!   a new one. That fails closed, since the operation that was meant is then one that no permit names, and is
//!   denied; a gate also compares its routes with [`Policy::actions`] when it starts. A forbid declares nothing
//!   (misspelt, it would forbid nothing): where no permit is meant to name the action, it says so twice, with
//!   `@never_permitted("…")`. An action in a *condition* has to be declared, also where a rule about votes compares
//!   `resource.action` with text; an operation whose action is not declared is denied.
//! - **Everything else is the built-in schema** (`schema.cedarschema`, commented), against which the policy
//!   validates strictly and without warnings. What it does not know (a claim, a property of a resource) is a
//!   tag, so that it is read only after asking whether it is there.
//! - **A permit without a requirement annotation allows; with one it allows once approved so.** Of several that
//!   apply the strictest of each field counts, defaults included, so a further permit never weakens a
//!   requirement; a plain permit does not lift an annotated one.
//! - **`Action::"vote"` says who may vote on what.** Such a permit must depend on the principal on every path.
//!   Nobody votes on their own request, whatever the policy says; quorum is counted elsewhere, over people.
//! - **Everything unclear is a denial**: an evaluation error (Cedar would skip that rule), requirements that
//!   nothing can meet together, an unknown annotation (refused when loading; Cedar would ignore it).
//!
//! - **What could never be met does not load**: approvals on which nobody may vote, a stage without voters, permits
//!   that always apply together and contradict each other.
//!
//! All annotations: `docs/POLICY.md`. Pure: no clock, no I/O. It knows nothing of lifecycles, signatures or the wire.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod annotations;
mod body;
mod check;
mod condition;
mod draft;
mod entities;
mod error;
mod explain;
mod facts;
mod index;
mod load;
mod merge;
mod policy;
mod schema;
mod sound;
mod validate;

pub use check::{Finding, GateFacts, ProviderFacts, Surroundings, Weight};
pub use entities::{Requester, Seen};
pub use error::LoadError;
pub use explain::{Asked, Explanation, RuleAt, Voters};
pub use load::MAX_POLICY_BYTES;
pub use policy::Policy;
