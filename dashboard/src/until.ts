import { act } from "react";

const patience = 20_000; // bounds a wait on a busy machine; it is no measure of anything

/** until lets a page that is tested go on until a claim holds. React draws between two looks, not while somebody waits. */
export async function until(claim: () => boolean): Promise<void> {
  const deadline = performance.now() + patience;
  while (!claim() && performance.now() < deadline) await act(() => new Promise((r) => setTimeout(r, 10)));
  if (!claim()) throw new Error(`it never came: ${claim.toString()}\n${document.body.textContent?.slice(0, 500)}`);
}
