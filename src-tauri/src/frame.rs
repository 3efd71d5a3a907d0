//! The one window: how it is made, comes forward, hides and ends.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_api::ipc::{Call, Event, Prefs, Theme};
use tauri::webview::{NewWindowResponse, PageLoadEvent};
use tauri::window::Color;
use tauri::{
    AppHandle, Emitter as _, Manager as _, Url, UserAttentionType, WebviewUrl, WebviewWindow,
    WebviewWindowBuilder, Window, WindowEvent,
};

use crate::agent::Agent;
use crate::linger;
use crate::start::{self, Exit};

const LABEL: &str = "main";
/// The event under which the page hears the agent.
const CHANNEL: &str = "agent-event";
/// A page that has loaded and says nothing for so long is shown as it is. On a busy machine it takes seconds.
const DRAWING_PATIENCE: Duration = Duration::from_secs(10);
/// What the page is drawn on, light and dark: `--ground-pane` in `ui/src/style/tokens.css`.
const GROUNDS: [Color; 2] = [Color(0xf1, 0xf2, 0xf4, 0xff), Color(0x12, 0x14, 0x17, 0xff)];

/// What stands between the agent's wish and the page.
#[derive(Default)]
struct Stage {
    /// The page has drawn its first state: before that the window would be blank.
    drawn: bool,
    /// The agent wants it on screen.
    wanted: Option<Wanted>,
    /// Until the page asks for the first time, the newest [`Event::Open`] or [`Event::Connect`] is kept for it.
    kept: Option<Event>,
    /// The page listens.
    listening: bool,
}

/// How it is to come.
enum Wanted {
    /// A person asked for it, perhaps with the desktop's proof of that.
    Forward(Option<String>),
    /// Nobody did: it must not take the focus.
    InSight,
}

#[derive(Default)]
struct Shared {
    stage: Mutex<Stage>,
    /// Counts showing and hiding, so that an old timer knows that it is old.
    turn: AtomicU64,
    /// The text size that the page is drawn at, in percent; 0 before the first.
    text_size: AtomicU16,
    /// The theme that the window's ground is of.
    theme: Mutex<Option<Theme>>,
    /// Closing ends it, and the agent with it: it is not kept in the tray.
    closing_ends: AtomicBool,
}

/// Makes the window, hidden. No page but our own is ever loaded into it.
pub(crate) fn create(app: &AppHandle) -> tauri::Result<()> {
    app.manage(Shared::default());
    let window = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::App("index.html".into()))
        .title("Countersign")
        .inner_size(1180.0, 760.0)
        .min_inner_size(420.0, 360.0)
        .visible(false)
        .devtools(false)
        .on_navigation(is_ours)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_page_load(|window, load| {
            if load.event() == PageLoadEvent::Finished {
                let app = window.app_handle().clone();
                tauri::async_runtime::spawn(async move {
                    tokio::time::sleep(DRAWING_PATIENCE).await;
                    page_drew(&app);
                });
            }
        })
        .build()?;
    end_with_web_process(&window)
}

/// Nothing but our own page.
fn is_ours(url: &Url) -> bool {
    url.scheme() == "tauri" && url.host_str() == Some("localhost")
}

/// A dead web process leaves a frozen picture of a card: better no window than that.
fn end_with_web_process(window: &WebviewWindow) -> tauri::Result<()> {
    #[cfg(target_os = "linux")]
    window.with_webview(|webview| {
        use webkit2gtk::WebViewExt as _;
        webview.inner().connect_web_process_terminated(|_, reason| {
            eprintln!(
                "countersign-window: The web process ended ({reason:?}), and so does the window."
            );
            Exit::Broken.now();
        });
    })?;
    Ok(())
}

