//! Past requests, their evidence, and what this device can prove.

use super::*;

/// One approval that decided, as history.
async fn decided(world: &World) -> Approver {
    let (app, digest) = ready(world, |requirement| requirement.approvals = 1).await;
    app.vote("t1", Choice::Approve, None, None, digest)
        .await
        .unwrap();
    world.does(|does| {
        let view = does.requests.get_mut("t1").unwrap();
        view["state"] = "redeemed".into();
        view["ended_at"] = 1_800_000_000.into();
    });
    app
}

#[tokio::test]
async fn evidence_is_verified_on_this_device_and_says_what_it_cannot_prove() {
    let world = world().await;
    let app = decided(&world).await;
    let outcomes = |report: &VerifyReport| {
        report
            .steps
            .iter()
            .map(|step| step.outcome)
            .collect::<Vec<_>>()
    };
    use StepOutcome::{Failed, NotApplicable, NotProven, NotReached, Passed};
    let report = app.verify("t1").await.unwrap();
    assert_eq!(report.conclusion, Conclusion::Consistent);
    let with_own_token = [
        Passed,
        Passed,
        NotProven,
        Passed,
        Passed,
        NotApplicable,
        NotProven,
        NotApplicable,
    ];
    assert_eq!(outcomes(&report), with_own_token, "{report:?}");
    world.does(|does| does.gives_tokens = false);
    let report = app.verify("t1").await.unwrap();
    assert_eq!(
        (report.conclusion, report.steps[4].outcome),
        (Conclusion::Consistent, NotProven)
    );
    world.does(|does| does.forges_grants = true);
    let report = app.verify("t1").await.unwrap();
    assert_eq!(report.conclusion, Conclusion::Failed);
    let forged = [
        Passed, Failed, NotReached, NotReached, NotReached, NotReached, NotReached, NotReached,
    ];
    assert_eq!(outcomes(&report), forged);
}

#[tokio::test]
async fn evidence_is_written_as_a_file_that_others_read() {
    let world = world().await;
    let app = decided(&world).await;
    let path = app
        .export_evidence("t1", world.folder.path())
        .await
        .unwrap();
    let evidence =
        countersign_evidence::Evidence::from_json(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(evidence.votes.len(), 1);
    assert_eq!(path.file_name().unwrap(), "countersign-t1.json");
    assert!(
        app.export_evidence("../t1", world.folder.path())
            .await
            .is_err()
    );
    let nowhere = app
        .export_evidence("t1", FsPath::new("/nonexistent"))
        .await
        .unwrap_err();
    assert!(nowhere.sentence.contains("could not be written"));
}
