// Which clusters are shown, and in which order.
import type { Finding, SeverityWord, State, Summary } from "../api/types";

/** states, worst first; this is also the order of the filter's buttons. */
export const states: State[] = ["primary_failed", "blocked", "reparenting", "degraded", "unknown", "healthy"];

const severities: SeverityWord[] = ["critical", "warning", "info"];

/** worst is the finding to name when there is room for one. */
export function worst(findings: Finding[]): Finding | undefined {
  return findings.reduce<Finding | undefined>((w, f) => (w === undefined || severities.indexOf(f.severity) < severities.indexOf(w.severity) ? f : w), undefined);
}

function rank(c: Summary): number {
  const w = worst(c.findings);
  return states.indexOf(c.state) * 10 + (w === undefined ? 9 : severities.indexOf(w.severity));
}

/** troubleFirst sorts by how much a cluster needs somebody, then by name. */
export function troubleFirst(clusters: Summary[]): Summary[] {
  const ranks = new Map(clusters.map((c) => [c, rank(c)]));
  return [...clusters].sort((a, b) => ranks.get(a)! - ranks.get(b)! || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** matches tells whether every word of the search occurs somewhere in what a row says. */
export function matches(c: Summary, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/).filter((w) => w !== "");
  if (words.length === 0) return true;
  const text = [c.name, c.primary, c.elector, ...c.findings.map((f) => `${f.code} ${f.message}`)].join("\n").toLowerCase();
  return words.every((w) => text.includes(w));
}

/** counts is how many clusters are in each state. */
export function counts(clusters: Summary[]): Record<State, number> {
  const n = Object.fromEntries(states.map((s) => [s, 0])) as Record<State, number>;
  for (const c of clusters) n[c.state]++;
  return n;
}

/** held keeps rows where they were, for as long as somebody is about to click on one; new ones come last. */
export function held(sorted: Summary[], before: string[]): Summary[] {
  const place = new Map(before.map((name, i) => [name, i]));
  const known = sorted.filter((c) => place.has(c.name)).sort((a, b) => place.get(a.name)! - place.get(b.name)!);
  return [...known, ...sorted.filter((c) => !place.has(c.name))];
}
