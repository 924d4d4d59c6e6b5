// Who comes back to a page finds it where they left it, and a page that is opened begins at its top. A browser tries that on
// its own, but before the page has been drawn: there is nothing to scroll yet.
const stored = "primacy-scroll"; // in the tab's own storage, so that it outlasts a reload
const most = 100; // entries of the history whose places are kept
const patience = 10_000; // how long a page may take to be drawn; after that it stays where it is

type Places = Record<string, number>;

function read(): Places {
  try {
    const places: unknown = JSON.parse(sessionStorage.getItem(stored) ?? "{}");
    return typeof places === "object" && places !== null ? (places as Places) : {};
  } catch {
    return {}; // no storage here, or somebody else's text in it
  }
}

function write(places: Places): void {
  const latest = Object.entries(places).slice(-most);
  try {
    sessionStorage.setItem(stored, JSON.stringify(Object.fromEntries(latest)));
  } catch {
    // without storage it is forgotten at a reload
  }
}

/** Scroller knows where each entry of the tab's history was scrolled to. */
class Scroller {
  private readonly places = read();
  private entry = "";
  private y = 0; // where the entry is, as far as somebody has scrolled it
  private due?: { y: number; until: number }; // where it is to go once it is long enough
  private readonly grows = new ResizeObserver(() => this.settle());

  start(): () => void {
    const went = (): void => this.went();
    const scrolled = (): void => this.scrolled();
    const taken = (): void => this.forgo();
    const left = (): void => this.keep();
    const hands = ["wheel", "touchmove", "pointerdown", "keydown"] as const;
    window.history.scrollRestoration = "manual";
    window.addEventListener("hashchange", went);
    window.addEventListener("scroll", scrolled, { passive: true });
    window.addEventListener("pagehide", left);
    for (const hand of hands) window.addEventListener(hand, taken, { passive: true });
    this.grows.observe(document.body);
    this.went();
    return () => {
      window.removeEventListener("hashchange", went);
      window.removeEventListener("scroll", scrolled);
      window.removeEventListener("pagehide", left);
      for (const hand of hands) window.removeEventListener(hand, taken);
      this.grows.disconnect();
    };
  }

  /** went is called when the address has changed; an entry of the history that has no name yet was not there before. */
  private went(): void {
    const state: unknown = window.history.state;
    let entry = typeof state === "object" && state !== null && "entry" in state ? String(state.entry) : "";
    if (entry !== "" && entry === this.entry) return; // it only says something else after its ?
    this.keep();
    if (entry === "") {
      entry = `e${Date.now()}.${performance.now()}`;
      window.history.replaceState({ entry }, "");
    }
    this.entry = entry;
    this.due = { y: this.places[entry] ?? 0, until: performance.now() + patience };
    this.settle();
  }

  private keep(): void {
    if (this.entry === "") return;
    const y = this.due?.y ?? this.y;
    delete this.places[this.entry]; // the latest stands last
    this.places[this.entry] = y;
    write(this.places);
  }

  private scrolled(): void {
    if (this.due === undefined) this.y = window.scrollY;
  }

  /** settle scrolls to where the entry was, as soon as it is long enough. */
  private settle(): void {
    if (this.due === undefined) return;
    window.scrollTo(0, this.due.y);
    this.y = window.scrollY;
    if (Math.abs(this.y - this.due.y) <= 1 || performance.now() > this.due.until) this.due = undefined;
  }

  /** forgo leaves it to whoever scrolls by hand. */
  private forgo(): void {
    this.due = undefined;
    this.y = window.scrollY;
  }
}

/** startScroll does so until it is stopped. */
export function startScroll(): () => void {
  return new Scroller().start();
}
