import { useState } from "react";
import { file } from "../api/client";
import { ProblemView } from "./ProblemView";

/** Save fetches a file and has the browser save it. A mere link would go without the credentials. */
export function Save({ path, name, disabled, children }: { path: string; name: string; disabled?: string; children: string }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Error>();
  const save = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      const url = URL.createObjectURL(await file(path));
      const link = document.createElement("a");
      link.href = url;
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser reads it after this returns
    } catch (e) {
      setProblem(e as Error);
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" disabled={busy || disabled !== undefined} title={disabled} onClick={() => void save()} data-test="save" data-name={name}>{busy ? "Fetching …" : children}</button>
      {problem && <ProblemView problem={problem} />}
    </>
  );
}
