import { useState } from "react";
import type { Cluster, Halt, HaltAnswer, HaltList } from "../api/types";
import { useLive } from "../live";
import { Freshness, Loading, Mono, Pages } from "../parts";
import { Order } from "../order/Order";
import { href, useRoute } from "../route";
import { mayNot, useWho } from "../who";
import { HaltForm } from "./HaltForm";
import { HaltView } from "./HaltView";
import { missing, pathOf, request, type Wish, wishFor } from "./wish";

function path(cluster: string, rest = ""): string {
  return `/api/v1/clusters/${encodeURIComponent(cluster)}${rest}`;
}

/** HaltPage stops or restarts servers, and shows how that goes on and what was before. */
export function HaltPage({ cluster }: { cluster: string }) {
  const live = useLive<Cluster>(path(cluster), { every: 1000, apart: 200, wakes: (e) => e.cluster === cluster });
  const list = useLive<HaltList>(path(cluster, "/halts?limit=100"), { every: 5000, apart: 500, wakes: (e) => e.cluster === cluster && e.kind === "operator" });
  const c = live.data;
  return (
    <>
      <header className="change-head">
        <p className="crumbs">
          <a href={href.fleet()}>Fleet</a> <span aria-hidden="true">›</span> <a href={href.cluster(cluster)}>{cluster}</a> <span aria-hidden="true">›</span>
        </p>
        <h1>Stop or restart servers</h1>
        <Freshness live={live} />
      </header>
      {c === undefined ? <Loading live={live} what="The cluster" /> : <Present cluster={c} stale={live.stale} latest={list.data?.halts} />}
      {c !== undefined && (
        <section className={`card${list.stale ? " stale" : ""}`} aria-label="Before">
          <h2>Before <Freshness live={list} /></h2>
          {list.data === undefined ? <Loading live={list} what="The list" /> : <Before all={list.data.halts.filter((h) => h.state !== "running")} />}
          {list.data?.next !== undefined && <p className="quiet">Older ones: <Mono>primacy restart {cluster} --past</Mono></p>}
        </section>
      )}
    </>
  );
}

function Present({ cluster: c, stale, latest }: { cluster: Cluster; stale: boolean; latest: Halt[] | undefined }) {
  const [begun, setBegun] = useState(c.halting);
  const { query } = useRoute();
  const [wish, choose] = useState<Wish>(() => wishFor(c, query));
  const refused = mayNot("operator", useWho());
  if (c.halting !== undefined && c.halting.id !== begun?.id) setBegun(c.halting);
  const shown = c.halting ?? (begun && [c.halted, ...(latest ?? [])].find((h) => h?.id === begun.id && h.state !== "running")) ?? begun;
  if (shown !== undefined) {
    return (
      <section className={`card halt-card${stale ? " stale" : ""}`} aria-label="Under way" data-state={shown.state}>
        <HaltView halt={shown} />
        {shown.state !== "running" && <p className="go-row"><a className="button primary" href={href.cluster(c.name)}>To the cluster</a><button type="button" onClick={() => setBegun(undefined)}>Another one</button></p>}
      </section>
    );
  }
  const all = c.servers.map((s) => s.address);
  const { reason, ...rest } = wish; // another reason is the same deed
  return (
    <>
      <p className="quiet">
        MySQL answers OK to whoever waits for an acknowledgement when it is shut down in order, although nobody has acknowledged. Here a server is stopped so that nobody is told that: it leads no more, its clients are let go, and what it has received is applied first.
      </p>
      <Order<HaltAnswer>
        method="POST" path={pathOf(c.name, wish)} wish={JSON.stringify(rest)} body={(dryRun) => request(wish, all, dryRun)} name={c.name} title="What to do"
        refused={refused} lacks={missing(wish)} needs={reason.trim() === "" ? "It needs a reason, for it goes on record." : undefined}
        verb={wish.kind === "stop" ? `Stop ${wish.server}` : wish.servers.length === 1 ? `Restart ${wish.servers[0]}` : `Restart ${wish.servers.length} servers, one after the other`}
        form={() => <HaltForm cluster={c} wish={wish} onChange={choose} />}
        answer={(a) => <Plan answer={a} />}
        onBegun={(a) => setBegun(a.halt)}
      />
    </>
  );
}

/** Plan is what a dry run answers: every server with what is done to it. */
export function Plan({ answer }: { answer: HaltAnswer }) {
  return (
    <>
      <p><b>If every server answers as it should:</b></p>
      <ol className="halt-plan">
        {answer.plan.map((p) => (
          <li key={p.server} data-test="halt-planned" data-server={p.server}>
            <Mono>{p.server}</Mono>
            <ul>{p.steps.map((s, i) => <li key={i}>{s}</li>)}</ul>
          </li>
        ))}
      </ol>
    </>
  );
}

function Before({ all }: { all: Halt[] }) {
  if (all.length === 0) return <p className="quiet">No server was stopped or restarted from here yet.</p>;
  return <Pages all={all} size={10} what="stops and restarts">{(part) => part.map((h) => <HaltView key={h.id} halt={h} />)}</Pages>;
}
