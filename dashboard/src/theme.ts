// Light or dark: the system's choice, until somebody makes another one here.
import { useSyncExternalStore } from "react";

export type Theme = "auto" | "light" | "dark";

const kept = "primacy-theme";
const watching = new Set<() => void>();

function stored(): Theme {
  try {
    const t = window.localStorage.getItem(kept);
    return t === "light" || t === "dark" ? t : "auto";
  } catch {
    return "auto";
  }
}

let theme = stored();

function apply(): void {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** startTheme is called before anything is drawn, so that nothing flashes. */
export function startTheme(): void {
  apply();
}

export function setTheme(t: Theme): void {
  theme = t;
  try {
    window.localStorage.setItem(kept, t);
  } catch {
    // it lasts as long as this page then
  }
  apply();
  for (const f of [...watching]) f();
}

export function nextTheme(t: Theme): Theme {
  return t === "auto" ? "light" : t === "light" ? "dark" : "auto";
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (f) => {
      watching.add(f);
      return () => watching.delete(f);
    },
    () => theme,
  );
}
