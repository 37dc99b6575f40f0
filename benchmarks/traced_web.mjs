/**
 * A traced file in onnxruntime-web, one thread of WebAssembly: `node benchmarks/traced_web.mjs TASK`, where TASK is JSON
 * {model, packages: folder with node_modules, clips: file of float32, shape, repeats, answers: file to write}.
 *
 * Writes all outputs one after the other as float32, and prints {shapes by output, milliseconds of processor time
 * of each run, metadata}.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const METADATA_PROPS = 14;
const LENGTH_DELIMITED = 2;

/** Fields of a protobuf message: [number, bytes] of those that have a length; numbers and the like are stepped over. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const steps = { 1: 8, 5: 4 };
  while (at < bytes.length) {
    const key = varint();
    const type = key % 8;
    if (type === LENGTH_DELIMITED) {
      const length = varint();
      yield [Math.floor(key / 8), bytes.subarray(at, at + length)];
      at += length;
    } else if (type === 0) varint();
    else at += steps[type];
  }
}

/** The metadata of an ONNX file, which onnxruntime-web does not tell: text by key. */
export function metadataOf(file) {
  const text = new TextDecoder();
  const found = {};
  for (const [number, entry] of fields(file)) {
    if (number !== METADATA_PROPS) continue;
    const [key, value] = Array.from(fields(entry), ([, bytes]) => text.decode(bytes));
    found[key] = value;
  }
  return found;
}

const task = JSON.parse(process.argv[2]);
const ort = createRequire(join(task.packages, "/"))("onnxruntime-web/wasm");
ort.env.wasm.numThreads = 1;
const model = readFileSync(task.model);
const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
const clips = readFileSync(task.clips);
const numbers = new Float32Array(clips.buffer, clips.byteOffset, clips.byteLength / 4);
const video = new ort.Tensor("float32", numbers, task.shape);
const milliseconds = [];
let answers;
for (let run = 0; run < task.repeats; run++) {
  const start = process.cpuUsage();
  answers = await session.run({ video });
  const { user, system } = process.cpuUsage(start);
  milliseconds.push((user + system) / 1000);
}
const shapes = Object.fromEntries(session.outputNames.map((name) => [name, answers[name].dims]));
const parts = session.outputNames.map((name) => Buffer.from(new Float32Array(answers[name].data).buffer));
writeFileSync(task.answers, Buffer.concat(parts));
console.log(JSON.stringify({ shapes, milliseconds, metadata: metadataOf(model) }));
