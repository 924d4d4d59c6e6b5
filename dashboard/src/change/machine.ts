// Where somebody stands who changes a primary. Everything that the page does goes through step, so that no button can
// skip the dry run, and a change whose answer got lost is never asked for under another key.
import { ProblemError } from "../api/client";
import type { Cluster, Recovery, ReparentAnswer, ReparentRequest } from "../api/types";
import { unanswered } from "../order/order";

/** Wish is what somebody has filled in. */
export type Wish = {
  kind: ReparentRequest["kind"];
  to: string;
  drain: string; // in seconds, as typed
  reason: string;
  certifyDown: string[];
  acceptLoss: boolean;
  keepErrant: boolean;
  withoutStore: boolean;
};

export type State = { wish: Wish; past?: string } & (
  | { at: "choose"; busy: boolean; changed?: string }
  | { at: "rehearsed"; answer: ReparentAnswer; term: number }
  | { at: "confirming"; answer: ReparentAnswer; term: number; typed: string; key?: string; sending: boolean; unanswered?: Error }
  | { at: "running"; id: string; begun?: Recovery; mine: boolean }
  | { at: "ended"; recovery: Recovery }
  | { at: "refused"; during: "rehearsal" | "change"; problem: Error }
);

export type Action =
  | { does: "edit"; wish: Wish }
  | { does: "rehearse" }
  | { does: "rehearsed"; answer: ReparentAnswer; term: number }
  | { does: "type"; typed: string }
  | { does: "send"; key: string }
  | { does: "begun"; recovery: Recovery }
  | { does: "refused"; problem: Error }
  | { does: "seen"; recovery: Recovery } // the cluster says that a change is under way
  | { does: "ended"; recovery: Recovery }
  | { does: "again" };

/** wishFor is what the form begins with: what the address says, else what the cluster needs. */
export function wishFor(cluster: Cluster, query: URLSearchParams): Wish {
  const asked = query.get("kind");
  const to = query.get("to") ?? "";
  const failed = cluster.state === "primary_failed" || cluster.state === "blocked";
  return {
    kind: asked === "planned" || asked === "emergency" ? asked : failed ? "emergency" : "planned",
    to: cluster.servers.some((s) => s.address === to) ? to : "",
    drain: "",
    reason: "",
    certifyDown: [],
    acceptLoss: false,
    keepErrant: false,
    withoutStore: false,
  };
}

export function begin(wish: Wish): State {
  return { at: "choose", wish, busy: false };
}

/** step is the next state; actions that do not belong to a state change nothing. */
export function step(s: State, a: Action): State {
  const kept = { wish: s.wish, past: s.past };
  switch (a.does) {
    case "edit":
      return leavable(s) ? { ...kept, at: "choose", busy: false, wish: a.wish } : s;
    case "rehearse":
      return s.at === "choose" || s.at === "refused" || s.at === "rehearsed" ? { ...kept, at: "choose", busy: true } : s;
    case "rehearsed":
      return s.at === "choose" && s.busy ? { ...kept, at: "rehearsed", answer: a.answer, term: a.term } : s;
    case "type":
      if (s.at === "rehearsed") return { ...kept, at: "confirming", answer: s.answer, term: s.term, typed: a.typed, sending: false };
      return s.at === "confirming" && !s.sending ? { ...s, typed: a.typed } : s;
    case "send":
      // The key of the first try stays: the control plane then makes one change, however often it is asked.
      return s.at === "confirming" && !s.sending ? { ...s, key: s.key ?? a.key, sending: true } : s;
    case "begun":
      return s.at === "confirming" ? { ...kept, at: "running", id: a.recovery.id, begun: a.recovery, mine: true } : s;
    case "refused":
      return refused(s, a.problem);
    case "seen":
      if (s.at === "running" || s.at === "ended" || a.recovery.id === s.past || (s.at === "confirming" && s.sending)) return s;
      return { ...kept, at: "running", id: a.recovery.id, begun: a.recovery, mine: s.at === "confirming" && s.unanswered !== undefined };
    case "ended":
      return s.at === "running" && s.id === a.recovery.id ? { ...kept, at: "ended", recovery: a.recovery, past: a.recovery.id } : s;
    case "again":
      return s.at === "ended" || s.at === "refused" ? { ...kept, at: "choose", busy: false } : s;
  }
}

/** leavable: what was sent and not answered may be under way, so the form stays as it was sent. */
function leavable(s: State): boolean {
  return s.at === "choose" || s.at === "rehearsed" || s.at === "refused" || (s.at === "confirming" && !s.sending && s.unanswered === undefined);
}

function refused(s: State, problem: Error): State {
  const kept = { wish: s.wish, past: s.past };
  if (problem instanceof ProblemError && problem.code === "changed" && (s.at === "choose" || s.at === "confirming")) {
    return { ...kept, at: "choose", busy: false, changed: problem.detail };
  }
  if (s.at === "confirming") {
    if (unanswered(problem)) return { ...s, sending: false, unanswered: problem };
    return { ...kept, at: "refused", during: "change", problem };
  }
  return s.at === "choose" ? { ...kept, at: "refused", during: "rehearsal", problem } : s;
}

/** responsible tells whether somebody answers for something that no server shows. */
export function responsible(w: Wish): boolean {
  return w.withoutStore || (w.kind === "emergency" && (w.certifyDown.length > 0 || w.acceptLoss || w.keepErrant));
}

/** missing is what still has to be filled in before a dry run; undefined when nothing is. */
export function missing(w: Wish): string | undefined {
  if (w.kind === "planned" && w.drain.trim() !== "" && !(Number(w.drain) >= 0 && Number(w.drain) <= 600)) return "The time to step down is a number of seconds up to 600.";
  if (responsible(w) && w.reason.trim() === "") return "What you take responsibility for needs a reason: it goes on record with your name.";
  return undefined;
}

/** request is a wish in the API's words. Nothing that belongs to another kind of change is sent. */
export function request(w: Wish, term: number, dryRun: boolean): ReparentRequest {
  const emergency = w.kind === "emergency";
  const drain = w.drain.trim();
  return {
    kind: w.kind,
    expected_term: term,
    ...(w.to !== "" && { to: w.to }),
    ...(dryRun && { dry_run: true }),
    ...(!emergency && drain !== "" && { drain_ms: Math.round(Number(drain) * 1000) }),
    ...(emergency && w.certifyDown.length > 0 && { certify_down: w.certifyDown }),
    ...(emergency && w.acceptLoss && { accept_loss: true }),
    ...(emergency && w.keepErrant && { keep_errant: true }),
    ...(w.withoutStore && { without_store: true }),
    ...(w.reason.trim() !== "" && { reason: w.reason.trim() }),
  };
}
