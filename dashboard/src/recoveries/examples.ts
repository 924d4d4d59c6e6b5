// Changes as the API tells them, for tests.
import type { Certificate, Recovery, Stage, Verification } from "../api/types";

/** hostile is what a server, or somebody who can write into a database, might want to have in a page. */
export const hostile = [
  `<img src=x onerror="window.hacked=1">`,
  `"><script>window.hacked=1</script>`,
  "javascript:window.hacked=1",
  "\u202Egpj.exe\u202C \u2066isolated",
  "A".repeat(5000),
];

export function stageOf(part: Partial<Stage> = {}): Stage {
  return { name: "revoke", started_at: "2026-11-21T16:40:02.010000Z", duration_ms: 9, duration_us: 9626, outcome: "ok", detail: "no earlier primary can complete a write", evidence: [], ...part };
}

export function certificateOf(part: Partial<Certificate> = {}): Certificate {
  return {
    ruleset: { number: 3, policy: "semi_sync", acks: 1, members: [] },
    leaders: [], servers: [], barred: {}, chosen: "", floor: "", accept_loss: false, keep_errant: false, certified_down: [], ...part,
  };
}

export function recoveryOf(part: Partial<Recovery> = {}): Recovery {
  return {
    id: "shop-0000000007", cluster: "shop", kind: "emergency", cause: "primary_dead", term: 7, from: "db1:3306", to: "db2:3306", state: "succeeded",
    started_at: "2026-11-21T16:40:02.000000Z", finished_at: "2026-11-21T16:40:02.133000Z", stages: [], certificate: certificateOf(), phase: "done",
    automatic: true, elector: "elector-1", clearance: "", duration_ms: 133, gap_ms: 21, ...part,
  };
}

export function verificationOf(part: Partial<Verification> = {}): Verification {
  return { id: "shop-0000000007", cluster: "shop", digest: "62df364d", verified: true, claims: [], ...part };
}
