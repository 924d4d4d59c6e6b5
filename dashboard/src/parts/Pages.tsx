import { type ReactNode, useState } from "react";

/** Pages shows a long list in parts, with what is shown of how many. */
export function Pages<T>({ all, size, what, children }: { all: T[]; size: number; what: string; children: (part: T[], from: number) => ReactNode }) {
  const [wanted, want] = useState(0);
  const from = Math.min(wanted, Math.max(0, Math.floor((all.length - 1) / size) * size)); // the list may have become shorter
  const to = Math.min(from + size, all.length);
  return (
    <>
      {children(all.slice(from, to), from)}
      {all.length > size && (
        <p className="pages">
          <button type="button" disabled={from === 0} onClick={() => want(from - size)} data-test="page-before">‹ Before</button>
          <span className="num quiet" role="status">{what} {(from + 1).toLocaleString("en")}–{to.toLocaleString("en")} of {all.length.toLocaleString("en")}</span>
          <button type="button" disabled={to === all.length} onClick={() => want(from + size)} data-test="page-next">Next ›</button>
        </p>
      )}
    </>
  );
}
