//! What a notification needs to know of a request beside its row: who asks, how much it presses, and what the policy
//! lets a button do. Only of requests that verify, and from memory: no server is asked.

use countersign_api::ipc::Line;
use countersign_model::{Digest, MatchWords, NotifyButtons, ReasonRule, Requirement, StepUp};

use crate::approver::Approver;
use crate::item::Item;
use crate::wire;

/// A request in brief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// Names the requester, and nobody else: a digest over issuer and subject.
    pub requester: String,
    /// The requester's groups, as the provider states them.
    pub groups: Vec<Line>,
    /// The policy calls it urgent.
    pub urgent: bool,
    /// What a button of a notification may do.
    pub buttons: Buttons,
    /// Of the card: what a vote by a button commits to.
    pub display_digest: String,
}

/// What a button of a notification may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buttons {
    /// Nothing but open the request.
    None,
    /// Deny it.
    Deny,
    /// Deny it, and approve it.
    Both,
}

impl Buttons {
    /// What the policy allows, less what a button cannot carry: words, a reason, a sign-in, being held. Never approve
    /// alone: that would invite.
    fn of(requirement: &Requirement) -> Self {
        let can_deny = match requirement.reason {
            ReasonRule::Optional => true,
            ReasonRule::OnDeny | ReasonRule::Always => false,
        };
        let can_approve = can_deny
            && requirement.step_up == StepUp::None
            && requirement.match_words == MatchWords::None
            && !requirement.hold;
        match requirement.notify_buttons {
            NotifyButtons::Both if can_approve => Self::Both,
            NotifyButtons::Both | NotifyButtons::Deny if can_deny => Self::Deny,
            NotifyButtons::Both | NotifyButtons::Deny | NotifyButtons::None => Self::None,
        }
    }
}

impl Approver {
    /// A request that waits for this person, in brief. `None` where it does not wait, or does not verify.
    #[must_use]
    pub fn brief(&self, txn: &str) -> Option<Brief> {
        let item = self.inner.session()?.item(txn)?;
        item.is_for_me().then(|| of(&item)).flatten()
    }
}

fn of(item: &Item) -> Option<Brief> {
    let genuine = item.genuine().ok()?;
    let subject = genuine.open.operation().subject();
    let who = wire::identity(genuine.render().who);
    let requirement = &genuine.open.request().requirement;
    let groups = who.claims.into_iter().find(|field| field.label == "groups");
    Some(Brief {
        requester: Digest::of(format!("{}\n{}", subject.iss.as_str(), subject.sub).as_bytes())
            .to_string(),
        groups: groups.map(|field| field.lines).unwrap_or_default(),
        urgent: requirement.urgent,
        buttons: Buttons::of(requirement),
        display_digest: genuine.display_digest.to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_button_does_only_what_takes_nothing_but_a_click() {
        for (member, value, buttons) in [
            ("urgent", json!(true), Buttons::Both),
            ("hold", json!(true), Buttons::Deny),
            ("match", json!("words"), Buttons::Deny),
            ("step_up", json!("oidc"), Buttons::Deny),
            ("step_up", json!("webauthn"), Buttons::Deny),
            ("notify_buttons", json!("deny"), Buttons::Deny),
            ("notify_buttons", json!("none"), Buttons::None),
            ("reason", json!("on_deny"), Buttons::None),
            ("reason", json!("always"), Buttons::None),
        ] {
            let mut requirement = json!({
                "by": "others", "approvals": 1, "step_up": "none", "match": "none", "fresh_claims_secs": 300,
                "reason": "optional", "notify_buttons": "both", "ttl_secs": 900, "grant_secs": 120,
            });
            requirement[member] = value.clone();
            let requirement = Requirement::from_value(&requirement).unwrap();
            assert_eq!(Buttons::of(&requirement), buttons, "{member}: {value}");
        }
    }
}
