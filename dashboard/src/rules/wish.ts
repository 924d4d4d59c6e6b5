// Other rules than those in force: what somebody fills in, and in what it differs.
import type { RuleMember, Rules, RulesRequest } from "../api/types";

export type Policy = RulesRequest["policy"];
export type Promotion = NonNullable<RuleMember["promotion"]>;

export const policies: [policy: Policy, says: string][] = [
  ["semi_sync", "a commit waits for acknowledgements of other servers"],
  ["cross_zone", "and those come from other zones than the primary's"],
  ["zones", "and they come from so many zones that the loss of any one takes nothing away"],
  ["none", "a commit waits for nobody: a failover may lose what clients were told is safe"],
];

export const promotions: Promotion[] = ["prefer", "neutral", "avoid", "never"];

export type Wished = { address: string; zone: string; promotion: Promotion; source: string; fresh: boolean }; // source is empty for the primary

export type Wish = {
  policy: Policy;
  acks: string; // as typed
  zones: string;
  allowUnfenced: boolean;
  members: Wished[];
  gone: string[]; // removed ones that somebody vouches for
  reason: string;
};

/** wishFor are the rules in force. */
export function wishFor(r: Rules): Wish {
  return {
    policy: r.policy as Policy, acks: String(r.acks), zones: r.zones ? String(r.zones) : "", allowUnfenced: r.allow_unfenced === true, gone: [], reason: "",
    members: r.members.map((m) => ({ address: m.address, zone: m.zone, promotion: (m.promotion || "neutral") as Promotion, source: m.source ?? "", fresh: false })),
  };
}

function whole(text: string, least: number, most: number): boolean {
  return /^\d+$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;
}

/** missing is what still has to be filled in before a dry run; undefined when nothing is. */
export function missing(w: Wish, now: Rules): string | undefined {
  const names = w.members.map((m) => m.address.trim());
  if (w.policy !== "none" && !whole(w.acks, 1, 100)) return "A commit waits for 1 to 100 acknowledgements.";
  if (w.policy === "zones" && !whole(w.zones, 1, 100)) return "Say in how many zones a transaction has to lie.";
  if (names.some((a) => a === "")) return "The new server needs an address.";
  const twice = names.find((a, i) => names.indexOf(a) !== i);
  if (twice !== undefined) return `${twice} is there twice.`;
  if (names.length === 0) return "A cluster has at least one member.";
  const leads = w.members.find((m) => m.source !== "" && m.promotion !== "never");
  if (leads !== undefined) return `${leads.address} is to replicate from ${leads.source} and not from the primary, so it cannot lead: give it promotion never.`;
  if (differences(now, w).length === 0) return "These are the rules in force.";
  return undefined;
}

/** needs is what the change needs besides. */
export function needs(w: Wish): string | undefined {
  return w.reason.trim() === "" ? "It needs a reason, for it goes on record." : undefined;
}

function rule(r: { policy: string; acks: number; zones?: number; allow_unfenced?: boolean }): string {
  if (r.policy === "none") return `none${r.allow_unfenced ? ", unfenced allowed" : ""}`;
  return `${r.policy.replace("_", "-")}, ${r.acks} acknowledgement${r.acks === 1 ? "" : "s"}${r.zones ? ` from ${r.zones} zones` : ""}`;
}

/** differences are what a wish changes, a sentence for each. */
export function differences(now: Rules, w: Wish): string[] {
  const next = request(w, now.number, true);
  const all: string[] = [];
  if (rule(now) !== rule(next)) all.push(`durability: ${rule(now)} → ${rule(next)}`);
  const before = new Map(now.members.map((m) => [m.address, m]));
  for (const m of next.members) {
    const old = before.get(m.address);
    before.delete(m.address);
    if (old === undefined) {
      all.push(`${m.address} becomes a member${m.zone ? `, in zone ${m.zone}` : ""}${m.promotion !== "neutral" ? `, promotion ${m.promotion}` : ""}${m.source ? `, replicating from ${m.source}` : ""}`);
      continue;
    }
    if (old.zone !== (m.zone ?? "")) all.push(`${m.address}: zone ${old.zone || "none"} → ${m.zone || "none"}`);
    if ((old.promotion || "neutral") !== m.promotion) all.push(`${m.address}: promotion ${old.promotion || "neutral"} → ${m.promotion}`);
    if ((old.source ?? "") !== (m.source ?? "")) all.push(`${m.address}: replicates from ${old.source || "the primary"} → ${m.source || "the primary"}`);
  }
  for (const a of before.keys()) all.push(w.gone.includes(a) ? `${a} is a member no more, and you vouch that it acknowledges nothing again` : `${a} is a member no more`);
  return all;
}

/** removed are members that the wish leaves out. */
export function removed(now: Rules, w: Wish): string[] {
  const kept = new Set(w.members.map((m) => m.address.trim()));
  return now.members.map((m) => m.address).filter((a) => !kept.has(a));
}

/** request is a wish in the API's words. It is bound to the rules that were seen. */
export function request(w: Wish, number: number, dryRun: boolean): RulesRequest {
  const gone = w.gone.filter((a) => !w.members.some((m) => m.address.trim() === a));
  return {
    policy: w.policy,
    acks: w.policy === "none" ? 0 : Number(w.acks),
    ...(w.policy === "zones" && { zones: Number(w.zones) }),
    ...(w.policy === "none" && w.allowUnfenced && { allow_unfenced: true }),
    members: w.members.map((m) => ({ address: m.address.trim(), zone: m.zone.trim(), promotion: m.promotion, ...(m.source !== "" && { source: m.source }) })),
    ...(gone.length > 0 && { gone }),
    ruleset: number,
    ...(dryRun && { dry_run: true }),
    ...(w.reason.trim() !== "" && { reason: w.reason.trim() }),
  };
}
