//! The person's devices: listed, and revoked one by one.

use countersign_api::http;
use countersign_api::ipc::{Device, Problem, ProblemCode};
use countersign_display::Role;
use countersign_model::Digest;

use crate::approver::Approver;
use crate::problem::{of_api, problem, signed_out};
use crate::wire;

impl Approver {
    /// This person's devices, newest first.
    ///
    /// # Errors
    /// As the server or the network has it.
    pub async fn devices(&self) -> Result<Vec<Device>, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        let list = session
            .call(|api| async move { api.bindings().await })
            .await
            .map_err(|error| of_api(&error))?;
        let mine = session.binding().to_string();
        Ok(list
            .bindings
            .into_iter()
            .map(|binding| {
                let http::BindingView {
                    binding_id,
                    device_name,
                    bound_at,
                    session_ends_at,
                    alg,
                    voted_at,
                } = binding;
                let this_device = binding_id == mine;
                let name = wire::safe(&device_name, Role::Name);
                Device {
                    binding_id,
                    name,
                    bound_at,
                    session_ends_at,
                    // Names of algorithms are short and plain: what is neither is not one.
                    key: alg.filter(|alg| {
                        alg.len() <= 16 && alg.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    }),
                    voted_at,
                    this_device,
                }
            })
            .collect())
    }

    /// Revokes one device of this person; this one by signing out.
    ///
    /// # Errors
    /// As the server or the network has it.
    pub async fn revoke_device(&self, binding_id: &str) -> Result<Vec<Device>, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        let binding = Digest::parse(binding_id)
            .map_err(|_| problem(ProblemCode::NotFound, "There is no such device."))?;
        if binding == session.binding() {
            self.sign_out().await?;
            return Ok(Vec::new());
        }
        session
            .call(|api| async move { api.revoke_binding(binding).await })
            .await
            .map_err(|error| of_api(&error))?;
        self.devices().await
    }
}
