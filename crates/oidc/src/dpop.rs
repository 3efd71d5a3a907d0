//! Proof of possession at the token endpoint (RFC 9449): the tokens that it gives are bound to a key of ours.

use std::sync::Arc;

use oauth2::{CsrfToken, HttpRequest, HttpResponse};

use countersign_evidence::{SecretKey, dpop};
use countersign_model::{Clock, UnixSecs};

use crate::error::OidcError;
use crate::http::Http;

/// A key, and the time that goes into each proof by it.
#[derive(Clone)]
pub(crate) struct Dpop {
    key: SecretKey,
    clock: Arc<dyn Clock>,
    /// The code that the proof names (Key Binding), where it names one.
    code: Option<String>,
}

impl Dpop {
    pub(crate) fn new(key: SecretKey, clock: Arc<dyn Clock>) -> Self {
        Self {
            key,
            clock,
            code: None,
        }
    }

    /// The same, for this code alone.
    pub(crate) fn for_code(self, code: &str) -> Self {
        Self {
            code: Some(code.to_owned()),
            ..self
        }
    }

    /// Sends a request of the `oauth2` crate with a proof; once more where the provider wants its nonce in it
    /// (RFC 9449, section 8), which uses up no code.
    pub(crate) async fn send(
        &self,
        http: &Http,
        request: HttpRequest,
    ) -> Result<(HttpResponse, Option<UnixSecs>), OidcError> {
        let again = request.clone();
        let first = http.oauth(self.signed(request, None)?).await?;
        let (response, _) = &first;
        let error: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let nonce = response
            .headers()
            .get("dpop-nonce")
            .and_then(|nonce| nonce.to_str().ok())
            .filter(|_| error["error"] == "use_dpop_nonce");
        match nonce {
            Some(nonce) => http.oauth(self.signed(again, Some(nonce))?).await,
            None => Ok(first),
        }
    }

    fn signed(
        &self,
        mut request: HttpRequest,
        nonce: Option<&str>,
    ) -> Result<HttpRequest, OidcError> {
        let proof = dpop::make_for_token(
            &self.key,
            &request.uri().to_string(),
            self.code.as_deref(),
            nonce,
            self.clock.now(),
            // 128 random bits.
            CsrfToken::new_random().secret(),
        );
        let value = proof.parse().map_err(|_| OidcError::Setup {
            why: "the proof of possession is not a header".to_owned(),
        })?;
        request.headers_mut().insert("dpop", value);
        Ok(request)
    }
}
