import { useRef, useState } from "react";
import { Offline, send } from "../api/client";
import { newKey } from "../api/key";
import { unanswered } from "../order/order";
import { Dialog, ProblemView } from "../parts";

type Props = {
  title: string;
  says: string;
  verb: string;
  method: "POST" | "PUT";
  path: string;
  body: Record<string, unknown>;
  /** lasts asks how long it is to last. */
  lasts?: boolean;
  /** why: it is not sent without a reason. */
  why?: boolean;
  onClose: () => void;
};

const lengths: [ms: number, word: string][] = [[0, "until somebody ends it"], [30, "30 minutes"], [120, "2 hours"], [480, "8 hours"], [1440, "a day"], [10_080, "a week"]].map(([min, word]) => [(min as number) * 60_000, word as string]);

/** SwitchDialog says what will follow, takes a reason for the record, and sends it. */
export function SwitchDialog({ title, says, verb, method, path, body, lasts = false, why = false, onClose }: Props) {
  const [lasting, setLasting] = useState(0);
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Error>();
  // What is sent again because no answer came goes by the same key, so that it is done and recorded once.
  const sent = useRef({ content: "", key: "" });
  const submit = async (): Promise<void> => {
    const asked = { ...body, ...(lasting > 0 && { for_ms: lasting }), ...(reason && { reason }) };
    const content = JSON.stringify(asked);
    if (sent.current.content !== content) sent.current = { content, key: newKey() };
    setBusy(true);
    setProblem(undefined);
    try {
      await send(method, path, asked, { key: sent.current.key });
      onClose();
    } catch (e) {
      setProblem(e as Error);
      setBusy(false);
    }
  };
  /** leave first ends the waiting for an answer, which may still come: nobody is to miss that it was a refusal. */
  const leave = (): void => {
    if (!busy) return onClose();
    setBusy(false);
    setProblem(new Offline("no answer has come yet"));
  };
  const open = problem !== undefined && unanswered(problem);
  return (
    <Dialog title={title} onClose={leave} test="switch">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
      >
        <p>{says}</p>
        <div className="field">
          <label htmlFor="reason">Reason, for the record{why ? " (needed)" : ""}</label>
          <input id="reason" value={reason} maxLength={1000} required={why} onChange={(e) => setReason(e.target.value)} />
        </div>
        {lasts && (
          <div className="field">
            <label htmlFor="lasting">For how long</label>
            <select id="lasting" data-test="switch-lasting" value={lasting} onChange={(e) => setLasting(Number(e.target.value))}>
              {lengths.map(([ms, word]) => <option key={ms} value={ms}>{word}</option>)}
            </select>
          </div>
        )}
        {problem && <ProblemView problem={problem} />}
        {open && <p className="notice" data-test="switch-unanswered">It may have been done or not. Asking again is safe: it goes by the same key, so that it is done once.</p>}
        {problem && !open && <p className="quiet" data-test="switch-refused">Nothing was changed.</p>}
        <div className="buttons">
          <button type="submit" className="primary" data-test="switch-go" disabled={busy || (why && reason.trim() === "")}>{busy ? "Sending …" : open ? "Ask again" : verb}</button>
          <button type="button" onClick={leave}>{busy ? "Do not wait" : open ? "Close" : "Cancel"}</button>
        </div>
      </form>
    </Dialog>
  );
}
