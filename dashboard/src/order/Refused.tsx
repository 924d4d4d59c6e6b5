import { ProblemView } from "../parts";
import { unanswered } from "./order";

/** Refused is what was said to a dry run or to an order. No answer to a dry run is no refusal: it changes nothing either way. */
export function Refused({ problem, during }: { problem: Error; during: "rehearsal" | "order" }) {
  const says = during === "order" ? "It was not begun." : unanswered(problem) ? "The dry run got no answer that says whether it can be done. Let it run again." : "It could not be done as things stand.";
  return (
    <div data-test="refused" data-during={during}>
      <p><b>{says} Nothing was changed.</b></p>
      <ProblemView problem={problem} />
    </div>
  );
}
