import { useCallback, useEffect, useRef, useState } from "react";
import { get } from "../api/client";
import type { ErrantList, ErrantServer, Settlement, SettlementList } from "../api/types";
import { transactions } from "../cluster/gtid";
import { useEvents, useLive } from "../live";
import { Age, Empty, Freshness, Loading, Mono, Pages, ProblemView, Save } from "../parts";
import { href, useRoute } from "../route";
import { clock, now } from "../time";
import { mayNot, useWho } from "../who";
import "../recoveries/recoveries.css";
import "../change/change.css";
import "./errant.css";
import { SettleForm } from "./SettleForm";
import { SettlementView } from "./SettlementView";
import { between, touched, words, writers } from "./summary";
import { TransactionView } from "./TransactionView";

/** path is where the API tells of a cluster's errant servers. */
function path(cluster: string, rest: string): string {
  return `/api/v1/clusters/${encodeURIComponent(cluster)}/${rest}`;
}

/** ErrantPage is what servers hold that the primary's history does not, what is done about it, and what was. */
export function ErrantPage({ cluster }: { cluster: string }) {
  const only = useRoute().query.get("server") ?? "";
  const live = useLive<SettlementList>(path(cluster, "settlements?limit=50"), {
    every: 1000, apart: 300, wakes: (e) => e.cluster === cluster && (e.kind === "operator" || e.kind.startsWith("finding")),
  });
  return (
    <>
      <header className="change-head">
        <p className="crumbs">
          <a href={href.fleet()}>Fleet</a> <span aria-hidden="true">›</span> <a href={href.cluster(cluster)}>{cluster}</a> <span aria-hidden="true">›</span>
        </p>
        <h1>Errant transactions</h1>
        <Freshness live={live} />
      </header>
      <p className="quiet">
        What servers hold and the history of the primary does not: an old primary wrote it without an acknowledgement, or somebody wrote to a replica. Such a server is quarantined until it is settled.
      </p>
      <Holders cluster={cluster} only={only} settlements={live.data?.settlements} stale={live.stale} />
      <section className={`card${live.stale ? " stale" : ""}`} aria-label="Settlements">
        <h2>What was done about errant servers</h2>
        {live.data === undefined ? <Loading live={live} what="The list" /> : <Ended cluster={cluster} all={live.data.settlements.filter((s) => s.state !== "running")} />}
        {live.data?.next !== undefined && <p className="quiet">Older ones: <Mono>primacy errant {cluster} --past</Mono></p>}
      </section>
    </>
  );
}

function Ended({ cluster, all }: { cluster: string; all: Settlement[] }) {
  const refused = mayNot("operator", useWho());
  if (all.length === 0) return <p className="quiet">Nothing yet.</p>;
  return (
    <Pages all={all} size={10} what="settlements">
      {(part) => part.map((s) => (
        <SettlementView key={s.id} settlement={s}>
          {s.exported_to && (
            <p className="saves">
              <Save path={path(cluster, `settlements/${encodeURIComponent(s.id)}/export`)} name={`settled-${fileName(s.id)}.sql`} disabled={refused}>What they did, as SQL</Save>
              <Save path={path(cluster, `settlements/${encodeURIComponent(s.id)}`)} name={`settled-${fileName(s.id)}.json`} disabled={refused}>as JSON</Save>
            </p>
          )}
        </SettlementView>
      ))}
    </Pages>
  );
}

export function fileName(name: string): string {
  return name.replace(/[^A-Za-z0-9.-]/g, "_");
}

type Read = { list?: ErrantList; at?: number; problem?: Error; busy: boolean };

/** Holders reads the servers' binary logs only when somebody asks, and when something has changed: that is work for them. */
function Holders({ cluster, only, settlements, stale }: { cluster: string; only: string; settlements: Settlement[] | undefined; stale: boolean }) {
  const refused = mayNot("operator", useWho());
  const [read, set] = useState<Read>({ busy: false });
  const number = useRef(0);
  const again = useCallback(async (): Promise<void> => {
    const mine = ++number.current;
    set((r) => ({ ...r, busy: true }));
    const answer = await get<ErrantList>(path(cluster, `errant${only === "" ? "" : `?server=${encodeURIComponent(only)}`}`)).then((list) => ({ list }), (problem: Error) => ({ problem }));
    if (mine === number.current) set((r) => ("list" in answer ? { list: answer.list, at: now(), busy: false } : { ...r, busy: false, ...answer }));
  }, [cluster, only]);
  useEffect(() => {
    if (refused === undefined) void again();
    return () => void number.current++;
  }, [again, refused]);
  useEvents((e) => {
    if (refused === undefined && e.cluster === cluster && e.finding?.code === "errant_transactions") void again();
  });
  const ended = settlements?.filter((s) => s.state !== "running").length;
  useEffect(() => {
    if (refused === undefined && ended !== undefined && read.at !== undefined) void again();
  }, [ended]);
  if (refused !== undefined) return <p className="notice" role="status" data-test="errant-forbidden">What the transactions did shows values of rows. {refused}</p>;
  const running = settlements?.find((s) => s.state === "running");
  return (
    <>
      <p className="go-row read-row">
        <button type="button" disabled={read.busy} onClick={() => void again()} data-test="errant-again">{read.busy ? "Reading the binary logs …" : "Read again"}</button>
        {read.at !== undefined && <span className={read.problem ? "odd" : "quiet"} data-test="errant-read" data-stale={read.problem !== undefined || undefined}>{read.problem ? "what is shown was read at" : "read at"} {clock(new Date(read.at).toISOString())}</span>}
        {only !== "" && <span>only <Mono>{only}</Mono> · <a href={href.errant(cluster)}>all servers</a></span>}
      </p>
      {read.problem && <ProblemView problem={read.problem} />}
      {running && !read.list?.servers.some((s) => s.server === running.server) && <UnderWay cluster={cluster} settlement={running} stale={stale} />}
      {read.list === undefined ? (read.problem ? null : <Empty>Reading the binary logs …</Empty>)
        : read.list.servers.length === 0 ? <div className="card"><Empty>{only === "" ? "Nothing is errant: what the servers hold is in the primary's history." : "This server holds nothing that is errant."}</Empty></div>
          : read.list.servers.map((s) => <Holder key={s.server} cluster={cluster} server={s} settlements={settlements ?? []} stale={stale || read.problem !== undefined} />)}
    </>
  );
}

