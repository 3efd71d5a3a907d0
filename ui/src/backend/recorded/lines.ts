/** Short ways to write lines for the recorded data. */
import type { Field, Line, Role, Span } from "../../generated/ipc";

const as = (role: Role) => (text: string): Span => ({ role, text });
export const ours = as("ours");
export const name = as("name");
export const verb = as("verb");
export const value = as("value");
export const key = as("key");
export const punct = as("punctuation");
export const chip = as("chip");
export const twin = as("confusable");

export const line = (...parts: (Span | string)[]): Line => ({
  indent: 0,
  spans: parts.map((part) => (typeof part === "string" ? { role: "data", text: part } : part)),
});
export const indented = (indent: number, ...parts: (Span | string)[]): Line => ({ ...line(...parts), indent });
export const field = (label: string, ...lines: (Line | string)[]): Field => ({
  label,
  lines: lines.map((each) => (typeof each === "string" ? line(each) : each)),
});
