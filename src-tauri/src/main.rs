//! The app's window: a thin client of the agent, and nothing more.
//!
//! It shows the page of `ui/` and carries its questions over the agent's socket. It holds no key, reads no file
//! and opens no connection but that one. The agent starts it on demand; started by hand it says so and ends.

mod agent;
mod frame;
mod linger;
mod start;

use countersign_api::ipc::{Answer, Call, Reply};
use tauri::Manager as _;

/// The page's one command: a question for the agent, and what came of it.
#[tauri::command]
async fn call(
    app: tauri::AppHandle,
    agent: tauri::State<'_, agent::Agent>,
    call: Call,
) -> Result<Answer, ()> {
    frame::page_listens(&app);
    if matches!(call, Call::WindowState { .. }) {
        frame::page_drew(&app);
    }
    let answer = agent.ask(call).await;
    if let Answer::Done {
        reply: Reply::State { state },
    } = &answer
    {
        frame::heed(&app, &state.prefs);
    }
    Ok(answer)
}

fn main() {
    start::refuse_automation();
    start::require_display();
    start::draw_what_is_uncovered();
    let socket = start::socket_path();
    let built = tauri::Builder::default()
        .invoke_handler(tauri::generate_handler![call])
        .setup(move |app| {
            frame::create(app.handle())?;
            match agent::Agent::connect(&socket, app.handle().clone()) {
                Ok(agent) => {
                    app.manage(agent);
                }
                Err(error) => {
                    eprintln!("countersign-window: {}: {error}", socket.display());
                    start::last_words(start::Exit::NoAgent, start::NO_AGENT);
                }
            }
            Ok(())
        })
        .on_window_event(frame::on_window_event)
        .build(tauri::generate_context!());
    match built {
        Ok(app) => app.run(|_, _| {}),
        Err(error) => {
            eprintln!("countersign-window: The window could not be made: {error}");
            start::Exit::Broken.now();
        }
    }
}
