//! Several accounts behind one inbox: each call goes to the account that it is about, and none knows of another.

use countersign_approver::{Accounts, Options};

use super::*;

impl World {
    fn deps(&self, at: &World) -> Deps {
        Deps {
            keys: self.store.clone(),
            opener: Arc::new(Everywhere(vec![
                Arc::clone(&self.server),
                Arc::clone(&at.server),
            ])),
            clock: self.server.clock.clone(),
            data_dir: self.folder.path().join("data"),
            device_name: "test".to_owned(),
        }
    }

    pub(super) fn accounts(&self, at: &World) -> Accounts {
        Accounts::start(self.deps(at), Options::default()).unwrap()
    }

    pub(super) async fn sign_in_more(&self, app: &Accounts) {
        let issuer = format!("{}/op", self.server.id);
        app.sign_in(&self.server.id, &issuer).await.unwrap();
    }
}

/// One browser, several providers.
struct Everywhere(Vec<App>);
impl Opener for Everywhere {
    fn open(&self, url: &Url) -> Result<(), String> {
        let text = url.as_str();
        let server = self.0.iter().find(|server| text.starts_with(&server.id));
        Browser(Arc::clone(server.unwrap())).open(url)
    }
}

async fn listed(app: &Accounts, accounts: usize, inbox: usize) -> countersign_approver::State {
    let mut state = app.state();
    let state = state
        .wait_for(|state| {
            state.listed && state.accounts.len() == accounts && state.inbox.len() == inbox
        })
        .await
        .unwrap();
    countersign_approver::State::clone(&state)
}

#[tokio::test]
async fn two_servers_share_one_inbox_and_each_vote_goes_home() {
    let (here, there) = (world().await, world().await);
    here.put(here.request("t-here", |_| ()));
    there.put(there.request("t-there", |requirement| requirement.ttl_secs = 600));
    let app = here.accounts(&there);
    here.sign_in_more(&app).await;
    there.sign_in_more(&app).await;
    let state = listed(&app, 2, 2).await;
    assert_eq!(state.account.as_ref(), state.accounts.first());
    let names: Vec<&str> = state.accounts.iter().map(|it| it.server.as_str()).collect();
    assert_eq!(names, [here.server.id.as_str(), there.server.id.as_str()]);
    for (row, account) in state.inbox.iter().zip(&state.accounts) {
        assert_eq!(row.account, account.id, "{}", row.txn);
    }
    let card = app.card("t-there").await.unwrap();
    app.vote("t-there", Choice::Approve, None, None, card.display_digest)
        .await
        .unwrap();
    assert_eq!(there.seen(|seen| seen.votes.len()), 1);
    assert!(here.seen(|seen| seen.votes.is_empty()));
    assert_eq!(listed(&app, 2, 1).await.inbox[0].txn, "t-here");
    // Neither server saw a key or a token of the other's.
    let keys = |world: &World| world.seen(|seen| seen.exchanges[0].clone());
    assert_ne!(keys(&here), keys(&there));
}

#[tokio::test]
async fn accounts_come_back_after_a_restart_and_leave_one_by_one() {
    let (here, there) = (world().await, world().await);
    there.put(there.request("t-there", |_| ()));
    let app = here.accounts(&there);
    here.sign_in_more(&app).await;
    there.sign_in_more(&app).await;
    listed(&app, 2, 1).await;
    drop(app);
    let app = here.accounts(&there);
    let state = listed(&app, 2, 1).await;
    assert_eq!(
        here.store.names(),
        ["account", "account-1.account"],
        "each has secrets of its own"
    );
    let second = state.accounts[1].id.clone();
    app.sign_out(Some(&second)).await.unwrap();
    let mut states = app.state();
    states
        .wait_for(|state| state.accounts.len() == 1 && state.inbox.is_empty())
        .await
        .unwrap();
    assert_eq!(there.seen(|seen| seen.revoked.len()), 1);
    assert!(here.seen(|seen| seen.revoked.is_empty()));
    assert_eq!(here.store.names(), ["account"]);
    assert!(!here.folder.path().join("data/account-1").exists());
    assert_eq!(
        app.sign_out(Some(&second)).await.unwrap_err().code,
        ProblemCode::SignedOut
    );
}

#[tokio::test]
async fn two_people_at_one_server_are_two_accounts_and_one_person_is_one() {
    let world = world().await;
    let app = world.accounts(&world);
    world.sign_in_more(&app).await;
    world.does(|does| {
        does.claims = json!({"sub": "jonas", "name": "Jonas"});
        does.first_nonce = String::new();
    });
    world.sign_in_more(&app).await;
    let state = listed(&app, 2, 0).await;
    let subs: Vec<&str> = state.accounts.iter().map(|it| it.sub.as_str()).collect();
    assert_eq!(subs, ["elin", "jonas"]);
    // The same person again: the older session ends here. Its votes stay good, so nothing is revoked.
    world.does(|does| does.claims = Value::Null);
    world.sign_in_more(&app).await;
    let state = listed(&app, 2, 0).await;
    let mut subs: Vec<&str> = state.accounts.iter().map(|it| it.sub.as_str()).collect();
    subs.sort_unstable();
    assert_eq!(subs, ["elin", "jonas"]);
    assert!(world.seen(|seen| seen.revoked.is_empty()));
    assert_eq!(
        world.store.names(),
        ["account-1.account", "account-2.account"],
        "its keys are deleted"
    );
}
