import { act } from "react";

/** until lets a page that is tested go on until a claim holds. React draws between two looks, not while somebody waits. */
export async function until(claim: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !claim(); i++) await act(() => new Promise((r) => setTimeout(r, 10)));
  if (!claim()) throw new Error(`it never came: ${claim.toString()}\n${document.body.textContent?.slice(0, 500)}`);
}
