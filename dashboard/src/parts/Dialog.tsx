import { type ReactNode, useEffect, useRef } from "react";

/** Dialog lies over the page and takes the keys; Esc and a click beside it close it. */
export function Dialog({ title, onClose, children, test }: { title: string; onClose: () => void; children: ReactNode; test?: string }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = box.current;
    if (dialog && !dialog.open) dialog.showModal();
    dialog?.querySelector<HTMLElement>("form input, form textarea, form select")?.focus(); // else the focus is on closing it
    return () => dialog?.close();
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
