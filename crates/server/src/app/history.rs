//! Requests that are no longer pending, searched and paged.

use countersign_api::http::{HistoryPage, HistoryQuery};
use countersign_lifecycle::Kind;
use countersign_store::{HistoryFilter, HistoryPlace};

use super::App;
use super::about::{Viewer, may_see};
use super::list::{MAX_LIST_BYTES, size_of_view};
use crate::refused::Refused;

/// Requests on one page.
const MAX_PAGE: u32 = 100;
/// Unless told.
const DEFAULT_PAGE: u32 = 50;
/// Requests that are judged for one page: then it ends early, and the next goes on from there.
const MAX_SCANNED: usize = 2_000;
/// Calls of the store for one page, each bounded in itself.
const MAX_READS: usize = 20;
/// Read at once.
const BATCH: usize = 100;
/// The longest search text, in bytes.
const MAX_TEXT_BYTES: usize = 512;
/// Seconds of a day.
const DAY: i64 = 86_400;

impl App {
    /// A page, what closed or changed last first.
    pub(crate) async fn history(
        &self,
        viewer: &Viewer,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, Refused> {
        self.expire_due(self.now()).await?;
        let limit = query.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE) as usize;
        let mut filter = self.filter(viewer, query)?;
        // Read before the requests: what closes meanwhile is newer than this place.
        let ends = self.store.history_ends().await?;
        let policy = self.policy();
        let (mut requests, mut bytes, mut scanned) = (Vec::new(), 0, 0);
        'page: for read in 1.. {
            let slice = self
                .store
                .history(HistoryFilter {
                    limit: BATCH,
                    ..filter.clone()
                })
                .await?;
            for (place, row) in slice.rows {
                scanned += 1;
                // What cannot be read is logged; the others are listed.
                let Ok(loaded) = self.papers.load(row) else {
                    continue;
                };
                if may_see(&*policy, viewer, &loaded.about) {
                    let view = self.view(viewer, &loaded).await?;
                    bytes += size_of_view(&view);
                    if requests.len() == limit || (bytes > MAX_LIST_BYTES && !requests.is_empty()) {
                        // This one begins the next page.
                        filter.before = Some(HistoryPlace(place.0 + 1));
                        break 'page;
                    }
                    requests.push(view);
                }
            }
            filter.before = slice.next;
            if slice.next.is_none() || scanned >= MAX_SCANNED || read >= MAX_READS {
                break;
            }
        }
        Ok(HistoryPage {
            requests,
            next: filter.before.map(|place| self.secrets.cursor(place.0)),
            newest: ends.map(|(place, _)| self.secrets.cursor(place.0)),
            oldest_at: ends.map(|(_, at)| at.0 - at.0.rem_euclid(DAY)),
        })
    }

    fn filter(&self, viewer: &Viewer, query: &HistoryQuery) -> Result<HistoryFilter, Refused> {
        let HistoryQuery {
            q,
            outcome,
            mine,
            cursor,
            after,
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
        let place = |cursor: &Option<String>, name: &str| match cursor {
            None => Ok(None),
            Some(text) => match self.secrets.cursor_at(text) {
                Some(place) => Ok(Some(HistoryPlace(place))),
                None => Err(Refused::malformed(
                    "query",
                    format!("`{name}` is not ours."),
                )),
            },
        };
        Ok(HistoryFilter {
            text,
            kinds,
            voter: mine.unwrap_or(false).then(|| viewer.voter.subject.clone()),
            before: place(cursor, "cursor")?,
            after: place(after, "after")?,
            limit: 0,
            look_at: None,
        })
    }
}
