// Tells a change of a primary: when each stage ran, who asked for it, what came of it and what it cost.
import type { Certificate, Recovery, Stage, Witness } from "../api/types";
import { transactions } from "../cluster/gtid";
import { exact } from "../time";

/** micros reads a time of the API to the microsecond; a Date knows milliseconds only, and stages are often shorter. */
export function micros(iso: string): number {
  const ms = Date.parse(iso);
  const digits = /\.(\d+)/.exec(iso)?.[1] ?? "";
  return Math.floor(ms / 1000) * 1e6 + Number(digits.padEnd(6, "0").slice(0, 6));
}

/** Bar is a stage on the time line: when it began and what it took in milliseconds, and where it lies in the whole, in percent. */
export type Bar = { began: number; took: number; left: number; width: number };

/** Told is what is shown on a time line: a change, or anything else that goes by stages. */
export type Told = Pick<Recovery, "started_at" | "stages"> & { state: string; phase: string };

/** bars puts the stages on one scale. Of a change under way, the last bar is the phase that goes on until now. */
export function bars(r: Told, now: number): Bar[] {
  const origin = micros(r.started_at);
  const spans = r.stages.map((s) => ({ began: Math.max(0, micros(s.started_at) - origin) / 1000, took: s.duration_us / 1000 }));
  if (r.state === "running") {
    const last = spans[spans.length - 1];
    const began = last === undefined ? 0 : last.began + last.took;
    spans.push({ began, took: Math.max(0, now - origin / 1000 - began) });
  }
  const whole = Math.max(...spans.map((b) => b.began + b.took), 0);
  return spans.map((b) => ({ ...b, left: part(b.began, whole), width: part(b.took, whole) }));
}

function part(of: number, whole: number): number {
  return whole > 0 ? Math.min(100, Math.max(0, (of / whole) * 100)) : 0;
}

/** askedBy is who wanted the change. */
export function askedBy(r: Recovery): string {
  if (r.automatic) return `automatic, by elector ${r.elector || "without a name"}`;
  return `asked for by ${r.by || (r.kind === "adoption" || r.kind === "reopening" ? `elector ${r.elector || "without a name"}` : "somebody without a name")}`;
}

/** outcome is what came of the change, in a sentence. */
export function outcome(r: Recovery): string {
  if (r.kind === "rules" && r.state !== "running") return ruled(r);
  switch (r.state) {
    case "running":
      return `It is under way, in phase ${r.phase}.`;
    case "succeeded":
      return `${r.to} leads ${r.cluster} under term ${r.term}.`;
    case "undone":
      return "It was undone: nothing had been promised, and what was done is reversed.";
    case "blocked":
      return "It was blocked. The primary was not changed.";
    case "failed":
      return "It failed after it may have taken effect; the next change settles that.";
    default:
      return `It ended as ${r.state as string}.`;
  }
}

/** ruled is what came of a change of the rules, under which the primary stays. */
function ruled(r: Recovery): string {
  if (r.state === "succeeded") return r.rules ? `Rules ${r.rules.number} are in force: ${ruleWords(r.rules)}.` : "The new rules are in force.";
  if (r.state === "failed") return "It failed on the way. Rules stay in force as the record says; the primary was not changed.";
  return `It was ${r.state === "blocked" ? "blocked" : "given up"}. The rules before stay in force.`;
}

/** ruleWords are rules in a line. */
export function ruleWords(d: { policy: string; acks: number; zones?: number; allow_unfenced?: boolean }): string {
  const acks = d.policy === "none" || !d.policy ? "" : `, ${d.acks} acknowledgement${d.acks === 1 ? "" : "s"}`;
  return `${d.policy.replace("_", "-") || "unknown"}${acks}${d.zones ? ` from ${d.zones} zones` : ""}${d.allow_unfenced ? ", unfenced allowed" : ""}`;
}

/** times is how long it took, and how much of that clients could have noticed. */
export function times(r: Recovery): string {
  const whole = exact(r.duration_ms);
  return r.gap_ms == null ? `It took ${whole}.` : `Primacy kept writes from completing for ${exact(r.gap_ms)}; the whole took ${whole}.`;
}

/** Loss is the answer to the first question after a failover: what was lost? */
export type Loss = { tone: "ok" | "warn" | "bad" | "open"; says: string; what: string[] };

