// Who this page acts for, as far as the control plane says.
import { useSyncExternalStore } from "react";
import { get, onSignIn, Offline } from "./api/client";
import type { Whoami } from "./api/types";

const roles = ["viewer", "operator", "admin"];

let known: Whoami | undefined;
const watching = new Set<() => void>();

async function learn(): Promise<void> {
  try {
    known = await get<Whoami>("/api/v1/whoami");
  } catch (e) {
    if (e instanceof Offline) {
      setTimeout(() => void learn(), 5000);
      return;
    }
    known = undefined; // not signed in, or an older control plane: then it decides about each request
  }
  for (const f of [...watching]) f();
}

/** startWho asks now, and again whenever somebody signs in or out. */
export function startWho(): () => void {
  void learn();
  return onSignIn(() => void learn());
}

function watch(f: () => void): () => void {
  watching.add(f);
  return () => watching.delete(f);
}

/** useWho is undefined until the answer is there. */
export function useWho(): Whoami | undefined {
  return useSyncExternalStore(watch, () => known);
}

/** may tells whether the role suffices; without an answer it does, and the control plane refuses if it does not. */
export function may(role: "operator" | "admin", who: Whoami | undefined = known): boolean {
  if (who === undefined || !roles.includes(who.role)) return true;
  return roles.indexOf(who.role) >= roles.indexOf(role);
}

/** mayNot is why a button is disabled; undefined when it is not. */
export function mayNot(role: "operator" | "admin", who: Whoami | undefined = known): string | undefined {
  return may(role, who) ? undefined : `This needs the role ${role}; you are ${who!.role}.`;
}
