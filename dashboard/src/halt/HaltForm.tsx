import { useId } from "react";
import type { Cluster } from "../api/types";
import { Mono } from "../parts";
import type { Wish } from "./wish";

/** HaltForm is which servers, and how. */
export function HaltForm({ cluster: c, wish: w, onChange }: { cluster: Cluster; wish: Wish; onChange: (w: Wish) => void }) {
  const id = useId();
  const set = (part: Partial<Wish>): void => onChange({ ...w, ...part });
  const toggle = (a: string): void => set({ servers: w.servers.includes(a) ? w.servers.filter((x) => x !== a) : [...w.servers, a] });
  const leads = w.kind === "stop" ? w.server === c.primary : w.servers.includes(c.primary);
  return (
    <>
      <div className="kinds" role="radiogroup" aria-label="What to do">
        <Kind of={w} kind="restart" set={() => set({ kind: "restart" })} says="One server after the other; the next one when the last one replicates and acknowledges again. Whoever leads goes last. It ends at the first that does not come back." />
        <Kind of={w} kind="stop" set={() => set({ kind: "stop" })} says="One server, which stays down and under maintenance until somebody starts it and ends that." />
      </div>
      {w.kind === "restart" ? (
        <div className="field">
          <span className="halt-form-servers" role="group" aria-label="Servers">
            {c.servers.map((s) => (
              <label key={s.address}><input type="checkbox" data-test="halt-server-choice" value={s.address} checked={w.servers.includes(s.address)} onChange={() => toggle(s.address)} /> <Mono>{s.address}</Mono>{s.address === c.primary && <span className="quiet"> leads</span>}</label>
            ))}
          </span>
        </div>
      ) : (
        <div className="field">
          <label htmlFor={`${id}server`}>Server</label>
          <select id={`${id}server`} data-test="halt-server-select" value={w.server} onChange={(e) => set({ server: e.target.value })}>
            <option value="">choose …</option>
            {c.servers.map((s) => <option key={s.address} value={s.address}>{s.address}{s.address === c.primary ? " (leads)" : ""}</option>)}
          </select>
        </div>
      )}
      {w.kind === "restart" && (
        <label className="check">
          <input type="checkbox" data-test="halt-shutdown" checked={w.shutdown} onChange={(e) => set({ shutdown: e.target.checked })} />
          <span><b>Shut down only:</b> somebody starts each server, with another version perhaps. Else its supervisor does.</span>
        </label>
      )}
      <div className="pair">
        <div className="field">
          <label htmlFor={`${id}to`}>Who is to lead instead</label>
          <select id={`${id}to`} data-test="halt-to" value={w.to} disabled={!leads} onChange={(e) => set({ to: e.target.value })}>
            <option value="">{leads ? "the best one" : "nobody has to: the primary stays"}</option>
            {c.servers.filter((s) => s.address !== c.primary).map((s) => <option key={s.address} value={s.address}>{s.address}</option>)}
          </select>
        </div>
        <div className="field">
          <label htmlFor={`${id}reason`}>Reason, for the record (needed)</label>
          <input id={`${id}reason`} data-test="halt-reason" maxLength={1000} value={w.reason} onChange={(e) => set({ reason: e.target.value })} />
        </div>
      </div>
      <details>
        <summary>How long things may take</summary>
        <div className="triple">
          <Amount id={`${id}drain`} label="Clients are cut after, in seconds" usual="5" value={w.drain} set={(drain) => set({ drain })} />
          <Amount id={`${id}hold`} label="Maintenance ends by itself after, in minutes" usual="60" value={w.hold} set={(hold) => set({ hold })} />
          <Amount id={`${id}wait`} label="Each step may take, in minutes" usual="10" value={w.wait} set={(wait) => set({ wait })} />
        </div>
      </details>
    </>
  );
}

function Amount({ id, label, usual, value, set }: { id: string; label: string; usual: string; value: string; set: (v: string) => void }) {
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input id={id} inputMode="decimal" placeholder={usual} value={value} onChange={(e) => set(e.target.value)} />
    </div>
  );
}

function Kind({ of, kind, says, set }: { of: Wish; kind: Wish["kind"]; says: string; set: () => void }) {
  return (
    <label className="kind" data-chosen={of.kind === kind || undefined}>
      <input type="radio" name="halt-kind" data-test="halt-kind" value={kind} checked={of.kind === kind} onChange={set} />
      <span><b>{kind}</b> <span className="quiet">{says}</span></span>
    </label>
  );
}
