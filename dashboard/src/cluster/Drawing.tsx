import { useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Cluster, Server } from "../api/types";
import { Mono } from "../parts";
import { exact } from "../time";
import { layout, type Placed } from "./layout";

/** Drawing is who replicates from whom, how that fares, and which servers a commit waits for. */
export function Drawing({ cluster: c }: { cluster: Cluster }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    if (!box.current) return;
    setWidth(box.current.clientWidth); // the watcher speaks only after the first picture
    const watcher = new ResizeObserver((seen) => setWidth(Math.floor(seen[0]!.contentRect.width)));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  const drawn = useMemo(() => layout(c.servers, c.primary, width), [c.servers, c.primary, width]);
  const servers = useMemo(() => new Map(c.servers.map((s) => [s.address, s])), [c.servers]);
  const places = new Map(drawn.nodes.map((n) => [n.address, n]));
  return (
    <div ref={box} className={`drawing${drawn.narrow ? " narrow" : ""}`} style={{ height: width === 0 ? 240 : drawn.height }}>
      {width > 0 && (
        <>
          <svg width={drawn.width} height={drawn.height} aria-hidden="true">
            {drawn.edges.map((e) => {
              const from = places.get(e.from);
              const to = places.get(e.to);
              return from && to ? <EdgeLine key={`${e.from} ${e.to}`} from={from} to={to} server={servers.get(e.to)!} narrow={drawn.narrow} /> : null;
            })}
            {!drawn.narrow && <Quorum cluster={c} places={places} />}
          </svg>
          <ul>
            {drawn.nodes.map((n) => (
              <Node key={n.address} place={n} server={servers.get(n.address)} primary={n.address === c.primary} />
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

/** flow is how replication into a server fares, in words and as one of three looks. */
export function flow(s: Server): { look: "good" | "slow" | "broken"; words: string; lag: string } {
  const broken = s.receiver !== "on" || s.applier !== "on";
  // Without a receiver nobody knows what there would be to apply: no lag behind what arrived is not no lag.
  const none = s.receiver === "on" ? "no lag" : "all that arrived is applied";
  const lag = !s.reachable ? "" : s.lag_ms == null ? "lag unknown" : s.lag_ms === 0 ? none : `lag ${exact(s.lag_ms)}`;
  const words = !s.reachable ? "not reached" : broken ? `receiver ${s.receiver}, applier ${s.applier}` : "receiver on, applier on";
  if (broken || !s.reachable) return { look: "broken", words, lag };
  return { look: (s.lag_ms ?? 0) > 5000 ? "slow" : "good", words, lag };
}

function EdgeLine({ from, to, server: s, narrow }: { from: Placed; to: Placed; server: Server; narrow: boolean }) {
  const f = flow(s);
  const look = `edge edge-${f.look}${s.semi_sync.acker ? " edge-acker" : ""}`;
  const lag = [f.lag, s.behind ? `${s.behind.toLocaleString("en")} behind` : ""].filter((t) => t !== "").join(", ");
  if (narrow) {
    const x = from.x + 10;
    const y = to.y + to.height / 2;
    return (
      <g className={look} data-test="edge" data-from={from.address} data-to={to.address} data-look={f.look}>
        <path d={`M ${x} ${from.y + from.height} V ${y - 8} Q ${x} ${y} ${x + 8} ${y} H ${to.x}`} />
        <text x={to.x + 2} y={to.y - 7}>{[f.look === "broken" ? f.words.replace("receiver on, ", "").replace(", applier on", "") : "", lag, s.semi_sync.acker ? "acks" : ""].filter((t) => t !== "").join(" · ")}</text>
      </g>
    );
  }
  const x1 = from.x + from.width;
  const y1 = from.y + from.height / 2;
  const y2 = to.y + to.height / 2;
  const bend = Math.min(30, Math.abs(y2 - y1));
  const turn = y2 === y1 ? `H ${to.x}` : `H ${x1 + 4} Q ${x1 + 14} ${y1} ${x1 + 14} ${y1 + Math.sign(y2 - y1) * Math.min(10, bend)} V ${y2 - Math.sign(y2 - y1) * Math.min(10, bend)} Q ${x1 + 14} ${y2} ${x1 + 24} ${y2} H ${to.x}`;
  return (
    <g className={look} data-test="edge" data-from={from.address} data-to={to.address} data-look={f.look}>
      <path d={`M ${x1} ${y1} ${turn}`} />
      <text x={x1 + 26} y={y2 - 6}>{lag}</text>
      <text x={x1 + 26} y={y2 + 15} className="words">{f.words}</text>
    </g>
  );
}

/** Quorum is a bracket around the servers whose acknowledgements count, with how many a commit waits for. */
function Quorum({ cluster: c, places }: { cluster: Cluster; places: Map<string, Placed> }) {
  const ackers = c.servers.filter((s) => s.semi_sync.acker && places.get(s.address)?.depth === 1).map((s) => places.get(s.address)!);
  if (ackers.length === 0 || c.durability.acks_needed === 0) return null;
  const x = ackers[0]!.x - 7;
  const top = Math.min(...ackers.map((n) => n.y)) + 3;
  const bottom = Math.max(...ackers.map((n) => n.y + n.height)) - 3;
  return <path className="bracket" d={`M ${x + 5} ${top} H ${x} V ${bottom} H ${x + 5}`} />;
}

const roleWords: Record<Server["role"], string> = { primary: "primary", replica: "replica", quarantined: "quarantined", unreachable: "unreachable", unknown: "unknown" };

function Node({ place: n, server: s, primary }: { place: Placed; server: Server | undefined; primary: boolean }) {
  const at = { transform: `translate(${n.x}px, ${n.y}px)`, width: n.width, height: n.height };
  if (s === undefined) {
    return (
      <li className="node node-stranger" style={at}>
        <b className="name" title={n.address}><Mono>{n.address}</Mono></b>
        <span className="quiet">not a member of the cluster</span>
      </li>
    );
  }
  const write = s.reachable ? (s.read_only ? "read-only" : "writable") : "";
  const odd = s.reachable && !s.read_only && !primary;
  return (
    <li className={`node node-${s.role}${primary ? " node-leads" : ""}`} style={at} data-test="node" data-address={s.address} data-role={s.role}>
      <a className="name" href={`#server-${s.address}`} title={`${s.address}: to its details`} onClick={(e) => { e.preventDefault(); show(s.address); }}>
        <Mono>{s.address}</Mono>
      </a>
      <span className="row">
        <b className={`role role-${s.role}`}>{s.role === "unreachable" && primary ? "primary, unreachable" : roleWords[s.role]}</b>
        {odd && <span className="odd">writable</span>}
        {s.maintenance && <span className="odd">maintenance</span>}
        {s.errant_transactions > 0 && <span className="odd">{s.errant_transactions} errant</span>}
        {s.intermediate && s.source !== s.intermediate && !primary && <span className="odd" title={`it is to replicate from ${s.intermediate}`}>away from its intermediate</span>}
        {s.promotion !== "neutral" && <span className="quiet">{s.promotion === "never" ? "never promoted" : `${s.promotion} promotion`}</span>}
      </span>
      <span className="row quiet">
        {[s.zone, s.version, odd ? "" : write].filter((t) => t !== "").map((t, i) => <span key={i}>{t}</span>)}
      </span>
    </li>
  );
}

/** show moves to a server's details. */
function show(address: string): void {
  const card = [...document.querySelectorAll<HTMLElement>("[data-test='server']")].find((e) => e.dataset.address === address);
  card?.scrollIntoView({ block: "center" });
  card?.focus();
}
