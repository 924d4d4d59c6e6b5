import { useState } from "react";
import type { Cluster, Note, Server } from "../api/types";
import { Age, Mono } from "../parts";
import { href } from "../route";
import { clock, exact, now, parse, span } from "../time";
import { mayNot, useWho } from "../who";
import { transactions } from "./gtid";
import { SwitchDialog } from "./SwitchDialog";

/** Servers is what is known of each server, on its own word. */
export function Servers({ cluster: c }: { cluster: Cluster }) {
  return (
    <section aria-label="Servers">
      <h2>Servers</h2>
      <div className="servers">
        {c.servers.map((s) => (
          <ServerCard key={s.address} cluster={c} server={s} />
        ))}
      </div>
    </section>
  );
}

const oldAfter = 10_000; // a probe older than this is told as old; the control plane probes every second or so

function ServerCard({ cluster: c, server: s }: { cluster: Cluster; server: Server }) {
  const [asking, ask] = useState(false);
  const who = useWho();
  const refused = mayNot("operator", who);
  const probed = parse(s.probed_at);
  const old = probed !== undefined && now() - probed > oldAfter;
  return (
    <article className={`card server${old ? " stale" : ""}`} data-test="server" data-address={s.address} data-role={s.role} tabIndex={-1}>
      <header>
        <h3><Mono>{s.address}</Mono></h3>
        <b className={`role role-${s.role}`}>{s.role}</b>
      </header>
      <dl className="facts">
        <Reach server={s} />
        <Fact name="zone">{s.zone || "none"}</Fact>
        <Fact name="promotion">{s.promotion}</Fact>
        {s.intermediate && <Fact name="intermediate"><Mono>{s.intermediate}</Mono>{s.source !== s.intermediate && <span className="quiet"> (it replicates from {s.source || "nobody"} now)</span>}</Fact>}
        {s.reachable && (
          <>
            <Fact name="writes">{s.read_only ? (s.super_read_only ? "refused (super_read_only)" : "refused (read_only)") : s.offline_mode ? "refused (offline_mode)" : "taken"}</Fact>
            <Fact name="executed"><Count set={s.gtid_executed} /></Fact>
            {s.role !== "primary" && <Fact name="received"><Count set={s.gtid_received} /></Fact>}
            {s.source && (
              <>
                <Fact name="source"><Mono>{s.source}</Mono></Fact>
                <Fact name="threads"><Threads server={s} /></Fact>
                <Fact name="lag"><span className="num">{s.lag_ms == null ? "unknown" : exact(s.lag_ms)}{s.receiver === "on" ? "" : " behind what arrived"}{s.behind ? `, ${s.behind.toLocaleString("en")} behind` : ""}</span></Fact>
                <Fact name="heard source">{s.heartbeat_age_ms == null ? "unknown" : <span className="num">{exact(s.heartbeat_age_ms)} ago</span>}</Fact>
              </>
            )}
            <Fact name="semi-sync"><SemiSync server={s} /></Fact>
            <Fact name="version">{s.version || "unknown"}</Fact>
            <Fact name="up for"><Age at={s.started_at} form="since" /></Fact>
          </>
        )}
        {s.errant_transactions > 0 && <Fact name="errant"><b className="odd">{s.errant_transactions.toLocaleString("en")} transactions</b> that the primary's history does not contain: <a href={href.errant(c.name, { server: s.address })} data-test="to-errant">look at them</a></Fact>}
        {s.maintenance && <Fact name="maintenance"><NoteWords note={s.maintenance} /></Fact>}
      </dl>
      {s.errors.length > 0 && <ul className="errors">{s.errors.map((e, i) => <li key={i}>{e}</li>)}</ul>}
      <footer>
        <details>
          <summary>Transaction sets and identity</summary>
          <dl className="facts">
            <Fact name="executed"><Mono>{s.gtid_executed || "empty"}</Mono></Fact>
            <Fact name="received"><Mono>{s.gtid_received || "empty"}</Mono></Fact>
            <Fact name="server UUID"><Mono>{s.server_uuid || "unknown"}</Mono></Fact>
            <Fact name="highest term">{s.term}</Fact>
          </dl>
        </details>
        <span className="server-doing">
          {s.reachable && <a className="button" href={href.restart(c.name, { kind: "stop", server: s.address })} aria-label={`Stop ${s.address} …`}>Stop …</a>}
          <button type="button" disabled={refused !== undefined} title={refused} onClick={() => ask(true)} data-test="maintenance">
            {s.maintenance ? "End maintenance …" : "Maintenance …"}
          </button>
        </span>
      </footer>
      {asking && (
        <SwitchDialog
          title={s.maintenance ? `Bring ${s.address} back` : `Take ${s.address} out`}
          says={s.maintenance ? "It may be promoted and is repaired again." : "It is not promoted and not repaired until maintenance ends. It goes on replicating, and its acknowledgements go on counting."}
          verb={s.maintenance ? "Bring it back" : "Take it out"}
          method="PUT"
          path={`/api/v1/clusters/${encodeURIComponent(c.name)}/servers/${encodeURIComponent(s.address)}/maintenance`}
          body={{ on: s.maintenance === undefined }}
          lasts={s.maintenance === undefined}
          onClose={() => ask(false)}
        />
      )}
    </article>
  );
}

/** NoteWords is who did something, why, since when, and until when. */
export function NoteWords({ note: n }: { note: Note }) {
  const until = parse(n.until);
  return (
    <>
      by {n.by}{n.reason ? `: ${n.reason}` : ""}{n.at ? <>, <Age at={n.at} /></> : null}
      {until !== undefined && <>; ends {until <= now() ? "in a moment" : <>in <span className="num" title={clock(n.until)}>{span(until - now())}</span></>}</>}
    </>
  );
}

export function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const reachWords: Record<Server["reach"], string> = {
  ok: "answers", refused: "refuses connections", reset: "breaks connections off", silent: "does not answer", denied: "denies access", unresolved: "its name is unknown", unknown: "not probed yet",
};

function Reach({ server: s }: { server: Server }) {
  return (
    <Fact name="probe">
      {s.reachable ? <>answers in <span className="num">{exact(s.probe_ms)}</span></> : <b className="odd">{reachWords[s.reach]}</b>}
      {s.failing_since && <>, failing for <Age at={s.failing_since} form="since" /></>}
      <span className="quiet">, <Age at={s.probed_at} /></span>
    </Fact>
  );
}

function Threads({ server: s }: { server: Server }) {
  return (
    <>
      receiver <b className={s.receiver === "on" ? undefined : "odd"}>{s.receiver}</b>, applier <b className={s.applier === "on" ? undefined : "odd"}>{s.applier}</b>
    </>
  );
}

function Count({ set }: { set: string }) {
  const n = transactions(set);
  return <span className="num">{n === undefined ? "not readable" : n.toLocaleString("en")}</span>;
}

function SemiSync({ server: s }: { server: Server }) {
  const semi = s.semi_sync;
  if (semi.source_enabled) {
    return semi.source_active
      ? <>source, waits for {semi.acks}; {semi.clients} connected{semi.waiters > 0 ? `, ${semi.waiters} sessions wait` : ""}</>
      : <b className="odd">source that does not wait: fell back to asynchronous</b>;
  }
  if (!semi.replica_enabled) return <>off</>;
  return semi.acker ? <>replica, its acknowledgement counts</> : <>replica{semi.replica_active ? ", its acknowledgement does not count" : ", not active"}</>;
}
