import { useRef, useState } from "react";
import { send } from "../api/client";
import { newKey } from "../api/key";
import { Dialog, ProblemView } from "../parts";

type Props = {
  title: string;
  says: string;
  verb: string;
  method: "POST" | "PUT";
  path: string;
  body: Record<string, unknown>;
  onClose: () => void;
};

/** SwitchDialog says what will follow, takes a reason for the record, and sends it. */
export function SwitchDialog({ title, says, verb, method, path, body, onClose }: Props) {
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Error>();
  // What is sent again because no answer came goes by the same key, so that it is done and recorded once.
  const sent = useRef({ content: "", key: "" });
  const submit = async (): Promise<void> => {
    const asked = { ...body, ...(reason && { reason }) };
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
  return (
    <Dialog title={title} onClose={onClose} test="switch">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
      >
        <p>{says}</p>
        <div className="field">
          <label htmlFor="reason">Reason, for the record</label>
          <input id="reason" value={reason} maxLength={1000} onChange={(e) => setReason(e.target.value)} />
        </div>
        {problem && <ProblemView problem={problem} />}
        <div className="buttons">
          <button type="submit" className="primary" disabled={busy}>{busy ? "Sending …" : verb}</button>
          <button type="button" onClick={onClose}>Cancel</button>
        </div>
      </form>
    </Dialog>
  );
}