/// Something that the agent says by itself.
pub(crate) fn on_event(app: &AppHandle, event: Event) {
    match event {
        Event::Open {
            txn,
            activation_token,
        } => {
            let event = Event::Open {
                txn,
                activation_token: None,
            };
            lock(app.state::<Shared>().inner()).wanted = Some(Wanted::Forward(activation_token));
            page_hears(app, event);
            present_if_due(app);
        }
        Event::Raise => {
            let mut stage = lock(app.state::<Shared>().inner());
            stage.wanted.get_or_insert(Wanted::InSight);
            drop(stage);
            present_if_due(app);
        }
        Event::Goodbye => app.exit(0),
        Event::State { ref state } => {
            heed(app, &state.prefs);
            emit(app, &event);
        }
        Event::Connect { .. } => page_hears(app, event),
        Event::CardChanged { .. } | Event::HistoryChanged => emit(app, &event),
    }
}

/// Where the page is to go: told at once, or as soon as it listens. Only the newest counts.
fn page_hears(app: &AppHandle, event: Event) {
    let now = {
        let mut stage = lock(app.state::<Shared>().inner());
        if stage.listening {
            Some(event)
        } else {
            stage.kept = Some(event);
            None
        }
    };
    if let Some(event) = now {
        emit(app, &event);
    }
}

/// Does what is preferred of the frame itself.
pub(crate) fn heed(app: &AppHandle, prefs: &Prefs) {
    let shared = app.state::<Shared>();
    shared
        .closing_ends
        .store(!prefs.keep_in_tray, Ordering::SeqCst);
    zoom(app, prefs.text_size);
    ground(app, prefs.theme);
}

/// Nobody is dazzled by a white window before a dark page is drawn.
fn ground(app: &AppHandle, theme: Theme) {
    let before = app
        .state::<Shared>()
        .theme
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(theme);
    let Some(window) = app
        .get_webview_window(LABEL)
        .filter(|_| before != Some(theme))
    else {
        return;
    };
    let is_dark = match theme {
        Theme::Light => false,
        Theme::Dark => true,
        Theme::System => window
            .theme()
            .is_ok_and(|theme| theme == tauri::Theme::Dark),
    };
    if let Err(error) = window.set_background_color(Some(GROUNDS[usize::from(is_dark)])) {
        eprintln!("countersign-window: The window does not change its ground: {error}");
    }
}

/// Draws everything at this size, in percent: the webview's zoom, so that space and breakpoints follow the text.
fn zoom(app: &AppHandle, text_size: u16) {
    let known = Prefs::TEXT_SIZES.contains(&text_size);
    let before = &app.state::<Shared>().text_size;
    if !known || before.swap(text_size, Ordering::SeqCst) == text_size {
        return;
    }
    let Some(window) = app.get_webview_window(LABEL) else {
        return;
    };
    if let Err(error) = window.set_zoom(f64::from(text_size) / 100.0) {
        eprintln!("countersign-window: The text does not change its size: {error}");
    }
}

/// The page asked for the first time, so it listens: what was kept for it goes out.
pub(crate) fn page_listens(app: &AppHandle) {
    let kept = {
        let mut stage = lock(app.state::<Shared>().inner());
        stage.listening = true;
        stage.kept.take()
    };
    if let Some(event) = kept {
        emit(app, &event);
    }
}

/// The page has something to show. It says so by telling its state for the first time.
pub(crate) fn page_drew(app: &AppHandle) {
    lock(app.state::<Shared>().inner()).drawn = true;
    present_if_due(app);
}

/// The agent is gone without a goodbye: say so, in a place that does not depend on the page. (A window that is shut in ends
/// with a killed agent, without a word: what shuts it in sees to that.)
pub(crate) fn on_agent_gone(app: &AppHandle) {
    let handle = app.clone();
    let told = app.run_on_main_thread(move || {
        let shown = handle
            .get_webview_window(LABEL)
            .is_some_and(|w| w.is_visible().unwrap_or(false));
        if !shown {
            Exit::NoAgent.now();
        }
        if let Some(window) = handle.get_webview_window(LABEL) {
            let _ = window.hide();
        }
        start::last_words(Exit::NoAgent, start::AGENT_GONE);
    });
    if told.is_err() {
        Exit::NoAgent.now();
    }
}

