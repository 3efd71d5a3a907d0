//! An approver's calls, each with a DPoP proof (RFC 9449) by the session key.

use std::sync::{PoisonError, RwLock};

use countersign_api::http::{
    AbsenceAnswer, AbsenceRequest, BindingList, ClaimsRequest, ColleagueList, Endpoints,
    HistoryPage, HistoryQuery, NonceAnswer, RequestList, RequestView, TokenAnswer, TokenRequest,
    VoteAnswer, VoteRequest,
};
use countersign_evidence::{SecretKey, dpop};
use countersign_model::{Digest, Txn, b64u};
use reqwest::Method;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::http::ServerHttp;

/// The approver's side of one server.
pub struct ApproverApi {
    http: ServerHttp,
    endpoints: Endpoints,
    session: SecretKey,
    access_token: RwLock<Option<String>>,
}

impl std::fmt::Debug for ApproverApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApproverApi")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

impl ApproverApi {
    /// For a server whose self-description was read, with this session key (`sk`).
    #[must_use]
    pub fn new(http: ServerHttp, endpoints: Endpoints, session: SecretKey) -> Self {
        Self {
            http,
            endpoints,
            session,
            access_token: RwLock::default(),
        }
    }

    /// The transport.
    #[must_use]
    pub fn http(&self) -> &ServerHttp {
        &self.http
    }

    /// From now on, this token is sent.
    pub fn set_access_token(&self, token: Option<String>) {
        *self
            .access_token
            .write()
            .unwrap_or_else(PoisonError::into_inner) = token;
    }

    pub(crate) fn access_token(&self) -> Option<String> {
        self.access_token
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn stream_url(&self) -> String {
        // DPoP knows http URLs only (RFC 9449, 4.2); the WebSocket's upgrade is one.
        let url = &self.endpoints.stream;
        match (url.strip_prefix("ws://"), url.strip_prefix("wss://")) {
            (Some(rest), _) => format!("http://{rest}"),
            (_, Some(rest)) => format!("https://{rest}"),
            (None, None) => url.clone(),
        }
    }

    pub(crate) fn proof(&self, method: &str, url: &str, access_token: Option<&str>) -> String {
        let jti = b64u(&rand::random::<[u8; 16]>());
        dpop::make(
            &self.session,
            method,
            url,
            access_token,
            None,
            self.http.now(),
            &jti,
        )
    }

    /// A nonce for one proof of possession.
    ///
    /// # Errors
    /// As any call.
    pub async fn nonce(&self) -> Result<String, ApiError> {
        let answer: NonceAnswer = self
            .http
            .json(self.http.client().post(&self.endpoints.nonce))
            .await?;
        Ok(answer.nonce)
    }

    /// Token exchange and renewal. The answer's token is not taken into use by itself.
    ///
    /// # Errors
    /// [`ApiError::TokenRefused`], or as any call.
    pub async fn token(&self, request: &TokenRequest) -> Result<TokenAnswer, ApiError> {
        let url = &self.endpoints.token;
        let proof = self.proof("POST", url, None);
        let answer: TokenAnswer = self
            .http
            .json(
                self.http
                    .client()
                    .post(url)
                    .header("dpop", proof)
                    .form(request),
            )
            .await?;
        if !answer.token_type.eq_ignore_ascii_case("DPoP") {
            return Err(self
                .http
                .bad("its access token is not bound to this session".to_owned()));
        }
        Ok(answer)
    }

    /// Open requests that this person sees.
    ///
    /// # Errors
    /// As any call.
    pub async fn list(&self) -> Result<RequestList, ApiError> {
        self.read(&self.endpoints.requests, &()).await
    }

    /// One request.
    ///
    /// # Errors
    /// As any call; [`ApiError::NotFound`] also when this person may not see it.
    pub async fn request(&self, txn: &Txn) -> Result<RequestView, ApiError> {
        self.read(&format!("{}/{txn}", self.endpoints.requests), &())
            .await
    }

    /// Casts a vote. The same JWS again gets the same answer.
    ///
    /// # Errors
    /// As any call.
    pub async fn vote(&self, txn: &Txn, vote: &VoteRequest) -> Result<VoteAnswer, ApiError> {
        let url = format!("{}/{txn}/votes", self.endpoints.requests);
        self.http
            .json(self.signed(Method::POST, &url).json(vote))
            .await
    }

    /// Sends newer claims of this person.
    ///
    /// # Errors
    /// As any call.
    pub async fn claims(&self, claims: &ClaimsRequest) -> Result<(), ApiError> {
        self.http
            .body(
                self.signed(Method::POST, &self.endpoints.claims)
                    .json(claims),
            )
            .await
            .map(drop)
    }

    /// The evidence of a request, as bytes: `countersign_evidence` reads them strictly.
    ///
    /// # Errors
    /// As any call.
    pub async fn evidence(&self, txn: &Txn) -> Result<Vec<u8>, ApiError> {
        let url = format!("{}/{txn}/evidence", self.endpoints.requests);
        self.http
            .body(
                self.signed(Method::GET, &url)
                    .header("accept", "application/json"),
            )
            .await
    }

    /// A page of closed requests.
    ///
    /// # Errors
    /// As any call.
    pub async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, ApiError> {
        self.read(&self.endpoints.history, query).await
    }

    /// This person's devices.
    ///
    /// # Errors
    /// As any call.
    pub async fn bindings(&self) -> Result<BindingList, ApiError> {
        self.read(&self.endpoints.bindings, &()).await
    }

    /// Revokes one of them.
    ///
    /// # Errors
    /// As any call.
    pub async fn revoke_binding(&self, binding: Digest) -> Result<(), ApiError> {
        let url = format!("{}/{binding}", self.endpoints.bindings);
        self.http
            .body(self.signed(Method::DELETE, &url))
            .await
            .map(drop)
    }

    /// Whether this person is away.
    ///
    /// # Errors
    /// As any call.
    pub async fn absence(&self) -> Result<AbsenceAnswer, ApiError> {
        self.read(&self.endpoints.absence, &()).await
    }

    /// This person is away; replaces what was said before.
    ///
    /// # Errors
    /// As any call.
    pub async fn set_absence(&self, absence: &AbsenceRequest) -> Result<AbsenceAnswer, ApiError> {
        self.http
            .json(
                self.signed(Method::PUT, &self.endpoints.absence)
                    .json(absence),
            )
            .await
    }

    /// This person is back. Once they are, again is the same answer.
    ///
    /// # Errors
    /// As any call.
    pub async fn end_absence(&self) -> Result<(), ApiError> {
        self.http
            .body(self.signed(Method::DELETE, &self.endpoints.absence))
            .await
            .map(drop)
    }

    /// Who may stand in for this person.
    ///
    /// # Errors
    /// As any call.
    pub async fn colleagues(&self) -> Result<ColleagueList, ApiError> {
        self.read(&self.endpoints.colleagues, &()).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        url: &str,
        query: &(impl serde::Serialize + ?Sized),
    ) -> Result<T, ApiError> {
        self.http
            .json(self.signed(Method::GET, url).query(query))
            .await
    }

    fn signed(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        let token = self.access_token();
        let proof = self.proof(method.as_str(), url, token.as_deref());
        let request = self
            .http
            .client()
            .request(method, url)
            .header("dpop", proof);
        match token {
            Some(token) => request.header("authorization", format!("DPoP {token}")),
            None => request,
        }
    }
}