/** loss answers from the certificate, which holds what an operator answered for, and from the evidence of the choice. */
export function loss(r: Recovery): Loss {
  switch (r.state) {
    case "running":
      return { tone: "open", says: "What comes of it is not decided yet.", what: [] };
    case "failed":
      return { tone: "open", says: "It is not known yet whether it took effect. The next change settles that, and says what was lost, if anything was.", what: [] };
    case "blocked":
    case "undone":
      if (r.kind === "rules") return { tone: "ok", says: "Nothing acknowledged was lost by it.", what: [] };
      return { tone: "ok", says: "Nothing acknowledged was lost by it: the primary was not changed.", what: [] };
  }
  if (r.kind !== "emergency") return { tone: "ok", says: "Nothing acknowledged was lost.", what: [] };
  return cost(r, r.certificate);
}

function cost(r: Recovery, c: Certificate): Loss {
  const who = r.by || "Somebody without a name";
  const why = r.reason ? `: ${r.reason}` : "";
  const found = losses(r.stages);
  const what = [...found, ...words(r, c)];
  if (found.length > 0) return { tone: "bad", says: c.accept_loss ? `Acknowledged transactions may have been lost. ${who} accepted that${why}.` : "Acknowledged transactions may have been lost.", what };
  if (c.accept_loss) return { tone: "warn", says: `${who} accepted that acknowledged transactions may be lost${why}. The change found none that were.`, what };
  if (c.ruleset.policy === "none") return { tone: "warn", says: "With durability policy none nothing waits for replicas: what only the old primary held is not in the new history.", what };
  if (what.length > 0) return { tone: "warn", says: "Nothing acknowledged was lost, as far as this holds:", what };
  return { tone: "ok", says: "Nothing acknowledged was lost.", what: [] };
}

export type LeftOut = { held: { address: string; set: string; count: number | undefined }[]; unread: string[] };

/** leftOut is what a change did not take over: what servers showed beyond its history, and leaders that showed nothing. */
export function leftOut(r: Recovery): LeftOut {
  const servers = r.certificate.servers ?? [];
  const held = servers.flatMap((w) => (w.left_out ? [{ address: w.address, set: w.left_out, count: transactions(w.left_out) }] : []));
  if (r.kind !== "emergency" || r.state !== "succeeded") return { held, unread: [] };
  const read = new Set(servers.filter((w) => w.read_at !== undefined).map((w) => w.address));
  const led = new Set([r.from, ...(r.certificate.leaders ?? []).map((l) => l.address)]);
  return { held, unread: [...led].filter((a) => a !== "" && !read.has(a)) };
}

/** losses are the lines in which the choice of a history names what it may leave behind. */
function losses(stages: Stage[]): string[] {
  const lines = stages.flatMap((s) => (s.name === "choose" ? (s.evidence ?? []) : []));
  return lines.filter((l) => l.startsWith("loss accepted by ") || l.startsWith("may be lost, "));
}

/** words are what the change rests on although no server showed it. */
function words(r: Recovery, c: Certificate): string[] {
  const who = r.by || "somebody without a name";
  const given: string[] = [];
  const down = c.certified_down ?? [];
  if (down.length > 0) given.push(`${who} vouched that ${down.join(", ")} ${down.length === 1 ? "is" : "are"} powered off`);
  if (c.keep_errant) given.push(`${who} let transactions be kept that no recorded leader wrote, or that were cancelled`);
  if (c.ruleset.allow_unfenced) given.push("the rules allow a change although the old primary could not be stopped (allow_unfenced)");
  return given;
}

const done: [keyof Witness, string][] = [["frozen", "frozen"], ["silenced", "silenced"], ["applied", "applied"], ["attached", "follows"], ["released", "released"]];

/** deeds are what was tried on a server, in order, with what came of each. */
export function deeds(w: Witness): { did: string; outcome: string }[] {
  return done.flatMap(([field, did]) => {
    const outcome = w[field];
    if (typeof outcome !== "string" || outcome === "" || outcome === "skipped") return [];
    return [{ did: field === "silenced" && w.silenced_with ? `silenced (${w.silenced_with})` : did, outcome }];
  });
}

/** gaps is how long the last changes of a kind kept writes from completing, in milliseconds; at most five. */
export function gaps(all: Recovery[], kind: string): number[] {
  return all.filter((r) => r.kind === kind && r.state === "succeeded" && r.gap_ms != null).slice(0, 5).map((r) => r.gap_ms!);
}
