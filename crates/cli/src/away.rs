//! Who could vote and is away, for a requester's terminal: as the server says, made visible, in local time.

use countersign_api::http::AwayView;
use countersign_approver::away::{Away, sentences};
use countersign_model::UnixSecs;
use jiff::tz::TimeZone;

use crate::terminal::safe;

/// The sentences; empty where nobody is away.
pub(crate) fn told(
    away: &[AwayView],
    others_can: Option<u32>,
    now: UnixSecs,
    zone: &TimeZone,
) -> String {
    let shown: Vec<(String, i64, Option<String>)> = away
        .iter()
        .map(|away| {
            let AwayView {
                name,
                until,
                stand_in,
                // A requester stands in for nobody.
                names_you: _,
            } = away;
            (safe(name), *until, stand_in.as_deref().map(safe))
        })
        .collect();
    let away: Vec<Away<'_>> = shown
        .iter()
        .map(|(name, until, stand_in)| Away {
            name,
            until: *until,
            stand_in: stand_in.as_deref(),
            names_you: false,
        })
        .collect();
    sentences(&away, others_can, now.0, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let away = AwayView {
            name: "El\u{1b}[2Jin".to_owned(),
            until: 1_000_000,
            stand_in: Some("Jo\u{202e}nas".to_owned()),
            names_you: false,
        };
        let said = told(&[away], Some(2), UnixSecs(990_000), &TimeZone::UTC);
        assert_eq!(
            said,
            "El‹U+001B ESC›[2Jin is away until 13:46. Jo‹U+202E RLO›nas can approve instead. 2 others can vote."
        );
    }
}
