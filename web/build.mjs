/**
 * Bundles the front end into the Python packages: `node build.mjs`; with `--check` nothing is written, and the exit code
 * is 1 if a bundle there is not what the sources give.
 *
 *     src/page.js, src/page.css   sifa_core/explain/viewer/bundle/   one viewer, for HTML files and other pages
 *     src/app.js, src/app.css     app/bundle/                        the page that a server serves, with LICENSES of what
 *                                                                    it is bundled with
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const PAGE = join(HERE, "../sifa_core/explain/viewer/bundle");
const APP = join(HERE, "../app/bundle");

/** Oldest browsers that draw MathML, light-dark() and nested styles. */
const COMMON = {
  bundle: true,
  minify: true,
  write: false,
  charset: "utf8",
  legalComments: "none",
  absWorkingDir: HERE,
  target: ["chrome123", "firefox120", "safari17.5"],
  logLevel: "warning",
};

/** The colours of theme.json as custom properties: "theme:viewer" for a viewer, "theme:page" for the page around it. */
const themes = {
  name: "theme",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^theme:/ }, ({ path }) => ({ path, namespace: "theme" }));
    onLoad({ filter: /./, namespace: "theme" }, async ({ path }) => {
      const { page } = JSON.parse(await readFile(join(PAGE, "../theme.json"), "utf8"));
      const colours = Object.entries(page);
      const both = colours.map(([name, [light, dark]]) => `--${name}: light-dark(${light}, ${dark});`);
      const one = (place) => colours.map(([name, values]) => `--${name}: ${values[place]};`).join(" ");
      const isViewer = path === "theme:viewer";
      return { loader: "css", contents: isViewer ? `.sifa-viewer { ${both.join(" ")} }` : `:root { ${one(0)} } .dark { ${one(1)} }` };
    });
  },
};

/** @param {string} source @param {string} outfile @param {import("esbuild").BuildOptions} options */
async function bundle(source, outfile, options = {}) {
  const { outputFiles, metafile } = await build({ ...COMMON, metafile: true, entryPoints: [source], outfile, plugins: [themes], ...options });
  return { path: outfile, text: outputFiles[0].text, inputs: Object.keys(metafile.inputs) };
}

/** Names, versions and licences of the packages that a bundle was made of. @param {string[]} inputs */
async function licences(inputs) {
  const names = inputs.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean);
  const entries = [...new Set(names)].sort().map(async (name) => {
    const folder = join(HERE, "node_modules", name);
    const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    return `${name} ${version}\n\n${await readFile(join(folder, file), "utf8")}`;
  });
  return (await Promise.all(entries)).join(`\n${"-".repeat(78)}\n\n`);
}

const page = await bundle("src/page.js", join(PAGE, "page.js"), { format: "iife", globalName: "sifaViewer" });
const pageStyles = await bundle("src/page.css", join(PAGE, "page.css"));
const viewerStyles = await bundle("src/viewer/index.css", join(PAGE, "viewer.css"));
const app = await bundle("src/app.js", join(APP, "app.js"), {
  format: "iife",
  define: { VIEWER_STYLES: JSON.stringify(viewerStyles.text) },
});
const appStyles = await bundle("src/app.css", join(APP, "app.css"));
const notices = { path: join(APP, "LICENSES"), text: await licences(app.inputs) };

let stale = 0;
for (const { path, text } of [page, pageStyles, viewerStyles, app, appStyles, notices]) {
  const there = await readFile(path, "utf8").catch(() => null);
  if (there === text) continue;
  const name = relative(join(HERE, ".."), path);
  if (process.argv.includes("--check")) {
    console.error(`${name} is not what the sources give: run make web`);
    stale += 1;
  } else {
    await writeFile(path, text);
    console.log(`${name}: ${text.length.toLocaleString("en")} characters`);
  }
}
process.exitCode = stale ? 1 : 0;
