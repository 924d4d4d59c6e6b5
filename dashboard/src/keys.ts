// Everything can be reached without a mouse: by Tab, and faster by these keys.
import { useEffect, useRef } from "react";
import { go, href } from "./route";

export const keyList: [keys: string, does: string][] = [
  ["/", "search"],
  ["g f", "fleet"],
  ["g r", "recoveries"],
  ["g e", "events"],
  ["j  k", "next and previous row"],
  ["Enter", "open"],
  ["?", "this list"],
  ["Esc", "close, or leave the search"],
];

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}

function focusSearch(): boolean {
  const search = document.querySelector<HTMLElement>("[data-search]");
  search?.focus();
  return search !== null;
}

/** step moves the focus between the rows of a list. */
function step(by: 1 | -1): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  if (rows.length === 0) return false;
  const at = rows.findIndex((r) => r === document.activeElement || r.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1);
  rows[next]!.focus();
  return true;
}

/** useKeys handles the keys of all pages; help opens the list of them. */
export function useKeys(help: () => void): void {
  const before = useRef(0); // when g was pressed
  useEffect(() => {
    const pressed = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
      if (e.key === "Escape" && typing(e.target)) (e.target as HTMLElement).blur();
      if (typing(e.target) || document.querySelector("dialog[open]")) return;
      const afterG = performance.now() - before.current < 1500;
      before.current = e.key === "g" ? performance.now() : 0;
      if (act(e.key, afterG)) e.preventDefault();
    };
    const act = (key: string, afterG: boolean): boolean => {
      const goes: Record<string, string> = { f: href.fleet(), r: href.recoveries(), e: href.events() };
      if (afterG && goes[key] !== undefined) {
        go(goes[key]);
        return true;
      }
      if (key === "/") return focusSearch();
      if (key === "j") return step(1);
      if (key === "k") return step(-1);
      if (key === "?") help();
      return key === "?";
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [help]);
}
