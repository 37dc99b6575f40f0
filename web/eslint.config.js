/** What the linter looks at: the recommended rules, and this house's own. */
import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "prefer-template": "error",
      "object-shorthand": "error",
      "no-shadow": "off",
      "max-lines": ["error", 400],
    },
  },
  { files: ["src/**"], languageOptions: { globals: { ...globals.browser, VIEWER_STYLES: "readonly" } } },
  { files: ["tests/**", "*.mjs"], languageOptions: { globals: globals.node } },
];
