import { useState } from "react";
import type { Case, Cluster, Whatif } from "../api/types";
import { useLive } from "../live";
import { Mono, ObstacleView } from "../parts";
import { now, parse, span } from "../time";

/** wouldBlock is the finding that speaks of this, where nobody can ask what if. */
export const wouldBlock = "failover_would_block";

/** Readiness answers before the outage what would be done in it. */
export function Readiness({ cluster: c }: { cluster: Cluster }) {
  const cases = useWhatif(c.name);
  if (!c.primary) return null;
  const down = c.state === "primary_failed" || c.state === "blocked";
  const block = c.findings.find((f) => f.code === wouldBlock);
  const known = cases?.find((k) => k.fail.length === 1 && k.fail[0] === c.primary);
  return (
    <section className="card" aria-label="Readiness" data-test="readiness">
      <h2>{down ? <>Now that <Mono>{short(c.primary)}</Mono> has failed</> : <>If <Mono>{short(c.primary)}</Mono> died now</>}</h2>
      {known ? <Answer case={known} /> : block ? <p><b className="odd">It would block.</b> {block.message}</p>
        : down || c.state === "unknown" || c.state === "reparenting" ? <p className="quiet">See above.</p>
          : <p>A failover would not block, as far as is known: enough servers answer, and at least one of them may lead.</p>}
      {known && !known.obstacle && block && <p><b className="odd">But:</b> {block.message}</p>}
      {known?.obstacle === undefined && block === undefined && <p className="quiet">{bywhom(c)}</p>}
      {cases && cases.length > 1 && <Others cases={cases.filter((k) => k !== known)} />}
    </section>
  );
}

function short(address: string): string {
  return address.length > 28 ? `${address.slice(0, 27)}…` : address;
}

/** bywhom says whether it would happen by itself. */
function bywhom(c: Cluster): string {
  if (!c.automation) return "Only by hand: automation is off.";
  if (!c.antiflap.open) return "By itself.";
  const until = parse(c.antiflap.until);
  return until === undefined || c.antiflap.held ? "Only by hand, until the anti-flapping window is lifted." : `Only by hand for another ${span(Math.max(0, until - now()))}: the anti-flapping window is open.`;
}

function Answer({ case: k }: { case: Case }) {
  if (k.obstacle) return <><p><b className="odd">It would block.</b></p><ObstacleView obstacle={k.obstacle} /></>;
  if (!k.promoted) return <p>{k.because || "The primary would stay."}</p>;
  return <p><Mono>{k.promoted}</Mono> would be promoted{k.because ? <>, because {k.because}</> : null}.</p>;
}

function Others({ cases }: { cases: Case[] }) {
  return (
    <details>
      <summary>If something else died</summary>
      <dl className="whatif">
        {cases.map((k) => (
          <div key={k.fail.join(" ")} data-test="whatif">
            <dt><Mono>{k.fail.join(" and ")}</Mono></dt>
            <dd><Answer case={k} /></dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

/** useWhatif is undefined where the control plane does not answer such questions. */
function useWhatif(cluster: string): Case[] | undefined {
  const [absent, setAbsent] = useState(false);
  const live = useLive<Whatif>(absent ? null : `/api/v1/clusters/${encodeURIComponent(cluster)}/whatif`, { every: 5000, apart: 1000, wakes: (e) => e.cluster === cluster && e.kind.startsWith("finding") });
  if (live.problem?.status === 404 && !absent) setAbsent(true);
  return live.stale || live.failing ? undefined : live.data?.cases;
}
