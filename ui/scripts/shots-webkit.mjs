// The same scenes in WebKitGTK, the engine of the app's window on Linux: `npm run shots:webkit -- [filter]`. Needs
// Xvfb, WebKitWebDriver and its MiniBrowser. Written to shots/webkit-….png, never committed.
import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { recorded, serve } from "./serve.mjs";
import { script, states } from "./states.mjs";

const filter = process.argv[2] ?? "";
const out = fileURLToPath(new URL("../shots", import.meta.url));
const BROWSER = process.env["MINIBROWSER"] ?? "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser";
const children = [];
const end = () => children.forEach((child) => child.kill());

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
/** A display of its own: Xvfb chooses the number and writes it to the file descriptor. */
async function display() {
  const xvfb = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "2000x1200x24", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  children.push(xvfb);
  const [number] = await once(createInterface({ input: xvfb.stdio[3] }), "line");
  return `:${number}`;
}
const { origin, close } = await serve(recorded);
const port = await freePort();
const driver = spawn("WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], { env: { ...process.env, DISPLAY: await display(), TZ: "UTC", LANG: "en_GB.UTF-8", LIBGL_ALWAYS_SOFTWARE: "1" }, stdio: "ignore" });
children.push(driver);

async function command(method, path, body) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const { value } = await answer.json();
  if (!answer.ok) throw new Error(`${path}: ${value?.error} ${value?.message}`);
  return value;
}
/** The driver needs a moment until it listens. */
async function session() {
  for (let tries = 0; ; tries++) {
    try {
      return await command("POST", "/session", { capabilities: { alwaysMatch: { "webkitgtk:browserOptions": { binary: BROWSER, args: ["--automation"] } } } });
    } catch (error) {
      if (tries > 50 || error.cause === undefined) throw error;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}

const settle = `const done = arguments[arguments.length - 1]; setTimeout(() => done(null), 400);`;
const run = (act) => `const done = arguments[arguments.length - 1]; ${script(act)}.then(() => done(null), (error) => done(String(error)));`;

await mkdir(out, { recursive: true });
try {
  const { sessionId } = await session();
  for (const [width, height, themes] of [[1180, 760, ["light", "dark"]], [800, 600, ["light"]], [590, 380, ["light"]], [1920, 1080, ["dark"]]]) {
    for (const [name, scene, act] of states) {
      for (const theme of themes) {
        const file = `webkit-${width}-${name}-${theme}`;
        if (!file.includes(filter)) continue;
        await command("POST", `/session/${sessionId}/window/rect`, { x: 0, y: 0, width, height });
        await command("POST", `/session/${sessionId}/url`, { url: `${origin}/?theme=${theme}&at=${file}#${scene}` });
        const trouble = await command("POST", `/session/${sessionId}/execute/async`, { script: run(act), args: [] });
        if (trouble !== null) console.error(`${file}: ${trouble}`);
        await command("POST", `/session/${sessionId}/execute/async`, { script: settle, args: [] });
        await writeFile(`${out}/${file}.png`, Buffer.from(await command("GET", `/session/${sessionId}/screenshot`), "base64"));
      }
    }
  }
  await command("DELETE", `/session/${sessionId}`);
} finally {
  end();
  await close();
}
