import { type ReactNode, useEffect, useId, useReducer } from "react";
import { send } from "../api/client";
import { newKey } from "../api/key";
import { Mono } from "../parts";
import "../change/change.css";
import { type Action, begin, held, type State, step } from "./order";
import { Refused } from "./Refused";

type Props<A> = {
  method: "POST" | "PUT";
  path: string;
  /** wish is what a dry run holds for: with another one it has to be made again. */
  wish: string;
  body: (dryRun: boolean) => unknown;
  /** refused is why somebody may not do this at all, lacks what a dry run still needs, needs what the order needs besides. */
  refused?: string;
  lacks?: string;
  needs?: string;
  /** name has to be typed to confirm. */
  name: string;
  verb: string;
  title: string;
  form: (held: boolean) => ReactNode;
  answer: (a: A) => ReactNode;
  /** possible tells of a dry run whether it would succeed; else nothing can be begun. */
  possible?: (a: A) => boolean;
  onBegun: (a: A) => void;
};

/** Order is what to do, a dry run of it, and a confirmation by a name, each below the other. */
export function Order<A>(p: Props<A>) {
  const [state, act] = useReducer(step<A>, undefined, begin<A>);
  const outdated = state.at === "rehearsed" && state.wish !== p.wish;
  useEffect(() => {
    if (outdated) act({ does: "edit" });
  }, [outdated]);
  const busy = state.at === "choose" && state.busy;
  const fixed = held(state);
  const rehearse = async (): Promise<void> => {
    const wish = p.wish;
    act({ does: "rehearse" });
    try {
      act({ does: "rehearsed", wish, answer: await send<A>(p.method, p.path, p.body(true)) });
    } catch (e) {
      act({ does: "refused", problem: e as Error });
    }
  };
  const rehearsed = state.at === "rehearsed" && !outdated ? state : undefined;
  const lacks = p.refused ?? p.lacks;
  return (
    <>
      {p.refused && <p className="notice" role="status" data-test="order-forbidden">{p.refused}</p>}
      <section className="card" aria-label={`1. ${p.title}`}>
        <h2><span className="step-number">1</span> {p.title}</h2>
        <fieldset className="plainset" disabled={fixed}>{p.form(fixed)}</fieldset>
      </section>
      <section className="card" aria-label="2. Dry run" aria-busy={busy}>
        <h2><span className="step-number">2</span> What that would do</h2>
        {rehearsed && <div data-test="order-plan" role="status">{p.answer(rehearsed.answer)}<p className="unchanged">Nothing was changed.</p></div>}
        {state.at === "choose" && state.refused && <Refused {...state.refused} />}
        <p className="go-row">
          <button type="button" className={rehearsed ? "" : "primary"} data-test="order-dry-run" disabled={lacks !== undefined || fixed} onClick={() => void rehearse()}>
            {busy ? "Asking …" : rehearsed ? "Dry run again" : "Dry run"}
          </button>
          <span className="quiet">{lacks ?? "It changes nothing."}</span>
        </p>
      </section>
      {rehearsed && (p.possible?.(rehearsed.answer) ?? true) && <Confirm order={p} state={rehearsed} act={act} />}
    </>
  );
}

function Confirm<A>({ order: p, state: s, act }: { order: Props<A>; state: Extract<State<A>, { at: "rehearsed" }>; act: (a: Action<A>) => void }) {
  const id = useId();
  const stops = p.refused ?? p.needs ?? (s.typed === p.name ? undefined : s.typed === "" ? "" : "That is not the name yet.");
  const go = async (): Promise<void> => {
    if (stops !== undefined || s.sending) return;
    const key = s.key ?? newKey();
    act({ does: "send", key });
    try {
      const answer = await send<A>(p.method, p.path, p.body(false), { key });
      act({ does: "begun" });
      p.onBegun(answer);
    } catch (e) {
      act({ does: "refused", problem: e as Error });
    }
  };
  return (
    <section className="card confirm" aria-label="3. Do it">
      <h2><span className="step-number">3</span> Do it</h2>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void go();
        }}
      >
        <div className="field">
          <label htmlFor={`${id}confirm`}>Type the cluster's name, <Mono>{p.name}</Mono>, to confirm</label>
          <input id={`${id}confirm`} data-test="order-confirm" autoComplete="off" autoCapitalize="off" spellCheck={false} value={s.typed} disabled={s.sending} onChange={(e) => act({ does: "type", typed: e.target.value })} />
        </div>
        {s.unanswered && (
          <p className="notice" role="alert" data-test="order-unanswered">
            It may have begun or not: {s.unanswered.message}. Asking again is safe: it goes by the same key, so that it is done once.
          </p>
        )}
        <p className="go-row">
          <button type="submit" className="danger" data-test="order-go" disabled={stops !== undefined || s.sending}>{s.sending ? "Asking …" : s.unanswered ? "Ask again" : p.verb}</button>
          {stops && <span className="quiet">{stops}</span>}
        </p>
      </form>
    </section>
  );
}
