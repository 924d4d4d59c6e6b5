// How a stop or a rolling restart goes on: which servers are over, at which one it stands and why, and which come after.
import type { Halt, HaltStage } from "../api/types";

export type Place = "done" | "now" | "failed" | "next" | "untouched";

/** Stand is one server of a halt. */
export type Stand = { address: string; place: Place; took?: number; stages: HaltStage[] };

/** steps are those of a kind, in order; move is left out where the server did not lead. */
export const steps: Record<Halt["kind"], Halt["step"][]> = {
  stop: ["check", "move", "hold", "quiesce", "stop"],
  restart: ["check", "move", "hold", "quiesce", "stop", "start", "join"],
};

/** does is each step in words, for whoever looks at it the first time. */
export const does: Record<Halt["step"], string> = {
  check: "making sure that commits can do without it",
  move: "moving the primary elsewhere",
  hold: "putting it under maintenance",
  quiesce: "letting its clients go, and applying what it has received",
  stop: "shutting it down",
  start: "waiting until it is back",
  join: "waiting until it replicates and acknowledges again",
};

/** stands are all servers of a halt, in their order. */
export function stands(h: Halt): Stand[] {
  const at = h.state === "succeeded" ? h.servers.length : Math.max(0, h.servers.indexOf(h.server));
  return h.servers.map((address, i) => {
    const stages = h.stages.filter((s) => s.server === address);
    const took = stages.length === 0 ? undefined : stages.reduce((sum, s) => sum + s.duration_us, 0) / 1000;
    return { address, place: place(h, i, at), took, stages };
  });
}

function place(h: Halt, i: number, at: number): Place {
  if (i < at) return "done";
  if (h.state === "running") return i === at ? "now" : "next";
  return i === at ? "failed" : "untouched";
}

/** told is the whole in a sentence. */
export function told(h: Halt): string {
  const all = stands(h);
  const done = all.filter((s) => s.place === "done").length;
  const word = h.kind === "stop" ? "stopped" : "restarted";
  switch (h.state) {
    case "succeeded":
      return all.length === 1 ? `${all[0]!.address} is ${word}.` : `All ${all.length} servers are ${word}.`;
    case "failed":
      return `It ended at ${h.server}. ${rest(all.length, done, word)}`;
    case "cancelled":
      return `It was called off at ${h.server}. ${rest(all.length, done, word)}`;
    case "running":
      return all.length === 1 ? "" : `${done} of ${all.length} servers ${word}.`;
  }
}

function rest(all: number, done: number, word: string): string {
  const left = all - done - 1;
  if (all === 1) return "";
  return `${done} of ${all} ${word}${left > 0 ? `, ${left} ${left === 1 ? "was" : "were"} not touched` : ""}.`;
}

/** newest is the later of two, of which either may not be known. */
export function newest(a: Halt | undefined, b: Halt | undefined): Halt | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Date.parse(a.started_at) >= Date.parse(b.started_at) ? a : b;
}

/** recent is the halt that a cluster's page shows: the one under way, or one that ended a short while ago. */
export function recent(under: Halt | undefined, latest: Halt | undefined, now: number): Halt | undefined {
  if (under !== undefined) return under;
  if (latest === undefined || latest.state === "running") return undefined; // an older answer than that of the cluster
  const age = latest.finished_at === undefined ? Infinity : now - Date.parse(latest.finished_at);
  return age < (latest.state === "succeeded" ? 5 : 60) * 60_000 ? latest : undefined;
}
