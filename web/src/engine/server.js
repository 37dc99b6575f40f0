/**
 * The engine that asks the server of this page: its named endpoints, through Gradio's own client.
 */
import { Client } from "@gradio/client";
import { engineOf } from "./engine.js";

const FAILED = "The server did not answer; please try again.";

/** @returns {import("./engine.js").Engine} */
export function serverEngine() {
  /** @type {Promise<any> | undefined} one client for all questions, once there is one */
  let connected;
  const client = () => {
    connected ??= Client.connect(new URL(".", location.href).href, { events: ["data", "status"], record_history: false }).catch((error) => {
      connected = undefined; // the next question tries again
      throw error;
    });
    return connected;
  };

  return engineOf(async (name, question, { tell, signal }) => {
    const asked = await client().catch(() => {
      throw new Error(FAILED);
    });
    signal?.throwIfAborted();
    const submission = asked.submit(`/${name}`, question);
    const abort = () => submission.cancel().catch(() => undefined); // whoever asked waits for nothing any more
    signal?.addEventListener("abort", abort);
    try {
      let answer;
      for await (const event of submission) {
        signal?.throwIfAborted();
        if (event.type === "data") {
          answer = event.data[0];
          if ("step" in answer) tell?.(answer);
        } else if (event.type === "status" && event.stage === "error") {
          throw new Error(typeof event.message === "string" && event.message ? event.message : FAILED);
        } else if (event.type === "status" && event.stage === "complete") {
          break;
        }
      }
      signal?.throwIfAborted();
      if (answer === undefined || "step" in answer) throw new Error(FAILED);
      return answer;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  });
}
