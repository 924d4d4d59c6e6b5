// Whoever goes by keys stands somewhere. What they stood on may go, because it was done or is being asked for; then they are
// put next to where they were, not at the top of the page.
import { useEffect, useRef } from "react";

const places = "section, article, li, form, main";

/** Keeper watches where the focus is under a root, and gives it back when the page itself took it away. */
export class Keeper {
  private last?: HTMLElement; // what had the focus, as long as nobody has let go of it
  private around: Element[] = []; // what it stood in, the nearest first
  private waiting = false; // it was disabled while it had the focus
  private due = false;

  constructor(private readonly root: HTMLElement) {}

  start(): () => void {
    const seen = (e: Event): void => this.stands(e.target as HTMLElement);
    const left = (e: FocusEvent): void => this.leaves(e);
    const pressed = (): void => this.forget();
    const watch = new MutationObserver(() => this.soon());
    this.root.addEventListener("focusin", seen);
    this.root.addEventListener("focusout", left);
    window.addEventListener("pointerdown", pressed, true);
    watch.observe(this.root, { subtree: true, childList: true, attributes: true, attributeFilter: ["disabled"] });
    return () => {
      this.root.removeEventListener("focusin", seen);
      this.root.removeEventListener("focusout", left);
      window.removeEventListener("pointerdown", pressed, true);
      watch.disconnect();
    };
  }

  private stands(on: HTMLElement): void {
    this.last = on;
    this.waiting = false;
    this.around = [];
    for (let e = on.parentElement?.closest(places); e; e = e.parentElement?.closest(places)) this.around.push(e);
  }

  /** leaves forgets what somebody left for something else. For nothing: then it was taken away, or pressed beside. */
  private leaves(e: FocusEvent): void {
    if (e.relatedTarget !== null) this.forget();
  }

  private forget(): void {
    this.last = undefined;
    this.waiting = false;
  }

  /** soon looks once after everything that changes now has changed. */
  private soon(): void {
    if (this.due || this.last === undefined) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.look();
    });
  }

  private look(): void {
    const last = this.last;
    const has = document.activeElement;
    if (last === undefined || (has !== null && has !== document.body && has !== last)) return;
    if (!last.isConnected) return this.beside();
    if (last.matches(":disabled")) this.waiting = true;
    else if (this.waiting && has !== last) last.focus({ preventScroll: true });
  }

  /** beside puts the focus on the nearest of what is still there. */
  private beside(): void {
    const near = this.around.find((e): e is HTMLElement => e instanceof HTMLElement && e.isConnected);
    this.forget();
    if (near === undefined) return;
    if (!near.hasAttribute("tabindex")) near.tabIndex = -1;
    near.focus({ preventScroll: true });
  }
}

/** useFocus keeps the focus on the page, and begins every page at its top: what was focused before is not on it. */
export function useFocus(page: string): void {
  const shown = useRef(page);
  useEffect(() => new Keeper(document.getElementById("main")!).start(), []);
  useEffect(() => {
    if (shown.current === page) return;
    shown.current = page;
    document.getElementById("main")?.focus({ preventScroll: true });
  }, [page]);
}
