import { memo, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { ClusterList, State, Summary } from "../api/types";
import { useLive } from "../live";
import { Age, Empty, Freshness, Loading, Mono, Severity, StateBadge } from "../parts";
import { stateWords } from "../parts/StateBadge";
import { go, href, setQuery, useRoute } from "../route";
import "./fleet.css";
import { counts, held, matches, states, troubleFirst, worst } from "./order";
import { useVisible } from "./rows";

/** FleetPage is every cluster, those that need somebody first. */
export function FleetPage() {
  const live = useLive<ClusterList>("/api/v1/clusters?findings=worst", { every: 2000, apart: 1000, wakes: (e) => e.cluster !== undefined });
  const { query } = useRoute();
  const search = query.get("q") ?? "";
  const chosen = useMemo(() => new Set((query.get("state") ?? "").split(",").filter((s) => s !== "")), [query]);
  const all = live.data?.clusters;
  const named = useNamed(search);
  const found = useMemo(() => (all ?? []).filter((c) => matches(c, search) || named.has(c.name)), [all, search, named]);
  const shown = useMemo(() => troubleFirst(chosen.size === 0 ? found : found.filter((c) => chosen.has(c.state))), [found, chosen]);
  if (all === undefined) return <Loading live={live} what="The fleet" />;
  if (all.length === 0) {
    return <Empty>This control plane has no clusters yet. They are named in its configuration file, under <Mono>clusters</Mono>.</Empty>;
  }
  return (
    <>
      <div className="fleet-head">
        <h1>
          Fleet <span className="quiet num" data-test="fleet-total">{amount(all.length, "cluster")}</span>
        </h1>
        <Freshness live={live} />
        <Search value={search} />
      </div>
      <Filter clusters={found} chosen={chosen} stale={live.stale} />
      {shown.length === 0 ? (
        <Empty>
          No cluster matches. <button type="button" onClick={() => setQuery({ q: "", state: "" })}>Show all {all.length}</button>
        </Empty>
      ) : (
        <Rows clusters={shown} stale={live.stale} />
      )}
    </>
  );
}

const nobody = new Set<string>();

/** useNamed is the clusters of which the control plane says that a server is called so: the page does not know all servers. */
function useNamed(search: string): Set<string> {
  const [asked, ask] = useState("");
  useEffect(() => {
    const soon = setTimeout(() => ask(search.trim()), 250);
    return () => clearTimeout(soon);
  }, [search]);
  const { data } = useLive<ClusterList>(asked === "" ? null : `/api/v1/clusters?findings=worst&q=${encodeURIComponent(asked)}`, { every: 30_000 });
  return useMemo(() => (data && asked !== "" ? new Set(data.clusters.map((c) => c.name)) : nobody), [data, asked]);
}

function amount(n: number, word: string): string {
  return `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
}

function Search({ value }: { value: string }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <input
      type="search"
      className="fleet-search"
      placeholder="Search name, server, finding, elector   ( / )"
      maxLength={200}
      aria-label="Search the fleet"
      data-search
      data-test="fleet-search"
      value={text}
      onChange={(e) => {
        setText(e.target.value);
        setQuery({ q: e.target.value });
      }}
      onKeyDown={(e) => {
        if (e.key !== "Enter") return;
        e.preventDefault();
        document.querySelector<HTMLElement>("[data-row]")?.focus();
      }}
    />
  );
}

/** Filter is one button for each state, with how many there are; pressed ones are shown. */
function Filter({ clusters, chosen, stale }: { clusters: Summary[]; chosen: Set<string>; stale: boolean }) {
  const n = counts(clusters);
  const press = (s: State): void => {
    const next = new Set(chosen);
    if (!next.delete(s)) next.add(s);
    setQuery({ state: [...next].join(",") });
  };
  return (
    <div className={`filter${stale ? " stale" : ""}`} role="group" aria-label="Show by state">
      <button type="button" aria-pressed={chosen.size === 0} onClick={() => setQuery({ state: "" })}>
        <b className="num">{clusters.length.toLocaleString("en")}</b> all
      </button>
      {states.map((s) => (
        <button key={s} type="button" aria-pressed={chosen.has(s)} className={n[s] > 0 ? `filter-${s}` : "filter-none"} onClick={() => press(s)} data-test="fleet-filter" data-state={s}>
          <b className="num">{n[s].toLocaleString("en")}</b> {stateWords[s]}
        </button>
      ))}
    </div>
  );
}

const narrow = window.matchMedia("(max-width: 640px)");

function useNarrow(): boolean {
  return useSyncExternalStore((f) => {
    narrow.addEventListener("change", f);
    return () => narrow.removeEventListener("change", f);
  }, () => narrow.matches);
}

const holdFor = 5000; // how long rows keep their places after somebody moved over them

function Rows({ clusters, stale }: { clusters: Summary[]; stale: boolean }) {
  const body = useRef<HTMLTableSectionElement>(null);
  const touched = useRef(-Infinity);
  const before = useRef<string[]>([]);
  const ordered = performance.now() - touched.current < holdFor ? held(clusters, before.current) : clusters;
  useEffect(() => {
    before.current = ordered.map((c) => c.name);
  });
  const height = useNarrow() ? 108 : 38;
  const { first, last } = useVisible(body, height, ordered.length);
  const touch = (): void => {
    touched.current = performance.now();
  };
  return (
    <table className={`fleet${stale ? " stale" : ""}`} aria-rowcount={ordered.length + 1} onPointerMove={touch} onKeyDown={touch}>
      <thead>
        <tr>
          <th className="c-state">State</th>
          <th className="c-name">Cluster</th>
          <th className="c-primary">Primary</th>
          <th className="c-term">Term</th>
          <th className="c-finding">Worst finding</th>
          <th className="c-since">Since</th>
          <th className="c-servers" title="servers that answered the last probe, of all">Servers</th>
          <th className="c-changed">Last change</th>
          <th className="c-elector">Elector</th>
        </tr>
      </thead>
      <tbody ref={body}>
        {first > 0 && <tr aria-hidden="true" className="space" style={{ height: first * height }} />}
        {ordered.slice(first, last).map((c, i) => (
          <Row key={c.name} cluster={c} at={first + i + 2} />
        ))}
        {last < ordered.length && <tr aria-hidden="true" className="space" style={{ height: (ordered.length - last) * height }} />}
      </tbody>
    </table>
  );
}

const Row = memo(function Row({ cluster: c, at }: { cluster: Summary; at: number }) {
  const w = worst(c.findings);
  const more = c.finding_count - 1;
  const old = !c.fresh;
  return (
    <tr data-test="fleet-row" data-cluster={c.name} data-state={c.state} aria-rowindex={at} className={old ? "old" : undefined}
      onClick={(e) => {
        if (!(e.target instanceof HTMLAnchorElement) && window.getSelection()?.toString() === "") go(href.cluster(c.name));
      }}>
      <td className="c-state"><StateBadge state={c.state} dim={old} /></td>
      <td className="c-name">
        <div>
          <a href={href.cluster(c.name)} data-row title={c.name}>{c.name}</a>
          <Tags cluster={c} />
        </div>
      </td>
      <td className="c-primary"><Mono title={c.primary}>{c.primary || "none"}</Mono></td>
      <td className="c-term num" title={`term ${c.term}`}>{c.term}</td>
      <td className="c-finding">
        {w && (
          <>
            <Severity severity={w.severity} brief /> <b>{w.code.replaceAll("_", " ")}</b>{" "}
            {more > 0 && <span className="quiet num" title={`and ${more} more`}>+{more} </span>}
            <span className="quiet" title={w.message}>{w.server && w.message.startsWith(`${w.server} `) ? w.message.slice(w.server.length + 1) : w.message}</span>
          </>
        )}
      </td>
      <td className="c-since">{w && <Age at={w.since} form="brief" />}</td>
      <td className={`c-servers num${c.reachable < c.servers ? " short" : ""}`}>{c.reachable}/{c.servers}</td>
      <td className="c-changed"><Age at={c.changed_at} form="brief" /></td>
      <td className="c-elector quiet" title={c.elector}>{c.elector || "none"}</td>
    </tr>
  );
});

/** Tags say what keeps a cluster from being changed by itself, and what must not be believed. */
function Tags({ cluster: c }: { cluster: Summary }) {
  return (
    <span className="tags">
      {!c.fresh && <span className="tag tag-old" title="not probed lately: what is shown may no longer be true">not fresh</span>}
      {!c.automation && <span className="tag" title="no automatic change of the primary">manual</span>}
      {c.antiflap_open && <span className="tag" title="the anti-flapping window is open: no automatic change until it ends or is lifted">window</span>}
    </span>
  );
}
