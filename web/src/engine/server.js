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

  client().catch(() => undefined); // the first question is not far
  return engineOf(async (name, question, { tell, signal }) => {
    const asked = await client().catch(() => {
      throw new Error(FAILED);
    });
    signal?.throwIfAborted();
    const [endpoint, values] = name === "open" ? await opening(asked, question) : [name, question];
    signal?.throwIfAborted();
    const submission = asked.submit(`/${endpoint}`, values);
    // Gradio's client does not survive the end of a question that it has cancelled: it closes the stream of all answers.
    // So the server is left to finish, and whoever asked hears no more of it.
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
    if (answer === undefined || "step" in answer) throw new Error(FAILED);
    return answer;
  });
}

/**
 * Which endpoint opens a clip, and what it is told: a visitor's own is sent first.
 * @param {Client} client @param {Record<string, any>} question
 */
async function opening(client, { clip, ...question }) {
  if (!clip) return ["token" in question ? "open_window" : "open_example", question];
  const { files, error } = await client.upload_files(client.config.root, [clip]);
  if (!files) throw new Error(sentenceOf(error));
  return ["open_clip", { clip: { path: files[0], orig_name: clip.name, meta: { _type: "gradio.FileData" } } }];
}

/** The sentence of a refused upload. @param {string} error "HTTP 413: {...}" */
function sentenceOf(error) {
  try {
    return JSON.parse(error.slice(error.indexOf("{"))).detail;
  } catch {
    return FAILED;
  }
}
