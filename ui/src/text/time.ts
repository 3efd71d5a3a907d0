/** Times as people read them. Everything takes Unix seconds; nothing here reads a clock. */
import { t } from "./index";

/** A way to write times, in the language in use: made once for each. */
const format = (options: Intl.DateTimeFormatOptions) => {
  const made = new Map<string, Intl.DateTimeFormat>();
  return {
    format(millis: number): string {
      const { locale } = t;
      const as = made.get(locale) ?? new Intl.DateTimeFormat(locale, options);
      made.set(locale, as);
      return as.format(millis);
    },
  };
};
const withSeconds = format({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const withMinutes = format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = format({ day: "numeric", month: "long" });
const weekday = format({ weekday: "long" });
const dayOfWeek = format({ weekday: "short", day: "numeric", month: "short" });
const dayOfYear = format({ day: "numeric", month: "long", year: "numeric" });

const dayAndMonth = format({ day: "numeric", month: "short" });

/** `24 Aug` */
export const dayShort = (secs: number) => dayAndMonth.format(secs * 1000);
/** `14:03:51` */
export const clock = (secs: number) => withSeconds.format(secs * 1000);
/** `14:03` */
export const hour = (secs: number) => withMinutes.format(secs * 1000);
/** `22 November 2026` */
export const date = (secs: number) => dayOfYear.format(secs * 1000);

const dayKey = (secs: number) => {
  const d = new Date(secs * 1000);
  return d.getFullYear() * 10000 + d.getMonth() * 100 + d.getDate();
};

/** Whether both lie on one day, here. */
export const sameDay = (a: number, b: number) => dayKey(a) === dayKey(b);

/** `14:03` today, else `21 November, 14:03`. Never relative: evidence has dates. */
export const moment = (secs: number, now: number) => {
  if (sameDay(secs, now)) return hour(secs);
  const sameYear = new Date(secs * 1000).getFullYear() === new Date(now * 1000).getFullYear();
  return `${(sameYear ? day : dayOfYear).format(secs * 1000)}, ${hour(secs)}`;
};

/** `Fri 27 Nov`, for lists of days. */
export const weekdayShort = (secs: number) => dayOfWeek.format(secs * 1000).replaceAll(",", "");

/** `18:00` today, `Friday 18:00` within a week, else `Fri 11 Dec, 18:00`: until when somebody is away. */
export const leaveEnd = (secs: number, now: number) => {
  if (sameDay(secs, now)) return hour(secs);
  return secs > now && secs - now < 6 * 86_400 ? `${weekday.format(secs * 1000)} ${hour(secs)}` : `${weekdayShort(secs)}, ${hour(secs)}`;
};

/** `14:03:51` today, else `21 November 2026, 14:03:51`. */
export const exact = (secs: number, now: number) => (sameDay(secs, now) ? clock(secs) : `${date(secs)}, ${clock(secs)}`);

/** The heading over a day in the history. */
export const dayHeading = (secs: number, now: number) => {
  if (sameDay(secs, now)) return t.today;
  if (sameDay(secs, now - 86_400)) return t.yesterday({ date: day.format(secs * 1000) });
  return date(secs);
};

/** How long before it was asked, in words; empty where that says nothing: after it, or on another day. */
export const beforeAsking = (secs: number, asked: number) => (secs > asked || !sameDay(secs, asked) ? "" : t.beforeAsking({ minutes: Math.floor((asked - secs) / 60) }));

const two = (n: number) => String(n).padStart(2, "0");

/** `7:42`, `1:02:40`; never below `0:00`. */
export const countdown = (secs: number) => {
  const left = Math.max(0, Math.floor(secs));
  const [h, m, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
};

/** `41 s`, `1 min`, `1:30 min`, `2 h`: on the axis of a plot. */
export const seconds = (secs: number) => {
  if (secs < 60) return `${secs} s`;
  if (secs < 3600) return `${secs % 60 === 0 ? secs / 60 : `${Math.floor(secs / 60)}:${two(secs % 60)}`} min`;
  return `${secs % 3600 === 0 ? secs / 3600 : `${Math.floor(secs / 3600)}:${two(Math.floor(secs / 60) % 60)}`} h`;
};

/** `41 seconds`, `1 minute 52`, `2 hours 5`: in a sentence. */
export const duration = (secs: number) => {
  if (secs < 60) return t.seconds({ count: secs });
  const [large, rest] = secs < 3600 ? [t.minutes({ count: Math.floor(secs / 60) }), secs % 60] : [t.hours({ count: Math.floor(secs / 3600) }), Math.floor(secs / 60) % 60];
  return rest === 0 ? large : `${large} ${rest}`;
};
