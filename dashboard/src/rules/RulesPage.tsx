import { useState } from "react";
import type { Cluster, Recovery, RecoveryList, ReparentAnswer, Rules } from "../api/types";
import { Steps, WouldFail } from "../change/Rehearsal";
import { type Live, useLive } from "../live";
import { Empty, Freshness, Loading, Mono, ObstacleView } from "../parts";
import { Order } from "../order/Order";
import { RecoveryRows } from "../recoveries/RecoveryRows";
import { RecoveryState } from "../recoveries/RecoveryState";
import { outcome } from "../recoveries/story";
import { Timeline } from "../recoveries/Timeline";
import { useRecovery } from "../recoveries/useRecovery";
import { href } from "../route";
import { mayNot, useWho } from "../who";
import "../halt/halt.css";
import "../recoveries/recoveries.css";
import { RulesForm } from "./RulesForm";
import "./rules.css";
import { missing, needs, request, type Wish, wishFor } from "./wish";

function path(cluster: string, rest = ""): string {
  return `/api/v1/clusters/${encodeURIComponent(cluster)}${rest}`;
}

/** RulesPage is when a transaction of a cluster counts as safe and which servers belong to it, and changes that. */
export function RulesPage({ cluster }: { cluster: string }) {
  const live = useLive<Cluster>(path(cluster), { every: 1000, apart: 200, wakes: (e) => e.cluster === cluster });
  const rules = useLive<Rules>(path(cluster, "/rules"), { every: 3000, apart: 300, wakes: (e) => e.cluster === cluster && e.kind.startsWith("recovery") });
  const c = live.data;
  return (
    <>
      <header className="change-head">
        <p className="crumbs">
          <a href={href.fleet()}>Fleet</a> <span aria-hidden="true">›</span> <a href={href.cluster(cluster)}>{cluster}</a> <span aria-hidden="true">›</span>
        </p>
        <h1>Rules</h1>
        <Freshness live={live} />
      </header>
      {c === undefined ? <Loading live={live} what="The cluster" /> : rules.data === undefined ? <Loading live={rules} what="Its rules" /> : (
        <>
          <InForce rules={rules.data} live={rules} />
          <Changing cluster={c} now={rules.data} />
        </>
      )}
      {c !== undefined && <Changes cluster={cluster} />}
    </>
  );
}

/** InForce are the rules on record. */
export function InForce({ rules: r, live }: { rules: Rules; live: Live<Rules> }) {
  return (
    <section className={`card${live.stale ? " stale" : ""}`} aria-label="In force" data-test="rules-in-force" data-number={r.number}>
      <h2>In force: rules <span className="num">{r.number}</span> <Freshness live={live} /></h2>
      <p>
        {r.policy === "none" ? <b className="odd">Commits wait for nobody{r.allow_unfenced ? ", and a primary may be replaced that nothing stops" : ""}.</b> : <>A commit waits for <b className="num">{r.acks}</b> {r.acks === 1 ? "acknowledgement" : "acknowledgements"} <span className="quiet">({r.policy.replace("_", "-")}{r.zones ? `, ${r.zones} zones` : ""})</span>.</>}
      </p>
      <div className="wide">
        <table className="members-table">
          <thead><tr><th scope="col">member</th><th scope="col">zone</th><th scope="col">promotion</th><th scope="col">replicates from</th></tr></thead>
          <tbody>{r.members.map((m) => <tr key={m.address}><th scope="row"><Mono>{m.address}</Mono></th><td>{m.zone || <span className="quiet">none</span>}</td><td>{m.promotion || "neutral"}</td><td>{m.source ? <Mono>{m.source}</Mono> : <span className="quiet">the primary</span>}</td></tr>)}</tbody>
        </table>
      </div>
    </section>
  );
}

