//! Signing in: keys are made, the provider's signature commits to them, the server binds them (protocol,
//! section 3). What is written when, and what a crash leaves, stands in [`crate::kept`].

use std::sync::Arc;
use std::time::Duration;

use countersign_api::http::{
    GRANT_EXCHANGE, ID_TOKEN_TYPE, Keys, TokenAnswer, TokenRequest, WellKnown, WellKnownProvider,
};
use countersign_api::ipc::{Problem, ProblemCode};
use countersign_client::{ApiError, ApproverApi, Backoff, Route, ServerHttp};
use countersign_evidence::op_token::IdToken;
use countersign_evidence::{Alg, Pop, PublicKey, SecretKey, Statement};
use countersign_model::{Clock, Digest, Issuer, ServerId, b64u};
use countersign_oidc::{Opener, Progress, Provider, SignInRequest, sign_in};
use serde_json::Value;

use crate::kept::{ACCOUNT, Account, AccountFile, Folder, PENDING, Secrets, redirect_ports};
use crate::keys::{KeyStore, with_store};
use crate::problem::{of_api, of_oidc, problem};
use crate::security_key::{self, KeptKey, KeyRing};
use crate::session::{Session, op_config};

/// How often the exchange is tried when its answer is lost.
const EXCHANGE_TRIES: u32 = 4;
/// The server takes an ID token that is at most so old, in seconds (protocol, section 3).
const MAX_EXCHANGE_AGE_SECS: i64 = 300;
/// The longest name of a device, in characters (`api::http::TokenRequest`).
const DEVICE_NAME_CHARS: usize = 64;

/// What a sign-in needs of the program.
pub(crate) struct Hands {
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) opener: Arc<dyn Opener>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) device_name: String,
    /// How servers and providers are reached.
    pub(crate) route: Route,
}

/// A server's self-description, from an address as a person types it.
pub(crate) async fn look_up(
    address: &str,
    hands: &Hands,
) -> Result<(ServerHttp, WellKnown), Problem> {
    let address = address.trim().trim_end_matches('/').to_lowercase();
    let address = if address.contains("://") {
        address
    } else {
        format!("https://{address}")
    };
    let id = ServerId::parse(&address).map_err(|_| {
        let encrypted = address.replacen("http://", "https://", 1);
        let sentence = if encrypted != address && ServerId::parse(&encrypted).is_ok() {
            "The connection to a server has to be encrypted. Write https:// before its address."
        } else {
            "That is not an address. Write it like https://approvals.example.com."
        };
        problem(ProblemCode::Other, sentence)
    })?;
    let http = ServerHttp::through(id, Arc::clone(&hands.clock), &hands.route)
        .map_err(|error| of_api(&error))?;
    let known = http.well_known().await.map_err(|error| match error {
        // Everybody may read a server's description: whoever refuses it is something else.
        ApiError::Unauthorized { .. }
        | ApiError::Forbidden { .. }
        | ApiError::NotFound { .. }
        | ApiError::Conflict { .. }
        | ApiError::Gone { .. }
        | ApiError::Refused { .. }
        | ApiError::TokenRefused { .. } => problem(
            ProblemCode::ServerUnreachable,
            "There is a server at that address, but it is not a Countersign server. Check the address.",
        ),
        ApiError::Setup { .. }
        | ApiError::Unreachable { .. }
        | ApiError::ClockOff { .. }
        | ApiError::Busy { .. }
        | ApiError::Fault { .. }
        | ApiError::BadAnswer { .. } => of_api(&error),
    })?;
    Ok((http, known))
}

