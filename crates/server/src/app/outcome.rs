//! What came of executing it, as the gate reports.

use countersign_api::http::Outcome;
use countersign_lifecycle::{Input, step};
use countersign_model::{Digest, PepId, Txn};
use countersign_store::Tx;

use super::change::{With, write_step};
use super::{App, Caller};
use crate::refused::Refused;

/// The longest report, in bytes.
const MAX_BYTES: usize = 8 * 1024;

impl App {
    /// Keeps the report. The same again is the same answer; another is refused.
    pub(crate) async fn report(
        &self,
        pep: &PepId,
        txn: &Txn,
        outcome: &Outcome,
    ) -> Result<(), Refused> {
        let text = serde_json::to_string(outcome)
            .map_err(|error| Refused::broken("an outcome does not serialize", &error))?;
        if text.len() > MAX_BYTES {
            let detail = format!("The report is longer than {MAX_BYTES} bytes.");
            return Err(Refused::malformed("outcome", detail));
        }
        let digest = Digest::of(text.as_bytes());
        for _ in 0..super::MAX_TRIES {
            let loaded = self.own(&Caller::Pep(pep.clone()), txn).await?;
            let now = self.now();
            let input = Input::ReportOutcome { outcome: digest };
            let next = step(&loaded.terms, loaded.row.state.clone(), input, now)?;
            let mut tx = Tx::new();
            let with = With {
                outcome: Some(text.clone()),
                ..With::default()
            };
            write_step(&mut tx, &loaded, &next, with, now);
            if self.commit(tx).await?.is_ok() {
                return Ok(());
            }
        }
        Err(App::contended())
    }
}
