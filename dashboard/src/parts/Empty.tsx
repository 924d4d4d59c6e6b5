import type { ReactNode } from "react";

/** Empty stands where there is nothing to show, and says why. */
export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty quiet">{children}</p>;
}
