//! A keyring that is locked, slow or not the right one: said, waited for, and never asked anew by itself where that would
//! bring up its dialog again.

use super::*;

/// Waits until it is said. (On a busy machine "has not given" may come before it.)
async fn troubled(app: &Approver, says: &str) {
    let mut state = app.state();
    let said = |state: &Arc<countersign_approver::State>| {
        let mut troubles = state.troubles.iter();
        troubles.any(|one| one.code == ProblemCode::Keyring && one.sentence.contains(says))
    };
    state.wait_for(said).await.unwrap();
}

async fn back(app: &Approver) {
    let mut state = app.state();
    state.wait_for(|state| state.listed).await.unwrap();
}

#[tokio::test]
async fn a_dialog_that_was_canceled_does_not_come_again_by_itself() {
    let world = world().await;
    drop(world.signed_in().await);
    for (error, says, asked_again) in [
        (
            KeyStoreError::Locked("It is locked.".to_owned()),
            "It is locked.",
            false,
        ),
        (
            KeyStoreError::Missing("There is none.".to_owned()),
            "There is none.",
            true,
        ),
    ] {
        *world.store.broken.lock().unwrap() = Some(error);
        let app = world.start();
        troubled(&app, says).await;
        let before = world.store.reads.load(Ordering::SeqCst);
        // Two minutes, in which the network comes and goes.
        tokio::time::pause();
        for _ in 0..4 {
            app.wake();
            tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        }
        tokio::time::resume();
        let again = world.store.reads.load(Ordering::SeqCst) > before;
        assert_eq!(again, asked_again);
        *world.store.broken.lock().unwrap() = None;
        // The person wants it.
        app.try_again();
        back(&app).await;
        assert!(app.state().borrow().troubles.is_empty());
    }
}

#[tokio::test]
async fn an_open_dialog_is_said_and_waited_for() {
    let world = world().await;
    drop(world.signed_in().await);
    let (answer, dialog) = std::sync::mpsc::channel();
    *world.store.dialog.lock().unwrap() = Some(dialog);
    let app = world.start();
    troubled(&app, "answer its dialog").await;
    answer.send(()).unwrap();
    back(&app).await;
}

#[tokio::test]
async fn a_keyring_without_the_keys_can_be_exchanged_for_the_right_one() {
    let world = world().await;
    drop(world.signed_in().await);
    let kept = std::mem::take(&mut *world.store.kept.lock().unwrap());
    let app = world.start();
    troubled(&app, "wrong keyring").await;
    *world.store.kept.lock().unwrap() = kept;
    app.wake();
    back(&app).await;
    assert_eq!(world.seen(|seen| seen.browser_opened), 1);
}
