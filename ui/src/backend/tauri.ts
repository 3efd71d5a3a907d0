/** The transport in the app: Tauri's command `call` and its event `agent-event` (`src-tauri`). */
import { invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import type { Answer, Call, Event } from "../generated/ipc";
import { replyOf, type Backend } from "./backend";

export const tauri: Backend = {
  async call(call: Call) {
    return replyOf(await invoke<Answer>("call", { call }));
  },
  async onEvent(hear) {
    await listen<Event>("agent-event", (event) => hear(event.payload));
  },
};
