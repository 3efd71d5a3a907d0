//! Being away, as the window is answered: what requesters will read, in this computer's own time.

use countersign_api::ipc::Reply;
use countersign_approver::AbsencePage;
use countersign_approver::away::{Away, sentences};
use jiff::tz::TimeZone;

use crate::text::plain;

/// The answer to each call about absences.
#[must_use]
pub fn reply(page: AbsencePage, zone: &TimeZone) -> Reply {
    let requesters_read = requesters_read(&page, zone);
    let AbsencePage {
        name: _,
        now: _,
        absence,
        colleagues,
        resources,
    } = page;
    Reply::Absence {
        absence,
        colleagues,
        resources,
        requesters_read,
    }
}

fn requesters_read(page: &AbsencePage, zone: &TimeZone) -> String {
    let Some(absence) = &page.absence else {
        return String::new();
    };
    let name = plain(&page.name);
    let stand_in = absence
        .stand_in
        .as_ref()
        .filter(|_| absence.stand_in_eligible)
        .map(|stand_in| plain(&stand_in.name));
    let away = Away {
        name: &name,
        until: absence.until,
        stand_in: stand_in.as_deref(),
        names_you: false,
    };
    // As it reads on the first day, where it has not begun.
    sentences(&[away], None, page.now.max(absence.from), zone)
}

#[cfg(test)]
mod tests {
    use countersign_api::ipc::{AbsenceView, Colleague, Line, Role, Span};

    use super::*;

    /// A Sunday, 13:20.
    const NOW: i64 = 1_795_353_600;
    const DAY: i64 = 24 * 3600;

    fn line(text: &str) -> Line {
        let span = |role, text: &str| Span {
            role,
            text: text.to_owned(),
        };
        let mut spans = vec![span(Role::Name, text)];
        if text == "Jonas" {
            spans.push(span(Role::Chip, "U+202E RLO"));
        }
        Line { indent: 0, spans }
    }

    fn page(eligible: bool) -> AbsencePage {
        AbsencePage {
            name: line("Elin Varga"),
            now: NOW,
            absence: Some(AbsenceView {
                from: NOW + 30 * DAY,
                until: NOW + 32 * DAY,
                stand_in: Some(Colleague {
                    id: "https://op.example|jonas".to_owned(),
                    name: line("Jonas"),
                    issuer: line("https://op.example"),
                    initials: "J".to_owned(),
                    resources: Vec::new(),
                }),
                stand_in_eligible: eligible,
            }),
            colleagues: Vec::new(),
            resources: Vec::new(),
        }
    }

    fn read(page: AbsencePage) -> String {
        let Reply::Absence {
            requesters_read, ..
        } = reply(page, &TimeZone::UTC)
        else {
            panic!("another reply");
        };
        requesters_read
    }

    #[test]
    fn requesters_read_who_is_away_and_of_nobody_who_may_not_vote() {
        assert_eq!(
            read(page(true)),
            "Elin Varga is away until Thursday 13:20. Jonas⟨U+202E RLO⟩ can approve instead."
        );
        assert_eq!(
            read(page(false)),
            "Elin Varga is away until Thursday 13:20."
        );
        let back = AbsencePage {
            absence: None,
            ..page(true)
        };
        assert_eq!(read(back), "");
    }
}
