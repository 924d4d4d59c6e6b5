import { memo, useCallback, useEffect, useRef, useState } from "react";
import { get, onSignIn, ProblemError } from "../api/client";
import type { Event, EventList } from "../api/types";
import { useConnection, useEvents } from "../live";
import { Empty, Mono, ProblemView } from "../parts";
import { href, setQuery, useRoute } from "../route";
import { clock } from "../time";
import "./events.css";
import { type Feed, groups, joined, kindsOf, matches, pathOf, toneOf } from "./feed";

/** EventsPage is what happened, newest first, and goes on telling it. */
export function EventsPage() {
  const { query } = useRoute();
  const cluster = query.get("cluster") ?? "";
  const kinds = kindsOf(query.get("kind") ?? "");
  return (
    <>
      <h1>Events</h1>
      <Filters cluster={cluster} kinds={kinds} />
      <Told key={pathOf(cluster, kinds, 0)} cluster={cluster} kinds={kinds} />
    </>
  );
}

function Filters({ cluster, kinds }: { cluster: string; kinds: string[] }) {
  const press = (of: string[]): void => {
    const on = of.every((k) => kinds.includes(k));
    setQuery({ kind: (on ? kinds.filter((k) => !of.includes(k)) : [...new Set([...kinds, ...of])]).join(",") });
  };
  return (
    <div className="event-filters" role="group" aria-label="Show only">
      <input type="search" data-search placeholder="Cluster, by its whole name   ( / )" aria-label="Cluster" defaultValue={cluster} key={cluster}
        onBlur={(e) => setQuery({ cluster: e.target.value.trim() })}
        onKeyDown={(e) => { if (e.key === "Enter") setQuery({ cluster: e.currentTarget.value.trim() }); }} />
      <button type="button" aria-pressed={kinds.length === 0} onClick={() => setQuery({ kind: "" })}>all</button>
      {groups.map(([name, of]) => (
        <button key={name} type="button" aria-pressed={of.every((k) => kinds.includes(k))} title={of.join(", ")} onClick={() => press(of)} data-test="events-kind" data-kind={name}>{name}</button>
      ))}
    </div>
  );
}

const pageSize = 100;
const together = 150; // events come in bursts; one drawing shows them all

type Memory = { since?: string; next?: string; silent?: boolean; problem?: Error };

function Told({ cluster, kinds }: { cluster: string; kinds: string[] }) {
  const [feed, setFeed] = useState<Feed>([]);
  const [memory, setMemory] = useState<Memory>();
  const [held, hold] = useState<Event[]>(); // what has come since somebody asked for quiet
  const connection = useConnection();
  const recall = useCallback(async (): Promise<void> => {
    const told = await remembered(pathOf(cluster, kinds, pageSize));
    if (told.list) setFeed((f) => joined(f, told.list!.events));
    // A place in the memory of an elector that has forgotten or restarted since is no place any more.
    setMemory((m) => (m?.since === told.memory.since && m?.next !== undefined ? { ...told.memory, next: m.next } : told.memory));
  }, []);
  useEffect(() => {
    void recall();
    return onSignIn(() => void recall());
  }, [recall]);
  const push = useBatches((events) => {
    if (held === undefined) setFeed((f) => joined(f, events));
    else hold((h) => [...(h ?? []), ...events]);
  });
  useEvents((e) => {
    if (e.kind === "gap") void recall();
    if (matches(e, cluster, kinds)) push(e);
  });
  const resume = (): void => {
    setFeed((f) => joined(f, held ?? []));
    hold(undefined);
  };
  return (
    <>
      <div className="feed-head">
        <p className="quiet" role="status" data-test="events-since">{since(memory, connection.state === "live")}</p>
        {held === undefined
          ? <button type="button" onClick={() => hold([])} data-test="events-hold">Hold</button>
          : <button type="button" className="primary" onClick={resume} data-test="events-hold">Go on<span className="num">{held.length > 0 ? ` (${held.length} new)` : ""}</span></button>}
      </div>
      {memory?.problem && <ProblemView problem={memory.problem} />}
      {feed.length === 0 ? <Empty>{memory === undefined ? " " : "Nothing has happened that is remembered and shown here. What happens next appears by itself."}</Empty> : (
        <ol className="feed">
          {feed.map((e, i) => <Row key={e.id || `here-${i}-${e.at}`} event={e} />)}
        </ol>
      )}
      {memory?.next !== undefined && <Older path={pathOf(cluster, kinds, pageSize, memory.next)} onPage={(list) => {
        setFeed((f) => joined(f, list.events, Number.MAX_SAFE_INTEGER));
        setMemory({ ...memory, next: list.next });
      }} />}
    </>
  );
}

async function remembered(path: string): Promise<{ list?: EventList; memory: Memory }> {
  try {
    const list = await get<EventList>(path);
    return { list, memory: { since: list.since, next: list.next } };
  } catch (e) {
    if (e instanceof ProblemError && e.code === "no_such_path") return { memory: { silent: true } };
    return { memory: { problem: e as Error } };
  }
}

function since(m: Memory | undefined, live: boolean): string {
  const on = live ? "and goes on by itself" : "and stands still: the connection is lost";
  if (m === undefined) return " ";
  if (m.silent) return `This control plane tells what happens from now on ${on}.`;
  return m.since ? `This elector remembers what it saw since ${clock(m.since)}, ${on}. What happened before is in its log.` : "";
}

/** useBatches hands on what was pushed within a moment at once. */
function useBatches(take: (events: Event[]) => void): (e: Event) => void {
  const latest = useRef(take);
  latest.current = take;
  const waiting = useRef<Event[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback((e: Event) => {
    waiting.current.push(e);
    if (waiting.current.length > 1) return;
    timer.current = setTimeout(() => {
      const events = waiting.current;
      waiting.current = [];
      latest.current(events);
    }, together);
  }, []);
}

function Older({ path, onPage }: { path: string; onPage: (list: EventList) => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Error>();
  const fetch = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      onPage(await get<EventList>(path));
    } catch (e) {
      setProblem(e as Error);
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

const Row = memo(function Row({ event: e }: { event: Event }) {
  return (
    <li className={`event event-${toneOf(e)}`} data-test="event-row" data-kind={e.kind} data-id={e.id}>
      <span className="at num" title={e.at}>{clock(e.at)}</span>
      <span className="kind-of">{e.kind.replaceAll("_", " ")}</span>
      <span className="where">
        {e.cluster && <a href={href.cluster(e.cluster)} data-row><bdi>{e.cluster}</bdi></a>}
        {e.server && <Mono>{e.server}</Mono>}
      </span>
      <span className="what">
        {e.text}
        {e.by && <span className="quiet"> by <bdi>{e.by}</bdi></span>}
        {e.recovery && <> <a href={href.recovery(e.recovery)}><bdi>{e.recovery}</bdi></a></>}
      </span>
    </li>
  );
});
