//! Being away: said, shown and taken back at the server. It informs and routes; nobody's right to vote changes.

use countersign_api::http::{
    Absence, AbsenceAnswer, AbsenceRequest, ColleagueList, ColleagueRef, ColleagueView, StandIn,
};
use countersign_api::ipc::{AbsenceView, Away, Colleague, Line, Problem, ProblemCode};
use countersign_display::{self as display, Role};
use countersign_model::Subject;

use crate::approver::Approver;
use crate::inner::Inner;
use crate::problem::{of_api, problem, signed_out};
use crate::session::Session;
use crate::wire;

/// What is on show about one person's absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsencePage {
    /// The person's own name, as their provider states it.
    pub name: Line,
    /// By this program's clock. Unix seconds.
    pub now: i64,
    /// When they are away; none where they are not, and will not be.
    pub absence: Option<AbsenceView>,
    /// Who may stand in.
    pub colleagues: Vec<Colleague>,
    /// What was asked for lately and this person may vote on.
    pub resources: Vec<Line>,
}

impl Approver {
    /// Whether this person is away, and who could stand in.
    ///
    /// # Errors
    /// As the server or the network has it.
    pub async fn absence(&self) -> Result<AbsencePage, Problem> {
        let session = self.session_with_absences()?;
        let answer = session
            .call(|api| async move { api.absence().await })
            .await
            .map_err(|error| of_api(&error))?;
        self.page(&session, answer).await
    }

    /// This person is away. What was said before is replaced.
    ///
    /// # Errors
    /// As the server or the network has it; nothing changed then.
    pub async fn set_absence(
        &self,
        from: i64,
        until: i64,
        stand_in: Option<&str>,
    ) -> Result<AbsencePage, Problem> {
        let session = self.session_with_absences()?;
        let stand_in = match stand_in {
            Some(id) => Some(reference(id)?),
            None => None,
        };
        let request = &AbsenceRequest {
            from,
            until,
            stand_in,
        };
        let answer = session
            .call(|api| async move { api.set_absence(request).await })
            .await
            .map_err(|error| of_api(&error))?;
        self.page(&session, answer).await
    }

    /// This person is back.
    ///
    /// # Errors
    /// As the server or the network has it; nothing changed then.
    pub async fn end_absence(&self) -> Result<AbsencePage, Problem> {
        let session = self.session_with_absences()?;
        session
            .call(|api| async move { api.end_absence().await })
            .await
            .map_err(|error| of_api(&error))?;
        self.page(&session, AbsenceAnswer { absence: None }).await
    }

    fn session_with_absences(&self) -> Result<std::sync::Arc<Session>, Problem> {
        let session = self.inner.session().ok_or_else(signed_out)?;
        if session.knows_absences() {
            return Ok(session);
        }
        Err(problem(
            ProblemCode::Other,
            "This server did not know absences when you signed in. Sign in again once it does.",
        ))
    }

    async fn page(&self, session: &Session, answer: AbsenceAnswer) -> Result<AbsencePage, Problem> {
        self.inner.show_absence(session, answer.absence.as_ref());
        let ColleagueList {
            colleagues,
            resources,
        } = session
            .call(|api| async move { api.colleagues().await })
            .await
            .map_err(|error| of_api(&error))?;
        let colleagues: Vec<Colleague> = colleagues.into_iter().map(colleague).collect();
        Ok(AbsencePage {
            name: wire::safe(&session.account.file.name, Role::Name),
            now: session.now().0,
            absence: answer.absence.map(|absence| view(absence, &colleagues)),
            colleagues,
            resources: safe(resources),
        })
    }
}

impl Inner {
    /// What the server says of this person's absence goes on show with their account.
    pub(crate) fn show_absence(&self, session: &Session, absence: Option<&Absence>) {
        let away = absence.map(|absence| Away {
            from: absence.from,
            until: absence.until,
        });
        self.change(|state| {
            if let Some(account) = &mut state.account
                && account.binding_id == session.account.file.binding_id
            {
                account.away = away;
            }
        });
    }
}

fn view(absence: Absence, colleagues: &[Colleague]) -> AbsenceView {
    let Absence {
        from,
        until,
        stand_in,
    } = absence;
    let eligible = stand_in.as_ref().is_some_and(|it| it.eligible);
    let stand_in = stand_in.map(|named| {
        let StandIn {
            iss,
            sub,
            name,
            eligible: _,
        } = named;
        // Whoever is signed in is among the colleagues, with what they may vote on.
        let listed = colleagues.iter().find(|it| it.id == id_of(&iss, &sub));
        listed.cloned().unwrap_or_else(|| {
            colleague(ColleagueView {
                iss,
                sub,
                name,
                resources: Vec::new(),
            })
        })
    });
    AbsenceView {
        from,
        until,
        stand_in,
        stand_in_eligible: eligible,
    }
}

fn colleague(given: ColleagueView) -> Colleague {
    let ColleagueView {
        iss,
        sub,
        name,
        resources,
    } = given;
    Colleague {
        id: id_of(&iss, &sub),
        name: wire::safe(&name, Role::Name),
        issuer: wire::safe(&iss, Role::Data),
        initials: display::initials(&name),
        resources: safe(resources),
    }
}

fn safe(texts: Vec<String>) -> Vec<Line> {
    let lines = texts.iter().map(|text| wire::safe(text, Role::Data));
    lines.collect()
}

fn id_of(iss: &str, sub: &str) -> String {
    format!("{iss}|{sub}")
}

fn reference(id: &str) -> Result<ColleagueRef, Problem> {
    let subject = Subject::parse(id)
        .map_err(|_| problem(ProblemCode::NotFound, "There is no such colleague."))?;
    Ok(ColleagueRef {
        iss: subject.iss.to_string(),
        sub: subject.sub,
    })
}
