import { useState } from "react";
import type { Cluster, HaltList, RecoveryList } from "../api/types";
import { HaltView } from "../halt/HaltView";
import { newest, recent } from "../halt/progress";
import { useLive } from "../live";
import { Age, Empty, FindingView, Freshness, Loading, Mono, ObstacleView, StateBadge } from "../parts";
import { RecoveryRows } from "../recoveries/RecoveryRows";
import { ruleWords } from "../recoveries/story";
import { href } from "../route";
import { clock, now, parse, span, useSecond } from "../time";
import { mayNot, useWho } from "../who";
import { Charts } from "./Charts";
import "./cluster.css";
import { Drawing } from "./Drawing";
import { Readiness, wouldBlock } from "./Readiness";
import { Fact, NoteWords, Servers } from "./Servers";
import { SwitchDialog } from "./SwitchDialog";
import { verdict, whyNot, works } from "./verdict";

/** path is where the API tells of a cluster. */
export function path(cluster: string): string {
  return `/api/v1/clusters/${encodeURIComponent(cluster)}`;
}

/** ClusterPage is one cluster: what is believed of it, since when, on whose word, what would be done and what stops it. */
export function ClusterPage({ cluster }: { cluster: string }) {
  const live = useLive<Cluster>(path(cluster), { every: 1000, apart: 200, wakes: (e) => e.cluster === cluster });
  useSecond(); // what was probed grows old even when nothing new arrives
  const c = live.data;
  if (c === undefined) {
    return (
      <>
        <h1>{cluster}</h1>
        <Loading live={live} what="The cluster" />
        <p><a href={href.fleet()}>To the fleet</a></p>
      </>
    );
  }
  const gone = live.problem?.code === "no_such_cluster";
  const old = gone || live.stale || unprobed(c);
  return (
    <>
      <header className="cluster-head">
        <p className="crumbs"><a href={href.fleet()}>Fleet</a> <span aria-hidden="true">›</span></p>
        <h1>{c.name}</h1>
        <span data-test="cluster-state" data-state={c.state} data-stale={old || undefined}><StateBadge state={c.state} dim={old} /></span>
        <span className="doing">
          <a className="button" href={href.restart(c.name)} data-test="to-restart">Restart servers …</a>
          <a className="button" href={href.change(c.name)}>Change the primary …</a>
        </span>
      </header>
      <p className="asof">
        {gone ? <b className="odd">This control plane no longer knows this cluster.</b> : live.stale ? <Freshness live={live} /> : <Probed cluster={c} />}
      </p>
      <div className={old ? "stale" : undefined} data-test="cluster" data-stale={old || undefined}>
        <Verdict cluster={c} />
        <Halting cluster={c} />
        <div className="columns">
          <div>
            <section className="card" aria-label="Topology">
              <div className="card-head">
                <h2>Topology</h2>
                <Waits cluster={c} />
              </div>
              <Drawing cluster={c} />
            </section>
            <Findings cluster={c} />
          </div>
          <aside>
            <Readiness cluster={c} />
            <AntiflapCard cluster={c} />
            <Rules cluster={c} />
            <Changes cluster={c.name} />
          </aside>
        </div>
        <Charts cluster={c} />
        <Servers cluster={c} />
      </div>
    </>
  );
}

const oldAfter = 15_000;

/** unprobed tells whether the control plane itself has not looked for a while; what counts as fresh is its to say. */
function unprobed(c: Cluster): boolean {
  const at = parse(c.probed_at);
  return !c.fresh || at === undefined || now() - at > oldAfter;
}

function Probed({ cluster: c }: { cluster: Cluster }) {
  const word = c.leading ? `${c.elector || "this elector"}, which acts for it` : `this elector; ${c.elector ? `${c.elector} acts for the cluster` : "no elector acts for the cluster"}`;
  if (!c.probed_at) return <b className="odd">Not probed yet.</b>;
  return (
    <span className={unprobed(c) ? "odd" : "quiet"}>
      {unprobed(c) ? "Not probed lately: " : ""}as seen at {clock(c.probed_at)} (<Age at={c.probed_at} />) by {word}
    </span>
  );
}

/** Verdict is the whole in a few sentences: what is, and what is done about it. */
function Verdict({ cluster: c }: { cluster: Cluster }) {
  return (
    <section className={`verdict verdict-${c.state}`} aria-label="State">
      <p>
        <b>{verdict(c)}</b>{" "}
        <span data-test="cluster-primary" data-address={c.primary}>
          {c.primary ? <><Mono>{c.primary}</Mono> {c.state === "healthy" || c.state === "degraded" || works(c) ? "leads" : "is the last that was established,"} under term <span className="num">{c.term}</span></> : <>No primary is established; the last term is <span className="num">{c.term}</span></>}
        </span>
        {c.changed_at && c.primary ? <>, since <Age at={c.changed_at} form="since" /></> : null}.
      </p>
      {c.maintenance && <p data-test="cluster-maintenance"><b>Under maintenance</b> as a whole, so nothing is changed by itself: <NoteWords note={c.maintenance} />.</p>}
      {c.recovery ? <Running cluster={c} /> : <Stops cluster={c} />}
    </section>
  );
}

