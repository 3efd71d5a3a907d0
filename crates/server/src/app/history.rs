//! Requests that are no longer pending, searched and paged.

use countersign_api::http::{HistoryPage, HistoryQuery};
use countersign_lifecycle::Kind;
use countersign_store::{HistoryFilter, RequestKey};

use super::App;
use super::about::{Loaded, Viewer, may_see};
use super::list::{MAX_LIST_BYTES, size_of_view};
use crate::refused::Refused;

/// Requests on one page.
const MAX_PAGE: usize = 100;
/// Unless told.
const DEFAULT_PAGE: u32 = 50;
/// Requests that are looked through for one page: then it ends early, and the next goes on from there.
const MAX_SCANNED: usize = 2_000;
/// Read at once.
const BATCH: usize = 100;
/// The longest search text, in bytes.
const MAX_TEXT_BYTES: usize = 512;

impl App {
    /// A page, newest first.
    pub(crate) async fn history(
        &self,
        viewer: &Viewer,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, Refused> {
        self.expire_due(self.now()).await?;
        let limit = query.limit.unwrap_or(DEFAULT_PAGE).clamp(1, 100) as usize;
        let limit = limit.min(MAX_PAGE);
        let mut filter = self.filter(viewer, query)?;
        let policy = self.policy();
        let (mut requests, mut bytes, mut scanned) = (Vec::new(), 0, 0);
        loop {
            let rows = self
                .store
                .history(HistoryFilter {
                    limit: BATCH,
                    ..filter.clone()
                })
                .await?;
            let last_batch = rows.len() < BATCH;
            for row in rows {
                let key = row.key;
                let loaded = Loaded::of(row)?;
                if may_see(&*policy, viewer, &loaded.about) {
                    let view = self.view(viewer, &loaded).await?;
                    bytes += size_of_view(&view);
                    if requests.len() == limit || bytes > MAX_LIST_BYTES {
                        return Ok(HistoryPage {
                            requests,
                            next: filter.before.map(|key| self.secrets.cursor(key.0)),
                        });
                    }
                    requests.push(view);
                }
                filter.before = Some(key);
                scanned += 1;
            }
            if last_batch {
                return Ok(HistoryPage {
                    requests,
                    next: None,
                });
            }
            if scanned >= MAX_SCANNED {
                return Ok(HistoryPage {
                    requests,
                    next: filter.before.map(|key| self.secrets.cursor(key.0)),
                });
            }
        }
    }

    fn filter(&self, viewer: &Viewer, query: &HistoryQuery) -> Result<HistoryFilter, Refused> {
        let HistoryQuery {
            q,
            outcome,
            mine,
            cursor,
            limit: _,
        } = query;
        let text = q
            .as_ref()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        if text
            .as_ref()
            .is_some_and(|text| text.len() > MAX_TEXT_BYTES)
        {
            return Err(Refused::malformed(
                "query",
                format!("`q` is longer than {MAX_TEXT_BYTES} bytes."),
            ));
        }
        let kinds = outcome
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .filter(|name| !name.is_empty());
        let kinds = kinds
            .map(Kind::parse)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Refused::malformed("query", "`outcome` names an unknown state."))?;
        let before = match cursor {
            None => None,
            Some(text) => {
                let key = self
                    .secrets
                    .cursor_at(text)
                    .ok_or_else(|| Refused::malformed("query", "`cursor` is not ours."))?;
                Some(RequestKey(key))
            }
        };
        Ok(HistoryFilter {
            text,
            kinds,
            voter: mine.unwrap_or(false).then(|| viewer.voter.subject.clone()),
            before,
            limit: 0,
        })
    }
}
