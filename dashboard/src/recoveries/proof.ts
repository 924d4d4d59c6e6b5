// What a certificate says about a change, in words for people.
import type { Claim, Verification } from "../api/types";

/** asks is the question behind each claim, for those who do not know its name. */
export const asks: Record<string, string> = {
  seal: "Is the file as it was made?",
  form: "Can a change have ended like this?",
  lineage: "Are the earlier decisions that it goes by intact?",
  leaders: "Was everybody counted who may have been completing writes?",
  revocation: "Could none of them complete another write?",
  history: "Is what was honoured the history that counts?",
  nothing_lost: "Is everything in it that a client was told is safe?",
  election: "Do the rules lead to this primary?",
  decision: "Does the evidence lead to this very decision?",
  establishment: "Could the marker of the new term be acknowledged?",
  account: "Is what is told of the stages what the evidence says?",
  obstacle: "Was it really not possible, for this reason?",
  journals: "Does the decision stand in the journals of servers?",
};

export type Conclusion = { tone: "ok" | "warn" | "bad" | "open"; says: string };

/** conclusion is what all claims together come to, as the command line says it. */
export function conclusion(v: Verification): Conclusion {
  const has = (standing: Claim["standing"]): boolean => v.claims.some((c) => c.standing === standing);
  if (!v.verified || has("refuted")) return { tone: "bad", says: "Not verified: what is marked does not follow from the evidence, or was altered." };
  if (has("accepted")) return { tone: "warn", says: "Verified, but something may have been lost: who answers for that stands below." };
  if (has("untold")) return { tone: "ok", says: "Verified as far as the file can tell; what it cannot tell is marked." };
  return { tone: "ok", says: "Verified: by the evidence, nothing acknowledged was lost." };
}

/** looks are the sign and the word of each standing. */
export const looks: Record<Claim["standing"], { sign: string; word: string }> = {
  holds: { sign: "✓", word: "holds" },
  accepted: { sign: "!", word: "accepted" },
  untold: { sign: "?", word: "the file cannot tell" },
  refuted: { sign: "✕", word: "refuted" },
};
