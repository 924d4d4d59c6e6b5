import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Recovery } from "../api/types";
import { CertificateView } from "./CertificateView";
import { certificateOf, hostile, recoveryOf, stageOf, verificationOf } from "./examples";
import { Verified } from "./Proof";
import { Verdict } from "./RecoveryPage";
import { RecoveryRows } from "./RecoveryRows";
import { Timeline } from "./Timeline";

let root: Root;

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  document.body.innerHTML = "<div></div>";
  root = createRoot(document.body.firstElementChild!);
});

afterEach(() => act(() => root.unmount()));

function drawn(node: ReactNode): HTMLElement {
  act(() => root.render(node));
  return document.body;
}

function whole(r: Recovery): ReactNode {
  return (
    <>
      <Verdict recovery={r} />
      <Timeline recovery={r} />
      <CertificateView recovery={r} />
      <Verified of={verificationOf({ id: r.id, digest: r.id, follows: { id: r.id, digest: r.id }, claims: [{ name: r.id, standing: "refuted", detail: r.id }, { name: "seal", standing: "holds", detail: r.id }] })} recovery={r} />
      <RecoveryRows recoveries={[r]} />
    </>
  );
}

/** full is a change with the same text wherever a server, an operator or a store can put one. */
function full(text: string): Recovery {
  return recoveryOf({
    id: text, cluster: text, cause: text, from: text, to: text + "2", by: text, reason: text, elector: text, clearance: text, phase: text, automatic: false,
    stages: [stageOf({ name: text, detail: text, evidence: [text] }), stageOf({ name: "choose", evidence: [`loss accepted by ${text}`] })],
    certificate: certificateOf({
      ruleset: { number: 1, policy: text, acks: 1, members: [] },
      leaders: [{ address: text, term: 1, acks: 1, certified: true, why: text }],
      servers: [{ address: text, frozen: text, silenced: "yes", silenced_with: text, note: text, gtid_executed: text, gtid_received: text, incarnation: text, read_at: text }],
      barred: { [text]: text }, chosen: text, floor: text, certified_down: [text], accept_loss: true,
      decision: { term: 1, kind: text, primary: text, primary_uuid: text, incarnation: text, ruleset: 1, base: text, reached: [text], elector: text, decided_at: text, previous_hash: text, hash: text, marker: text },
    }),
  });
}

describe("a change that was told by somebody hostile", () => {
  for (const text of hostile) {
    it(`shows ${text.slice(0, 30)} as text`, () => {
      const body = drawn(whole(full(text)));
      expect(body.textContent).toContain(text);
      expect(body.querySelectorAll("img, script, iframe, style")).toHaveLength(0);
      for (const e of body.querySelectorAll("*")) {
        expect(e.getAttributeNames().filter((n) => n.startsWith("on"))).toEqual([]);
        expect(e.getAttribute("href") ?? "#").toMatch(/^#/);
      }
      expect((window as { hacked?: number }).hacked).toBeUndefined();
    });
  }

  it("keeps marks that turn the direction of writing inside of their own place", () => {
    const body = drawn(whole(full("\u202Egpj.exe")));
    expect(body.querySelector(`[data-test="witness"] code`)!.getAttribute("dir")).toBe("ltr");
  });
});

describe("a change", () => {
  it("shows every stage with what it found", () => {
    const body = drawn(<Timeline recovery={recoveryOf({ stages: [stageOf({ evidence: ["db1:3306 lost its source"] }), stageOf({ name: "open", outcome: "failed" })] })} />);
    const rows = [...body.querySelectorAll<HTMLElement>(`[data-test="stage"]`)];
    expect(rows.map((r) => [r.dataset.name, r.dataset.outcome])).toEqual([["revoke", "ok"], ["open", "failed"]]);
    expect(rows[0]!.textContent).toContain("db1:3306 lost its source");
  });

  it("opens the facts of a stage that went wrong by itself, and keeps many others folded", () => {
    const many = ["1", "2", "3", "4", "5", "6"];
    const body = drawn(<Timeline recovery={recoveryOf({ stages: [stageOf({ evidence: many }), stageOf({ outcome: "blocked", evidence: many })] })} />);
    expect([...body.querySelectorAll("details")].map((d) => d.open)).toEqual([false, true]);
  });

  it("shows what goes on now while it is under way, and no longer when it has ended", () => {
    expect(drawn(<Timeline recovery={recoveryOf({ state: "running", phase: "revoking" })} />).querySelector(`[data-test="stage-running"]`)!.textContent).toContain("revoking");
    expect(drawn(<Timeline recovery={recoveryOf()} />).querySelector(`[data-test="stage-running"]`)).toBeNull();
  });

  it("shows lists that an answer leaves out as empty ones", () => {
    const bare = { ...recoveryOf(), certificate: { ...certificateOf(), leaders: null, servers: null, barred: null, certified_down: null } } as unknown as Recovery;
    expect(drawn(whole(bare)).querySelector(`[data-test="loss"]`)!.textContent).toBe("Nothing acknowledged was lost.");
  });
});

describe("a certificate", () => {
  const claims = [
    { name: "seal", standing: "holds" as const, detail: "the digest is that of the rest" },
    { name: "nothing_lost", standing: "holds" as const, detail: "it lies on db2:3306" },
  ];

  it("that holds says so in a sentence, and keeps its claims folded", () => {
    const body = drawn(<Verified of={verificationOf({ claims })} recovery={recoveryOf()} />);
    expect(body.querySelector(`[data-test="proof-conclusion"]`)!.textContent).toBe("Verified: by the evidence, nothing acknowledged was lost.");
    expect(body.querySelector("details")!.open).toBe(false);
    expect(body.querySelectorAll(`details [data-test="claim"]`)).toHaveLength(2);
    expect(body.querySelector<HTMLElement>(`[data-test="save"]`)!.dataset.name).toBe("shop-0000000007.json");
  });

  it("shows what does not follow before everything else, with its reason", () => {
    const refuted = { name: "revocation", standing: "refuted" as const, detail: "db3:3306 could still acknowledge" };
    const body = drawn(<Verified of={verificationOf({ verified: false, claims: [...claims, refuted] })} recovery={recoveryOf()} />);
    expect(body.querySelector<HTMLElement>(`[data-test="proof-conclusion"]`)!.dataset.tone).toBe("bad");
    const first = body.querySelector<HTMLElement>(`[data-test="claim"]`)!;
    expect(first.closest("details")).toBeNull();
    expect(first.textContent).toContain("Could none of them complete another write?");
    expect(first.textContent).toContain("db3:3306 could still acknowledge");
  });

  it("is not simply verified where somebody answered for a loss, or the file cannot tell", () => {
    const tone = (standing: "accepted" | "untold"): string | undefined =>
      drawn(<Verified of={verificationOf({ claims: [...claims, { name: "history", standing, detail: "" }] })} recovery={recoveryOf()} />).querySelector<HTMLElement>(`[data-test="proof-conclusion"]`)!.textContent ?? undefined;
    expect(tone("accepted")).toContain("something may have been lost");
    expect(tone("untold")).toContain("as far as the file can tell");
  });
});
