//! Figures of a selection, a bit at a time.

use countersign_api::ipc::{Figures, Kind, OfKind, TimeSpan, Week};

use crate::HistoryError;
use crate::cache::Cache;
use crate::entry::Class;
use crate::select::{Merge, Query};

/// Seconds of a week.
const WEEK: i64 = 7 * 86_400;
/// 1970-01-01 was a Thursday: the Monday before.
const A_MONDAY: i64 = -3 * 86_400;
/// Bars of the plot of times; the last one is open.
const BARS: u32 = 15;
/// How wide a bar may be, in seconds.
const WIDTHS: [u32; 18] = [
    1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400,
];

/// My vote on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mine {
    pub(crate) kind: Kind,
    pub(crate) denied: bool,
    pub(crate) at: i64,
    pub(crate) secs: u32,
}

/// Figures that are being made.
#[derive(Debug)]
pub(crate) struct Figuring {
    merge: Merge,
    mine: Vec<Mine>,
    all_secs: Vec<u32>,
}

impl Figuring {
    pub(crate) fn new(query: &Query, caches: &[&Cache]) -> Result<Self, HistoryError> {
        Ok(Self {
            merge: Merge::behind(query, caches, None, 1_024)?,
            mine: Vec::new(),
            all_secs: Vec::new(),
        })
    }

    /// Looks at so many more. `true`: these were all.
    pub(crate) fn go_on(&mut self, caches: &[&Cache], rows: u64) -> Result<bool, HistoryError> {
        for _ in 0..rows {
            let Some((key, of)) = self.merge.next(caches)? else {
                return Ok(true);
            };
            let Some(cache) = caches.get(of) else {
                continue;
            };
            let kind = Class::of_key(key)
                .read()
                .map_or(Kind::Other, |(_, kind, _)| kind);
            let mut statement = cache.connection().prepare_cached(
                "SELECT mine, denied, at, secs FROM cast WHERE key = ?1 ORDER BY nth",
            )?;
            let mut casts = statement.query([key])?;
            while let Some(cast) = casts.next()? {
                let secs = cast.get(3)?;
                self.all_secs.push(secs);
                if cast.get(0)? {
                    self.mine.push(Mine {
                        kind,
                        denied: cast.get(1)?,
                        at: cast.get(2)?,
                        secs,
                    });
                }
            }
        }
        Ok(false)
    }

    pub(crate) fn done(self) -> Figures {
        figures(&self.mine, self.all_secs)
    }
}

/// The figures of these votes.
fn figures(mine: &[Mine], all_secs: Vec<u32>) -> Figures {
    let count = |of: &dyn Fn(&&Mine) -> bool| mine.iter().filter(of).count() as u64;
    let mut kinds: Vec<OfKind> = [
        Kind::Http,
        Kind::Sql,
        Kind::Command,
        Kind::Tool,
        Kind::Other,
    ]
    .map(|kind| OfKind {
        kind,
        approved: small(count(&|vote| vote.kind == kind && !vote.denied)),
        denied: small(count(&|vote| vote.kind == kind && vote.denied)),
    })
    .into();
    kinds.retain(|kind| kind.approved + kind.denied > 0);
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.approved.saturating_add(kind.denied)));
    let secs: Vec<u32> = mine.iter().map(|vote| vote.secs).collect();
    Figures {
        voted: mine.len() as u64,
        denied: count(&|vote| vote.denied),
        times: times(&secs),
        median_secs: median(secs),
        median_all_secs: median(all_secs),
        weeks: weeks(mine),
        kinds,
    }
}

fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The lower one of the two in the middle.
fn median(mut secs: Vec<u32>) -> Option<u32> {
    let middle = secs.len().checked_sub(1)? / 2;
    Some(*secs.select_nth_unstable(middle).1)
}