function Running({ cluster: c }: { cluster: Cluster }) {
  const r = c.recovery!;
  const last = r.stages[r.stages.length - 1];
  const begun = parse(r.started_at);
  return (
    <p data-test="running">
      {r.automatic ? "An automatic" : r.by ? `${r.by}'s` : "A"} {r.kind} change{r.to ? <> to <Mono>{r.to}</Mono></> : null} is under way
      {begun === undefined ? "" : <span className="num">, for {span(Math.max(0, now() - begun))}</span>}: {r.phase}{last ? `; last: ${last.name} ${last.outcome}` : ""}.{" "}
      <a href={href.recovery(r.id)}>Watch it</a>
    </p>
  );
}

/** Stops says why nothing is done although something should be. */
function Stops({ cluster: c }: { cluster: Cluster }) {
  if (c.obstacle) {
    return (
      <>
        {c.refusal && <p><b>Nothing is done by itself:</b> {c.refusal}</p>}
        <ObstacleView obstacle={c.obstacle} />
      </>
    );
  }
  if (c.refusal) return <p><b>Nothing is done by itself:</b> {c.refusal}</p>;
  if (c.state !== "primary_failed" && c.state !== "blocked") return null;
  const why = whyNot(c);
  if (why) return <p><b>Nothing is done by itself:</b> {why}</p>;
  const block = c.findings.find((f) => f.code === wouldBlock);
  if (block) return <p><b>Nothing is done by itself:</b> {block.message}</p>;
  if (c.antiflap.open) return <p><b>Nothing is done by itself:</b> the anti-flapping window is open.</p>;
  return c.automation ? <p>Nothing is known to stand against an automatic change.</p> : <p><b>Nothing is done by itself:</b> automation is off.</p>;
}

/** Halting is the stop or restart of servers under way, and for a while how it ended. */
function Halting({ cluster: c }: { cluster: Cluster }) {
  useSecond();
  const live = useLive<HaltList>(`${path(c.name)}/halts?limit=1`, { every: 15_000, apart: 500, wakes: (e) => e.cluster === c.name && e.kind === "operator" });
  // Its end stands in the same answer in which it is no longer under way; the list knows those before this elector acted.
  const shown = recent(c.halting, newest(c.halted, live.data?.halts.find((h) => h.state !== "running")), now());
  if (shown === undefined) return null;
  return (
    <section className="card halt-card" aria-label="Stop or restart of servers" data-state={shown.state}>
      <HaltView halt={shown} />
      <p className="more-links"><a href={href.restart(c.name)}>All stops and restarts</a></p>
    </section>
  );
}

function Waits({ cluster: c }: { cluster: Cluster }) {
  const n = c.durability.acks_needed;
  const ackers = c.servers.filter((s) => s.semi_sync.acker).length;
  if (c.durability.policy === "none" || !c.primary) return <span className="quiet">{c.primary ? "Commits wait for nobody." : ""}</span>;
  return (
    <span className={ackers < n ? "odd" : "quiet"} data-test="quorum">
      A commit waits for <b className="num">{n}</b> of <b className="num">{ackers}</b> acker{ackers === 1 ? "" : "s"}
      <svg className="sample" width="46" height="10" aria-hidden="true"><path className="edge-acker" d="M 4 5 H 42" /></svg>
    </span>
  );
}

function Findings({ cluster: c }: { cluster: Cluster }) {
  const order = ["critical", "warning", "info"];
  const sorted = [...c.findings].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  return (
    <section className="card" aria-label="Findings">
      <h2>Findings <span className="quiet num">{sorted.length === 0 ? "" : sorted.length}</span></h2>
      {sorted.length === 0 ? <p className="quiet">Nothing is wrong, as far as every probe told.</p> : sorted.map((f) => <FindingView key={`${f.code} ${f.server ?? ""}`} finding={f} />)}
      <p className="more-links"><a href={href.check(c.name)} data-test="to-check">Settings check</a> · <a href={href.errant(c.name)}>Errant transactions</a></p>
    </section>
  );
}

