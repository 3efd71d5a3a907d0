/** Starts the window: over the agent in the app, over recorded data in a plain browser. */
import { mount } from "svelte";
import App from "./App.svelte";
import type { Backend } from "./backend/backend";
import { tauri } from "./backend/tauri";
import { Clock } from "./clock.svelte";
import { Store } from "./store.svelte";
import "./style/index.css";

async function start() {
  let backend: Backend;
  let readMillis = () => Date.now();
  // Folded at build time: what goes into the app holds no recorded data.
  if (import.meta.env.DEV || import.meta.env.MODE === "recorded") {
    const { recorded } = await import("./backend/web");
    const scene = recorded();
    backend = scene.backend;
    readMillis = scene.readMillis;
  } else {
    backend = tauri;
  }
  const target = document.getElementById("app");
  if (target === null) throw new Error("index.html has no #app");
  const clock = new Clock(readMillis);
  mount(App, { target, props: { store: new Store(backend, clock) } });
}

void start();