/// Signs in from the start. With success everything is kept, and the session can be used.
pub(crate) async fn bind(
    hands: &Hands,
    folder: &Folder,
    (server, issuer): (&str, &str),
    keys_change: security_key::Keys,
    tell: &(dyn Fn(Progress, &str) + Send + Sync),
) -> Result<Session, Problem> {
    let unfinished = matches!(keys_change, security_key::Keys::AsBefore)
        && folder
            .read(PENDING)
            .is_some_and(|draft| draft.server == server && draft.provider.issuer == issuer);
    if unfinished && let Some(session) = resume(hands, folder).await {
        // The last one only lacked the server's answer.
        return Ok(session);
    }
    // A keyring that is missing or locked is said before the browser opens, not after.
    with_store(&hands.keys, |store| store.get(ACCOUNT)).await?;
    let (http, known) = look_up(server, hands).await?;
    let provider = known
        .providers
        .iter()
        .find(|provider| provider.issuer == issuer)
        .cloned()
        .ok_or_else(|| {
            problem(
                ProblemCode::Other,
                "The server does not offer that identity provider. Look the server up again.",
            )
        })?;
    let keys = http.keys().await.map_err(|error| of_api(&error))?;

    let kept = folder
        .key_ring()
        .filter(|ring| ring.server == http.id().as_str() && ring.issuer == issuer);
    let security_keys = keys_change.of(kept.as_ref().map(KeyRing::keys).unwrap_or_default());
    let bad_issuer = |_| {
        problem(
            ProblemCode::Other,
            "The server names a provider whose address is not one.",
        )
    };
    let parsed = Issuer::parse(&provider.issuer).map_err(bad_issuer)?;
    let op = Arc::new(
        Provider::through(
            parsed.clone(),
            Arc::clone(&hands.clock),
            hands.route.proxy(),
        )
        .map_err(|error| of_oidc(&error))?,
    );
    let config = op_config(parsed, &provider);
    // Where the provider binds the sign-in to a key as well, it is the device's, of a kind that the provider takes.
    let binds = op.binds_keys(&config).await;
    let binds = binds.map_err(|error| of_oidc(&error))?;
    let device = match binds {
        Some(Alg::Es256) => SecretKey::generate_es256(rand::random()),
        Some(Alg::Ed25519) | None => SecretKey::generate(rand::random()),
    };
    let session = SecretKey::generate(rand::random());
    let statement = Statement {
        aud: http.id().clone(),
        authenticators: security_keys
            .iter()
            .filter_map(KeptKey::authenticator)
            .collect(),
        key: device.public(),
        rz: b64u(&rand::random::<[u8; 32]>()),
        session_jkt: Digest::parse(&session.public().thumbprint()).map_err(|_| {
            problem(
                ProblemCode::Other,
                "The session key could not be made. Try again.",
            )
        })?,
    };
    let request = SignInRequest {
        config,
        scopes: provider.scopes.clone(),
        redirect_path: provider.redirect_path.clone(),
        nonce: statement.nonce(),
        ports: redirect_ports(&provider),
        bound_key: binds.map(|_| device.clone()),
    };
    let told = |progress| tell(progress, &provider.name);
    let signed_in = sign_in(&op, &request, hands.opener.as_ref(), &told)
        .await
        .map_err(|error| of_oidc(&error))?;

    let person = &signed_in.person.subject;
    if kept.as_ref().is_some_and(|ring| ring.sub != person.sub) {
        // The statement lists somebody else's: it is not sent, and the next one lists none.
        folder.forget_key_ring();
        return Err(problem(
            ProblemCode::Other,
            "Another account signed in than the one whose security keys are bound here. Nothing was kept. Sign in once more.",
        ));
    }
    if kept.is_some() || !security_keys.is_empty() {
        let ring = KeyRing::new(http.id(), &person.iss, &person.sub, security_keys);
        folder
            .keep_key_ring(&ring)
            .map_err(|error| unwritable(&error))?;
    }
    let secrets = Secrets {
        device,
        session,
        cic: statement.to_bytes(),
        id_token: signed_in.id_token,
        refresh_token: signed_in.tokens.refresh_token,
    };
    let draft = draft(&http, known, provider, &keys, &signed_in.person, &request);
    folder
        .write(PENDING, &draft)
        .map_err(|error| unwritable(&error))?;
    let kept = secrets.to_bytes();
    with_store(&hands.keys, move |store| store.set(PENDING, &kept)).await?;
    finish(hands, folder, secrets, draft).await
}

/// Ends a sign-in that a crash or a lost network cut off, with the same keys; `None` when there is none, or it
/// is too old to be ended.
pub(crate) async fn resume(hands: &Hands, folder: &Folder) -> Option<Session> {
    let draft = folder.read(PENDING)?;
    let secrets = with_store(&hands.keys, |store| store.get(PENDING))
        .await
        .ok()?;
    let secrets = secrets.and_then(|bytes| Secrets::from_bytes(&bytes));
    let Some(secrets) = secrets
        .filter(|secrets| hands.clock.now() - secrets.signed_in_at() <= MAX_EXCHANGE_AGE_SECS)
    else {
        forget_pending(hands, folder).await;
        return None;
    };
    tracing::info!("a sign-in that was cut off is finished");
    match finish(hands, folder, secrets, draft).await {
        Ok(session) => Some(session),
        Err(problem) => {
            tracing::warn!("it could not be: {}", problem.sentence);
            None
        }
    }
}

fn unwritable(error: &std::io::Error) -> Problem {
    problem(
        ProblemCode::Other,
        format!("The account could not be written to disk ({error}). Nothing was kept."),
    )
}

