// What servers say may hold characters that nobody sees and that turn the direction of writing: "live" may be "evil"
// written backwards. They are shown by their numbers.

const unseen = /[\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** visible makes such characters of a JSON text ones that are seen; those that JSON itself escapes are control characters, which browsers show as space. */
export function visible(json: string): string {
  return json.replace(unseen, (c) => `⟨U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`);
}