function Changing({ cluster: c, now }: { cluster: Cluster; now: Rules }) {
  const [begun, setBegun] = useState<Recovery>();
  const [vouched, setVouched] = useState<string>();
  const under = c.recovery?.kind === "rules" ? c.recovery : undefined;
  if (under ?? begun) return <Watched key={(under ?? begun)!.id} begun={(under ?? begun)!} again={() => setBegun(undefined)} />;
  return (
    <>
      {vouched && <p className="notice" role="status" data-test="rules-vouched">{vouched}.</p>}
      <Form key={now.number} cluster={c} now={now} onBegun={(a) => (a.vouched ? setVouched(a.vouched) : setBegun(a.recovery))} />
    </>
  );
}

/** Form begins anew with each ruleset: what was filled in for another one is not meant for this. */
function Form({ cluster: c, now: latest, onBegun }: { cluster: Cluster; now: Rules; onBegun: (a: ReparentAnswer) => void }) {
  const [now] = useState(latest);
  const [wish, choose] = useState<Wish>(() => wishFor(now));
  const refused = mayNot("admin", useWho());
  const { reason, ...rest } = wish;
  return (
    <Order<ReparentAnswer>
      method="PUT" path={path(c.name, "/rules")} wish={JSON.stringify(rest)} body={(dryRun) => request(wish, now.number, dryRun)} name={c.name} title="Other rules"
      refused={refused} lacks={missing(wish, now)} needs={needs(wish)} verb="Change the rules"
      form={() => <RulesForm cluster={c} now={now} wish={wish} onChange={choose} />}
      answer={(a) => <Plan answer={a} />} possible={(a) => a.recovery.state === "succeeded" || a.recovery.state === "running"}
      onBegun={onBegun}
    />
  );
}

/** Plan is what a dry run answers: the way from the old rules to the new ones, step by step. */
function Plan({ answer: a }: { answer: ReparentAnswer }) {
  if (a.vouched) return <p><b>{a.vouched}.</b></p>;
  return (
    <>
      <p><b>Both the old and the new rules are kept on the way.</b> If every server answers as it should:</p>
      <WouldFail recovery={a.recovery} />
      <Steps steps={a.steps ?? []} />
    </>
  );
}

/** Watched is a change of the rules under way, stage by stage, the barrier among them, and then what came of it. */
function Watched({ begun, again }: { begun: Recovery; again: () => void }) {
  const live = useRecovery(begun.id);
  const r = live.data ?? begun;
  const over = r.state !== "running";
  return (
    <section className={`card${live.stale ? " stale" : ""}`} aria-label="Under way" data-test="rules-change" data-state={r.state}>
      <p className="watched"><RecoveryState state={r.state} test="recovery-state" /> <b>{outcome(r)}</b> <a href={href.recovery(r.id)}>All evidence</a> <Freshness live={live} /></p>
      {r.obstacle && <ObstacleView obstacle={r.obstacle} />}
      <Timeline recovery={r} />
      {over && <p className="go-row"><button type="button" onClick={again}>Another change</button></p>}
    </section>
  );
}

function Changes({ cluster }: { cluster: string }) {
  const live = useLive<RecoveryList>(`/api/v1/recoveries?cluster=${encodeURIComponent(cluster)}&kind=rules&limit=20&brief=true`, {
    every: 10_000, apart: 500, wakes: (e) => e.cluster === cluster && e.kind.startsWith("recovery"),
  });
  return (
    <section className={`card${live.stale ? " stale" : ""}`} aria-label="Changes of the rules">
      <h2>Changes so far <Freshness live={live} /></h2>
      {live.data === undefined ? <Loading live={live} what="The list" />
        : live.data.recoveries.length === 0 ? <Empty>None: these are the rules that it began with.</Empty>
          : <RecoveryRows recoveries={live.data.recoveries} />}
      {live.data?.next !== undefined && <p className="more-links"><a href={href.recoveries({ cluster, kind: "rules" })}>All of them</a></p>}
    </section>
  );
}
