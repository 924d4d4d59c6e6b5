// Of a thousand rows only those near the screen are drawn; the others are empty space of the same height.
import { useLayoutEffect, useState, type RefObject } from "react";

export type Range = { first: number; last: number };

/** visible is which rows to draw: those between top and bottom, both measured from the first row, and a few around them. */
export function visible(top: number, bottom: number, height: number, count: number, around = 8): Range {
  const first = Math.min(Math.max(Math.floor(top / height) - around, 0), count);
  const last = Math.max(Math.min(Math.ceil(bottom / height) + around, count), first);
  return { first, last };
}

/** useVisible follows scrolling and resizing; body is the element that holds the rows. */
export function useVisible(body: RefObject<HTMLElement | null>, height: number, count: number): Range {
  const [range, setRange] = useState<Range>(() => visible(0, 1200, height, count));
  useLayoutEffect(() => {
    let frame = 0;
    const measure = (): void => {
      frame = 0;
      if (!body.current) return;
      const top = -body.current.getBoundingClientRect().top;
      const next = visible(top, top + window.innerHeight, height, count);
      setRange((r) => (r.first === next.first && r.last === next.last ? r : next));
    };
    const soon = (): void => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    window.addEventListener("scroll", soon, { passive: true });
    window.addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("scroll", soon);
      window.removeEventListener("resize", soon);
    };
  }, [body, height, count]);
  return range;
}
