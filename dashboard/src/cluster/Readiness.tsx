import { useState } from "react";
import type { Case, Cluster, WhatIf } from "../api/types";
import { useLive } from "../live";
import { Mono, ObstacleView, ProblemView } from "../parts";
import { exact, now, parse, span } from "../time";
import { failed } from "./verdict";

/** wouldBlock is the finding that speaks of this; it is there even while nobody answers what if. */
export const wouldBlock = "failover_would_block";

/** Readiness answers before the outage what would be done in it. */
export function Readiness({ cluster: c }: { cluster: Cluster }) {
  const told = useWhatIf(c.name);
  if (!c.primary) return null;
  const down = failed(c);
  const block = c.findings.find((f) => f.code === wouldBlock);
  const known = told?.primary === c.primary ? told.failures.find((k) => k.kind === "server" && k.failed[0] === c.primary) : undefined;
  return (
    <section className="card" aria-label="Readiness" data-test="readiness" data-ready={told?.ready} data-outcome={known?.outcome}>
      <h2>{down ? <>Now that <Mono>{short(c.primary)}</Mono> has failed</> : <>If <Mono>{short(c.primary)}</Mono> died now</>}</h2>
      {known ? <Answer case={known} /> : block ? <p><b className="odd">It would block.</b> {block.message}</p> : <p className="quiet">Not known at the moment.</p>}
      {known && known.outcome !== "blocked" && block && <p><b className="odd">But:</b> {block.message}</p>}
      {known?.outcome === "promoted" && <p className="quiet">{byWhom(c, told?.by_hand)} {told && <Expected told={told} />}</p>}
      {told && <Others cases={told.failures.filter((k) => k !== known)} />}
      <Chosen cluster={c} />
    </section>
  );
}

function short(address: string): string {
  return address.length > 28 ? `${address.slice(0, 27)}…` : address;
}

/** byWhom says whether it would happen by itself. */
export function byWhom(c: Pick<Cluster, "automation" | "antiflap">, byHand: string | undefined): string {
  if (byHand) return `Only by hand: ${byHand}.`;
  if (!c.automation) return "Only by hand: automation is off.";
  if (!c.antiflap.open) return "By itself.";
  const until = parse(c.antiflap.until);
  if (until === undefined || c.antiflap.held) return "Only by hand, until the anti-flapping window is lifted.";
  return `Only by hand for ${until <= now() ? "a moment longer" : `another ${span(until - now())}`}: the anti-flapping window is open.`;
}

/** Expected is how long it would take, from what was measured here; without measurements nothing is promised. */
function Expected({ told: { expected: e } }: { told: WhatIf }) {
  return (
    <>
      {e.noticed_ms ? <>A silent primary counts as failed after at most <span className="num">{exact(e.noticed_ms)}</span>. </> : null}
      {e.change_ms === undefined ? null : <>The latest {e.measured === 1 ? "change" : `${e.measured} changes`} here took <span className="num">{exact(e.change_ms)}</span>.</>}
    </>
  );
}

function Answer({ case: k }: { case: Case }) {
  switch (k.outcome) {
    case "promoted":
      return <p><Mono>{k.promoted}</Mono> would be promoted.</p>;
    case "blocked":
      return <><p><b className="odd">It would block.</b></p>{k.obstacle && <ObstacleView obstacle={k.obstacle} />}</>;
    case "unaffected":
      return <p>The primary stays, and writes go on.</p>;
    case "writes_wait":
      return <p><b className="odd">Writes would wait:</b> the primary stays, without enough acknowledgements.</p>;
    case "unknown":
      return <p>Not known: no leadership is recorded.</p>;
  }
}

/** survived tells whether writes go on, after a change where one is needed. */
export function survived(k: Case): boolean {
  return k.outcome === "unaffected" || k.outcome === "promoted";
}

