/** Moments of the local day as choices: half hours, and whatever else is set. Pure. */

const DAY_MINUTES = 24 * 60;
const STEP_MINUTES = 30;
const two = (n: number) => String(n).padStart(2, "0");

/** `07:00` */
export const minuteName = (minute: number) => `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;

/** The half hours of a day, and `also` where it is none of them. */
export function minutesOfDay(also: number): number[] {
  const minutes = Array.from({ length: DAY_MINUTES / STEP_MINUTES }, (_, n) => n * STEP_MINUTES);
  if (!minutes.includes(also)) minutes.push(also);
  return minutes.sort((a, b) => a - b);
}

/** A day of the calendar, here: `2026-11-22`. */
export type Day = `${number}-${string}-${string}`;

export const dayOf = (secs: number): Day => {
  const date = new Date(secs * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
};
export const minuteOf = (secs: number): number => {
  const date = new Date(secs * 1000);
  return date.getHours() * 60 + date.getMinutes();
};

/** That minute of that day, here. Where the clocks are put forward over it, the minute after. */
export function momentOf(day: Day, minute: number): number {
  const [year, month, date] = day.split("-").map(Number) as [number, number, number];
  return Math.floor(new Date(year, month - 1, date, Math.floor(minute / 60), minute % 60).getTime() / 1000);
}

/** So many days from the one in which `secs` lies, and the one of `also`. Each once, whatever the clocks do. */
export function daysFrom(secs: number, count: number, also: number): Day[] {
  const first = new Date(secs * 1000);
  const days = new Set<Day>();
  for (let n = 0; n < count; n++) days.add(dayOf(new Date(first.getFullYear(), first.getMonth(), first.getDate() + n, 12).getTime() / 1000));
  days.add(dayOf(also));
  return [...days].sort();
}
