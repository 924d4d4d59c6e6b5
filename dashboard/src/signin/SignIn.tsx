import { useId, useState } from "react";
import { address, authorization, type Credentials, Offline, problemOf, setCredentials } from "../api/client";
import { ProblemView } from "../parts";
import "./signin.css";

type Way = "token" | "password";

/** SignIn asks who somebody is; why is what the control plane said. Nothing is kept but in memory, and in this tab if that is wanted. */
export function SignIn({ why }: { why: string }) {
  const id = useId();
  const [way, setWay] = useState<Way>("token");
  const [token, setToken] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [remember, setRemember] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Error>();
  const ready = way === "token" ? token.trim() !== "" : name !== "" && password !== "";
  const submit = async (): Promise<void> => {
    if (!ready || busy) return;
    const c: Credentials = way === "token" ? { token: token.trim() } : { name, password };
    setBusy(true);
    setProblem(undefined);
    const refusal = await tried(c);
    if (refusal === undefined) {
      setCredentials(c, remember);
      return;
    }
    setProblem(refusal);
    setBusy(false);
  };
  return (
    <form
      className="card signin"
      data-test="signin"
      onSubmit={(e) => {
        e.preventDefault();
        void submit();
      }}
    >
      <h1>Sign in</h1>
      {problem === undefined ? <p className="quiet">{why}</p> : <ProblemView problem={problem} />}
      <div className="ways" role="radiogroup" aria-label="How">
        <label><input type="radio" name="way" checked={way === "token"} onChange={() => setWay("token")} /> Token</label>
        <label><input type="radio" name="way" data-test="signin-by-password" checked={way === "password"} onChange={() => setWay("password")} /> Name and password</label>
      </div>
      {way === "token" ? (
        <div className="field">
          <label htmlFor={`${id}token`}>Token</label>
          <input id={`${id}token`} data-test="signin-token" type="password" autoComplete="off" spellCheck={false} autoFocus value={token} onChange={(e) => setToken(e.target.value)} />
        </div>
      ) : (
        <>
          <div className="field">
            <label htmlFor={`${id}name`}>Name</label>
            <input id={`${id}name`} data-test="signin-name" autoComplete="username" autoCapitalize="off" spellCheck={false} autoFocus value={name} onChange={(e) => setName(e.target.value)} />
          </div>
          <div className="field">
            <label htmlFor={`${id}password`}>Password</label>
            <input id={`${id}password`} data-test="signin-password" type="password" autoComplete="current-password" value={password} onChange={(e) => setPassword(e.target.value)} />
          </div>
        </>
      )}
      <label className="remember">
        <input type="checkbox" checked={remember} onChange={(e) => setRemember(e.target.checked)} /> Remember in this tab, until it is closed
      </label>
      <button type="submit" className="primary" data-test="signin-go" disabled={!ready || busy}>{busy ? "Asking …" : "Sign in"}</button>
    </form>
  );
}

/** tried asks the control plane whether it knows somebody, before the page goes on as them; undefined when it does. */
async function tried(c: Credentials): Promise<Error | undefined> {
  let headers: Headers;
  try {
    headers = new Headers({ Accept: "application/json", ...authorization(c) });
  } catch {
    return new Error("A token has no such characters: it was perhaps not copied as a whole.");
  }
  try {
    const r = await fetch(address("/api/v1/whoami"), { headers, cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(10_000) });
    if (r.status === 401 || r.status === 403 || r.status === 421) return await problemOf(r);
    return undefined; // whatever else is wrong, the pages tell
  } catch {
    return new Offline("The control plane does not answer.");
  }
}
