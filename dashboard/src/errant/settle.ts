// Settling a server step by step: what to do, what that would do, its address, and then it is under way.
import type { ErrantServer, SettleAnswer, Settlement, SettleRequest } from "../api/types";
import { unanswered } from "../order/order";

export type Action = Exclude<SettleRequest["action"], "cancel">;
export type Accept = NonNullable<SettleRequest["accept"]>[number];

/** actions are what can be done about a server, with what each means. */
export const actions: [action: Action, says: string][] = [
  ["rewind", "Undoes the transactions row by row, catches up, and compares every touched row with the primary. Fast, but not everything can be undone."],
  ["clone", "Replaces all data of the server by a copy of a healthy one. Takes as long as copying takes."],
  ["keep", "Has the primary do what the transactions did, under their own GTIDs, where the rows that they changed are the same there."],
  ["discard", "Has the primary commit empty transactions with their GTIDs, where they changed nothing that the primary does not have."],
];

/** accepts are what somebody may answer for, with what each means. */
export const accepts: [accept: Accept, name: string, says: string][] = [
  ["possibly_acked", "Possibly answered", "a client may have been told that they are committed, and they go nevertheless."],
  ["incomplete", "Incomplete", "what the binary log no longer holds goes without being on record."],
  ["reuse", "Reuse", "a member that cannot be asked may hold a GTID that will be used anew, or one that is about to be taken into the history, and would skip that transaction without a word."],
  ["unverified", "Unverified", "the primary has what statements did, and rows of tables without a primary key, which cannot be compared; for discard."],
];

export type Wish = { action: Action; reason: string; accept: Accept[] };

/** Refusal is what was said to a dry run or to an order. */
export type Refusal = { during: "rehearsal" | "order"; problem: Error };

export type State =
  | { at: "choose"; wish: Wish; busy: boolean; refused?: Refusal }
  | { at: "rehearsed"; wish: Wish; answer: SettleAnswer; typed: string; sending: boolean; unanswered?: Error }
  | { at: "begun"; wish: Wish; settlement: Settlement };

export type Doing =
  | { does: "edit"; wish: Wish }
  | { does: "rehearse" }
  | { does: "rehearsed"; answer: SettleAnswer }
  | { does: "refused"; problem: Error }
  | { does: "type"; typed: string }
  | { does: "send" }
  | { does: "begun"; settlement: Settlement };

export const begin: State = { at: "choose", wish: { action: "rewind", reason: "", accept: [] }, busy: false };

/** step is what follows. A dry run holds only for what it was made of. */
export function step(s: State, d: Doing): State {
  switch (d.does) {
    case "edit":
      return { at: "choose", wish: d.wish, busy: false };
    case "rehearse":
      return { at: "choose", wish: s.wish, busy: true };
    case "rehearsed":
      return s.at === "choose" && s.busy ? { at: "rehearsed", wish: s.wish, answer: d.answer, typed: "", sending: false } : s;
    case "refused":
      if (s.at === "begun") return s;
      if (s.at === "rehearsed" && unanswered(d.problem)) return { ...s, sending: false, unanswered: d.problem };
      return { at: "choose", wish: s.wish, busy: false, refused: { during: s.at === "rehearsed" ? "order" : "rehearsal", problem: d.problem } };
    case "type":
      return s.at === "rehearsed" ? { ...s, typed: d.typed } : s;
    case "send":
      return s.at === "rehearsed" ? { ...s, sending: true, unanswered: undefined } : s;
    case "begun":
      return { at: "begun", wish: s.wish, settlement: d.settlement };
  }
}

/** request is a wish in the API's words. A dry run asks as the real thing would, but for its reason. */
export function request(w: Wish, dryRun: boolean): SettleRequest {
  const reason = w.reason.trim();
  return { action: w.action, ...(dryRun && { dry_run: true }), ...(w.accept.length > 0 && { accept: w.accept }), ...(reason !== "" && { reason }) };
}

/** lacks is what keeps a settlement from being begun; undefined when nothing does. */
export function lacks(s: State, server: string): string | undefined {
  if (s.at !== "rehearsed") return "Let the dry run go first.";
  if (!s.answer.check?.possible) return "The dry run says that it is not possible.";
  if (s.wish.reason.trim() === "") return "It needs a reason, for it goes on record.";
  return s.typed === server ? undefined : s.typed === "" ? "" : "That is not the address yet.";
}

/** asksFor tells whether somebody has to answer for something before this can be done about a server. To keep takes nothing away. */
export function asksFor(e: ErrantServer, action: Action, a: Accept): boolean {
  if (a === "possibly_acked") return !e.verdict.never_acknowledged && action !== "keep";
  if (a === "incomplete") return Boolean(e.missing || e.truncated);
  return false;
}
