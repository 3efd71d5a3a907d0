//! A person's devices, and revoking one: its votes that are not yet redeemed are void (protocol, section 8).

use std::collections::BTreeMap;

use countersign_api::http::{BindingList, BindingView};
use countersign_api::stream::ServerBody;
use countersign_evidence::documents::Statement;
use countersign_model::Digest;
use countersign_store::{BindingRow, Conflict, Tx, Write};
use serde_json::json;

use super::App;
use super::about::Loaded;
use super::change::{entry_of, publish};
use super::token::Approver;
use crate::refused::{Kind, Refused};

/// Requests whose votes are voided in one go.
const BATCH: usize = 100;

impl App {
    /// The live ones.
    pub(crate) async fn bindings(&self, approver: &Approver) -> Result<BindingList, Refused> {
        let person = &approver.binding.person;
        let rows = self.store.bindings_of(person, self.now()).await?;
        let voted: BTreeMap<_, _> = self.store.last_votes(person).await?.into_iter().collect();
        let bindings = rows
            .into_iter()
            .map(|row| BindingView {
                binding_id: row.id.to_string(),
                device_name: row.device_name,
                bound_at: row.bound_at.0,
                session_ends_at: row.session_ends_at.0,
                alg: Statement::from_bytes(&row.cic)
                    .ok()
                    .map(|statement| statement.key.alg().as_str().to_owned()),
                voted_at: voted.get(&row.id).map(|at| at.0),
            })
            .collect();
        Ok(BindingList { bindings })
    }

    /// Revokes one of their own. Once it is revoked, again is the same answer.
    pub(crate) async fn revoke(&self, approver: &Approver, id: Digest) -> Result<(), Refused> {
        let person = &approver.binding.person;
        let Some(row) = self
            .store
            .binding(id)
            .await?
            .filter(|row| row.person == *person)
        else {
            return Err(Refused::new(
                Kind::NotFound,
                "not_found",
                "You have no such device.",
            ));
        };
        self.end_binding(&row, Some(approver.binding.id)).await
    }

    /// Ends a binding, by the call of this device of its person, or of somebody else.
    pub(crate) async fn end_binding(
        &self,
        row: &BindingRow,
        by: Option<Digest>,
    ) -> Result<(), Refused> {
        let (now, id, person) = (self.now(), row.id, &row.person);
        if row.revoked_at.is_none() {
            let mut tx = Tx::new();
            tx.push(Write::RevokeBinding { id, at: now });
            if by != Some(id) {
                // A device was lost: a sign-in that is under way on it must not count any more.
                tx.push(Write::RevokePerson {
                    person: person.clone(),
                    at: now,
                });
            }
            let by = if by.is_some() {
                "owner"
            } else {
                "administrator"
            };
            let detail = json!({ "binding": id.to_string(), "by": by });
            tx.push(entry_of(now, None, "binding-revoked", &detail));
            let revoked = ServerBody::BindingRevoked {
                binding_id: id.to_string(),
            };
            tx.push(publish(now, None, Some(person), &revoked));
            match self.commit(tx).await? {
                Ok(()) | Err(Conflict::Revoked) => {}
                Err(_) => return Err(App::contended()),
            }
        }
        self.sockets.revoked(id);
        // CRASH: between the revocation and this, the job finds what is left; meanwhile nothing of it redeems.
        self.void_revoked().await
    }

    /// Ends every live vote that stands on a revoked binding.
    pub(crate) async fn void_revoked(&self) -> Result<(), Refused> {
        loop {
            let found = self.store.with_revoked_votes(BATCH).await?;
            let all = found.len();
            for row in found {
                self.void_in(self.papers.load(row)?).await?;
            }
            if all < BATCH {
                return Ok(());
            }
        }
    }

    async fn void_in(&self, loaded: Loaded) -> Result<(), Refused> {
        for vote in loaded.row.state.votes() {
            let revoked = self
                .store
                .binding(vote.binding)
                .await?
                .is_none_or(|binding| binding.revoked_at.is_some());
            if !revoked {
                continue;
            }
            // A conflict is somebody else's step; who still stands on a revoked binding is found again.
            self.void(&loaded, vote).await?;
            return Ok(());
        }
        // Its vote was superseded by a deny, or belongs to no count: only the mark is left to clear.
        let counted: Vec<Digest> = loaded
            .row
            .state
            .votes()
            .iter()
            .map(|vote| vote.digest)
            .collect();
        let mut tx = Tx::new();
        for vote in loaded
            .row
            .votes
            .iter()
            .filter(|vote| !counted.contains(&vote.digest))
        {
            tx.push(Write::EndVote {
                request: loaded.row.key,
                vote: vote.digest,
            });
        }
        let _ = self.commit(tx).await?;
        Ok(())
    }
}
