import { useId, useReducer, useRef } from "react";
import { send } from "../api/client";
import { newKey } from "../api/key";
import type { ErrantServer, SettleAnswer, Settlement } from "../api/types";
import { Refused } from "../order/Refused";
import { Mono } from "../parts";
import { mayNot, useWho } from "../who";
import { accepts, actions, asksFor, begin, type Doing, lacks, request, type State, step, type Wish } from "./settle";
import { SettlementView } from "./SettlementView";

/** SettleForm settles a server: what to do, a dry run, the server's address, and then it is under way. */
export function SettleForm({ server: e, path, settlements }: { server: ErrantServer; path: string; settlements: Settlement[] }) {
  const [s, act] = useReducer(step, begin);
  const refused = mayNot("operator", useWho());
  if (s.at === "begun") return <SettlementView settlement={settlements.find((x) => x.id === s.settlement.id) ?? s.settlement} />;
  const busy = s.at === "choose" && s.busy;
  const held = busy || (s.at === "rehearsed" && (s.sending || s.unanswered !== undefined));
  const rehearse = async (): Promise<void> => {
    if (held) return;
    act({ does: "rehearse" });
    try {
      act({ does: "rehearsed", answer: await send<SettleAnswer>("POST", path, request(s.wish, true)) });
    } catch (problem) {
      act({ does: "refused", problem: problem as Error });
    }
  };
  return (
    <>
      <Choice server={e} wish={s.wish} disabled={held} onChange={(wish) => act({ does: "edit", wish })} />
      {s.at === "choose" && s.refused && <Refused {...s.refused} />}
      {s.at === "rehearsed" && <Rehearsed answer={s.answer} />}
      <p className="go-row">
        <button type="button" className={s.at === "choose" ? "primary" : ""} disabled={refused !== undefined || held} onClick={() => void rehearse()} data-test="settle-dry-run">
          {busy ? "Asking …" : s.at === "choose" ? "Dry run" : "Dry run again"}
        </button>
        <span className="quiet">{refused ?? "It changes nothing."}</span>
      </p>
      {s.at === "rehearsed" && s.answer.check?.possible && <Confirm server={e.server} path={path} state={s} act={act} />}
    </>
  );
}

/** Choice is what to do, why, and what somebody answers for; that is open to the eye where nothing can be done without it. */
function Choice({ server: e, wish: w, disabled, onChange }: { server: ErrantServer; wish: Wish; disabled: boolean; onChange: (w: Wish) => void }) {
  const id = useId();
  const toggle = (a: Wish["accept"][number]): void => onChange({ ...w, accept: w.accept.includes(a) ? w.accept.filter((x) => x !== a) : [...w.accept, a] });
  return (
    <fieldset className="plainset" disabled={disabled}>
      <div className="kinds" role="radiogroup" aria-label="What to do">
        {actions.map(([action, says]) => (
          <label key={action} className="kind" data-chosen={w.action === action || undefined}>
            <input type="radio" name={`${id}action`} data-test="settle-action" value={action} checked={w.action === action} onChange={() => onChange({ ...w, action })} />
            <span><b>{action}</b> <span className="quiet">{says}</span></span>
          </label>
        ))}
      </div>
      <div className="field">
        <label htmlFor={`${id}reason`}>Reason, for the record (needed)</label>
        <input id={`${id}reason`} data-test="settle-reason" maxLength={1000} value={w.reason} onChange={(x) => onChange({ ...w, reason: x.target.value })} />
      </div>
      <details className="responsible" open={accepts.some(([a]) => asksFor(e, w.action, a))} data-test="settle-responsible">
        <summary>I take responsibility for more than is proven …</summary>
        {accepts.map(([accept, name, says]) => (
          <label key={accept} className="check">
            <input type="checkbox" data-test="settle-accept" value={accept} checked={w.accept.includes(accept)} onChange={() => toggle(accept)} />
            <span><b>{name}:</b> {says}{asksFor(e, w.action, accept) && <b className="odd"> Without it this is refused.</b>}</span>
          </label>
        ))}
      </details>
    </fieldset>
  );
}

function Rehearsed({ answer: { check, steps } }: { answer: SettleAnswer }) {
  return (
    <div data-test="settle-check" data-possible={check?.possible ?? false} role="status">
      {check?.possible ? <p><b>Possible:</b> {check.detail}</p> : <div className="problem"><p><b>Not possible:</b> {check?.detail}</p></div>}
      <ol className="steps">{steps.map((x) => <li key={x}><Mono>{x}</Mono></li>)}</ol>
      <p className="unchanged">Nothing was changed.</p>
    </div>
  );
}

function Confirm({ server, path, state: s, act }: { server: string; path: string; state: Extract<State, { at: "rehearsed" }>; act: (d: Doing) => void }) {
  const id = useId();
  const key = useRef(newKey()).current; // of this dry run: another one is another order
  const stops = lacks(s, server);
  const go = async (): Promise<void> => {
    if (stops !== undefined || s.sending) return;
    act({ does: "send" });
    try {
      const answer = await send<SettleAnswer>("POST", path, request(s.wish, false), { key });
      act({ does: "begun", settlement: answer.settlement });
    } catch (problem) {
      act({ does: "refused", problem: problem as Error });
    }
  };
  return (
    <form
      className="settle-confirm"
      onSubmit={(x) => {
        x.preventDefault();
        void go();
      }}
    >
      <div className="field">
        <label htmlFor={`${id}confirm`}>Type the server's address, <Mono>{server}</Mono>, to confirm</label>
        <input id={`${id}confirm`} data-test="settle-confirm" autoComplete="off" autoCapitalize="off" spellCheck={false} value={s.typed} disabled={s.sending} onChange={(x) => act({ does: "type", typed: x.target.value })} />
      </div>
      {s.unanswered && <p className="notice" role="alert" data-test="settle-unanswered">It may have begun or not: {s.unanswered.message}. If it has, it shows here as soon as the control plane answers; then asking again is refused.</p>}
      <p className="go-row">
        <button type="submit" className="danger" data-test="settle-go" disabled={stops !== undefined || s.sending}>{s.sending ? "Asking …" : s.unanswered ? "Ask again" : `${s.wish.action} it`}</button>
        {stops && <span className="quiet">{stops}</span>}
      </p>
    </form>
  );
}
