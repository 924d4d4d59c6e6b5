// What time it is by the server's clock, and how times are told.
import { useSyncExternalStore } from "react";

let ahead = 0; // how far the server's clock is ahead of this machine's, in milliseconds

/** now is the server's time in milliseconds. */
export function now(): number {
  return Date.now() + ahead;
}

/** serverSaid sets the clock by the header of an answer; sent and received are this machine's times around it. */
export function serverSaid(time: string | null, sent: number, received: number): void {
  const said = time === null ? NaN : Date.parse(time);
  if (Number.isNaN(said)) return;
  const offset = said - (sent + received) / 2;
  // Date has whole seconds only, so that small differences from it mean nothing.
  const coarse = !time!.includes(".");
  if (!coarse) ahead = offset;
  else if (Math.abs(offset - ahead) > 2000) ahead = offset;
}

/** parse reads a time of the API; undefined for an absent one. */
export function parse(iso: string | undefined | null): number | undefined {
  if (!iso) return undefined;
  const at = Date.parse(iso);
  return Number.isNaN(at) ? undefined : at;
}

/** span tells a length of time in at most two units: 840 ms, 12 s, 4 min 10 s, 3 h 2 min, 12 d 4 h. */
export function span(ms: number): string {
  if (ms < 0) ms = 0;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  const min = Math.floor(s / 60);
  if (min < 24 * 60) return `${Math.floor(min / 60)} h ${min % 60} min`;
  const h = Math.floor(min / 60);
  return h < 24 * 14 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${Math.floor(h / 24)} d`;
}

/** brief tells a length of time in one unit, for narrow columns. */
export function brief(ms: number): string {
  if (ms < 0) ms = 0;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

/** ago tells how long ago a time was: "12 s ago". */
export function ago(iso: string | undefined): string {
  const at = parse(iso);
  return at === undefined ? "" : `${span(Math.max(0, Math.floor((now() - at) / 1000) * 1000))} ago`.replace(/^0 ms ago$/, "just now");
}

/** exact tells a measured length: 0.4 ms, 12.3 ms, 840 ms, 2.31 s, 1 min 4 s. */
export function exact(ms: number): string {
  if (ms < 10) return `${trim(ms, 1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${trim(ms / 1000, 2)} s`;
  return span(ms);
}

function trim(n: number, digits: number): string {
  return n.toFixed(digits).replace(/\.?0+$/, "");
}

/** clock tells the time of day here, with the date when it is not today's: 03:12:45, 19 Nov 03:12:45. */
export function clock(iso: string | undefined): string {
  const at = parse(iso);
  if (at === undefined) return "";
  const d = new Date(at);
  const time = [d.getHours(), d.getMinutes(), d.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
  if (d.toDateString() === new Date(now()).toDateString()) return time;
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][d.getMonth()];
  const year = d.getFullYear() === new Date(now()).getFullYear() ? "" : ` ${d.getFullYear()}`;
  return `${d.getDate()} ${month}${year} ${time}`;
}

const ticking = new Set<() => void>();
let ticker: ReturnType<typeof setInterval> | undefined;
let second = 0;

function tick(): void {
  second++;
  for (const f of [...ticking]) f();
}

function onTick(f: () => void): () => void {
  ticking.add(f);
  ticker ??= setInterval(tick, 1000);
  return () => {
    ticking.delete(f);
    if (ticking.size > 0) return;
    clearInterval(ticker);
    ticker = undefined;
  };
}

/** useSecond draws its component anew every second, for what tells how long ago something was. */
export function useSecond(): void {
  useSyncExternalStore(onTick, () => second);
}
