//! Keeps the history on this device as full as the server's: older pages in the background, newest first, and what
//! closes from now on as it is read. Each request is verified before it is kept; one that does not verify is kept as
//! what it is.
//!
//! One task for each session, and only it writes: what is fetched and what the stream brought go in one after the
//! other. Where the filling is stands with the entries, in the same transaction. CRASH: the next start goes on there,
//! and asks for what happened since the newest place that it knew.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use countersign_api::http::{HistoryPage, HistoryQuery};
use countersign_client::Backoff;
use countersign_history::{Archive, HistoryError, Put, Range, Step};
use tokio::sync::mpsc;

use crate::inner::Inner;
use crate::item::Item;
use crate::session::Session;

/// Entries that wait to be kept. When there are more, they are fetched again instead.
pub(crate) const MAX_WAITING: usize = 128;
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
    /// The file of an account.
    pub(crate) fn file(&self, account: &str) -> PathBuf {
        file(&self.folder, account)
    }
}

/// Account names are digests: no character in one leads out of the folder.
pub(crate) fn file(folder: &Path, account: &str) -> PathBuf {
    folder.join(format!("history-{account}.db"))
}

/// What the filling has to do beside the older pages.
#[derive(Debug)]
pub(crate) enum Ahead {
    /// Keep this.
    Keep(Arc<Item>),
    /// The stream may have missed something.
    Anew,
}

/// Why a page was not taken.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Server(#[from] countersign_client::ApiError),
    #[error(transparent)]
    Cache(#[from] HistoryError),
}

/// Fills until the session ends.
pub(crate) async fn fill(
    inner: Arc<Inner>,
    session: Arc<Session>,
    mut ahead: mpsc::Receiver<Ahead>,
) {
    let Some(home) = inner.options.history.clone() else {
        return;
    };
    let account = session.account.id.clone();
    if let Err(error) = home.archive.keep(&account, &home.file(&account)) {
        return tracing::warn!(code = error.code(), "no history is kept: {error}");
    }
    let mut lost = home.archive.lost();
    let filling = Filling {
        archive: home.archive,
        session,
        account,
    };
    let mut backoff = Backoff::default();
    // Nothing before the list was read once: the inbox goes first.
    let (mut todo, mut pause) = (Vec::new(), None);
    let mut fetching: Option<Fetching<'_>> = None;
    loop {
        if fetching.is_none()
            && pause.is_none()
            && let Some(range) = todo.first().cloned()
        {
            fetching = Some(Box::pin(filling.page(range)));
        }
        let next = tokio::select! {
            biased;
            next = ahead.recv() => match next {
                Some(Ahead::Keep(item)) => filling.keep(&item).await,
                Some(Ahead::Anew) => {
                    // The list was read: the server is there.
                    pause = None;
                    filling.look(&mut todo, true).await
                }
                None => return,
            },
            changed = lost.changed() => {
                if changed.is_err() {
                    return;
                }
                // What is on its way belongs to ranges of the file that is gone.
                fetching = None;
                filling.look(&mut todo, true).await
            }
            () = crate::runner::at(pause), if pause.is_some() => {
                pause = None;
                filling.look(&mut todo, false).await
            }
            page = fetched(&mut fetching) => {
                fetching = None;
                match page {
                    Ok((range, page)) => {
                        backoff.reset();
                        filling.take(&range, page, &mut todo).await
                    }
                    Err(error) => Err(error),
                }
            }
        };
        if let Err(error) = next {
            tracing::warn!("the history is not filled now: {error}");
            pause = Some(tokio::time::Instant::now() + backoff.next(rand::random()));
        }
    }
}

type Fetching<'a> =
    Pin<Box<dyn Future<Output = Result<(Range, HistoryPage), Stopped>> + Send + 'a>>;

async fn fetched(fetching: &mut Option<Fetching<'_>>) -> Result<(Range, HistoryPage), Stopped> {
    match fetching {
        Some(fetching) => fetching.await,
        None => std::future::pending().await,
    }
}

struct Filling {
    archive: Archive,
    session: Arc<Session>,
    account: String,
}

impl Filling {
    async fn look(&self, todo: &mut Vec<Range>, anew: bool) -> Result<(), Stopped> {
        *todo = self.archive.todo(&self.account, anew).await?;
        Ok(())
    }

    async fn keep(&self, item: &Item) -> Result<(), Stopped> {
        let entries = item
            .entry(&self.session.account.subject)
            .into_iter()
            .collect();
        let put = Put {
            entries,
            step: None,
        };
        Ok(self.archive.put(&self.account, put).await?)
    }

    async fn page(&self, range: Range) -> Result<(Range, HistoryPage), Stopped> {
        let query = &HistoryQuery {
            cursor: range.below.clone(),
            after: range.until.clone(),
            limit: Some(PAGE),
            ..HistoryQuery::default()
        };
        let page = self
            .session
            .call(|api| async move { api.history(query).await })
            .await;
        Ok((range, page?))
    }

    async fn take(
        &self,
        range: &Range,
        page: HistoryPage,
        todo: &mut Vec<Range>,
    ) -> Result<(), Stopped> {
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
        }
        let step = Step {
            range: range.id,
            newest: newest.filter(|_| range.below.is_none()),
            next,
            left_permille: left_permille.filter(|_| range.until.is_none()),
        };
        let put = Put {
            entries,
            step: Some(step),
        };
        self.archive.put(&self.account, put).await?;
        self.look(todo, false).await
    }
}