/** Others are all other single servers and zones, and of the pairs those that would stop writes. */
function Others({ cases }: { cases: Case[] }) {
  const shown = cases.filter((k) => k.kind !== "pair" || !survived(k));
  const bad = shown.filter((k) => !survived(k)).length;
  const pairs = cases.filter((k) => k.kind === "pair");
  return (
    <details>
      <summary>If something else died{bad > 0 ? <span className="odd">: {bad} {bad === 1 ? "case stops" : "cases stop"} writes</span> : ""}</summary>
      <dl className="whatif">
        {shown.map((k) => (
          <div key={`${k.kind} ${k.zone ?? ""} ${k.failed.join(" ")}`} data-test="whatif" data-outcome={k.outcome}>
            <dt>{k.kind === "zone" ? <>zone <Mono>{k.zone}</Mono></> : k.failed.map((a, i) => <span key={a}>{i > 0 ? " and " : ""}<Mono>{a}</Mono></span>)}</dt>
            <dd><Answer case={k} /></dd>
          </div>
        ))}
      </dl>
      {pairs.some(survived) && <p className="quiet">{pairs.filter(survived).length} of {pairs.length} pairs of servers may fail together.</p>}
    </details>
  );
}

/** choices are what may be said to fail: each server, and each zone in which there are several. */
export function choices(c: Pick<Cluster, "servers">): [fail: string, name: string][] {
  const zones = [...new Set(c.servers.map((s) => s.zone).filter((z) => z !== ""))].sort();
  return [...c.servers.map((s): [string, string] => [s.address, s.address]), ...zones.map((z): [string, string] => [`zone:${z}`, `zone ${z}`])];
}

/** Chosen answers for whatever somebody says to fail together. */
function Chosen({ cluster: c }: { cluster: Cluster }) {
  const [open, setOpen] = useState(false);
  const [fails, choose] = useState<string[]>([]);
  const toggle = (f: string): void => choose(fails.includes(f) ? fails.filter((x) => x !== f) : [...fails, f]);
  return (
    <details open={open} onToggle={(e) => setOpen(e.currentTarget.open)} data-test="whatif-choose">
      <summary>If these died together …</summary>
      {open && (
        <>
          <div className="whatif-choices" role="group" aria-label="What fails">
            {choices(c).map(([fail, name]) => (
              <label key={fail}><input type="checkbox" data-test="whatif-fail" value={fail} checked={fails.includes(fail)} onChange={() => toggle(fail)} /> <Mono>{name}</Mono></label>
            ))}
          </div>
          <div className="whatif-answer" role="status">{fails.length === 0 ? <p className="quiet">Choose servers or zones.</p> : <Foretold key={fails.join(" ")} cluster={c.name} fails={fails} />}</div>
        </>
      )}
    </details>
  );
}

function Foretold({ cluster, fails }: { cluster: string; fails: string[] }) {
  const query = fails.map((f) => `fail=${encodeURIComponent(f)}`).join("&");
  const live = useLive<WhatIf>(`/api/v1/clusters/${encodeURIComponent(cluster)}/whatif?${query}`, { every: 3000, apart: 500, wakes: (e) => e.cluster === cluster });
  const told = live.stale || live.failing ? undefined : live.data?.failures[0];
  if (live.problem) return <ProblemView problem={live.problem} />;
  if (told === undefined) return <p className="quiet">{live.failing ? "Not known at the moment." : "Asking …"}</p>;
  return <div data-test="whatif-answer" data-outcome={told.outcome}><Answer case={told} /></div>;
}

/** useWhatIf is undefined when the latest answer is not of now: a forecast of before the outage must not be read in it. */
function useWhatIf(cluster: string): WhatIf | undefined {
  const live = useLive<WhatIf>(`/api/v1/clusters/${encodeURIComponent(cluster)}/whatif`, {
    every: 5000, apart: 1000, wakes: (e) => e.cluster === cluster && (e.kind.startsWith("finding") || e.kind.startsWith("recovery") || e.kind === "operator"),
  });
  return live.stale || live.failing ? undefined : live.data;
}