function UnderWay({ cluster, settlement, stale }: { cluster: string; settlement: Settlement; stale: boolean }) {
  return (
    <section className={`card${stale ? " stale" : ""}`} aria-label="Under way" data-test="settling">
      <h2>Under way</h2>
      <SettlementView settlement={settlement} cancel={path(cluster, `servers/${encodeURIComponent(settlement.server)}/errant`)} />
    </section>
  );
}

/** Holder is one errant server: whether a client was told, what was done, and how it is settled. */
function Holder({ cluster, server: e, settlements, stale }: { cluster: string; server: ErrantServer; settlements: Settlement[]; stale: boolean }) {
  const running = settlements.find((s) => s.state === "running");
  const mine = running?.server === e.server ? running : undefined;
  return (
    <section className={`card holder${stale ? " stale" : ""}`} aria-label={e.server} data-test="errant-server" data-server={e.server} data-never={e.verdict.never_acknowledged}>
      <h2><Mono>{e.server}</Mono> <span className="quiet"><span className="num">{countOf(e).toLocaleString("en")}</span> errant transaction{countOf(e) === 1 ? "" : "s"}</span></h2>
      <VerdictView server={e} />
      <Facts server={e} />
      <p className="saves">
        <Save path={path(cluster, `servers/${encodeURIComponent(e.server)}/errant/export`)} name={`errant-${fileName(cluster)}-${fileName(e.server)}.sql`}>Save as SQL</Save>
        <Save path={path(cluster, `errant?server=${encodeURIComponent(e.server)}`)} name={`errant-${fileName(cluster)}-${fileName(e.server)}.json`}>Save as JSON</Save>
        <span className="quiet">Look at it before you run any of it on the primary.</span>
      </p>
      <h3>Transactions</h3>
      <Pages all={e.transactions} size={20} what="transactions">
        {(part) => part.map((t, i) => <TransactionView key={t.gtid} transaction={t} open={i === 0 && e.transactions.length <= 3} />)}
      </Pages>
      <h3 className="settle-head">{mine ? "Being settled" : "Settle it"}</h3>
      {mine ? <SettlementView settlement={mine} cancel={path(cluster, `servers/${encodeURIComponent(e.server)}/errant`)} />
        : running ? <p className="quiet">One server of a cluster is settled at a time: <Mono>{running.server}</Mono> is under way.</p>
          : <SettleForm server={e} settlements={settlements} path={path(cluster, `servers/${encodeURIComponent(e.server)}/errant`)} />}
    </section>
  );
}

function countOf(e: ErrantServer): number {
  return transactions(e.set) ?? e.transactions.length;
}

function VerdictView({ server: e }: { server: ErrantServer }) {
  const never = e.verdict.never_acknowledged;
  return (
    <div className={`loss loss-${never ? "ok" : "bad"}`} data-test="errant-verdict">
      <p>{never ? "Never answered: it is proven that no client was told of them." : "Possibly answered: it is not proven that no client was told of them."}</p>
      {e.verdict.why.length > 0 && <ul>{e.verdict.why.map((w, i) => <li key={i}>{w}</li>)}</ul>}
    </div>
  );
}

function Facts({ server: e }: { server: ErrantServer }) {
  const times = between(e.transactions);
  const tables = touched(e.transactions);
  return (
    <>
      {e.unread && <p className="notice">They could not be read or judged: {e.unread}</p>}
      {e.missing && <p className="notice">The binary log does not hold <Mono>{e.missing}</Mono>: it was purged, or is not applied yet.</p>}
      {e.truncated && <p className="notice">There are more rows than <Mono>errant.rows_max</Mono>; the others have no values here.</p>}
      <dl className="facts">
        {times && <div><dt>when</dt><dd>{times[0] === times[1] ? clock(times[0]) : `${clock(times[0])} to ${clock(times[1])}`} <span className="quiet">(<Age at={times[1]} />)</span></dd></div>}
        {e.transactions.length > 0 && <div><dt>who</dt><dd>{writers(e.transactions).join("; ")}</dd></div>}
        <div><dt>rows</dt><dd className="num">{e.rows.toLocaleString("en")}</dd></div>
        {tables.slice(0, 20).map((t) => <div key={t.table}><dt><Mono>{t.table}</Mono></dt><dd className="num">{words(t)}</dd></div>)}
        {tables.length > 20 && <div><dt>and</dt><dd>{tables.length - 20} more tables</dd></div>}
        <div><dt>GTIDs</dt><dd><Mono>{e.set}</Mono></dd></div>
      </dl>
    </>
  );
}
