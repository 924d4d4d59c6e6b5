// Giving an order: what to do, what that would do, a name to confirm it, and then it is under way. No button can skip the dry
// run, and an order whose answer got lost is never given under another key.
import { Offline, ProblemError } from "../api/client";

/** State is where somebody stands; A is what a dry run answers. A dry run holds for the wish that it was made of. */
export type State<A> =
  | { at: "choose"; busy: boolean; refused?: { during: "rehearsal" | "order"; problem: Error } }
  | { at: "rehearsed"; wish: string; answer: A; typed: string; sending: boolean; key?: string; unanswered?: Error };

export type Action<A> =
  | { does: "edit" }
  | { does: "rehearse" }
  | { does: "rehearsed"; wish: string; answer: A }
  | { does: "type"; typed: string }
  | { does: "send"; key: string }
  | { does: "refused"; problem: Error }
  | { does: "begun" };

export function begin<A>(): State<A> {
  return { at: "choose", busy: false };
}

/** held tells whether the wish must stay as it is: something was sent by it, and may have begun. */
export function held<A>(s: State<A>): boolean {
  return s.at === "choose" ? s.busy : s.sending || s.unanswered !== undefined;
}

/** step is the next state; actions that do not belong to a state change nothing. */
export function step<A>(s: State<A>, a: Action<A>): State<A> {
  switch (a.does) {
    case "edit":
      return held(s) ? s : begin();
    case "rehearse":
      return held(s) ? s : { at: "choose", busy: true };
    case "rehearsed":
      return s.at === "choose" && s.busy ? { at: "rehearsed", wish: a.wish, answer: a.answer, typed: "", sending: false } : s;
    case "type":
      return s.at === "rehearsed" && !s.sending ? { ...s, typed: a.typed } : s;
    case "send":
      // The key of the first try stays: the control plane then does it once, however often it is asked.
      return s.at === "rehearsed" && !s.sending ? { ...s, sending: true, key: s.key ?? a.key } : s;
    case "refused":
      if (s.at === "choose") return s.busy ? { at: "choose", busy: false, refused: { during: "rehearsal", problem: a.problem } } : s;
      if (unanswered(a.problem)) return { ...s, sending: false, unanswered: a.problem };
      return { at: "choose", busy: false, refused: { during: "order", problem: a.problem } };
    case "begun":
      return begin();
  }
}

/** unanswered tells whether it may have begun although no answer says so. */
export function unanswered(problem: Error): boolean {
  if (problem instanceof Offline) return true;
  // A proxy's words, or those of a store that fell silent in the middle, say nothing about what was asked for.
  return problem instanceof ProblemError && problem.status >= 500 && problem.code !== "not_leading" && problem.code !== "store_unavailable";
}
