// Which changes a list shows: what the address says, as the API is asked for it.
import type { Recovery } from "../api/types";

export type Filter = { cluster: string; kind: string; state: string[]; automatic: string };

export const kinds: Recovery["kind"][] = ["planned", "emergency", "rules", "reopening", "adoption"];
export const states: Recovery["state"][] = ["running", "succeeded", "undone", "blocked", "failed"];

/** filterOf reads an address; words that mean nothing are left out, for the API would refuse them. */
export function filterOf(query: URLSearchParams): Filter {
  const kind = query.get("kind") ?? "";
  const automatic = query.get("automatic") ?? "";
  return {
    cluster: query.get("cluster") ?? "",
    kind: kinds.some((k) => k === kind) ? kind : "",
    state: states.filter((s) => (query.get("state") ?? "").split(",").includes(s)),
    automatic: automatic === "true" || automatic === "false" ? automatic : "",
  };
}

/** pathOf asks for one page; before is the cursor that the page before it gave. */
export function pathOf(f: Filter, limit: number, before = ""): string {
  const query = new URLSearchParams();
  const asked = { cluster: f.cluster, kind: f.kind, state: f.state.join(","), automatic: f.automatic, limit: String(limit), before, brief: "true" };
  for (const [name, value] of Object.entries(asked)) if (value !== "") query.set(name, value);
  return `/api/v1/recoveries?${query.toString()}`;
}

/** merged is all changes seen so far, each as it was told last, newest first. */
export function merged(seen: Recovery[], told: Recovery[]): Recovery[] {
  const all = new Map(seen.map((r) => [r.id, r]));
  for (const r of told) all.set(r.id, r);
  return [...all.values()].sort((a, b) => Date.parse(b.started_at) - Date.parse(a.started_at) || b.id.localeCompare(a.id));
}
