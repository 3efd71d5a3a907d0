//! Over real files. The judgment of looks has its own tests beside it.

use std::fs;

use super::*;

const ONE: &str = r#"@id("p") permit (principal, action == Action::"one", resource);"#;
const TWO: &str = r#"@id("p") permit (principal, action == Action::"two", resource);"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(text: &str) -> (Self, Arc<PolicyFile>) {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put(text);
        let file = PolicyFile::open(folder.path()).unwrap();
        (folder, file)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("policy.cedar")
    }

    fn put(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }
}

#[test]
fn nothing_opens_without_a_sound_policy() {
    let (folder, _) = Folder::with(ONE);
    fs::remove_file(folder.path()).unwrap();
    let missing = PolicyFile::open(folder.path()).unwrap_err();
    assert!(matches!(missing.error, FileError::Unreadable(_)));
    folder.put("@id(\"p\")\npermit (principal, action, resource);");
    let wrong = PolicyFile::open(folder.path()).unwrap_err();
    assert!(
        wrong
            .to_string()
            .contains("policy.cedar`: line 1, policy `p`: a permit says"),
        "{wrong}"
    );
    folder.put(&" ".repeat(MAX_POLICY_BYTES + 1));
    let long = PolicyFile::open(folder.path()).unwrap_err();
    assert_eq!(long.error, FileError::TooLong);
}

#[test]
fn a_good_change_is_taken_whole_and_told() {
    let (folder, file) = Folder::with(ONE);
    let mut changes = file.subscribe();
    let before = file.current();
    folder.put(TWO);
    let digest = Digest::of(TWO.as_bytes());
    assert_eq!(file.reload_if_changed(), Reloaded::Changed { digest });
    assert_eq!(file.current().digest(), digest);
    assert!(file.current().knows("two") && !file.current().knows("one"));
    // A decision that began with the old one ends with it.
    assert!(before.knows("one"));
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), digest);
    assert_eq!(file.reload_if_changed(), Reloaded::Unchanged);
    assert!(!changes.has_changed().unwrap());
}

#[test]
fn a_bad_change_is_refused_and_the_old_one_stays() {
    let (folder, file) = Folder::with(ONE);
    let changes = file.subscribe();
    folder.put("permit (principal, action, resource);");
    let Reloaded::Refused {
        error: FileError::Policy(error),
    } = file.reload_if_changed()
    else {
        panic!("taken");
    };
    assert_eq!(error.line, 1);
    assert!(file.current().knows("one"));
    assert!(!changes.has_changed().unwrap());
    fs::remove_file(folder.path()).unwrap();
    assert!(matches!(
        file.reload_if_changed(),
        Reloaded::Refused {
            error: FileError::Unreadable(_)
        }
    ));
    assert!(file.current().knows("one"));
    folder.put(TWO);
    assert!(matches!(file.reload_if_changed(), Reloaded::Changed { .. }));
}

#[tokio::test(start_paused = true)]
async fn watching_takes_a_change_and_ends_when_told() {
    let (folder, file) = Folder::with(ONE);
    let mut changes = file.subscribe();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let watching = tokio::spawn(Arc::clone(&file).watch(Duration::from_secs(2), async {
        let _ = stopped.await;
    }));
    folder.put(TWO);
    changes.changed().await.unwrap();
    assert!(file.current().knows("two"));
    folder.put(ONE);
    changes.changed().await.unwrap();
    assert!(file.current().knows("one"));
    stop.send(()).unwrap();
    watching.await.unwrap();
}
