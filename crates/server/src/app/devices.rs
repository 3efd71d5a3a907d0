//! Everybody's devices, for administrators: listed and revoked. Whoever is one, a provider's group says.

use countersign_api::http::{DeviceList, DeviceView};
use countersign_model::{Digest, Subject};

use super::App;
use super::about::{claims_of, name_of};
use crate::refused::{Kind, Refused};

/// Devices in one list.
const MAX_LISTED: usize = 500;

impl App {
    /// Live devices, newest first; of one person where one is named.
    pub(crate) async fn devices(&self, person: Option<&Subject>) -> Result<DeviceList, Refused> {
        let now = self.now();
        let rows = match person {
            Some(person) => self.store.bindings_of(person, now).await?,
            None => self.store.live_bindings(now, MAX_LISTED).await?,
        };
        let view = |row: countersign_store::BindingRow| DeviceView {
            name: claims_of(&row.id_token)
                .map(|claims| name_of(&claims, &row.person))
                .unwrap_or_default(),
            binding_id: row.id.to_string(),
            iss: row.person.iss.to_string(),
            sub: row.person.sub,
            device_name: row.device_name,
            bound_at: row.bound_at.0,
            session_ends_at: row.session_ends_at.0,
        };
        Ok(DeviceList {
            devices: rows.into_iter().map(view).collect(),
        })
    }

    /// Revokes anybody's device. Once it is revoked, again is the same answer.
    pub(crate) async fn revoke_any(&self, id: Digest) -> Result<(), Refused> {
        let row =
            self.store.binding(id).await?.ok_or_else(|| {
                Refused::new(Kind::NotFound, "not_found", "There is no such device.")
            })?;
        self.end_binding(&row, None).await
    }
}