/// The account's file as far as it is known before the exchange.
fn draft(
    http: &ServerHttp,
    known: WellKnown,
    provider: WellKnownProvider,
    keys: &Keys,
    person: &IdToken,
    request: &SignInRequest,
) -> AccountFile {
    let text = |claim: &str| {
        person
            .claims
            .get(claim)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let name = ["name", "preferred_username", "email"]
        .into_iter()
        .find_map(text)
        .unwrap_or(&person.subject.sub);
    // Without the issuer before them: the account says whose they are.
    let mut groups: Vec<String> = request
        .config
        .groups_of(&person.claims)
        .into_iter()
        .map(|group| {
            group
                .rsplit_once('#')
                .map_or(group.clone(), |(_, name)| name.to_owned())
        })
        .collect();
    groups.truncate(64);
    // Keys of kinds that this version does not know are left out: what they sign is not taken.
    let usable = |jwk: &Value| PublicKey::from_jwk(jwk).is_ok();
    AccountFile {
        server: http.id().to_string(),
        endpoints: known.endpoints,
        provider,
        sub: person.subject.sub.clone(),
        name: name.to_owned(),
        email: text("email").map(str::to_owned),
        groups,
        binding_id: String::new(),
        session_ends_at: 0,
        proved: request.bound_key.is_some(),
        server_keys: keys
            .server
            .iter()
            .filter(|jwk| usable(jwk))
            .cloned()
            .collect(),
        pep_keys: keys
            .peps
            .iter()
            .filter(|pep| usable(&pep.jwk) && countersign_model::PepId::parse(&pep.pep).is_ok())
            .map(|pep| (pep.pep.clone(), pep.jwk.clone()))
            .collect(),
    }
}

/// Ends a sign-in whose keys are kept as `pending`.
async fn finish(
    hands: &Hands,
    folder: &Folder,
    secrets: Secrets,
    mut file: AccountFile,
) -> Result<Session, Problem> {
    let server = ServerId::parse(&file.server)
        .map_err(|error| problem(ProblemCode::Other, error.to_string()))?;
    let http = ServerHttp::through(server, Arc::clone(&hands.clock), &hands.route)
        .map_err(|error| of_api(&error))?;
    let api = ApproverApi::new(http, file.endpoints.clone(), secrets.session.clone());
    let answer = match exchange(&api, &secrets, &hands.device_name).await {
        Ok(answer) => answer,
        Err(error) => {
            // Nothing was bound, or nothing that could be used: the keys are worth nothing.
            if !error.is_transient() {
                forget_pending(hands, folder).await;
            }
            return Err(of_api(&error));
        }
    };
    if answer.binding_id != secrets.binding().to_string() {
        forget_pending(hands, folder).await;
        return Err(problem(
            ProblemCode::Other,
            "The server bound other keys than this device's. Sign in again.",
        ));
    }
    file.binding_id.clone_from(&answer.binding_id);
    file.session_ends_at = answer.session_ends_at;
    let kept = secrets.to_bytes();
    with_store(&hands.keys, move |store| store.set(ACCOUNT, &kept)).await?;
    folder
        .write(ACCOUNT, &file)
        .map_err(|error| unwritable(&error))?;
    forget_pending(hands, folder).await;
    let account = Account::read(file).ok_or_else(|| {
        problem(
            ProblemCode::Other,
            "The server's answer cannot be used. Tell whoever runs it.",
        )
    })?;
    let session = Session::new(account, secrets, Arc::clone(&hands.clock), &hands.route)?;
    session.use_token(&answer);
    Ok(session)
}

/// Drops what is left of a sign-in that is not finished.
pub(crate) async fn forget_pending(hands: &Hands, folder: &Folder) {
    if let Err(error) = folder.delete(PENDING) {
        tracing::warn!("the draft of an unfinished sign-in is left: {error}");
    }
    if let Err(error) = with_store(&hands.keys, |store| store.delete(PENDING)).await {
        tracing::warn!("keys of an unfinished sign-in are left: {error}");
    }
}

/// RFC 8693. A lost answer is asked for again with the same keys and statement: the server answers alike.
async fn exchange(
    api: &ApproverApi,
    secrets: &Secrets,
    device_name: &str,
) -> Result<TokenAnswer, ApiError> {
    let mut backoff = Backoff::default();
    let mut tries = 0;
    loop {
        tries += 1;
        match exchange_once(api, secrets, device_name).await {
            Err(error) if error.is_transient() && tries < EXCHANGE_TRIES => {
                let pause: Duration = backoff.next(rand::random());
                tracing::info!(code = error.code(), "the exchange is tried again");
                tokio::time::sleep(pause).await;
            }
            done => return done,
        }
    }
}

async fn exchange_once(
    api: &ApproverApi,
    secrets: &Secrets,
    device_name: &str,
) -> Result<TokenAnswer, ApiError> {
    let nonce = api.nonce().await?;
    let http = api.http();
    let pop = Pop {
        aud: http.id().clone(),
        nonce,
        cic_digest: secrets.binding(),
        iat: http.now(),
    };
    let request = TokenRequest {
        grant_type: GRANT_EXCHANGE.to_owned(),
        subject_token: Some(secrets.id_token.clone()),
        subject_token_type: Some(ID_TOKEN_TYPE.to_owned()),
        cic: Some(b64u(&secrets.cic)),
        binding_id: None,
        proof: pop.sign(&secrets.device),
        device_name: Some(
            device_name
                .chars()
                .filter(|c| !c.is_control())
                .take(DEVICE_NAME_CHARS)
                .collect(),
        ),
    };
    api.token(&request).await
}
