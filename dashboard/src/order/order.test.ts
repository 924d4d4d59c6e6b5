import { describe, expect, it } from "vitest";
import { Offline, ProblemError } from "../api/client";
import { type Action, begin, held, type State, step } from "./order";

const after = (...actions: Action<string>[]): State<string> => actions.reduce(step<string>, begin<string>());
const rehearsed: Action<string>[] = [{ does: "rehearse" }, { does: "rehearsed", wish: "w", answer: "plan" }];
const sent: Action<string>[] = [...rehearsed, { does: "send", key: "first" }];
const no = new ProblemError({ status: 409, code: "blocked", detail: "no" });

describe("an order", () => {
  it("cannot be sent before its dry run", () => {
    expect(after({ does: "send", key: "k" })).toEqual(begin());
    expect(after({ does: "rehearse" }, { does: "send", key: "k" })).toEqual({ at: "choose", busy: true });
  });

  it("takes a dry run anew when something else is wished for", () => {
    expect(after(...rehearsed, { does: "edit" })).toEqual(begin());
  });

  it("keeps its wish and its key while nobody knows whether it has begun", () => {
    for (const lost of [new Offline("gone"), new ProblemError({ status: 502, code: "", detail: "a proxy" })]) {
      const open = after(...sent, { does: "refused", problem: lost });
      expect(held(open)).toBe(true);
      expect(step(open, { does: "edit" })).toBe(open);
      expect(step(open, { does: "rehearse" })).toBe(open);
      expect(step(open, { does: "send", key: "second" })).toMatchObject({ key: "first", sending: true });
    }
  });

  it("was not begun when the control plane says no, and the dry run no longer holds", () => {
    expect(after(...sent, { does: "refused", problem: no })).toEqual({ at: "choose", busy: false, refused: { during: "order", problem: no } });
    const elsewhere = new ProblemError({ status: 503, code: "not_leading", detail: "elsewhere" });
    expect(held(after(...sent, { does: "refused", problem: elsewhere }))).toBe(false);
  });

  it("is not sent twice at once", () => {
    const once = after(...sent);
    expect(step(once, { does: "send", key: "second" })).toBe(once);
    expect(step(once, { does: "type", typed: "x" })).toBe(once);
  });

  it("says of a dry run that it was refused, and shows no answer that comes late", () => {
    expect(after({ does: "rehearse" }, { does: "refused", problem: no })).toMatchObject({ refused: { during: "rehearsal" } });
    expect(after({ does: "rehearsed", wish: "w", answer: "late" })).toEqual(begin());
  });
});
