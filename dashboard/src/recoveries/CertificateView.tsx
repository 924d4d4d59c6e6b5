import type { Certificate, Decision, Recovery, Witness } from "../api/types";
import { Mono } from "../parts";
import { clock } from "../time";
import { deeds, ruleWords } from "./story";

/** CertificateView is what the change rests on: who could have been leading, what each server showed, and who was passed over. */
export function CertificateView({ recovery: r }: { recovery: Recovery }) {
  const c = r.certificate;
  const leaders = c.leaders ?? [];
  const servers = c.servers ?? [];
  const barred = Object.entries(c.barred ?? {});
  const down = c.certified_down ?? [];
  return (
    <section className="card certificate" aria-label="Evidence" data-test="certificate">
      <h2>What it rests on</h2>
      {leaders.length > 0 && (
        <>
          <h3>Servers that could have been completing writes</h3>
          <ul className="plainly">
            {leaders.map((l) => (
              <li key={`${l.address} ${l.term}`}>
                <Mono>{l.address}</Mono> under term {l.term}, waiting for {l.acks === 1 ? "1 acknowledgement" : `${l.acks} acknowledgements`}
                {l.certified && <b className="odd">; vouched to be powered off</b>}
                {l.why && <span className="quiet"> ({l.why})</span>}
              </li>
            ))}
          </ul>
        </>
      )}
      {down.length > 0 && (
        <p data-test="certified-down">
          <b className="odd">Powered off on {r.by || "an operator"}'s word:</b> {down.map((a, i) => <span key={a}>{i > 0 && ", "}<Mono>{a}</Mono></span>)}
        </p>
      )}
      {servers.length > 0 && <Witnesses servers={servers} to={r.to} from={r.from} />}
      {barred.length > 0 && (
        <>
          <h3>Servers that could not be promoted</h3>
          <dl className="facts">
            {barred.map(([address, why]) => (
              <div key={address} data-test="barred" data-address={address}>
                <dt><Mono>{address}</Mono></dt>
                <dd>{why}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
      <h3>Rules and history</h3>
      <Rests certificate={c} />
      {c.decision && <Decided decision={c.decision} />}
    </section>
  );
}

function Witnesses({ servers, to, from }: { servers: Witness[]; to: string; from: string }) {
  return (
    <div className="wide">
      <table className="witnesses">
        <caption className="unseen">What was done to each server, and what it showed</caption>
        <thead>
          <tr><th scope="col">server</th><th scope="col">what was done</th><th scope="col">what it showed</th></tr>
        </thead>
        <tbody>
          {servers.map((w) => (
            <tr key={w.address} data-test="witness" data-address={w.address}>
              <th scope="row">
                <Mono>{w.address}</Mono>
                {w.address === to && <span className="quiet">{w.address === from ? "primary" : "new primary"}</span>}
                {w.address === from && w.address !== to && <span className="quiet">old primary</span>}
              </th>
              <td><Deeds witness={w} /></td>
              <td><Showed witness={w} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Deeds({ witness: w }: { witness: Witness }) {
  const all = deeds(w);
  return (
    <>
      {all.length === 0 && <span className="quiet">only read</span>}
      {all.map((d) => (
        <span key={d.did} className={`deed deed-${d.outcome}`}>
          {d.did}{d.outcome === "yes" ? "" : `: ${d.outcome}`}
        </span>
      ))}
      {w.note && <p className="noted">{w.note}</p>}
    </>
  );
}

function Showed({ witness: w }: { witness: Witness }) {
  if (!w.gtid_executed && !w.gtid_received && !w.read_at) return <span className="quiet">nothing</span>;
  return (
    <>
      {w.term ? <>term {w.term}</> : <span className="quiet">no term</span>}
      {w.read_at && <span className="quiet">, read at {clock(w.read_at)}</span>}
      {(w.gtid_executed || w.gtid_received || w.incarnation) && (
        <details>
          <summary>transactions</summary>
          <dl className="sets">
            {w.gtid_executed && <><dt>executed</dt><dd><Mono>{w.gtid_executed}</Mono></dd></>}
            {w.gtid_received && <><dt>received</dt><dd><Mono>{w.gtid_received}</Mono></dd></>}
            {w.incarnation && <><dt>process</dt><dd><Mono>{w.incarnation}</Mono></dd></>}
          </dl>
        </details>
      )}
    </>
  );
}

function Rests({ certificate: c }: { certificate: Certificate }) {
  const d = c.ruleset;
  return (
    <dl className="facts">
      <div>
        <dt>durability</dt>
        <dd>
          {ruleWords(d)}, rules {d.number}
        </dd>
      </div>
      {c.chosen && <div><dt>history honoured</dt><dd><Mono>{c.chosen}</Mono></dd></div>}
      {c.floor && <div><dt>seen as committed</dt><dd><Mono>{c.floor}</Mono></dd></div>}
    </dl>
  );
}

function Decided({ decision: d }: { decision: Decision }) {
  return (
    <details>
      <summary>Decision of term {d.term}</summary>
      <dl className="facts">
        <div><dt>primary</dt><dd><Mono>{d.primary}</Mono> <Mono>{d.primary_uuid}</Mono></dd></div>
        <div><dt>on the word of</dt><dd>{(d.reached ?? []).map((a) => <span key={a}><Mono>{a}</Mono> </span>)}</dd></div>
        <div><dt>decided</dt><dd>{clock(d.decided_at)} by {d.elector}</dd></div>
        <div><dt>marker</dt><dd><Mono>{d.marker}</Mono></dd></div>
        <div><dt>hash</dt><dd><Mono>{d.hash}</Mono></dd></div>
        {d.previous_hash && <div><dt>hash before</dt><dd><Mono>{d.previous_hash}</Mono></dd></div>}
        {d.base && <div><dt>base</dt><dd><Mono>{d.base}</Mono></dd></div>}
      </dl>
    </details>
  );
}
