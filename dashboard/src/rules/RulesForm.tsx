import { useId, useState } from "react";
import type { Cluster, Rules } from "../api/types";
import { Mono } from "../parts";
import { differences, type Policy, policies, type Promotion, promotions, removed, type Wish, type Wished } from "./wish";

type Props = { cluster: Cluster; now: Rules; wish: Wish; onChange: (w: Wish) => void };

/** RulesForm is the rules as they are to be: policy and members. */
export function RulesForm({ cluster: c, now, wish: w, onChange }: Props) {
  const id = useId();
  const set = (part: Partial<Wish>): void => onChange({ ...w, ...part });
  const out = removed(now, w);
  const changes = differences(now, w);
  return (
    <>
      <div className="triple">
        <div className="field">
          <label htmlFor={`${id}policy`}>Policy</label>
          <select id={`${id}policy`} data-test="rules-policy" value={w.policy} onChange={(e) => set({ policy: e.target.value as Policy })}>
            {policies.map(([p]) => <option key={p} value={p}>{p.replace("_", "-")}</option>)}
          </select>
        </div>
        {w.policy !== "none" && (
          <div className="field">
            <label htmlFor={`${id}acks`}>Acknowledgements</label>
            <input id={`${id}acks`} data-test="rules-acks" inputMode="numeric" value={w.acks} onChange={(e) => set({ acks: e.target.value })} />
          </div>
        )}
        {w.policy === "zones" && (
          <div className="field">
            <label htmlFor={`${id}zones`}>Zones</label>
            <input id={`${id}zones`} data-test="rules-zones" inputMode="numeric" value={w.zones} onChange={(e) => set({ zones: e.target.value })} />
          </div>
        )}
      </div>
      <p className="quiet sentence">{policies.find(([p]) => p === w.policy)?.[1]}.</p>
      {w.policy === "none" && (
        <label className="check">
          <input type="checkbox" data-test="rules-unfenced" checked={w.allowUnfenced} onChange={(e) => set({ allowUnfenced: e.target.checked })} />
          <span><b>Allow unfenced:</b> replace a primary although nothing stops it; two may take writes.</span>
        </label>
      )}
      <h3>Members</h3>
      <ul className="members">
        {w.members.map((m, i) => (
          <Row key={m.fresh ? `new ${i}` : m.address} member={m} leads={m.address === c.primary} was={now.members.find((x) => x.address === m.address)?.zone}
            sources={w.members.filter((x) => x.address !== m.address && x.address !== "" && x.source === "").map((x) => x.address)}
            set={(part) => set({ members: w.members.map((x, j) => (j === i ? { ...x, ...part } : x)) })}
            remove={() => set({ members: w.members.filter((_, j) => j !== i) })} />
        ))}
      </ul>
      {out.length > 0 && (
        <ul className="members-out">
          {out.map((a) => {
            const s = c.servers.find((x) => x.address === a);
            return (
              <li key={a} data-test="rules-removed" data-address={a}>
                <Mono>{a}</Mono> is removed. <button type="button" onClick={() => set({ gone: w.gone.filter((x) => x !== a), members: back(now, w, a) })}>Keep it</button>
                {s !== undefined && !s.reachable && (
                  <label className="check">
                    <input type="checkbox" data-test="rules-gone" value={a} checked={w.gone.includes(a)} onChange={() => set({ gone: w.gone.includes(a) ? w.gone.filter((x) => x !== a) : [...w.gone, a] })} />
                    <span><b>It is gone:</b> it is not reached, and I vouch that it will never acknowledge anything to this primary again.</span>
                  </label>
                )}
              </li>
            );
          })}
        </ul>
      )}
      <p><button type="button" data-test="rules-add" onClick={() => set({ members: [...w.members, { address: "", zone: "", promotion: "neutral", source: "", fresh: true }] })}>Add a server</button></p>
      <div className="field">
        <label htmlFor={`${id}reason`}>Reason, for the record (needed)</label>
        <input id={`${id}reason`} data-test="rules-reason" maxLength={1000} value={w.reason} onChange={(e) => set({ reason: e.target.value })} />
      </div>
      <div className="differences" role="status">
        {changes.length === 0 ? <p className="quiet">Nothing is different yet.</p> : <ul className="plainly">{changes.map((d) => <li key={d} data-test="rules-difference">{d}</li>)}</ul>}
      </div>
    </>
  );
}

function back(now: Rules, w: Wish, address: string): Wished[] {
  const m = now.members.find((x) => x.address === address)!;
  return [...w.members, { address, zone: m.zone, promotion: (m.promotion || "neutral") as Promotion, source: m.source ?? "", fresh: false }];
}

function Row({ member: m, leads, was, sources, set, remove }: { member: Wished; leads: boolean; was: string | undefined; sources: string[]; set: (part: Partial<Wished>) => void; remove: () => void }) {
  const [moving, move] = useState(m.fresh);
  const name = m.address || "the new server";
  return (
    <li className="member" data-test="rules-member" data-address={m.address}>
      {m.fresh ? <input className="mono" data-test="rules-address" aria-label="Address of the new server" placeholder="db4:3306" maxLength={300} value={m.address} onChange={(e) => set({ address: e.target.value })} /> : <span><Mono>{m.address}</Mono>{leads && <span className="quiet"> leads</span>}</span>}
      {moving || m.zone !== (was ?? "") ? (
        <input data-test="rules-zone" aria-label={`Zone of ${name}`} placeholder="zone" maxLength={100} value={m.zone} onChange={(e) => { move(true); set({ zone: e.target.value }); }} />
      ) : (
        <span><span className="quiet">zone</span> {m.zone || "none"} <button type="button" className="plain" aria-label={`Change the zone of ${name}`} onClick={() => move(true)}>✎</button></span>
      )}
      <select data-test="rules-promotion" aria-label={`Promotion of ${name}`} value={m.promotion} onChange={(e) => set({ promotion: e.target.value as Promotion })}>
        {promotions.map((p) => <option key={p}>{p}</option>)}
      </select>
      <select data-test="rules-source" aria-label={`From whom ${name} replicates`} value={m.source} disabled={leads && m.source === ""} onChange={(e) => set({ source: e.target.value })}>
        <option value="">from the primary</option>
        {(m.source === "" || sources.includes(m.source) ? sources : [...sources, m.source]).map((a) => <option key={a} value={a}>from {a}</option>)}
      </select>
      <button type="button" disabled={leads} title={leads ? "it leads: move the primary first" : undefined} data-test="rules-remove" aria-label={`Remove ${name}`} onClick={remove}>Remove</button>
    </li>
  );
}
