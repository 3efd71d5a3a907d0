//! Keeps the history on this device as full as the server's: older pages in the background, newest first, and what
//! closes from now on as it is read. Each request is verified before it is kept; one that does not verify is kept as
//! what it is.
//!
//! One task for each session, and only it writes: what is fetched and what the stream brought go in one after the
//! other. Where the filling is stands with the entries, in the same transaction. CRASH: the next start goes on there,
//! and asks for what happened since the newest place that it knew.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use countersign_api::http::{HistoryPage, HistoryQuery};
use countersign_client::{ApiError, Backoff};
use countersign_history::{Archive, HistoryError, Put, Range, Step};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::inner::Inner;
use crate::item::Item;
use crate::runner::at;
use crate::session::Session;

/// Entries that wait to be kept. When there are more, they are fetched again instead.
const MAX_WAITING: usize = 128;
/// Entries of one page.
const PAGE: u32 = 100;

/// Where histories are kept.
#[derive(Debug, Clone)]
pub struct HistoryHome {
    /// All of this program's.
    pub archive: Archive,
    /// The folder of their files.
    pub folder: PathBuf,
}

impl HistoryHome {
    /// The file of an account. Account names are digests: no character in one leads out of the folder.
    pub(crate) fn file(&self, account: &str) -> PathBuf {
        self.folder.join(format!("history-{account}.db"))
    }
}

/// Tells the filling what there is to do beside the older pages. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Ahead {
    items: mpsc::Sender<Arc<Item>>,
    anew: Arc<Notify>,
}

/// The filling's end of it.
#[derive(Debug)]
pub(crate) struct Waiting {
    items: mpsc::Receiver<Arc<Item>>,
    anew: Arc<Notify>,
}

impl Ahead {
    pub(crate) fn new() -> (Self, Waiting) {
        let (sender, items) = mpsc::channel(MAX_WAITING);
        let anew = Arc::new(Notify::new());
        let ahead = Self {
            items: sender,
            anew: Arc::clone(&anew),
        };
        (ahead, Waiting { items, anew })
    }

    /// Keep this. What there is no room for is fetched again.
    pub(crate) fn keep(&self, item: Arc<Item>) {
        if self.items.try_send(item).is_err() {
            self.anew();
        }
    }

    /// The stream may have missed something.
    pub(crate) fn anew(&self) {
        self.anew.notify_one();
    }
}

/// Why a page was not taken.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Server(#[from] ApiError),
    #[error(transparent)]
    Cache(#[from] HistoryError),
}

/// Fills until the session ends.
pub(crate) async fn fill(inner: Arc<Inner>, session: Arc<Session>, mut waiting: Waiting) {
    let Some(home) = inner.options.history.clone() else {
        return;
    };
    let account = session.account.id.clone();
    if let Err(error) = home.archive.keep(&account, &home.file(&account)) {
        return tracing::warn!(code = error.code(), "no history is kept: {error}");
    }
    let mut lost = home.archive.lost();
    let mut filling = Filling {
        archive: home.archive,
        session,
        account,
        // Nothing before the list was read once: the inbox goes first.
        todo: Vec::new(),
        missed: false,
    };
    let mut backoff = Backoff::default();
    let mut pause: Option<Instant> = None;
    let mut fetching: Option<Fetching> = None;
    loop {
        if fetching.is_none()
            && pause.is_none()
            && let Some(range) = filling.todo.first()
        {
            fetching = Some(Box::pin(page(Arc::clone(&filling.session), range.clone())));
        }
        let next = tokio::select! {
            biased;
            item = waiting.items.recv() => match item {
                Some(item) => filling.keep(&item).await,
                None => return,
            },
            () = waiting.anew.notified() => {
                // The list was read: the server is there. A page that is on its way may be older than what was missed.
                (fetching, pause) = (None, None);
                filling.missed = true;
                filling.look().await
            }
            changed = lost.changed() => {
                if changed.is_err() {
                    return;
                }
                // What is on its way belongs to ranges of the file that is gone.
                fetching = None;
                filling.missed = true;
                filling.look().await
            }
            () = at(pause), if pause.is_some() => {
                pause = None;
                filling.look().await
            }
            (range, page) = fetched(&mut fetching) => {
                fetching = None;
                match page {
                    Ok(page) => {
                        backoff.reset();
                        filling.take(range, page).await
                    }
                    Err(error) => filling.refused(&range, error).await,
                }
            }
        };
        if let Err(error) = next {
            tracing::warn!("the history is not filled now: {error}");
            pause = Some(Instant::now() + backoff.next(rand::random()));
        }
    }
}