function AntiflapCard({ cluster: c }: { cluster: Cluster }) {
  const [asking, ask] = useState(false);
  const who = useWho();
  const refused = mayNot("operator", who);
  const a = c.antiflap;
  const until = parse(a.until);
  return (
    <section className="card" aria-label="Anti-flapping window" data-test="antiflap" data-open={a.open}>
      <h2>Anti-flapping window</h2>
      {a.open ? (
        <>
          <p>
            <b>Open:</b> no automatic change {until === undefined || a.held ? "until somebody lifts it" : until <= now() ? "for a moment longer" : <>for another <b className="num">{span(until - now())}</b></>}.
          </p>
          {a.reason && <p className="quiet sentence">{a.reason}.</p>}
          {a.lift && <p className="quiet">To lift it: {a.lift}.</p>}
          <button type="button" disabled={refused !== undefined} title={refused} onClick={() => ask(true)} data-test="antiflap-lift">Lift it …</button>
        </>
      ) : (
        <p className="quiet">Closed: the last change does not keep the next automatic one from being made.</p>
      )}
      {asking && (
        <SwitchDialog title={`Lift the window of ${c.name}`} says="You have looked at the last change. Automatic changes of the primary are possible again at once." verb="Lift it" method="POST" path={`${path(c.name)}/antiflap/ack`} body={{}} onClose={() => ask(false)} />
      )}
    </section>
  );
}

function Rules({ cluster: c }: { cluster: Cluster }) {
  const [asking, ask] = useState<"automation" | "maintenance">();
  const who = useWho();
  const refused = mayNot("admin", who);
  const rests = c.maintenance !== undefined;
  const d = c.durability;
  const note = c.automation_note;
  return (
    <section className="card" aria-label="Rules" data-test="automation" data-on={c.automation}>
      <h2>Rules</h2>
      <dl className="facts">
        <Fact name="durability">{ruleWords(d)}</Fact>
        <Fact name="rules"><span className="num">{d.ruleset}</span> <a href={href.rules(c.name)} data-test="to-rules">members, and changing them</a></Fact>
        <Fact name="elector">{c.elector || "none"}</Fact>
        <Fact name="automation">
          {c.automation ? "on" : <b className="odd">off</b>}
          {note && <span className="quiet"> {[note.by && `by ${note.by}`, note.reason].filter(Boolean).join(": ")}{note.at ? <>, <Age at={note.at} /></> : null}</span>}
        </Fact>
      </dl>
      <p className="buttons">
        <button type="button" disabled={refused !== undefined} title={refused} onClick={() => ask("automation")}>{c.automation ? "Switch automation off …" : "Switch automation on …"}</button>
        <button type="button" disabled={mayNot("operator", who) !== undefined} title={mayNot("operator", who)} onClick={() => ask("maintenance")} data-test="cluster-maintain">{rests ? "End maintenance …" : "Maintenance …"}</button>
      </p>
      {asking === "maintenance" && (
        <SwitchDialog
          title={`Maintenance of ${c.name}`}
          says={rests ? "Primacy changes and repairs the cluster by itself again." : "Nothing of the whole cluster is changed or repaired by itself until maintenance ends. Findings go on, and changes by hand stay possible."}
          verb={rests ? "End it" : "Begin it"}
          method="PUT"
          path={`${path(c.name)}/maintenance`}
          body={{ on: !rests }}
          lasts={!rests}
          why={!rests}
          onClose={() => ask(undefined)}
        />
      )}
      {asking === "automation" && (
        <SwitchDialog
          title={`Automation of ${c.name}`}
          says={c.automation ? "Primacy no longer changes the primary by itself. It goes on looking, and changes by hand stay possible." : "Primacy changes the primary by itself again when it has failed."}
          verb={c.automation ? "Switch it off" : "Switch it on"}
          method="PUT"
          path={`${path(c.name)}/automation`}
          body={{ on: !c.automation }}
          onClose={() => ask(undefined)}
        />
      )}
    </section>
  );
}

function Changes({ cluster }: { cluster: string }) {
  const live = useLive<RecoveryList>(`/api/v1/recoveries?cluster=${encodeURIComponent(cluster)}&limit=5&brief=true`, {
    every: 10_000, apart: 500, wakes: (e) => e.cluster === cluster && e.kind.startsWith("recovery"),
  });
  return (
    <section className={`card${live.stale ? " stale" : ""}`} aria-label="Last changes">
      <h2>Last changes <Freshness live={live} /></h2>
      {live.data === undefined ? <Loading live={live} what="The list" />
        : live.data.recoveries.length === 0 ? <Empty>None yet.</Empty>
          : <RecoveryRows recoveries={live.data.recoveries} />}
      <p className="more-links"><a href={href.recoveries({ cluster })}>All changes</a> · <a href={href.events({ cluster })}>Events</a></p>
    </section>
  );
}
