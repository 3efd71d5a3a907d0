/// <reference types="node" />
/** Rules about the source itself: what must never be written here. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../../src");
const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.(svelte|ts|css)$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

const never = (what: RegExp, where: RegExp = /./) =>
  sources.filter(({ path, text }) => where.test(path) && what.test(text)).map(({ path }) => path);

test("text from outside is never markup", () => {
  expect(sources.length).toBeGreaterThan(40);
  expect(never(/\{@html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc/)).toEqual([]);
});

test("nothing that the content security policy would block", () => {
  expect(never(/\sstyle=["'{]/, /\.svelte$/)).toEqual([]);
  expect(never(/<style|<script(?! lang="ts")/, /\.svelte$/)).toEqual([]);
  expect(never(/\beval\(|new Function\(|javascript:/)).toEqual([]);
  expect(never(/url\(|@font-face|https?:\/\//, /\.css$/)).toEqual([]);
});

test("nothing leaves but through the backend", () => {
  expect(never(/\bfetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|localStorage|sessionStorage|indexedDB/)).toEqual([]);
  expect(never(/@tauri-apps\/(?!api\/(core|event)")/)).toEqual([]);
});

test("raw colors and font sizes are written in tokens.css alone", () => {
  expect(never(/#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(/i, /style\/(?!tokens).*\.css$/)).toEqual([]);
});

test("every word on screen comes from the catalogue", () => {
  // Text between tags, outside of the script, that is a word: only what the catalogue gives.
  const words = sources.filter(({ path }) => path.endsWith(".svelte")).flatMap(({ path, text }) => {
    const markup = text.replace(/<script[\s\S]*?<\/script>/g, "").replace(/<!--[\s\S]*?-->/g, "").replace(/\{[^{}]*(\{[^{}]*\}[^{}]*)*\}/g, "");
    return [...markup.matchAll(/>([^<>]*\p{L}{2,}[^<>]*)</gu)].map((match) => `${path}: ${match[1]?.trim()}`).filter((found) => !/=>|\bon\w+=/.test(found));
  });
  expect(words).toEqual([]);
});
