import { useState } from "react";
import { get, type ProblemError } from "../api/client";
import type { Recovery, RecoveryList } from "../api/types";
import { useLive } from "../live";
import { Age, Empty, Freshness, Loading, Mono, ProblemView } from "../parts";
import { go, href, setQuery, useRoute } from "../route";
import { clock, exact } from "../time";
import { type Filter, filterOf, kinds, merged, pathOf, states } from "./list";
import { Moved } from "./RecoveryPage";
import { RecoveryState } from "./RecoveryState";
import "./recoveries.css";

/** RecoveriesPage is every change of a primary, newest first. */
export function RecoveriesPage() {
  const filter = filterOf(useRoute().query);
  return (
    <>
      <h1>Recoveries</h1>
      <Filters filter={filter} />
      <List key={pathOf(filter, 0)} filter={filter} />
    </>
  );
}

function Filters({ filter: f }: { filter: Filter }) {
  const toggled = (s: string): string => (f.state.includes(s) ? f.state.filter((x) => x !== s) : [...f.state, s]).join(",");
  return (
    <div className="filters" role="group" aria-label="Show only">
      <input type="search" data-search placeholder="Cluster, by its whole name   ( / )" aria-label="Cluster" defaultValue={f.cluster} key={f.cluster}
        onBlur={(e) => setQuery({ cluster: e.target.value.trim() })}
        onKeyDown={(e) => { if (e.key === "Enter") setQuery({ cluster: e.currentTarget.value.trim() }); }} />
      <select aria-label="Kind" value={f.kind} onChange={(e) => setQuery({ kind: e.target.value })} data-test="recoveries-kind">
        <option value="">every kind</option>
        {kinds.map((k) => <option key={k}>{k}</option>)}
      </select>
      <select aria-label="Who" value={f.automatic} onChange={(e) => setQuery({ automatic: e.target.value })}>
        <option value="">by anybody</option>
        <option value="true">automatic</option>
        <option value="false">asked for</option>
      </select>
      <span className="states">
        {states.map((s) => (
          <button key={s} type="button" aria-pressed={f.state.includes(s)} onClick={() => setQuery({ state: toggled(s) })} data-test="recoveries-state" data-state={s}>{s}</button>
        ))}
      </span>
    </div>
  );
}

const pageSize = 50;

/** List keeps what it has seen, so that changes that begin meanwhile push nothing out between two pages. */
function List({ filter }: { filter: Filter }) {
  const live = useLive<RecoveryList>(pathOf(filter, pageSize), {
    every: 5000,
    apart: 500,
    wakes: (e) => e.kind === "recovery_started" || e.kind === "recovery_finished",
  });
  const [older, setOlder] = useState<RecoveryList[]>([]);
  const [first, setFirst] = useState<RecoveryList>();
  const [kept, keep] = useState<Recovery[]>([]);
  if (live.data !== undefined && live.data !== first) {
    setFirst(live.data);
    keep(older.length === 0 ? live.data.recoveries : merged(kept, live.data.recoveries));
  }
  if (live.data === undefined || first === undefined) return <Loading live={live} what="The list" />;
  const next = older.length > 0 ? older[older.length - 1]!.next : first.next;
  const add = (page: RecoveryList): void => {
    setOlder([...older, page]);
    keep(merged(kept, page.recoveries));
  };
  return (
    <>
      <p className="recoveries-asof"><Freshness live={live} /></p>
      {first.from_memory && <p className="notice" role="status" data-test="from-memory">The store does not answer: these are the latest few changes that this elector remembers.</p>}
      {live.problem && <ProblemView problem={live.problem} />}
      {kept.length === 0 ? <Nothing filter={filter} /> : <Table recoveries={kept} stale={live.stale} />}
      {next !== undefined && <Older filter={filter} before={next} onPage={add} />}
    </>
  );
}

function Nothing({ filter: f }: { filter: Filter }) {
  const all = f.cluster === "" && f.kind === "" && f.state.length === 0 && f.automatic === "";
  if (all) return <Empty>No primary was changed yet.</Empty>;
  return (
    <Empty>
      No change is like that. <button type="button" onClick={() => setQuery({ cluster: "", kind: "", state: "", automatic: "" })}>Show all</button>
    </Empty>
  );
}

function Older({ filter, before, onPage }: { filter: Filter; before: string; onPage: (page: RecoveryList) => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Error>();
  const fetch = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      onPage(await get<RecoveryList>(pathOf(filter, pageSize, before)));
    } catch (e) {
      setProblem(e as ProblemError);
    }
    setBusy(false);
  };
  return (
    <div className="older">
      {problem && <ProblemView problem={problem} />}
      <button type="button" disabled={busy} onClick={() => void fetch()} data-test="older">{busy ? "Fetching …" : "Older ones"}</button>
    </div>
  );
}

function Table({ recoveries, stale }: { recoveries: Recovery[]; stale: boolean }) {
  return (
    <table className={`recoveries${stale ? " stale" : ""}`}>
      <thead>
        <tr>
          <th scope="col" className="r-state">state</th>
          <th scope="col" className="r-cluster">cluster</th>
          <th scope="col" className="r-kind">kind</th>
          <th scope="col" className="r-moved">from → to</th>
          <th scope="col" className="r-who">who</th>
          <th scope="col" className="r-when">when</th>
          <th scope="col" className="r-took">took</th>
          <th scope="col" className="r-gap" title="how long Primacy kept writes from completing">gap</th>
        </tr>
      </thead>
      <tbody>
        {recoveries.map((r) => <Row key={r.id} recovery={r} />)}
      </tbody>
    </table>
  );
}

function Row({ recovery: r }: { recovery: Recovery }) {
  return (
    <tr data-test="recovery-row" data-id={r.id} onClick={(e) => { if (!(e.target as HTMLElement).closest("a")) go(href.recovery(r.id)); }}>
      <td className="r-state"><RecoveryState state={r.state} /></td>
      <td className="r-cluster"><a href={href.recovery(r.id)} data-row title={r.id}>{r.cluster}</a></td>
      <td className="r-kind">{r.kind}</td>
      <td className="r-moved"><Moved recovery={r} /></td>
      <td className="r-who" title={r.reason}>{r.automatic ? <span className="quiet">automatic</span> : r.by || <Mono>{r.elector}</Mono>}</td>
      <td className="r-when" title={clock(r.started_at)}><Age at={r.started_at} form="brief" /></td>
      <td className="r-took num">{exact(r.duration_ms)}</td>
      <td className="r-gap num">{r.gap_ms == null ? "–" : exact(r.gap_ms)}</td>
    </tr>
  );
}
