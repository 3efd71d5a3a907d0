/// <reference types="vitest/config" />
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// Two builds: `dist` goes into the app and holds no recorded data; `--mode recorded` runs the whole
// window over recorded data in a plain browser (development, page tests, screenshots).
export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  base: "./",
  build: {
    outDir: mode === "recorded" ? "dist-recorded" : "dist",
    target: ["safari16", "chrome110"],
    assetsInlineLimit: 0, // the content security policy forbids data: addresses
    modulePreload: { polyfill: false },
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: { host: "127.0.0.1" },
  // Svelte's browser build, not its server build, under test.
  resolve: process.env["VITEST"] ? { conditions: ["browser"] } : {},
  test: { environment: "happy-dom", env: { TZ: "UTC" }, include: ["tests/unit/**/*.test.ts"] },
}));
