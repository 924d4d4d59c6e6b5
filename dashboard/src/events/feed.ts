// What the events page shows: what the control plane remembers, and what it tells from now on.
import type { Event } from "../api/types";

/** Feed is events without doubles, newest first. */
export type Feed = Event[];

export const feedMax = 1000; // a page is read by people; what is older is fetched again when they ask for it

/** joined puts told events into a feed; both may overlap. What the page itself noticed (a loss of the connection) has no id and stays. */
export function joined(feed: Feed, told: Event[], most = feedMax): Feed {
  if (told.length === 0) return feed;
  const known = new Set(feed.map((e) => e.id).filter((id) => id !== ""));
  const fresh = told.filter((e) => e.id === "" || !known.has(e.id));
  const all = [...fresh, ...feed];
  all.sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || serial(b.id) - serial(a.id));
  return all.slice(0, most);
}

/** serial is the number in an id; events of the same microsecond keep their order by it. */
function serial(id: string): number {
  const n = Number(id.slice(id.lastIndexOf("-") + 1));
  return Number.isNaN(n) ? 0 : n;
}

/** groups are the kinds of events as people think of them. */
export const groups: [name: string, kinds: string[]][] = [
  ["findings", ["finding_opened", "finding_closed"]],
  ["changes", ["recovery_started", "recovery_stage", "recovery_finished", "primary_changed"]],
  ["refusals", ["refused"]],
  ["repairs", ["repair"]],
  ["operators", ["operator"]],
  ["electors", ["leading", "not_leading", "store"]],
];

/** kindsOf reads the filter of the address: names of groups or of kinds; none means all. */
export function kindsOf(text: string): string[] {
  const words = text.split(",").map((w) => w.trim()).filter((w) => w !== "");
  const known = groups.flatMap(([, kinds]) => kinds);
  return [...new Set(words.flatMap((w) => groups.find(([name]) => name === w)?.[1] ?? (known.includes(w) ? [w] : [])))];
}

/** matches tells whether an event is to be shown. A gap concerns everybody. */
export function matches(e: Event, cluster: string, kinds: string[]): boolean {
  if (e.kind === "gap") return true;
  return (cluster === "" || e.cluster === cluster) && (kinds.length === 0 || kinds.includes(e.kind));
}

/** pathOf asks for what is remembered; before is where the page before it ended. */
export function pathOf(cluster: string, kinds: string[], limit: number, before = ""): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ cluster, kind: kinds.join(","), limit: String(limit), before })) if (value !== "") query.set(name, value);
  return `/api/v1/events/recent?${query.toString()}`;
}

export type Tone = "bad" | "warn" | "ok" | "busy" | "none";

/** toneOf is how an event looks; its words say the same. */
export function toneOf(e: Event): Tone {
  switch (e.kind) {
    case "finding_opened":
      return e.finding?.severity === "critical" ? "bad" : e.finding?.severity === "info" ? "none" : "warn";
    case "recovery_finished":
      return e.state === "succeeded" ? "ok" : e.state === "undone" ? "none" : "bad";
    case "recovery_stage":
      return e.stage && e.stage.outcome !== "ok" ? "bad" : "busy";
    case "recovery_started":
    case "primary_changed":
      return "busy";
    case "refused":
    case "gap":
    case "store":
    case "not_leading":
      return "warn";
    case "finding_closed":
      return "ok";
    default:
      return "none";
  }
}
