//! `countersign approve away` and `back`: the same words to the server as the app's, and what requesters will read.

use countersign_api::ipc::Colleague;
use countersign_approver::away::{Away, sentences};
use countersign_approver::{AbsencePage, Approver};
use countersign_model::Clock as _;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::stop;
use crate::clock::SystemClock;
use crate::exit::{Exit, Stop};
use crate::terminal::line;

/// Away until then, and from now on unless told.
pub(super) async fn set(
    approver: &Approver,
    from: Option<&str>,
    until: &str,
    stand_in: Option<&str>,
) -> anyhow::Result<Exit> {
    let zone = TimeZone::system();
    let from = match from {
        Some(text) => moment(text, &zone)?,
        None => SystemClock.now().0,
    };
    let until = moment(until, &zone)?;
    let stand_in = match stand_in {
        Some(name) => {
            let page = approver.absence().await.map_err(stop)?;
            Some(colleague(&page.colleagues, name)?)
        }
        None => None,
    };
    let page = approver
        .set_absence(from, until, stand_in.as_deref())
        .await
        .map_err(stop)?;
    eprintln!("Requesters read: {}", read(&page, &zone));
    Ok(Exit::Done)
}

/// Back again.
pub(super) async fn end(approver: &Approver) -> anyhow::Result<Exit> {
    approver.end_absence().await.map_err(stop)?;
    eprintln!("You are back.");
    Ok(Exit::Done)
}

fn read(page: &AbsencePage, zone: &TimeZone) -> String {
    let Some(absence) = &page.absence else {
        return "nothing.".to_owned();
    };
    let name = line(&page.name);
    let stand_in = absence.stand_in.as_ref().map(|it| line(&it.name));
    let away = Away {
        name: &name,
        until: absence.until,
        stand_in: stand_in.as_deref().filter(|_| absence.stand_in_eligible),
        names_you: false,
    };
    sentences(&[away], None, page.now.max(absence.from), zone)
}

/// `2026-11-27 18:00`, in this computer's own time.
fn moment(text: &str, zone: &TimeZone) -> anyhow::Result<i64> {
    let at: Option<DateTime> = text.parse().ok();
    let at = at.and_then(|at| at.to_zoned(zone.clone()).ok());
    match at {
        Some(at) => Ok(at.timestamp().as_second()),
        None => Err(Stop::with(
            Exit::Usage,
            format!("`{text}` is no moment; write it like `2026-11-27 18:00`"),
        )),
    }
}

/// The one whose name or id this is.
fn colleague(known: &[Colleague], named: &str) -> anyhow::Result<String> {
    let is_it = |it: &&Colleague| it.id == named || line(&it.name) == named;
    let found: Vec<&Colleague> = known.iter().filter(is_it).collect();
    if let [only] = found.as_slice() {
        return Ok(only.id.clone());
    }
    let list = match found.as_slice() {
        [] => known.iter().collect(),
        several => several.to_vec(),
    };
    let list = list
        .iter()
        .map(|it| format!("\n  {} ({})", line(&it.name), crate::terminal::safe(&it.id)));
    let list: String = list.collect();
    let why = match (found.len(), list.is_empty()) {
        (0, true) => "nobody who may vote on what you were asked about lately is signed in now",
        (0, false) => "these can stand in, by name or id:",
        (_, _) => "several have that name; give one of the ids:",
    };
    Err(Stop::with(Exit::Usage, format!("{why}{list}")))
}

#[cfg(test)]
mod tests {
    use countersign_api::ipc::{Line, Role, Span};

    use super::*;

    fn person(id: &str, name: &str) -> Colleague {
        let text = |text: &str| Line {
            indent: 0,
            spans: vec![Span {
                role: Role::Name,
                text: text.to_owned(),
            }],
        };
        Colleague {
            id: id.to_owned(),
            name: text(name),
            issuer: text("https://op.example"),
            initials: "J".to_owned(),
            resources: Vec::new(),
        }
    }

    #[test]
    fn a_colleague_is_named_by_name_or_id_and_never_guessed() {
        let known = [
            person("a|1", "Jonas"),
            person("a|2", "Jonas"),
            person("a|3", "Ines"),
        ];
        assert_eq!(colleague(&known, "Ines").unwrap(), "a|3");
        assert_eq!(colleague(&known, "a|2").unwrap(), "a|2");
        let several = colleague(&known, "Jonas").unwrap_err().to_string();
        assert!(
            several.contains("a|1") && !several.contains("a|3"),
            "{several}"
        );
        let none = colleague(&known, "In").unwrap_err().to_string();
        assert!(none.contains("Ines (a|3)"), "{none}");
        let nobody = colleague(&[], "Ines").unwrap_err().to_string();
        assert!(nobody.contains("is signed in now"), "{nobody}");
    }

    #[test]
    fn a_moment_is_of_this_computers_own_time() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(moment("2026-11-27 18:00", &zone).unwrap(), 1_795_798_800);
        assert_eq!(moment("2026-11-27T18:00", &zone).unwrap(), 1_795_798_800);
        for bad in ["", "tomorrow", "2026-11-31 18:00", "27.11.2026"] {
            assert!(moment(bad, &zone).is_err(), "{bad}");
        }
    }
}
