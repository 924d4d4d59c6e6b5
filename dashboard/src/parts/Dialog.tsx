import { type ReactNode, useEffect, useLayoutEffect, useRef } from "react";

/** Dialog lies over the page and takes the keys; Esc and a click beside it close it. Then the focus is where it was before. */
export function Dialog({ title, onClose, children, test }: { title: string; onClose: () => void; children: ReactNode; test?: string }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = box.current;
    if (dialog && !dialog.open) dialog.showModal();
    dialog?.querySelector<HTMLElement>("form input, form textarea, form select")?.focus(); // else the focus is on closing it
  }, []);
  useLayoutEffect(() => {
    const dialog = box.current;
    return () => dialog?.close(); // before it is taken away: after that no browser gives the focus back
  }, []);
  return (
    <dialog
      ref={box}
      aria-label={title}
      data-test={test}
      onCancel={(e) => {
        e.preventDefault();
        onClose();
      }}
      onClose={() => {
        if (box.current?.open === false) onClose(); // a browser may close it unasked when Esc comes twice
      }}
      onClick={(e) => {
        if (e.target === box.current) onClose();
      }}
    >
      <div className="dialog">
        <header>
          <h2>{title}</h2>
          <button type="button" className="plain" onClick={onClose} aria-label="close">
            ✕
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