/// Closing hides. A while later, unless it was opened again, the window ends and gives its memory back.
pub(crate) fn on_window_event(window: &Window, event: &WindowEvent) {
    let WindowEvent::CloseRequested { api, .. } = event else {
        return;
    };
    api.prevent_close();
    let app = window.app_handle().clone();
    if app.state::<Shared>().closing_ends.load(Ordering::SeqCst) {
        return app.exit(0);
    }
    if let Err(error) = window.hide() {
        eprintln!("countersign-window: The window does not hide: {error}");
        app.exit(0);
    }
    let turn = app.state::<Shared>().turn.fetch_add(1, Ordering::SeqCst) + 1;
    tauri::async_runtime::spawn(async move {
        if let Some(agent) = app.try_state::<Agent>() {
            agent
                .ask(Call::WindowState {
                    visible: false,
                    showing: None,
                })
                .await;
        }
        linger::over().await;
        if app.state::<Shared>().turn.load(Ordering::SeqCst) == turn {
            app.exit(0);
        }
    });
}

/// Brings the window forward once it is wanted and has something to show.
fn present_if_due(app: &AppHandle) {
    let wanted = {
        let mut stage = lock(app.state::<Shared>().inner());
        if !stage.drawn {
            return;
        }
        match stage.wanted.take() {
            Some(wanted) => wanted,
            None => return,
        }
    };
    app.state::<Shared>().turn.fetch_add(1, Ordering::SeqCst);
    let handle = app.clone();
    // Failure means that the loop has ended, and the window with it.
    let _ = app.run_on_main_thread(move || {
        if let Some(window) = handle.get_webview_window(LABEL) {
            match wanted {
                Wanted::Forward(token) => present(&window, token.as_deref()),
                Wanted::InSight => show(&window),
            }
        }
    });
}

fn present(window: &WebviewWindow, token: Option<&str>) {
    #[cfg(target_os = "linux")]
    if let Ok(toplevel) = window.gtk_window() {
        use gtk::prelude::GtkWindowExt as _;
        toplevel.set_focus_on_map(true);
        if let Some(token) = token {
            toplevel.set_startup_id(token);
        }
    }
    let done = window
        .show()
        .and_then(|()| window.unminimize())
        .and_then(|()| window.set_focus());
    if let Err(error) = done {
        eprintln!("countersign-window: The window does not come forward: {error}");
    }
}

/// On screen without the focus: keys that are being typed elsewhere must not reach a card. A window that is there already
/// only asks for attention.
fn show(window: &WebviewWindow) {
    #[cfg(target_os = "linux")]
    if let Ok(toplevel) = window.gtk_window() {
        use gtk::prelude::GtkWindowExt as _;
        toplevel.set_focus_on_map(false);
    }
    let done = window
        .show()
        .and_then(|()| window.request_user_attention(Some(UserAttentionType::Informational)));
    if let Err(error) = done {
        eprintln!("countersign-window: The window does not come on screen: {error}");
    }
}

fn emit(app: &AppHandle, event: &Event) {
    if let Err(error) = app.emit_to(LABEL, CHANNEL, event) {
        eprintln!("countersign-window: The page was not told: {error}");
    }
}

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Stage> {
    shared.stage.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_window_goes_nowhere_but_to_its_own_page() {
        let ours = |url: &str| is_ours(&url.parse().unwrap());
        assert!(ours("tauri://localhost") && ours("tauri://localhost/index.html"));
        for url in [
            "https://localhost/",
            "http://tauri.localhost/",
            "tauri://localhost.evil.example/",
            "tauri://evil.example/localhost",
            "tauri:localhost",
            "file:///etc/passwd",
            "data:text/html,x",
            "javascript:alert(1)",
            "about:blank",
            "ipc://localhost/call",
            "countersign://connect?server=https://a.example",
        ] {
            assert!(!ours(url), "{url}");
        }
    }

    #[test]
    fn the_ground_is_that_of_the_page() {
        let tokens = include_str!("../../ui/src/style/tokens.css");
        for Color(red, green, blue, _) in GROUNDS {
            let token = format!("--ground-pane: #{red:02x}{green:02x}{blue:02x};");
            assert!(tokens.contains(&token), "{token}");
        }
    }
}
