import { useId, useState } from "react";
import type { Cluster, Server } from "../api/types";
import { Mono } from "../parts";
import { exact } from "../time";
import { responsible, type Wish } from "./machine";

type Props = { cluster: Cluster; wish: Wish; disabled: boolean; onChange: (w: Wish) => void };

/** Form is what to do: which kind of change, to which server, and what somebody answers for. */
export function Form({ cluster: c, wish: w, disabled, onChange }: Props) {
  const id = useId();
  const set = (part: Partial<Wish>): void => onChange({ ...w, ...part });
  const targets = c.servers.filter((s) => w.kind === "emergency" || s.address !== c.primary);
  return (
    <fieldset className="plainset" disabled={disabled}>
      <div className="kinds" role="radiogroup" aria-label="Kind of change">
        <Kind of={w} kind="planned" set={() => set({ kind: "planned", to: w.to === c.primary ? "" : w.to })} says="Asks the primary to step down, and moves nothing before its successor holds everything. For a primary that works." />
        <Kind of={w} kind="emergency" set={() => set({ kind: "emergency" })} says="Revokes the primary, so that it can complete no write, and promotes a server that holds all that was acknowledged. For one that has failed." />
      </div>
      <div className="pair">
        <div className="field">
          <label htmlFor={`${id}to`}>New primary</label>
          <select id={`${id}to`} data-test="change-to" value={w.to} onChange={(e) => set({ to: e.target.value })}>
            <option value="">the best one</option>
            {targets.map((s) => <option key={s.address} value={s.address}>{`${s.address} (${about(s)})`}</option>)}
          </select>
        </div>
        {w.kind === "planned" && (
          <div className="field">
            <label htmlFor={`${id}drain`}>Seconds the primary may take to step down</label>
            <input id={`${id}drain`} inputMode="decimal" placeholder="2" value={w.drain} onChange={(e) => set({ drain: e.target.value })} />
          </div>
        )}
      </div>
      <div className="field">
        <label htmlFor={`${id}reason`}>Reason, for the record{responsible(w) ? " (needed)" : ""}</label>
        <input id={`${id}reason`} data-test="change-reason" maxLength={1000} required={responsible(w)} value={w.reason} onChange={(e) => set({ reason: e.target.value })} />
      </div>
      <Responsibility cluster={c} wish={w} set={set} />
    </fieldset>
  );
}

function Kind({ of, kind, says, set }: { of: Wish; kind: Wish["kind"]; says: string; set: () => void }) {
  return (
    <label className="kind" data-chosen={of.kind === kind || undefined}>
      <input type="radio" name="kind" data-test="change-kind" value={kind} checked={of.kind === kind} onChange={set} />
      <span><b>{kind}</b> <span className="quiet">{says}</span></span>
    </label>
  );
}

/** about is what matters of a server that may be promoted. */
function about(s: Server): string {
  const parts = [s.role === "replica" ? "" : s.role, s.zone && `zone ${s.zone}`, s.promotion === "never" ? "never promoted" : s.promotion === "neutral" ? "" : s.promotion];
  if (!s.reachable && s.role !== "unreachable") parts.push("unreachable");
  if (s.maintenance) parts.push("maintenance");
  if (s.errant_transactions > 0) parts.push(`${s.errant_transactions} errant`);
  if (s.reachable) parts.push(s.lag_ms == null ? "lag unknown" : `lag ${exact(s.lag_ms)}`);
  return parts.filter((p) => p !== "").join(", ");
}

/** Responsibility is what no server can show, and a person says instead. */
function Responsibility({ cluster: c, wish: w, set }: { cluster: Cluster; wish: Wish; set: (part: Partial<Wish>) => void }) {
  const [open, setOpen] = useState(responsible(w));
  const toggle = (address: string): void => set({ certifyDown: w.certifyDown.includes(address) ? w.certifyDown.filter((a) => a !== address) : [...w.certifyDown, address] });
  return (
    <details className="responsible" open={open} onToggle={(e) => setOpen(e.currentTarget.open)} data-test="change-responsible">
      <summary>I take responsibility for more than the servers show …</summary>
      <p>Each of these goes past what Primacy can prove, and goes on record with your name and reason.</p>
      {w.kind === "emergency" && (
        <>
          <fieldset>
            <legend>These servers are powered off and stay so</legend>
            {c.servers.map((s) => (
              <label key={s.address} className="check">
                <input type="checkbox" data-test="change-certify" value={s.address} checked={w.certifyDown.includes(s.address)} onChange={() => toggle(s.address)} />
                <span><Mono>{s.address}</Mono> {s.reachable && <b>answers now</b>}</span>
              </label>
            ))}
            <p className="fine">One that still runs can complete writes that nobody else has: certify only what you know.</p>
          </fieldset>
          <Check checked={w.acceptLoss} set={(acceptLoss) => set({ acceptLoss })} test="change-accept-loss">
            <b>Accept loss:</b> go on although transactions that clients were told are safe may be lost.
          </Check>
          <Check checked={w.keepErrant} set={(keepErrant) => set({ keepErrant })} test="change-keep-errant">
            <b>Keep errant transactions:</b> take what no recorded leader wrote, or what was cancelled, into the history.
          </Check>
        </>
      )}
      <Check checked={w.withoutStore} set={(withoutStore) => set({ withoutStore })} test="change-without-store">
        <b>Without the store:</b> no lock keeps other electors from acting. Every server has to be reached or certified. Refused while the store answers.
      </Check>
    </details>
  );
}

function Check({ checked, set, test, children }: { checked: boolean; set: (on: boolean) => void; test: string; children: React.ReactNode }) {
  return (
    <label className="check">
      <input type="checkbox" data-test={test} checked={checked} onChange={(e) => set(e.target.checked)} />
      <span>{children}</span>
    </label>
  );
}