fn weeks(mine: &[Mine]) -> Vec<Week> {
    let week_of = |at: i64| at.saturating_sub(A_MONDAY).div_euclid(WEEK);
    let Some(newest) = mine.iter().map(|vote| week_of(vote.at)).max() else {
        return Vec::new();
    };
    let oldest = mine
        .iter()
        .map(|vote| week_of(vote.at))
        .min()
        .unwrap_or(newest);
    let first = oldest.max(newest - Figures::MAX_WEEKS as i64 + 1);
    let mut weeks: Vec<Week> = (first..=newest)
        .map(|week| Week {
            starts: A_MONDAY + week * WEEK,
            approved: 0,
            denied: 0,
        })
        .collect();
    for vote in mine {
        let index = usize::try_from(week_of(vote.at) - first).ok();
        if let Some(week) = index.and_then(|index| weeks.get_mut(index)) {
            if vote.denied {
                week.denied += 1;
            } else {
                week.approved += 1;
            }
        }
    }
    weeks
}

/// As narrow as it gets with nine of ten votes before the open end.
fn times(secs: &[u32]) -> Vec<TimeSpan> {
    if secs.is_empty() {
        return Vec::new();
    }
    let mut sorted = secs.to_vec();
    sorted.sort_unstable();
    let most = sorted.get(sorted.len() * 9 / 10).copied().unwrap_or(0);
    let width = WIDTHS
        .into_iter()
        .find(|width| most < width * (BARS - 1))
        .unwrap_or(WIDTHS[WIDTHS.len() - 1]);
    let mut spans: Vec<TimeSpan> = (0..BARS)
        .map(|bar| TimeSpan {
            from_secs: bar * width,
            to_secs: (bar + 1 < BARS).then_some((bar + 1) * width),
            count: 0,
        })
        .collect();
    for secs in sorted {
        let bar = (secs / width).min(BARS - 1) as usize;
        if let Some(span) = spans.get_mut(bar) {
            span.count += 1;
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(at: i64, secs: u32, denied: bool) -> Mine {
        Mine {
            kind: Kind::Sql,
            denied,
            at,
            secs,
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_have_no_gaps() {
        // Sunday 2026-11-08 23:59:59, Monday 2026-11-23 00:00.
        let (sunday, monday) = (1_794_182_399, 1_795_392_000);
        let weeks = weeks(&[vote(sunday, 1, false), vote(monday, 1, true)]);
        let starts: Vec<i64> = weeks.iter().map(|week| week.starts).collect();
        assert_eq!(
            starts,
            [1_793_577_600, 1_794_182_400, 1_794_787_200, 1_795_392_000]
        );
        assert_eq!((weeks[0].approved, weeks[3].denied), (1, 1));
        let long = super::weeks(&[vote(0, 1, false), vote(monday, 1, true)]);
        assert_eq!((long.len(), long[0].approved), (Figures::MAX_WEEKS, 0));
    }

    #[test]
    fn the_plot_of_times_holds_every_vote_once() {
        let secs: Vec<u32> = (0..100).map(|n| n * 2).chain([u32::MAX]).collect();
        let spans = times(&secs);
        assert_eq!(spans.len(), BARS as usize);
        assert_eq!(spans.iter().map(|span| span.count).sum::<u32>(), 101);
        assert!(
            spans
                .windows(2)
                .all(|pair| pair[0].to_secs == Some(pair[1].from_secs))
        );
        assert_eq!(spans[14].to_secs, None);
        assert_eq!(spans[1].from_secs, 15);
        assert!(times(&[]).is_empty());
        assert_eq!(times(&[u32::MAX; 3])[14].count, 3);
    }

    #[test]
    fn half_of_the_votes_took_no_longer_than_the_median() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9]), Some(9));
        assert_eq!(median(vec![4, 1]), Some(1));
        assert_eq!(median(vec![5, 1, 9]), Some(5));
        let figures = figures(
            &[vote(1, 4, true), vote(2, 8, false), vote(3, 6, false)],
            vec![4, 8, 6, 1],
        );
        assert_eq!((figures.voted, figures.denied), (3, 1));
        assert_eq!(
            (figures.median_secs, figures.median_all_secs),
            (Some(6), Some(4))
        );
        assert_eq!(
            figures.kinds,
            [OfKind {
                kind: Kind::Sql,
                approved: 2,
                denied: 1
            }]
        );
    }
}
