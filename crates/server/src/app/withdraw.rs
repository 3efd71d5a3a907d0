//! Taking a request back: by the requester, or by the gate when its caller went away.

use countersign_api::http::Task;
use countersign_lifecycle::{Input, WithdrawnBy, step};
use countersign_model::Txn;
use countersign_store::Tx;

use super::about::name_of;
use super::change::{With, write_step};
use super::task::for_pep;
use super::{App, Caller};
use crate::refused::Refused;

impl App {
    /// Withdraws. Again is the same answer.
    pub(crate) async fn withdraw(&self, caller: &Caller, txn: &Txn) -> Result<Task, Refused> {
        for _ in 0..super::MAX_TRIES {
            let loaded = self.own(caller, txn).await?;
            let now = self.now();
            let by = match caller {
                Caller::Pep(_) => WithdrawnBy::Pep,
                Caller::Requester(_) => WithdrawnBy::Requester,
            };
            let next = step(
                &loaded.terms,
                loaded.row.state.clone(),
                Input::Withdraw { by },
                now,
            )?;
            let name = match by {
                WithdrawnBy::Requester => Some(name_of(
                    loaded.about.operation.claims(),
                    &loaded.terms.requester,
                )),
                WithdrawnBy::Pep => None,
            };
            let mut tx = Tx::new();
            write_step(
                &mut tx,
                &loaded,
                &next,
                With {
                    by: name,
                    ..With::default()
                },
                now,
            );
            if self.commit(tx).await?.is_ok() {
                let loaded = self.own(caller, txn).await?;
                return self.task(&loaded, for_pep(caller)).await;
            }
        }
        Err(App::contended())
    }
}
