//! An approver's raw session: for measuring what the approver's library would hide.

use std::sync::Arc;

use anyhow::{Context, Result};
use countersign_api::http::{GRANT_EXCHANGE, ID_TOKEN_TYPE, TokenRequest, WellKnown};
use countersign_client::{ApproverApi, ServerHttp};
use countersign_evidence::op_token::OpConfig;
use countersign_evidence::{Pop, SecretKey, Statement};
use countersign_model::{Clock, Digest, Issuer, ServerId, b64u};
use countersign_oidc::{Opener, Provider, SignInRequest, sign_in};
use countersign_tests::person::Person;
use countersign_tests::world::World;
use url::Url;

/// The person's hands in the browser.
struct Hands(Person);

impl Opener for Hands {
    fn open(&self, url: &Url) -> Result<(), String> {
        let (person, url) = (self.0.clone(), url.to_string());
        tokio::spawn(async move {
            if let Err(error) = person.sign_in_and_return(&url).await {
                eprintln!("{}: {error:#}", person.sub);
            }
        });
        Ok(())
    }
}

/// Signs people in at a world's server, each with keys of their own. What is the same for all of them is asked once.
pub(crate) struct Door {
    http: ServerHttp,
    server: ServerId,
    known: WellKnown,
    provider: Arc<Provider>,
    clock: Arc<dyn Clock>,
}

impl Door {
    pub(crate) async fn of(world: &World) -> Result<Self> {
        let server = ServerId::parse(&world.server_url).context("read the server's id")?;
        let http = ServerHttp::new(server.clone(), world.clock())?;
        let known = http.well_known().await?;
        let offered = known.providers.first().context("no provider is offered")?;
        let issuer = Issuer::parse(&offered.issuer).context("read the issuer")?;
        Ok(Self {
            provider: Arc::new(Provider::new(issuer, world.clock())?),
            clock: world.clock(),
            http,
            server,
            known,
        })
    }

    /// A session of this person, on a device of its own.
    pub(crate) async fn session(&self, sub: &str) -> Result<Arc<ApproverApi>> {
        let offered = &self.known.providers[0];
        let (device, session) = (
            SecretKey::generate(rand::random()),
            SecretKey::generate(rand::random()),
        );
        let statement = Statement {
            aud: self.server.clone(),
            authenticators: Vec::new(),
            key: device.public(),
            rz: b64u(&rand::random::<[u8; 32]>()),
            session_jkt: Digest::parse(&session.public().thumbprint())
                .context("read a thumbprint")?,
        };
        let issuer = Issuer::parse(&offered.issuer).context("read the issuer")?;
        let request = SignInRequest {
            config: OpConfig::new(issuer, &offered.client_id),
            scopes: offered.scopes.clone(),
            redirect_path: offered.redirect_path.clone(),
            nonce: statement.nonce(),
            ports: vec![0],
            bound_key: None,
        };
        let hands = Hands(Person::named(sub));
        let signed_in = sign_in(&self.provider, &request, &hands, &|_| {}).await?;
        let api = ApproverApi::new(self.http.clone(), self.known.endpoints.clone(), session);
        let pop = Pop {
            aud: self.server.clone(),
            nonce: api.nonce().await?,
            cic_digest: statement.id(),
            iat: self.clock.now(),
        };
        let answer = api
            .token(&TokenRequest {
                grant_type: GRANT_EXCHANGE.to_owned(),
                subject_token: Some(signed_in.id_token),
                subject_token_type: Some(ID_TOKEN_TYPE.to_owned()),
                cic: Some(b64u(&statement.to_bytes())),
                binding_id: None,
                proof: pop.sign(&device),
                device_name: Some("benchmark".to_owned()),
            })
            .await?;
        api.set_access_token(Some(answer.access_token));
        Ok(Arc::new(api))
    }
}
