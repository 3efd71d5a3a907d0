/// <reference types="node" />
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { en } from "../../src/text/en";
import { speak } from "../../src/text";
import { inWords } from "../../src/text/problem";

afterEach(() => speak("en", ""));

test("in English a problem is what the agent says of it", () => {
  expect(inWords({ code: "keyring", sentence: "The keyring is locked." })).toBe("The keyring is locked.");
  expect(inWords({ code: "keyring", sentence: "" })).toBe("The keyring of this desktop is missing or locked.");
});

test("another language says what it can say itself, and loses nothing of what the agent says", () => {
  speak("de", "");
  expect(inWords({ code: "keyring", sentence: "The keyring is locked." })).toBe("Der Schlüsselbund dieses Desktops fehlt oder ist gesperrt. (The keyring is locked.)");
  expect(inWords({ code: "other", sentence: "The disk is full." })).toBe("Countersign meldet: The disk is full.");
  expect(inWords({ code: "other", sentence: "" })).toBe("Es hat nicht geklappt.");
});

test("where the keys are is said by the agent as the catalogue knows it", () => {
  const agent = readFileSync(join(import.meta.dirname, "../../../crates/agent/src/keyring.rs"), "utf8");
  expect(agent).toContain(`"${en.ours.inKeyring.parts.join("")}"`);
});
