/** newKey is a key under which a change is made once. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing where the page came over plain HTTP
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}