type Fetching = Pin<Box<dyn Future<Output = (Range, Result<HistoryPage, ApiError>)> + Send>>;

async fn fetched(fetching: &mut Option<Fetching>) -> (Range, Result<HistoryPage, ApiError>) {
    match fetching {
        Some(fetching) => fetching.await,
        None => std::future::pending().await,
    }
}

async fn page(session: Arc<Session>, range: Range) -> (Range, Result<HistoryPage, ApiError>) {
    let query = &HistoryQuery {
        cursor: range.below.clone(),
        after: range.until.clone(),
        limit: Some(PAGE),
        ..HistoryQuery::default()
    };
    let page = session
        .call(|api| async move { api.history(query).await })
        .await;
    (range, page)
}

struct Filling {
    archive: Archive,
    session: Arc<Session>,
    account: String,
    /// What is still to be fetched, in order.
    todo: Vec<Range>,
    /// What happened lately is to be asked for, too.
    missed: bool,
}

impl Filling {
    /// What is to be fetched now.
    async fn look(&mut self) -> Result<(), Stopped> {
        self.todo = self.archive.todo(&self.account, self.missed).await?;
        self.missed = false;
        Ok(())
    }

    async fn keep(&mut self, item: &Item) -> Result<(), Stopped> {
        let entries = item
            .entry(&self.session.account.subject)
            .into_iter()
            .collect();
        let put = Put {
            entries,
            step: None,
        };
        let kept = self.archive.put(&self.account, put).await;
        self.missed |= kept.is_err();
        Ok(kept?)
    }

    async fn take(&mut self, range: Range, page: HistoryPage) -> Result<(), Stopped> {
        let HistoryPage {
            requests,
            next,
            newest,
            oldest_at,
        } = page;
        let mut entries = Vec::with_capacity(requests.len());
        // How far this is, by time: a server does not tell how much there is that others see.
        let reached = requests.last().and_then(|view| view.ended_at);
        let left_permille = reached.zip(oldest_at).map(|(reached, oldest)| {
            let now = self.session.now().0;
            let (left, whole) = (
                reached.saturating_sub(oldest),
                now.saturating_sub(oldest).max(1),
            );
            u16::try_from(left.max(0).saturating_mul(1_000) / whole).unwrap_or(1_000)
        });
        for view in requests {
            let item = self.session.verify(view).await;
            entries.extend(item.entry(&self.session.account.subject));
            // Signatures take their time: what else the program does has a turn after each request.
            tokio::task::yield_now().await;
        }
        let step = Step {
            newest: newest.filter(|_| range.below.is_none()),
            next,
            left_permille: left_permille.filter(|_| range.until.is_none()),
            range,
        };
        let put = Put {
            entries,
            step: Some(step),
        };
        self.archive.put(&self.account, put).await?;
        self.look().await
    }

    /// A page was not to be had.
    async fn refused(&mut self, range: &Range, error: ApiError) -> Result<(), Stopped> {
        let has_place = range.below.is_some() || range.until.is_some();
        if has_place && matches!(error, ApiError::Refused { .. }) {
            // Its places are no longer the server's: it was restored, or set up anew.
            tracing::warn!(code = error.code(), "the history is read from the start");
            self.archive.start_over(&self.account).await?;
            // After the pause that an error brings, so that this never goes round in circles.
            self.todo.clear();
        }
        Err(error.into())
    }
}

#[cfg(test)]
mod tests {
    use countersign_evidence::SecretKey;
    use countersign_model::{Digest, ServerId, UnixSecs};
    use serde_json::json;

    use super::*;
    use crate::item::Pins;

    #[tokio::test]
    async fn what_there_is_no_room_for_is_fetched() {
        let view = json!({
            "txn": "t1", "request_jws": "", "ask_jws": "", "operation_b64": "", "state": "denied", "votes": [],
            "who_may_vote": "",
        });
        let pins = Pins {
            account: "",
            server: &ServerId::parse("https://approvals.example").unwrap(),
            server_keys: &[],
            pep_keys: &[],
            device: (Digest::of(b""), &SecretKey::generate([1; 32]).public()),
        };
        let view = serde_json::from_value(view).unwrap();
        let item = Arc::new(Item::read(view, &pins, UnixSecs(0)));
        let (ahead, waiting) = Ahead::new();
        let mut anew = std::pin::pin!(waiting.anew.notified());
        for _ in 0..MAX_WAITING {
            ahead.keep(Arc::clone(&item));
        }
        assert!(!anew.as_mut().enable(), "there is room");
        ahead.keep(item);
        assert!(anew.as_mut().enable());
    }
}
