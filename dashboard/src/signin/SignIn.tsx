import { Empty } from "../parts";

/** SignIn asks who somebody is; why is what the control plane said. */
export function SignIn({ why }: { why: string }) {
  return <Empty>{why}</Empty>;
}
