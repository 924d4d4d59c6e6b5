import type { SeverityWord } from "../api/types";

const signs: Record<SeverityWord, string> = { critical: "✕", warning: "!", info: "i" };

/** Severity is a word with a sign and a colour, so that none of the three has to suffice alone. */
export function Severity({ severity, brief = false }: { severity: SeverityWord; brief?: boolean }) {
  return (
    <span className={`severity severity-${severity}`} title={brief ? severity : undefined}>
      <span className="sign" aria-hidden="true">
        {signs[severity] ?? "?"}
      </span>
      {brief ? <span className="unseen">{severity}</span> : severity}
    </span>
  );
}
