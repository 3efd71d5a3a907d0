/** How accounts are told apart: by what differs, and only where there is more than one. */
import type { Account } from "../generated/ipc";
import { plain } from "../text/line";

/** An address as people read it. */
export const hostOf = (url: string) => url.replace(/^https?:\/\//, "").replace(/\/$/, "");

/** The shortest that names one of them among the others; null where there is nothing to tell apart. */
export function nameAmong(account: Account, accounts: readonly Account[]): string | null {
  if (accounts.length < 2) return null;
  const differs = (of: (account: Account) => string) => new Set(accounts.map(of)).size === accounts.length;
  if (differs((each) => each.server)) return hostOf(account.server);
  if (differs((each) => plain(each.name))) return plain(account.name);
  if (differs((each) => each.issuer)) return account.provider_name;
  return `${account.sub}, ${account.provider_name}, ${hostOf(account.server)}`;
}

/** Until when this person is away, while they are: it may lie ahead. */
export const awayUntil = (account: Account, now: number): number | null => (account.away != null && account.away.from <= now && account.away.until > now ? account.away.until : null);
