import type { ReactNode } from "react";

/** Mono is for names, addresses and commands: they are copied and compared letter by letter. */
export function Mono({ children, title }: { children: ReactNode; title?: string }) {
  return (
    <code className="mono" title={title} dir="ltr">
      {children}
    </code>
  );
}
